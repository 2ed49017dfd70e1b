"""EXIF data edited where it lies.

Pillow rewrites EXIF from what it understood, which moves every value; the maker notes of most
cameras hold absolute offsets and are destroyed by that. Here a few bytes are changed and everything
else stays where it was.

EXIF data is a TIFF structure: a header with the byte order, then directories of 12-byte entries
(tag, type, count, and the value or its offset), each followed by the offset of the next directory.
The second directory describes a thumbnail.
"""

import struct
from collections.abc import Iterator

from msgspec import Struct

IMAGE_WIDTH, IMAGE_LENGTH, ORIENTATION = 0x100, 0x101, 0x112
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
MAKER_NOTE = 0x927C
PIXEL_X_DIMENSION, PIXEL_Y_DIMENSION = 0xA002, 0xA003

SHORT, LONG = 3, 4
_THUMBNAIL_OFFSET, _THUMBNAIL_BYTES = 0x201, 0x202
TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
}  # fmt: skip
"""Bytes that a value of each TIFF type takes; 16 is only in BigTIFF."""

_SUB_DIRECTORIES = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


class Field(Struct, frozen=True):
    """One entry of a directory.

    Attributes:
        tag: what it says.
        kind: the TIFF type of its value, 1 to 13 or 16.
        value: its value in the byte order of the data it came from, or the entries of the directory
            it points to.
    """

    tag: int
    kind: int
    value: "bytes | tuple[Field, ...]"

    @property
    def count(self) -> int:
        """Number of values of the type `kind`."""
        return len(self.value) // TYPE_BYTES[self.kind] if isinstance(self.value, bytes) else 1


def byte_order(exif: bytes) -> str:
    """The byte order of EXIF data as `struct` writes it, "<" or ">".

    Raises:
        ValueError: it is no EXIF data.
    """
    order = _ORDERS.get(exif[:4])
    if order is None:
        raise ValueError("not EXIF data")
    return order


def strip_prefix(exif: bytes) -> bytes:
    r"""EXIF data without the "Exif\0\0" that JPEG, and by mistake others, put in front."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return exif


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8; 1 (upright) where it is not said or makes no sense."""
    try:
        editor = _Editor(exif)
        for entry in editor.entries(editor.first()):
            if editor.tag(entry) == ORIENTATION:
                value = editor.number(entry)
                return value if 1 <= value <= 8 else 1
    except (ValueError, struct.error):
        pass
    return 1


def clean(exif: bytes) -> bytes | None:
    """Remove the orientation and the thumbnail, neither of which is true of the output.

    Returns:
        The data left; None where that is nothing.

    Raises:
        ValueError: the data is damaged.
    """
    try:
        editor = _Editor(exif)
        first = editor.first()
        editor.drop_thumbnail(first)
        editor.remove(first, ORIENTATION)
        left = next(editor.entries(first), None)
        return bytes(editor.data) if left is not None else None
    except struct.error as error:
        raise ValueError("damaged EXIF data") from error


def without_gps(exif: bytes) -> bytes:
    """EXIF data that do not say where the picture was taken; what did is erased, not left behind.

    So are maker notes, which nobody can look into: some cameras' have coordinates or names of
    places.

    Raises:
        ValueError: the data is damaged.
    """
    try:
        editor = _Editor(exif)
        first = editor.first()
        directories = [first]
        directories += [
            editor.number(entry) for entry in editor.entries(first) if editor.tag(entry) == EXIF_IFD
        ]
        for directory in directories:
            for entry in list(editor.entries(directory)):
                if editor.tag(entry) == GPS_IFD:
                    editor.erase(editor.number(entry))
                elif editor.tag(entry) == MAKER_NOTE:
                    editor.erase_value(entry)
            editor.remove(directory, GPS_IFD, MAKER_NOTE)
        return bytes(editor.data)
    except struct.error as error:
        raise ValueError("damaged EXIF data") from error


def with_size(exif: bytes, width: int, height: int) -> bytes:
    """Set every width and height that EXIF data states, in pixels; none are added.

    Raises:
        ValueError: the data is damaged.
    """
    sizes = {
        IMAGE_WIDTH: width,
        IMAGE_LENGTH: height,
        PIXEL_X_DIMENSION: width,
        PIXEL_Y_DIMENSION: height,
    }
    try:
        editor = _Editor(exif)
        first = editor.first()
        # Each once, however often it is pointed to.
        directories = {first: None}
        for entry in editor.entries(first):
            if editor.tag(entry) == EXIF_IFD:
                directories[editor.number(entry)] = None
        for directory in directories:
            for entry in editor.entries(directory):
                if editor.tag(entry) in sizes:
                    editor.set_long(entry, sizes[editor.tag(entry)])
        return bytes(editor.data)
    except struct.error as error:
        raise ValueError("damaged EXIF data") from error


def fields(exif: bytes) -> tuple[Field, ...]:
    """The entries of the first directory and of those it points to, for writing elsewhere.

    Entries of unknown type or whose value lies outside the data are left out, and so are
    directories met before, and values beyond as many bytes as the data has: such values overlap.

    Raises:
        ValueError: the data is damaged.
    """
    try:
        editor = _Editor(exif)
        return tuple(editor.fields(editor.first(), depth=0))
    except struct.error as error:
        raise ValueError("damaged EXIF data") from error


