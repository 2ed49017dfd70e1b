"""What there is to choose: every option of every command, and of the Python API, defined once.

    definition   what an option is, and how functions take groups of them
    values       kinds of values: read from text, and checked where Python gives them
    reading      what people write for a value
    choices      what there is to choose from
    network      what `load` takes, and everything that upscales
    pictures, folders, comparing, evaluating, training
                 what `upscale`, `batch`, `compare`, `evaluate` and `train` take

To add an option, add a field to a group here, and use it where the work is done; CONTRIBUTING.md
says what belongs to it.

Imports neither torch nor Pillow nor Typer.
"""
