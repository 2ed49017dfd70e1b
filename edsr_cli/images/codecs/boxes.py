"""The parts of picture files that Pillow does not hand on: chunks, boxes, blocks, resources.

Every walk is linear in the size of the file, ends where the file is damaged, and reads only what it
gives. The position of a file is kept.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

MAX_PART_BYTES = 2**24
"""A larger part is no metadata that makes sense; it counts as absent."""

_MAX_TOTAL_BYTES = 2**27
_MAX_PARTS = 100_000  # of one file
_MAX_DEPTH = 8  # of boxes in boxes


@contextmanager
def kept_position(file: BinaryIO) -> Iterator[None]:
    """Leave the position of a file as it was."""
    position = file.tell()
    try:
        yield
    finally:
        file.seek(position)


def png_chunks(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Name and content of the chunks of a PNG, in order, without those of pixels."""
    found: list[tuple[bytes, bytes]] = []
    total = 0
    with kept_position(file):
        file.seek(8)
        while len(found) < _MAX_PARTS and len(header := file.read(8)) == 8:
            length, name = struct.unpack(">L4s", header)
            total += 0 if name == b"IDAT" else length
            unwanted = name in (b"IDAT", b"fdAT", b"fcTL")
            if unwanted or length > MAX_PART_BYTES or total > _MAX_TOTAL_BYTES:
                file.seek(length + 4, 1)
                continue
            data = file.read(length)
            if name == b"IEND" or len(data) < length:
                break
            found.append((name, data))
            file.seek(4, 1)
    return found


@dataclass(frozen=True)
class Box:
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
        while place + 8 <= end and len(found) < _MAX_PARTS:
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


def riff_chunks(file: BinaryIO) -> list[bytes]:
    """The names of the chunks of a WebP."""
    found: list[bytes] = []
    with kept_position(file):
        file.seek(12)
        while len(found) < _MAX_PARTS and len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sL", header)
            found.append(name)
            file.seek(size + size % 2, 1)
    return found


def gif_extensions(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Name and content of a GIF's extensions: b"comment", or the 11 letters of an application.

    The name "XMP DataXMP" comes with its packet as it is, which is not cut into blocks.
    """
    found: list[tuple[bytes, bytes]] = []
    with kept_position(file):
        file.seek(0)
        header = file.read(13)
        if len(header) < 13:
            return found
        if header[10] & 0x80:
            file.seek(3 << ((header[10] & 7) + 1), 1)
        for _ in range(_MAX_PARTS):
            kind = file.read(1)
            if kind == b"!":
                label = file.read(1)
                name = _block(file) if label == b"\xff" else b""
                data = _blocks(file, raw=name == b"XMP DataXMP")
                if label == b"\xfe":
                    found.append((b"comment", data))
                elif label == b"\xff" and name:
                    found.append((name, data))
            elif kind == b",":
                place = file.read(9)
                if len(place) == 9 and place[8] & 0x80:
                    file.seek(3 << ((place[8] & 7) + 1), 1)
                file.seek(1, 1)
                _blocks(file, raw=False)
            else:
                break
    return found


def _block(file: BinaryIO) -> bytes:
    size = file.read(1)
    return file.read(size[0]) if size else b""


def _blocks(file: BinaryIO, raw: bool) -> bytes:
    """The content of blocks up to the empty one; `raw` keeps the bytes that say their lengths."""
    parts, size = [], 0
    while block := _block(file):
        size += len(block)
        if size <= MAX_PART_BYTES:
            parts.append(bytes([len(block)]) + block if raw else block)
    return b"".join(parts)


def psd_resources(file: BinaryIO) -> list[tuple[int, bytes]]:
    """Number and content of the image resources of a PSD file."""
    with kept_position(file):
        file.seek(26)
        colours = file.read(4)
        if len(colours) < 4:
            return []
        file.seek(struct.unpack(">L", colours)[0], 1)
        size = file.read(4)
        if len(size) < 4:
            return []
        return photoshop_resources(file.read(min(struct.unpack(">L", size)[0], MAX_PART_BYTES)))


def photoshop_resources(data: bytes) -> list[tuple[int, bytes]]:
    """Number and content of Photoshop's image resources, as PSD, JPEG and TIFF hold them."""
    found: list[tuple[int, bytes]] = []
    place = 0
    while place + 12 <= len(data) and len(found) < _MAX_PARTS:
        if data[place : place + 4] not in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"):
            break
        (number,) = struct.unpack_from(">H", data, place + 4)
        name = data[place + 6] + 1  # with its length in front, padded to an even size
        place += 6 + name + name % 2
        if place + 4 > len(data):
            break
        (size,) = struct.unpack_from(">L", data, place)
        place += 4
        if place + size > len(data):
            break
        found.append((number, data[place : place + size]))
        place += size + size % 2
    return found


def tiff_values(file: BinaryIO, wanted: frozenset[int]) -> dict[int, bytes]:
    """The bytes of tags in the first directory of a TIFF, as they are stored."""
    found: dict[int, bytes] = {}
    with kept_position(file):
        file.seek(0)
        header = file.read(16)
        order = "<" if header[:2] == b"II" else ">"
        big = header[2:4] in (b"+\0", b"\0+")
        count, entry, pointer = ("Q", "HHQ8s", "Q") if big else ("H", "HHL4s", "L")
        size, inline = (20, 8) if big else (12, 4)
        try:
            (start,) = struct.unpack_from(order + pointer, header, 8 if big else 4)
            file.seek(start)
            (entries,) = struct.unpack(order + count, file.read(struct.calcsize("=" + count)))
            table = file.read(size * min(entries, 65536))
            for tag, kind, number, value in struct.iter_unpack(order + entry, table):
                length = number * {3: 2, 4: 4}.get(kind, 1)
                if tag not in wanted or length > MAX_PART_BYTES:
                    continue
                if length > inline:
                    file.seek(struct.unpack(order + pointer, value)[0])
                    value = file.read(length)
                found.setdefault(tag, value[:length])
        except (struct.error, OSError, OverflowError):
            pass  # cut short, or an offset to nowhere
    return found
