"""The directories of TIFF files, and the EXIF data in them.

EXIF data is a TIFF structure itself. It is put at the beginning of the file as it is, with its byte
order, and only its first directory is written anew: so all offsets in it stay right, also those in
maker notes, which nobody could move. A BigTIFF has wider directories, so that maker notes are left
out; its files are little-endian, because Pillow cannot read BigTIFF that is not.
"""

import struct
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from msgspec import Struct

from edsr_cli.images.metadata.exif import (
    EXIF_IFD,
    GPS_IFD,
    LONG,
    MAKER_NOTE,
    SHORT,
    Field,
    byte_order,
    fields,
)
from edsr_cli.images.metadata.exif_writing import directory_of
from edsr_cli.images.picture import Metadata

CLASSIC_LIMIT = 2**32
"""Files that may grow beyond this, in bytes, are BigTIFF, which old programs cannot read."""

# The tags of a TIFF file that describe the picture rather than how it is stored: programs, names of
# document and page, description, make, model, date, artist, computer, rating, copyright, print
# image matching, and what Windows Explorer adds.
DESCRIPTIVE_TAGS = frozenset(
    (11, 269, 270, 271, 272, 285, 305, 306, 315, 316, 0x4746, 0x4749, 33432, 50341,
     *range(0x9C9B, 0x9CA0))
)  # fmt: skip

_BYTE, _RATIONAL, _UNDEFINED, _LONG8 = 1, 5, 7, 16
# Bytes of each number in the values of a TIFF type, where that is more than one.
_NUMBER_BYTES = {3: 2, 8: 2, 4: 4, 9: 4, 13: 4, 5: 4, 10: 4, 11: 4, 12: 8, 16: 8}
_BIG_HEADER_BYTES = 16
_IPTC = 33723
# Directories, XMP and profiles, which are written on their own, and what describes other pixels.
_ELSEWHERE = frozenset((EXIF_IFD, GPS_IFD, 0xA005, _IPTC, 34377, 34675, 37724, 50740, 50831, 50833))
_NO_MAKER_NOTES = "BigTIFF cannot hold its maker notes: dropped"
_NO_LATER_MAKER_NOTES = "the maker notes of later pages cannot be kept: dropped"
_DEFLATE, _BLACK_IS_ZERO, _RGB, _INTERLEAVED, _HORIZONTAL_DIFFERENCES, _INCH = 8, 1, 2, 1, 2, 2
_REDUCED = 1  # the kind of a smaller copy of another picture in the file
_STRAIGHT_ALPHA = 2  # colours are not multiplied by it


class Frame:
    """The directories of a TIFF of one picture or several, and what lies around them.

    They come first, where every reader finds them: their sizes are known before the pixels are,
    for which only the offsets and the lengths are filled in at the end.

    Args:
        metadata: what to put beside the first picture, as `fitting.fit` gives it.
        pictures: what describes each, the largest first.
        most_bytes: all pixels take no more than these, compressed. Where they may take the file
            beyond `CLASSIC_LIMIT`, it is a BigTIFF.
        behind: the directories that these follow in the file, if they are not the first.
        place: the offset that these have then.

    Attributes:
        order: the byte order of the file, "<" or ">".
        first: offset of what comes behind the directories.
        link: offset of the number that says where further directories are, which is 0.
        notes: remarks on what could not be kept.

    Raises:
        ValueError: the EXIF data is damaged.
    """

    def __init__(
        self,
        metadata: Metadata,
        pictures: Sequence["FrameLayout"],
        most_bytes: int,
        *,
        behind: "Frame | None" = None,
        place: int = 0,
    ) -> None:
        exif = metadata.exif or b""
        order = byte_order(exif) if exif else "<"
        parts = fields(exif) if exif else ()
        about = _metadata_fields(metadata, order)
        extra = sum(len(field.value) for field in about if isinstance(field.value, bytes))
        pieces = sum(picture.pieces for picture in pictures)
        self.big = most_bytes + 2 * len(exif) + extra + 16 * pieces + 4096 > CLASSIC_LIMIT
        self._exif, self._pictures, self._begin = exif, pictures, place
        self.order: str
        self.notes: tuple[str, ...] = ()
        if behind is not None:
            self.big = behind.big
        if self.big or behind is not None:
            self.order = "<" if behind is None else behind.order
            self._place = _BIG_HEADER_BYTES
            self._about = _metadata_fields(metadata, self.order)
            self._about += _without_maker_notes(parts, order, self.order)
            if any(_maker_notes(field) for field in parts):
                self.notes = (_NO_MAKER_NOTES if behind is None else _NO_LATER_MAKER_NOTES,)
        else:
            self.order, self._place = order, max(8, len(exif) + len(exif) % 2)
            self._about = about + _exif_fields(parts, exif)
        nothing = [([0] * picture.pieces,) * 2 for picture in pictures]
        self.link = 0
        self.first = place + len(self.header(nothing))

    def header(self, places: Sequence[tuple[Sequence[int], Sequence[int]]]) -> bytes:
        """All up to `first`, given offsets and lengths of the pieces of each picture."""
        if self._begin:
            data = b""
        elif self.big:
            data = struct.pack("<2sHHHQ", b"II", 43, 8, 0, self._place)
        else:
            data = b"II" if self.order == "<" else b"MM"
            data += struct.pack(self.order + "HL", 42, self._place)
            data += self._exif[8:].ljust(self._place - 8, b"\0")
        for number, (picture, (offsets, lengths)) in enumerate(
            zip(self._pictures, places, strict=True)
        ):
            entries = picture.fields(self.order, offsets, lengths, self.big)
            entries += self._about if number == 0 else []
            last = number == len(self._pictures) - 1
            begin = self._begin + len(data)
            self.link = begin + (8 + 20 * len(entries) if self.big else 2 + 12 * len(entries))
            data += _directory(entries, self.order, self.big, begin, more=not last)
            data += bytes(len(data) % 2)
        return data


