"""What there is to choose: every option of every command, and of the Python API, defined once.

    definition   what an option is, and how functions take groups of them
    values       kinds of values: read from text, and checked where Python gives them
    template     names of outputs with fields in braces
    pictures     what `upscale`, `batch`, `evaluate` and `load` take
    training     what `train` takes

To add an option, add a field to a group here, and use it where the work is done; CONTRIBUTING.md
says what belongs to it.

Imports neither torch nor Pillow nor Typer.
"""
