"""The public Python API, which the command line uses, too.

    opening    a model becomes an upscaler; fetching gets its file
    checks     what `upscale` and `batch` look at before the work
    pictures   `load`, and what it gives
    versions   versions of a picture, for `compare`
    devices    the devices that there are
    upscale, batch, compare, evaluate, train
               what the commands of these names do: a function for everybody, which takes the same
               options by the same names, and what it is made of, for the command line

`edsr_cli` has all of it, imported when it is first used.
"""
