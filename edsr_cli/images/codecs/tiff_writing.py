"""A TIFF writer.

Pillow's cannot both compress and keep EXIF data, cannot compress beyond 4 GiB, and holds a second
copy of the picture. This one writes strip by strip.

EXIF data is a TIFF structure itself. It is put at the beginning of the file as it is, with its byte
order, and only its first directory is written anew: so all offsets in it stay right, also those in
maker notes, which nobody could move. A BigTIFF has wider directories, so that maker notes are left
out; its files are little-endian, because Pillow cannot read BigTIFF that is not.
"""

import itertools
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edsr_cli.images.metadata.exif import EXIF_IFD, GPS_IFD, LONG, SHORT, Field, byte_order, fields
from edsr_cli.images.metadata.exif_writing import directory_of
from edsr_cli.images.picture import Metadata

CLASSIC_LIMIT = 2**32
"""Files from this size on, in bytes, are written as BigTIFF, which older programs cannot read."""

# The tags of a TIFF file that describe the picture rather than how it is stored: programs, names of
# document and page, description, make, model, date, artist, computer, rating, copyright, print
# image matching, and what Windows Explorer adds.
DESCRIPTIVE_TAGS = frozenset(
    (11, 269, 270, 271, 272, 285, 305, 306, 315, 316, 0x4746, 0x4749, 33432, 50341,
     *range(0x9C9B, 0x9CA0))
)  # fmt: skip

_LEVEL = 4  # of deflate: with higher ones, time grows far faster than files shrink
_STRIP_BYTES = 2**18
_BYTE, _RATIONAL, _UNDEFINED, _LONG8 = 1, 5, 7, 16
# Bytes of each number in the values of a TIFF type, where that is more than one.
_NUMBER_BYTES = {3: 2, 8: 2, 4: 4, 9: 4, 13: 4, 5: 4, 10: 4, 11: 4, 12: 8, 16: 8}
_BIG_HEADER_BYTES = 16
_MAKER_NOTE = 0x927C
# Directories, XMP and profiles, which are written on their own, and what describes other pixels.
_ELSEWHERE = frozenset((EXIF_IFD, GPS_IFD, 0xA005, 33723, 34377, 34675, 37724, 50740, 50831, 50833))
_NO_MAKER_NOTES = "BigTIFF cannot hold its maker notes: dropped"
_DEFLATE, _RGB, _INTERLEAVED, _HORIZONTAL_DIFFERENCES, _INCH = 8, 2, 1, 2, 2
_STRAIGHT_ALPHA = 2  # colours are not multiplied by it


def write_tiff(
    pixels: NDArray[np.uint8],
    metadata: Metadata,
    file: BinaryIO,
    alpha: NDArray[np.uint8] | None = None,
) -> tuple[str, ...]:
    """Write a TIFF file of RGB strips, compressed with deflate after horizontal differencing.

    Args:
        pixels: shape (H, W, 3).
        metadata: what to put beside them, as `fitting.fit` gives it.
        file: where to write; seekable, and written from its current position.
        alpha: shape (H, W), which the pixels are not multiplied by; None for none.

    Returns:
        Remarks on what could not be kept, one line each.

    Raises:
        OSError: `file` does.
        ValueError: the EXIF data is damaged.
    """
    start = file.tell()
    height, width = pixels.shape[:2]
    channels = 3 if alpha is None else 4
    rows = max(1, min(height, _STRIP_BYTES // (channels * width)))
    tops = range(0, height, rows)
    exif = metadata.exif or b""
    order = byte_order(exif) if exif else "<"
    parts = fields(exif) if exif else ()
    about = _metadata_fields(metadata)
    small = about + _exif_fields(parts, exif)
    wide = [_swapped(field, "<", order) for field in about] + _without_maker_notes(parts, order)
    # The directory comes first, where every reader finds it, but the sizes of the strips, and so
    # whether the file must be a BigTIFF, are known last: room is left for the larger kind.
    place = max(8, len(exif) + len(exif) % 2)
    empty = _picture_fields("<", width, height, rows, [0] * len(tops), 0, True, channels)
    first = max(
        _BIG_HEADER_BYTES + len(_directory(wide + empty, "<", True, _BIG_HEADER_BYTES)),
        place + len(_directory(small + empty, order, False, place)),
    )
    first += first % 2
    file.write(bytes(first))
    sizes = [_write_strip(file, _strip(pixels, alpha, top, rows)) for top in tops]
    big = first + sum(sizes) > CLASSIC_LIMIT
    file.seek(start)
    if big:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, _BIG_HEADER_BYTES))
        entries = wide + _picture_fields("<", width, height, rows, sizes, first, big, channels)
        file.write(_directory(entries, "<", True, _BIG_HEADER_BYTES))
    else:
        file.write((b"II" if order == "<" else b"MM") + struct.pack(order + "HL", 42, place))
        file.write(exif[8:].ljust(place - 8, b"\0"))
        entries = small + _picture_fields(order, width, height, rows, sizes, first, big, channels)
        file.write(_directory(entries, order, False, place))
    file.seek(start + first + sum(sizes))
    lost = big and any(_maker_notes(field) for field in parts)
    return (_NO_MAKER_NOTES,) if lost else ()


