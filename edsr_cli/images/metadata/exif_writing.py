"""EXIF values set where they lie, and added without moving what is there.

Maker notes hold absolute offsets, so a directory that grows is written anew behind the rest, and so
is a value that grows; all other bytes stay where they are.
"""

import struct
from fractions import Fraction

from edsr_cli.images.metadata.exif import (
    EXIF_IFD,
    INTEROP_IFD,
    LONG,
    SHORT,
    TYPE_BYTES,
    byte_order,
)

FIRST = 0
"""Stands for the first directory, where others are named by the tag that points to them."""

ASCII, RATIONAL, UNDEFINED = 2, 5, 7
SOFTWARE, PROCESSING_SOFTWARE, USER_COMMENT = 0x131, 0x0B, 0x9286

_X_RESOLUTION, _Y_RESOLUTION = 0x11A, 0x11B
_FOCAL_PLANE_X, _FOCAL_PLANE_Y = 0xA20E, 0xA20F
_SUBJECT_AREA, _SUBJECT_LOCATION = 0x9214, 0xA214
_RELATED_WIDTH, _RELATED_LENGTH = 0x1001, 0x1002
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)
_OWN = "edsr "  # how our records begin
_LONGEST_RECORD = 2000


class ExifWriter:
    """EXIF data to be changed.

    Every method may raise ValueError where the data is damaged.

    Args:
        exif: the data; None to begin with none.
    """

    def __init__(self, exif: bytes | None) -> None:
        self.data = bytearray(exif or _EMPTY)
        self.order = byte_order(bytes(self.data[:4]))

    def get(self, directory: int, tag: int) -> tuple[int, bytes] | None:
        """Type and value, in the byte order of the data; None where it is not there."""
        place = self._find(directory, tag)
        if place is None:
            return None
        kind, count = self._unpack("HL", place + 2)
        start, size = self._value(place)
        return (kind, bytes(self.data[start : start + size])) if count and size else None

    def put(self, directory: int, tag: int, kind: int, value: bytes) -> None:
        """Set a value, in the byte order of the data; the entry is added if it is not there."""
        place = self._find(directory, tag)
        if place is None:
            place = self._add(directory, tag)
        start, size = self._value(place)
        if len(value) <= 4:
            start = place + 8
            self.data[start : start + 4] = bytes(4)
        elif len(value) > size or size <= 4:
            start = self._end()
            self.data += bytes(len(value))
        self._pack("HL", place + 2, kind, len(value) // TYPE_BYTES[kind])
        if len(value) > 4:
            self._pack("L", place + 8, start)
        self.data[start : start + len(value)] = value

    def shorts(self, directory: int, tag: int) -> list[int]:
        """The numbers of a value of type SHORT or LONG; none for any other."""
        kind, value = self.get(directory, tag) or (0, b"")
        if kind not in (SHORT, LONG):
            return []
        layout = "H" if kind == SHORT else "L"
        return list(struct.unpack(f"{self.order}{len(value) // TYPE_BYTES[kind]}{layout}", value))

    def put_numbers(self, directory: int, tag: int, numbers: list[int]) -> None:
        """Set a value of type SHORT, or of LONG where a number needs it, which has 32 bits."""
        numbers = [min(number, 2**32 - 1) for number in numbers]
        kind, layout = (SHORT, "H") if max(numbers) < 65536 else (LONG, "L")
        packed = struct.pack(f"{self.order}{len(numbers)}{layout}", *numbers)
        self.put(directory, tag, kind, packed)

    def swap(self, directory: int, first: int, second: int) -> None:
        """Exchange the values of two tags, if both are there."""
        one, other = self.get(directory, first), self.get(directory, second)
        if one and other:
            self.put(directory, first, *other)
            self.put(directory, second, *one)

    def _unpack(self, layout: str, place: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + layout, self.data, place)
        except struct.error as error:
            raise ValueError("damaged EXIF data") from error

    def _pack(self, layout: str, place: int, *values: int) -> None:
        struct.pack_into(self.order + layout, self.data, place, *values)

    def _end(self) -> int:
        self.data += bytes(len(self.data) % 2)  # offsets are even
        return len(self.data)

    def start(self, directory: int) -> int | None:
        """Where a directory lies."""
        if directory == FIRST:
            return self._unpack("L", 4)[0]
        place = self._pointer(directory)
        return self._unpack("L", place + 8)[0] if place is not None else None

    def _pointer(self, directory: int) -> int | None:
        return self._find(EXIF_IFD if directory == INTEROP_IFD else FIRST, directory)

    def _find(self, directory: int, tag: int) -> int | None:
        start = self.start(directory)
        if start is None:
            return None
        (count,) = self._unpack("H", start)
        if start + 2 + 12 * count > len(self.data):
            raise ValueError("a directory is cut short")
        for place in range(start + 2, start + 2 + 12 * count, 12):
            if self._unpack("H", place)[0] == tag:
                return place
        return None

    def _value(self, place: int) -> tuple[int, int]:
        """Offset and bytes of the value of an entry; no bytes where it lies outside the data."""
        kind, count = self._unpack("HL", place + 2)
        size = TYPE_BYTES.get(kind, 0) * count
        start = place + 8 if size <= 4 else self._unpack("L", place + 8)[0]
        return (start, size) if start + size <= len(self.data) else (0, 0)

    def _add(self, directory: int, tag: int) -> int:
        """Add an entry without value, and say where it is."""
        start = self.start(directory)
        if start is None:
            pointer = self._add(EXIF_IFD if directory == INTEROP_IFD else FIRST, directory)
            entries: list[bytes] = []
            following = bytes(4)
        else:
            (count,) = self._unpack("H", start)
            end = start + 2 + 12 * count
            entries = [bytes(self.data[p : p + 12]) for p in range(start + 2, end, 12)]
            following = bytes(self.data[end : end + 4]).ljust(4, b"\0")
            if end + 4 == len(self.data):
                del self.data[start:]
            else:
                self.data[start:end] = bytes(end - start)
            pointer = -1
        entries.append(struct.pack(self.order + "HHLL", tag, UNDEFINED, 0, 0))
        entries.sort(key=lambda entry: struct.unpack_from(self.order + "H", entry)[0])
        new = self._end()
        self.data += struct.pack(self.order + "H", len(entries)) + b"".join(entries) + following
        if directory == FIRST:
            self._pack("L", 4, new)
        else:
            place = pointer if pointer >= 0 else self._pointer(directory)
            if place is None:
                raise ValueError("directories lie upon each other")
            self._pack("HLL", place + 2, LONG, 1, new)
        found = self._find(directory, tag)
        if found is None:
            raise ValueError("directories lie upon each other")
        return found


def directory_of(exif: bytes, tag: int) -> int | None:
    """Where the directory lies that a tag of the first one points to.

    Raises:
        ValueError: the data is damaged.
    """
    return ExifWriter(exif).start(tag)


def turned(exif: bytes, orientation: int, width: int, height: int) -> bytes:
    """EXIF data of a picture as stored, made that of the upright picture.

    Args:
        exif: the data.
        orientation: the EXIF orientation, 1 to 8.
        width, height: of the picture as stored, in pixels.

    Raises:
        ValueError: the data is damaged.
    """
    if orientation == 1:
        return exif
    writer = ExifWriter(exif)
    for tag in (_SUBJECT_AREA, _SUBJECT_LOCATION):  # said of the picture as stored (EXIF, 4.6.6)
        numbers = writer.shorts(EXIF_IFD, tag)
        if len(numbers) >= 2:
            numbers[:2] = turned_point((numbers[0], numbers[1]), orientation, width, height)
            if len(numbers) == 4 and orientation >= 5:
                numbers[2:] = numbers[3], numbers[2]
            writer.put_numbers(EXIF_IFD, tag, numbers)
    if orientation >= 5:
        writer.swap(EXIF_IFD, _FOCAL_PLANE_X, _FOCAL_PLANE_Y)
        writer.swap(FIRST, _X_RESOLUTION, _Y_RESOLUTION)
    return bytes(writer.data)


def turned_point(
    point: tuple[int, int], orientation: int, width: int, height: int
) -> tuple[int, int]:
    """A pixel of a picture as stored, of that width and height, in the upright picture."""
    x, y = min(point[0], width - 1), min(point[1], height - 1)
    if orientation >= 5:
        x, y, width, height = y, x, height, width
    if orientation in (2, 3, 6, 7):
        x = width - 1 - x
    if orientation in (3, 4, 7, 8):
        y = height - 1 - y
    return x, y


def scaled(exif: bytes, factors: tuple[float, float], width: int, height: int) -> bytes:
    """EXIF data with what is measured in pixels scaled, except the sizes; see `exif.with_size`.

    Args:
        exif: the data.
        factors: new width over old width, and new height over old height.
        width, height: the new ones, in pixels.

    Raises:
        ValueError: the data is damaged.
    """
    writer = ExifWriter(exif)
    for tag in (_SUBJECT_AREA, _SUBJECT_LOCATION):
        numbers = writer.shorts(EXIF_IFD, tag)
        if len(numbers) >= 2 and factors != (1, 1):
            # x and y, then nothing, a diameter, or width and height
            each = (*factors, *factors) if len(numbers) == 4 else (*factors, max(factors))
            pairs = zip(numbers, each, strict=False)
            writer.put_numbers(EXIF_IFD, tag, [round(number * by) for number, by in pairs])
    for tag, factor in zip((_FOCAL_PLANE_X, _FOCAL_PLANE_Y), factors, strict=True):
        kind, value = writer.get(EXIF_IFD, tag) or (0, b"")
        if kind == RATIONAL and len(value) == 8 and factor != 1:
            above, below = struct.unpack(writer.order + "2L", value)
            if below:
                packed = struct.pack(writer.order + "2L", *_ratio(above, below, factor))
                writer.put(EXIF_IFD, tag, RATIONAL, packed)
    for tag, size in ((_RELATED_WIDTH, width), (_RELATED_LENGTH, height)):
        if writer.get(INTEROP_IFD, tag):
            writer.put_numbers(INTEROP_IFD, tag, [size])
    return bytes(writer.data)


def _ratio(above: int, below: int, factor: float) -> tuple[int, int]:
    """A ratio times a factor, in 32 bits."""
    product = Fraction(above, below) * Fraction(factor).limit_denominator(1000)
    while max(product.numerator, product.denominator) >= 2**32:
        product = product.limit_denominator(max(1, product.denominator // 16))
        if product.denominator == 1:
            return min(product.numerator, 2**32 - 1), 1
    return product.numerator, product.denominator


def with_software(exif: bytes | None, software: str) -> bytes:
    """EXIF data that names what made the picture.

    The name that a camera or an editor has left stays where photographers look for it, and ours
    goes to ProcessingSoftware; where there is none, or it is ours, it becomes Software.

    Raises:
        ValueError: the data is damaged.
    """
    writer = ExifWriter(exif)
    own = _text(writer, SOFTWARE)
    tag = SOFTWARE if not own or own.startswith(_OWN) else PROCESSING_SOFTWARE
    writer.put(FIRST, tag, ASCII, _ascii(joined_record(_text(writer, tag), software)) + b"\0")
    return bytes(writer.data)


def joined_record(old: str, new: str) -> str:
    """A record behind those of earlier runs; anything else is replaced."""
    joined = f"{old}; {new}"
    return joined if old.startswith(_OWN) and len(joined) <= _LONGEST_RECORD else new


def with_user_comment(exif: bytes | None, text: str) -> bytes | None:
    """EXIF data with a comment; None where it has another one already.

    Raises:
        ValueError: the data is damaged.
    """
    writer = ExifWriter(exif)
    _, found = writer.get(EXIF_IFD, USER_COMMENT) or (0, b"")
    if found[8:].strip(b"\0 "):
        return None
    value = b"UNICODE\0" + text.encode("utf-16-le" if writer.order == "<" else "utf-16-be")
    writer.put(EXIF_IFD, USER_COMMENT, UNDEFINED, value)
    return bytes(writer.data)


def text_of(exif: bytes, tag: int) -> str:
    """A text in the first directory of EXIF data; empty where there is none, or it is damaged."""
    try:
        return _text(ExifWriter(exif), tag)
    except (ValueError, struct.error, IndexError):
        return ""


def _text(writer: ExifWriter, tag: int) -> str:
    _, value = writer.get(FIRST, tag) or (0, b"")
    return value.split(b"\0")[0].decode("ascii", "replace").strip()


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")
