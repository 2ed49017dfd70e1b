"""The colours that an AVIF states in an nclx box, as code points of H.273 (ISO/IEC 23001-8)."""

import struct
from typing import BinaryIO

from edsr_cli.images.codecs import boxes as containers

CodePoints = tuple[int, int, int, int]
"""Primaries, transfer characteristics, matrix and full range of H.273."""


def code_points(file: BinaryIO) -> CodePoints | None:
    """What the primary item of an AVIF states, in an nclx box."""
    properties = containers.find_boxes(file, b"meta", b"iprp", b"ipco", skip=4)
    if not properties:
        return None
    inside = containers.boxes(file, properties[0])
    wanted = _primary_properties(file)
    for index, box in enumerate(inside, 1):
        if box.name == b"colr" and (wanted is None or index in wanted):
            data = box.read(file)
            if data[:4] == b"nclx" and len(data) >= 11:
                primaries, transfer, matrix, full = struct.unpack_from(">3HB", data, 4)
                return primaries, transfer, matrix, full >> 7
    return None


def _primary_properties(file: BinaryIO) -> set[int] | None:
    """The numbers of the properties of the primary item; None where the file does not say."""
    items = containers.find_boxes(file, b"meta", b"pitm", skip=4)
    maps = containers.find_boxes(file, b"meta", b"iprp", b"ipma", skip=4)
    if not items or not maps:
        return None
    data = items[0].read(file)
    (item,) = struct.unpack_from(">H" if data[0] == 0 else ">L", data, 4)
    data = maps[0].read(file)
    version, wide = data[0], data[3] & 1
    (entries,) = struct.unpack_from(">L", data, 4)
    place = 8
    for _ in range(min(entries, len(data))):
        (number,) = struct.unpack_from(">H" if version == 0 else ">L", data, place)
        place += 2 if version == 0 else 4
        amount = data[place]
        layout, mask = (">H", 0x7FFF) if wide else (">B", 0x7F)
        size = struct.calcsize(layout)
        if number == item:
            found = struct.iter_unpack(layout, data[place + 1 : place + 1 + amount * size])
            return {value & mask for (value,) in found}
        place += 1 + amount * size
    return None