def _strip(
    pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, top: int, rows: int
) -> NDArray[np.uint8]:
    """Rows of pixels, with alpha behind the colours."""
    part = pixels[top : top + rows]
    return part if alpha is None else np.dstack((part, alpha[top : top + rows]))


def _write_strip(file: BinaryIO, rows: NDArray[np.uint8]) -> int:
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]  # modulo 256, as the format has it
    data = zlib.compress(differences.tobytes(), _LEVEL)
    file.write(data)
    return len(data)


def _picture_fields(
    order: str,
    width: int,
    height: int,
    rows: int,
    sizes: Sequence[int],
    first: int,
    big: bool,
    channels: int = 3,
) -> list[Field]:
    """What describes the strips, of `sizes` bytes one behind the other from the offset `first`."""
    offsets = list(itertools.accumulate(sizes[:-1], initial=first))

    def short(tag: int, *values: int) -> Field:
        return Field(tag, SHORT, struct.pack(f"{order}{len(values)}H", *values))

    def long(tag: int, *values: int) -> Field:
        kind, layout = (_LONG8, "Q") if big else (LONG, "L")
        return Field(tag, kind, struct.pack(f"{order}{len(values)}{layout}", *values))

    alpha = [short(338, _STRAIGHT_ALPHA)] if channels > 3 else []
    return [
        long(256, width),
        long(257, height),
        short(258, *[8] * channels),
        short(259, _DEFLATE),
        short(262, _RGB),
        long(273, *offsets),
        short(277, channels),
        long(278, rows),
        long(279, *sizes),
        short(284, _INTERLEAVED),
        short(317, _HORIZONTAL_DIFFERENCES),
        *alpha,
    ]


def _metadata_fields(metadata: Metadata) -> list[Field]:
    """What is in neither EXIF data nor pixels, in the byte order of the EXIF data."""
    order = byte_order(metadata.exif) if metadata.exif else "<"
    entries = []
    if metadata.dpi:
        for tag, value in zip((282, 283), metadata.dpi, strict=True):
            ratio = Fraction(value).limit_denominator(10_000)
            packed = struct.pack(order + "2L", ratio.numerator, ratio.denominator)
            entries.append(Field(tag, _RATIONAL, packed))
        entries.append(Field(296, SHORT, struct.pack(order + "H", _INCH)))
    if metadata.xmp:
        entries.append(Field(700, _BYTE, metadata.xmp))
    if metadata.iptc:
        entries.append(Field(33723, _UNDEFINED, metadata.iptc))
    if metadata.icc_profile:
        entries.append(Field(34675, _UNDEFINED, metadata.icc_profile))
    return entries


def _exif_fields(parts: Sequence[Field], exif: bytes) -> list[Field]:
    """The first directory of EXIF data, with the offsets of the others as they are."""
    if not exif:
        return []
    order = byte_order(exif)
    entries = [field for field in parts if _is_kept(field.tag)]
    for tag in (EXIF_IFD, GPS_IFD):
        if any(field.tag == tag for field in parts) and (place := directory_of(exif, tag)):
            entries.append(Field(tag, LONG, struct.pack(order + "L", place)))
    return entries


def _is_kept(tag: int) -> bool:
    """Whether a tag of EXIF's first directory belongs in a TIFF, where others say how it is stored.

    Private tags are values that mean the same anywhere, but for those that point somewhere.
    """
    return tag in DESCRIPTIVE_TAGS or (tag >= 0x8000 and tag not in _ELSEWHERE)


def _without_maker_notes(parts: Sequence[Field], order: str) -> list[Field]:
    """EXIF data to be moved, in little-endian order: maker notes cannot be."""
    entries = []
    for field in parts:
        if _is_kept(field.tag) or field.tag in (EXIF_IFD, GPS_IFD):
            if not isinstance(field.value, bytes):
                inner = tuple(part for part in field.value if not _maker_notes(part))
                field = Field(field.tag, field.kind, inner)
            entries.append(_swapped(field, "<", order))
    return entries


def _maker_notes(field: Field) -> bool:
    """Whether a field is maker notes, or a directory with them."""
    if isinstance(field.value, bytes):
        return field.tag == _MAKER_NOTE
    return any(_maker_notes(part) for part in field.value)


def _swapped(field: Field, wanted: str, order: str) -> Field:
    """The same field with its numbers in another byte order."""
    if wanted == order:
        return field
    if not isinstance(field.value, bytes):
        parts = tuple(_swapped(part, wanted, order) for part in field.value)
        return Field(field.tag, field.kind, parts)
    unit = _NUMBER_BYTES.get(field.kind, 1)
    numbers = np.frombuffer(field.value, f"{order}u{unit}")
    return Field(field.tag, field.kind, numbers.astype(f"{wanted}u{unit}").tobytes())


def _directory(entries: Sequence[Field], order: str, big: bool, place: int) -> bytes:
    """A directory to be put at an offset, with the values and the directories it points to."""
    count, pointer, entry = (order + "Q", order + "Q", order + "HHQ") if big else (
        order + "H", order + "L", order + "HHL"
    )  # fmt: skip
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
            behind += _directory(value, order, big, offset)
            value = struct.pack(pointer, offset)
        elif len(value) > inline:
            behind += value
            value = struct.pack(pointer, offset)
        table += struct.pack(entry, field.tag, kind, field.count) + value.ljust(inline, b"\0")
    return table + bytes(inline) + behind