class _Editor:
    """EXIF data as bytes to be changed. Places are offsets from its start, in bytes.

    Every method may raise ValueError or struct.error where the data is damaged.
    """

    def __init__(self, exif: bytes) -> None:
        self.order = byte_order(exif)
        self.data = bytearray(exif)
        # Directories and values of sound data lie side by side. Those that overlap, or are pointed
        # to again and again, could make a small file the work of days.
        self._entries_left = 4 * len(exif) // 12  # the same directory is read up to three times
        self._bytes_left = len(exif)
        self._seen: set[int] = set()

    def _read(self, layout: str, place: int) -> int:
        return int(struct.unpack_from(self.order + layout, self.data, place)[0])

    def _write(self, layout: str, place: int, *values: int) -> None:
        struct.pack_into(self.order + layout, self.data, place, *values)

    def first(self) -> int:
        return self._read("L", 4)

    def entries(self, directory: int) -> Iterator[int]:
        count = self._read("H", directory)
        end = directory + 2 + 12 * count
        if end > len(self.data):
            raise ValueError("a directory is cut short")
        self._entries_left -= count
        if self._entries_left < 0:
            raise ValueError("directories overlap")
        yield from range(directory + 2, end, 12)

    def tag(self, entry: int) -> int:
        return self._read("H", entry)

    def number(self, entry: int) -> int:
        """The value of an entry that holds a single SHORT or LONG, 0 for any other."""
        kind = self._read("H", entry + 2)
        if kind not in (SHORT, LONG, 13) or self._read("L", entry + 4) != 1:
            return 0
        return self._read("H" if kind == SHORT else "L", entry + 8)

    def set_long(self, entry: int, value: int) -> None:
        self._write("HLL", entry + 2, LONG, 1, value)

    def remove(self, directory: int, *tags: int) -> None:
        """Remove all entries with such tags: those behind them, and the next pointer, move up."""
        count = self._read("H", directory)
        end = directory + 2 + 12 * count + 4
        self.data.extend(bytes(max(0, end - len(self.data))))  # some writers omit the pointer
        kept = [entry for entry in self.entries(directory) if self.tag(entry) not in tags]
        table = b"".join(self.data[entry : entry + 12] for entry in kept)
        self.data[directory + 2 : end] = (table + self.data[end - 4 : end]).ljust(
            12 * count + 4, b"\0"
        )
        self._write("H", directory, len(kept))

    def erase(self, directory: int) -> None:
        """Put zeros where a directory and its values are."""
        if directory < 8:
            raise ValueError("a directory lies in the header")
        end = directory + 2
        for entry in self.entries(directory):
            self.erase_value(entry)
            end = entry + 12
        self.data[directory:end] = bytes(end - directory)

    def erase_value(self, entry: int) -> None:
        """Put zeros where the value of an entry is, if that is not in the entry itself."""
        size = TYPE_BYTES.get(self._read("H", entry + 2), 0) * self._read("L", entry + 4)
        place = self._read("L", entry + 8)
        if size > 4 and place >= 8 and place + size <= len(self.data):
            self.data[place : place + size] = bytes(size)

    def drop_thumbnail(self, directory: int) -> None:
        pointer = directory + 2 + 12 * self._read("H", directory)
        if pointer + 4 > len(self.data):
            return
        second = self._read("L", pointer)
        self._write("L", pointer, 0)
        try:
            values = {self.tag(entry): self.number(entry) for entry in self.entries(second)}
        except (ValueError, struct.error):
            return  # a damaged thumbnail is gone all the same
        start = values.get(_THUMBNAIL_OFFSET, 0)
        end = start + values.get(_THUMBNAIL_BYTES, 0)
        # It often shows what was cut off the picture, so it is not left behind as dead bytes. The
        # check for a JPEG's first bytes keeps a wrong offset from erasing something else.
        if 8 < start < end <= len(self.data) and self.data[start : start + 2] == b"\xff\xd8":
            if end == len(self.data):
                del self.data[start:]
            else:
                self.data[start:end] = bytes(end - start)

    def fields(self, directory: int, depth: int) -> Iterator[Field]:
        self._seen.add(directory)
        for entry in self.entries(directory):
            tag, kind, place = self.tag(entry), self._read("H", entry + 2), self.number(entry)
            if tag in _SUB_DIRECTORIES:
                if place and place not in self._seen and depth < 2:
                    try:
                        value = tuple(self.fields(place, depth + 1))
                    except (ValueError, struct.error):
                        continue
                    if value:
                        yield Field(tag, LONG, value)
                continue
            size = TYPE_BYTES.get(kind, 0) * self._read("L", entry + 4)
            place = entry + 8 if size <= 4 else self._read("L", entry + 8)
            if size and place + size <= len(self.data) and size <= self._bytes_left:
                self._bytes_left -= size
                yield Field(tag, kind, bytes(self.data[place : place + size]))
