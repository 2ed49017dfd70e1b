"""Pictures in and out: hostile files to RGB pixels and back, colour and metadata kept.

`open_picture` reads the header of any readable file, and then a `Picture`: a window on its upright
RGB pixels, the metadata that belong to them, and remarks on what was lost. `create_picture` takes
pixels for a file, `create_sequence` those of several pictures. `decode` and `write_picture` do it
with whole pictures; what is written to a path appears complete or not at all. Every failure is an
`edsr_cli.errors.PictureError` of one line.

What is to be known of each format is in `codecs`, what is the same for all in `colour` and
`metadata`.
"""

from edsr_cli.images.decoding import OpenPicture, decode, from_pil, open_picture, probe
from edsr_cli.images.encoding import (
    PictureWriter,
    create_picture,
    encode,
    picture_file,
    to_pil,
    write_picture,
    written,
)
from edsr_cli.images.formats import FORMATS, READ_SUFFIXES, format_for
from edsr_cli.images.guard import TooLargeError
from edsr_cli.images.picture import (
    DEFAULT_MAX_PIXELS,
    Metadata,
    OutputFormat,
    OutputOptions,
    OutputRequest,
    Picture,
    PictureInfo,
)
from edsr_cli.images.sequences import SequenceWriter, create_sequence

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMATS",
    "READ_SUFFIXES",
    "Metadata",
    "OpenPicture",
    "OutputFormat",
    "OutputOptions",
    "OutputRequest",
    "Picture",
    "PictureInfo",
    "PictureWriter",
    "SequenceWriter",
    "TooLargeError",
    "create_picture",
    "create_sequence",
    "decode",
    "encode",
    "format_for",
    "from_pil",
    "open_picture",
    "picture_file",
    "probe",
    "to_pil",
    "write_picture",
    "written",
]
