"""The boxes that AVIF, HEIC, JPEG 2000 and JPEG XL are made of (ISO/IEC 14496-12, 15444-1).

Every walk through the parts of a file, here and in other codecs, is linear in its size, ends where
it is damaged, reads only what it gives, and keeps its position.
"""

import struct
from typing import BinaryIO

from msgspec import Struct

from edsr_cli.images.source import kept_position

MAX_PART_BYTES = 2**24
"""A larger part is no metadata that makes sense; it counts as absent."""

MAX_PARTS = 100_000
"""Most parts of one file that are looked at."""

_MAX_DEPTH = 8  # of boxes in boxes


class Box(Struct, frozen=True):
    """A box of ISO base media or JPEG 2000: its name, and where its content begins and ends."""

    name: bytes
    start: int
    end: int

    def read(self, file: BinaryIO, limit: int = MAX_PART_BYTES) -> bytes:
        """Its content, as far as there is any; empty where it is longer than the limit."""
        if self.end - self.start > limit:
            return b""
        with kept_position(file):
            file.seek(self.start)
            return file.read(self.end - self.start)


def boxes(file: BinaryIO, inside: Box | None = None) -> list[Box]:
    """The boxes of a file, or in the content of another box."""
    found: list[Box] = []
    with kept_position(file):
        if inside is None:
            place, end = 0, file.seek(0, 2)
        else:
            place, end = inside.start, inside.end
        while place + 8 <= end and len(found) < MAX_PARTS:
            file.seek(place)
            header = file.read(16)
            if len(header) < 8:
                break
            size, name = struct.unpack_from(">L4s", header)
            start = place + 8
            if size == 1 and len(header) == 16:
                (size,) = struct.unpack_from(">Q", header, 8)
                start = place + 16
            elif size == 0:
                size = end - place
            if place + size < start or place + size > end:
                break
            found.append(Box(name, start, place + size))
            place += size
    return found


def find_boxes(file: BinaryIO, *path: bytes, skip: int = 0) -> list[Box]:
    """The boxes at a path such as "meta", "iprp", "ipco".

    Args:
        file: the file, seekable.
        path: names of boxes, each inside of the one before.
        skip: bytes of a version and flags at the beginning of the first one's content.
    """
    level = boxes(file)
    for depth, name in enumerate(path[:_MAX_DEPTH]):
        level = [box for box in level if box.name == name]
        if depth + 1 < len(path):
            inner = skip if depth == 0 else 0
            level = [
                part
                for box in level
                for part in boxes(file, Box(name, min(box.start + inner, box.end), box.end))
            ]
    return level
