"""A TIFF writer.

Pillow's cannot both compress and keep EXIF data, cannot compress beyond 4 GiB, and holds a second
copy of the picture. This one writes strip by strip. Its files are little-endian, because Pillow
cannot read BigTIFF that is not.
"""

import itertools
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edsr_cli.images.exif import EXIF_IFD, GPS_IFD, LONG, SHORT, Field, byte_order, fields
from edsr_cli.images.metadata import DESCRIPTIVE_TAGS
from edsr_cli.images.picture import Metadata

CLASSIC_LIMIT = 2**32
"""Files from this size on, in bytes, are written as BigTIFF, which older programs cannot read."""

_LEVEL = 4  # of deflate: with higher ones, time grows far faster than files shrink
_STRIP_BYTES = 2**18
_BYTE, _RATIONAL, _UNDEFINED, _LONG8 = 1, 5, 7, 16
# Bytes of each number in the values of a TIFF type, where that is more than one.
_NUMBER_BYTES = {3: 2, 8: 2, 4: 4, 9: 4, 13: 4, 5: 4, 10: 4, 11: 4, 12: 8, 16: 8}
_HEADER_BYTES = 16  # what BigTIFF needs; a classic header takes 8 of them
_DEFLATE, _RGB, _INTERLEAVED, _HORIZONTAL_DIFFERENCES, _INCH = 8, 2, 1, 2, 2


def write_tiff(pixels: NDArray[np.uint8], metadata: Metadata, file: BinaryIO) -> None:
    """Write a TIFF file of RGB strips, compressed with deflate after horizontal differencing.

    Args:
        pixels: shape (H, W, 3).
        metadata: what to put beside them; all of it is kept.
        file: where to write; seekable, and written from its current position.

    Raises:
        OSError: `file` does.
        ValueError: the EXIF data is damaged.
    """
    start = file.tell()
    height, width = pixels.shape[:2]
    rows = max(1, min(height, _STRIP_BYTES // (3 * width)))
    tops = range(0, height, rows)
    about = _metadata_fields(metadata)
    # The directory comes first, where every reader finds it, but the sizes of the strips, and so
    # whether the file must be a BigTIFF, are known last: room is left for the larger kind.
    unknown = _picture_fields(width, height, rows, [0] * len(tops), 0, big=True)
    first = _HEADER_BYTES + len(_directory(about + unknown, True, _HEADER_BYTES))
    file.write(bytes(first))
    sizes = [_write_strip(file, pixels[top : top + rows]) for top in tops]
    big = first + sum(sizes) > CLASSIC_LIMIT
    if big:
        header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, _HEADER_BYTES)
    else:
        header = struct.pack("<2sHL", b"II", 42, _HEADER_BYTES).ljust(_HEADER_BYTES, b"\0")
    entries = about + _picture_fields(width, height, rows, sizes, first, big)
    file.seek(start)
    file.write(header + _directory(entries, big, _HEADER_BYTES))
    file.seek(start + first + sum(sizes))


def _write_strip(file: BinaryIO, rows: NDArray[np.uint8]) -> int:
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]  # modulo 256, as the format has it
    data = zlib.compress(differences.tobytes(), _LEVEL)
    file.write(data)
    return len(data)


def _picture_fields(
    width: int, height: int, rows: int, sizes: Sequence[int], first: int, big: bool
) -> list[Field]:
    """What describes the strips, of `sizes` bytes one behind the other from the offset `first`."""
    offsets = list(itertools.accumulate(sizes[:-1], initial=first))

    def short(tag: int, *values: int) -> Field:
        return Field(tag, SHORT, struct.pack(f"<{len(values)}H", *values))

    def long(tag: int, *values: int) -> Field:
        kind, layout = (_LONG8, "Q") if big else (LONG, "L")
        return Field(tag, kind, struct.pack(f"<{len(values)}{layout}", *values))

    return [
        long(256, width),
        long(257, height),
        short(258, 8, 8, 8),
        short(259, _DEFLATE),
        short(262, _RGB),
        long(273, *offsets),
        short(277, 3),
        long(278, rows),
        long(279, *sizes),
        short(284, _INTERLEAVED),
        short(317, _HORIZONTAL_DIFFERENCES),
    ]


def _metadata_fields(metadata: Metadata) -> list[Field]:
    kept = DESCRIPTIVE_TAGS | {EXIF_IFD, GPS_IFD}
    entries = []
    if metadata.exif:
        order = byte_order(metadata.exif)
        entries += [_little(field, order) for field in fields(metadata.exif) if field.tag in kept]
    if metadata.dpi:
        for tag, value in zip((282, 283), metadata.dpi, strict=True):
            ratio = Fraction(value).limit_denominator(10_000)
            packed = struct.pack("<2L", ratio.numerator, ratio.denominator)
            entries.append(Field(tag, _RATIONAL, packed))
        entries.append(Field(296, SHORT, struct.pack("<H", _INCH)))
    if metadata.xmp:
        entries.append(Field(700, _BYTE, metadata.xmp))
    if metadata.icc_profile:
        entries.append(Field(34675, _UNDEFINED, metadata.icc_profile))
    return entries


def _little(field: Field, order: str) -> Field:
    """The same field with its numbers in little-endian order."""
    if not isinstance(field.value, bytes):
        return Field(field.tag, field.kind, tuple(_little(part, order) for part in field.value))
    unit = _NUMBER_BYTES.get(field.kind, 1)
    numbers = np.frombuffer(field.value, f"{order}u{unit}")
    return Field(field.tag, field.kind, numbers.astype(f"<u{unit}").tobytes())


def _directory(entries: Sequence[Field], big: bool, place: int) -> bytes:
    """A directory to be put at an offset, with the values and the directories it points to."""
    count, pointer, entry = ("<Q", "<Q", "<HHQ") if big else ("<H", "<L", "<HHL")
    inline = struct.calcsize(pointer)
    table = struct.pack(count, len(entries))
    end = place + len(table) + len(entries) * (struct.calcsize(entry) + inline) + inline
    behind = b""
    for field in sorted(entries, key=lambda field: field.tag):
        kind, value = field.kind, field.value
        behind += bytes((end + len(behind)) % 2)  # offsets are even
        offset = end + len(behind)
        if not isinstance(value, bytes):
            kind = _LONG8 if big else LONG
            behind += _directory(value, big, offset)
            value = struct.pack(pointer, offset)
        elif len(value) > inline:
            behind += value
            value = struct.pack(pointer, offset)
        table += struct.pack(entry, field.tag, kind, field.count) + value.ljust(inline, b"\0")
    return table + bytes(inline) + behind
