"""The beginnings of files, where most of what Pillow does not tell is said."""

import struct
from collections.abc import Callable
from typing import BinaryIO

from edsr_cli.images.source import kept_position

_HEADER_BYTES = 65536  # far more than the headers looked into ever take


def bits_in_header(file: BinaryIO, read: Callable[[bytes], int]) -> int:
    """What a reader of headers makes of the beginning of a file, or 8; see `Codec.bits`."""
    try:
        return read(beginning(file)) or 8
    except (IndexError, struct.error):
        return 8  # the header is cut short: decoding will say so


def beginning(file: BinaryIO) -> bytes:
    """The beginning of a file, with all headers; its position is kept."""
    with kept_position(file):
        file.seek(0)
        return file.read(_HEADER_BYTES)
