"""Pictures in and out: hostile files to RGB arrays and back, colour and metadata kept.

`decode` turns any readable file into a `Picture`: upright RGB pixels, the metadata that belongs to
them, and remarks on what was lost. `write_picture` writes pixels to a file that appears complete or
not at all. Every failure is an `edsr_cli.errors.PictureError` of one line.
"""

from edsr_cli.images.decoding import decode, from_pil, probe, to_pil
from edsr_cli.images.encoding import encode, write_picture
from edsr_cli.images.formats import FORMATS, OutputFormat, format_for
from edsr_cli.images.guard import READ_SUFFIXES, TooLargeError
from edsr_cli.images.picture import (
    DEFAULT_MAX_PIXELS,
    Metadata,
    Picture,
    PictureInfo,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMATS",
    "READ_SUFFIXES",
    "Metadata",
    "OutputFormat",
    "Picture",
    "PictureInfo",
    "TooLargeError",
    "decode",
    "encode",
    "format_for",
    "from_pil",
    "probe",
    "to_pil",
    "write_picture",
]