class FrameLayout(Struct, frozen=True):
    """How the pixels of one picture lie in a TIFF.

    Attributes:
        width, height: in pixels.
        channels: 1 or 3, and one more for alpha.
        bits: bits a channel.
        alpha: whether the last channel is alpha.
        rows: of a strip, or of a tile.
        columns: of a tile; None for strips.
        reduced: whether it is a smaller copy of the first picture.
    """

    width: int
    height: int
    channels: int
    bits: int
    alpha: bool
    rows: int
    columns: int | None = None
    reduced: bool = False

    @property
    def pieces(self) -> int:
        """The number of strips or tiles."""
        across = 1 if self.columns is None else -(-self.width // self.columns)
        return across * -(-self.height // self.rows)

    def fields(
        self, order: str, offsets: Sequence[int], lengths: Sequence[int], big: bool
    ) -> list[Field]:
        """What describes it, with offsets and lengths in bytes of its pieces, row by row."""

        def short(tag: int, *values: int) -> Field:
            return Field(tag, SHORT, struct.pack(f"{order}{len(values)}H", *values))

        def long(tag: int, *values: int) -> Field:
            kind, layout = (_LONG8, "Q") if big else (LONG, "L")
            return Field(tag, kind, struct.pack(f"{order}{len(values)}{layout}", *values))

        if self.columns is None:
            pieces = [long(273, *offsets), long(278, self.rows), long(279, *lengths)]
        else:
            pieces = [long(322, self.columns), long(323, self.rows)]
            pieces += [long(324, *offsets), long(325, *lengths)]
        colours = self.channels - self.alpha
        return [
            *([long(254, _REDUCED)] if self.reduced else []),
            long(256, self.width),
            long(257, self.height),
            short(258, *[self.bits] * self.channels),
            short(259, _DEFLATE),
            short(262, _RGB if colours == 3 else _BLACK_IS_ZERO),
            short(277, self.channels),
            short(284, _INTERLEAVED),
            short(317, _HORIZONTAL_DIFFERENCES),
            *pieces,
            *([short(338, _STRAIGHT_ALPHA)] if self.alpha else []),
        ]


def _metadata_fields(metadata: Metadata, order: str) -> list[Field]:
    """What is in neither EXIF data nor pixels, in a byte order."""
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
        # By long custom they count as numbers of 32 bits, and are bytes in any byte order.
        padded = metadata.iptc.ljust(-(-len(metadata.iptc) // 4) * 4, b"\0")
        entries.append(Field(_IPTC, LONG, padded))
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


def _without_maker_notes(parts: Sequence[Field], order: str, wanted: str) -> list[Field]:
    """EXIF data to be moved, in another byte order: maker notes cannot be."""
    entries = []
    for field in parts:
        if _is_kept(field.tag) or field.tag in (EXIF_IFD, GPS_IFD):
            if not isinstance(field.value, bytes):
                inner = tuple(part for part in field.value if not _maker_notes(part))
                field = Field(field.tag, field.kind, inner)
            entries.append(_swapped(field, wanted, order))
    return entries


def _maker_notes(field: Field) -> bool:
    """Whether a field is maker notes, or a directory with them."""
    if isinstance(field.value, bytes):
        return field.tag == MAKER_NOTE
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


def _directory(
    entries: Sequence[Field], order: str, big: bool, place: int, *, more: bool = False
) -> bytes:
    """A directory to be put at an offset, with the values and the directories it points to.

    With `more`, it says that another follows at the next even offset.
    """
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
    behind += bytes((end + len(behind)) % 2 if more else 0)
    return table + struct.pack(pointer, end + len(behind) if more else 0) + behind
