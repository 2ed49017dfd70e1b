"""A TIFF writer.

Pillow's cannot both compress and keep EXIF data, cannot compress beyond 4 GiB, and holds a second
copy of the picture. This one writes strip by strip. Its files are little-endian, because Pillow
cannot read BigTIFF that is not.
"""

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

_LEVEL = 4  # of deflate; see PNG_LEVEL in `encoding` for why
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
    file.write(bytes(_HEADER_BYTES))
    height, width = pixels.shape[:2]
    rows = max(1, min(height, _STRIP_BYTES // (3 * width)))
    sizes = [_write_strip(file, pixels[top : top + rows]) for top in range(0, height, rows)]
    end = file.tell() - start
    entries = _metadata_fields(metadata)
    # More than the directories can take: offsets and sizes of the strips, values, entries.
    big = end + 16 * len(sizes) + 2 * sum(map(_bytes_of, entries)) + 4096 > CLASSIC_LIMIT
    entries += _picture_fields(width, height, rows, sizes, big)
    directory = _write_directory(file, entries, big, start)
    file.seek(start)
    if big:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, directory))
    else:
        file.write(struct.pack("<2sHL", b"II", 42, directory))
    file.seek(0, 2)


def _write_strip(file: BinaryIO, rows: NDArray[np.uint8]) -> int:
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]  # modulo 256, as the format has it
    data = zlib.compress(differences.tobytes(), _LEVEL)
    file.write(data)
    return len(data)


def _picture_fields(
    width: int, height: int, rows: int, sizes: Sequence[int], big: bool
) -> list[Field]:
    offsets = [_HEADER_BYTES]
    for size in sizes[:-1]:
        offsets.append(offsets[-1] + size)

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


def _bytes_of(field: Field) -> int:
    if isinstance(field.value, bytes):
        return len(field.value) + 20
    return sum(map(_bytes_of, field.value)) + 40


def _write_directory(file: BinaryIO, entries: Sequence[Field], big: bool, start: int) -> int:
    """Write values, directories pointed to, then the directory; give its offset in the file."""
    pointer = "Q" if big else "L"
    inline = struct.calcsize(f"={pointer}")
    table = b""
    for field in sorted(entries, key=lambda field: field.tag):
        kind, count, value = field.kind, field.count, field.value
        if not isinstance(value, bytes):
            kind = _LONG8 if big else LONG
            place = _write_directory(file, value, big, start)
            value = struct.pack("<" + pointer, place)
        elif len(value) > inline:
            place = _write_aligned(file, value, start)
            value = struct.pack("<" + pointer, place)
        table += struct.pack(f"<HH{pointer}", field.tag, kind, count)
        table += value.ljust(inline, b"\0")
    length = struct.pack("<" + ("Q" if big else "H"), len(entries))
    return _write_aligned(file, length + table + bytes(inline), start)


def _write_aligned(file: BinaryIO, data: bytes, start: int) -> int:
    if (file.tell() - start) % 2:
        file.write(b"\0")
    place = file.tell() - start
    file.write(data)
    return place
