"""The directories of a TIFF file: which pages it has, and which of them is the picture.

A file of a camera's raw data is a TIFF, too, and its first page often a thumbnail. So the page is
chosen here and not taken as it comes.
"""

import io
import math
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from edsr_cli.errors import PictureError
from edsr_cli.images.guard import check_frame
from edsr_cli.images.source import camera_raw

_WIDTH, _PHOTOMETRIC, _SUB_DIRECTORIES = 256, 262, 330
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _DNG_VERSION = 254, 255, 50706
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2  # value of SubfileType
_TRANSPARENCY_MASK = 4  # photometric interpretation
# Photometric interpretations and tags of the samples of a sensor.
_COLOUR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_SENSOR_TAGS = (33421, 33422, 50710, 50829)
_DIRECTORIES_SEARCHED = 32  # for raw data
_SUB_DIRECTORIES_READ = 32  # of one page; cameras write up to five

# Numbers in a value of each type: bytes and `struct` layout. A rational is two of them.
_TYPES = {
    1: "B", 2: "B", 3: "H", 4: "L", 5: "LL", 6: "b", 7: "B", 8: "h", 9: "l", 10: "ll", 11: "f",
    12: "d", 13: "L", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
_MOST_BYTES = 2**24  # of a value
_EXIF_DIRECTORIES = (34665, 34853, 40965)
# What says how pixels are stored, not what they show; and directories that are not copied.
_STORAGE_TAGS = frozenset(
    (254, 255, *range(256, 260), 262, 266, 273, *range(277, 282), 284, *range(292, 294), 317,
     *range(320, 326), 330, 338, 339, 340, 341, 347, *range(512, 522))
)  # fmt: skip


class Directory:
    """One directory: what a page says of itself. Values are read when they are asked for.

    Attributes:
        place: offset of the directory.
        following: offset of the next one; 0 where there is none.
        order: the byte order of the file as `struct` writes it, "<" or ">".
    """

    def __init__(self, file: BinaryIO, place: int, order: str, big: bool) -> None:
        self.place, self.order = place, order
        self._file, self._inline = file, 8 if big else 4
        layout = order + ("HHQQ" if big else "HHLL")
        count_layout, pointer = (order + "Q", order + "Q") if big else (order + "H", order + "L")
        file.seek(place)
        (count,) = struct.unpack(count_layout, file.read(struct.calcsize(count_layout)))
        if not 0 < count < 2**16:
            raise ValueError("a directory without entries")
        size = count * struct.calcsize(layout)
        table = file.read(size)
        if len(table) < size:
            raise ValueError("a directory is cut short")
        values = place + struct.calcsize(count_layout) + struct.calcsize(layout) - self._inline
        step = struct.calcsize(layout)
        self._entries: dict[int, tuple[int, int, int]] = {}  # type, count, where an inline value is
        for index, (tag, kind, number, _) in enumerate(struct.iter_unpack(layout, table)):
            self._entries.setdefault(tag, (kind, number, values + index * step))
        after = file.read(struct.calcsize(pointer)).ljust(struct.calcsize(pointer), b"\0")
        (self.following,) = struct.unpack(pointer, after)
        self.entries = count

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def tags(self) -> Iterable[int]:
        """The tags that have a value."""
        return self._entries.keys()

    def kind(self, tag: int) -> int:
        """The type of a value; 0 where the tag is missing or the type is unknown."""
        kind = self._entries.get(tag, (0, 0, 0))[0]
        return kind if kind in _TYPES else 0

    def raw(self, tag: int, most: int = _MOST_BYTES) -> bytes:
        """The bytes of a value, at most so many; nothing where the tag is missing.

        Raises:
            ValueError: the value lies outside the file.
        """
        kind, count, place = self._entries.get(tag, (0, 0, 0))
        unit = struct.calcsize("<" + _TYPES[kind]) if kind in _TYPES else 0
        size = unit * count
        if size > self._inline:
            self._file.seek(place)
            (place,) = struct.unpack(
                self.order + ("Q" if self._inline == 8 else "L"), self._file.read(self._inline)
            )
        size = min(size, most // max(1, unit) * unit)
        self._file.seek(place)
        data = self._file.read(size)
        if len(data) < size:
            raise ValueError(f"the value of tag {tag} is cut short")
        return data

    def numbers(self, tag: int, most: int = 2**21) -> tuple[float, ...]:
        """The numbers of a value, at most so many; rationals are divided.

        Raises:
            ValueError: the value lies outside the file, or is none of numbers.
        """
        kind = self._entries.get(tag, (0, 0, 0))[0]
        if kind == 0:
            return ()
        layout = _TYPES.get(kind)
        if layout is None:
            raise ValueError(f"tag {tag} is of an unknown type")
        unit = struct.calcsize("<" + layout)
        data = self.raw(tag, most * unit)
        # In one go: a palette or the offsets of strips can be hundreds of thousands of numbers.
        values = struct.unpack(f"{self.order}{len(data) // unit * len(layout)}{layout[0]}", data)
        if len(layout) == 2:
            pairs = zip(values[::2], values[1::2], strict=True)
            return tuple(over / under if under else 0.0 for over, under in pairs)
        return values

    def integers(self, tag: int, most: int = 2**21) -> tuple[int, ...]:
        """The whole numbers of a value, at most so many; see `numbers`."""
        values = self.numbers(tag, most)
        if not all(map(math.isfinite, values)):
            raise ValueError(f"tag {tag} is no number")
        return tuple(map(int, values))

    def integer(self, tag: int, default: int) -> int:
        """The first whole number of a value; the default where the tag is missing."""
        return next(iter(self.integers(tag, 1)), default)


def first_directory(file: BinaryIO) -> Directory:
    """The first directory of a TIFF file.

    Raises:
        ValueError, struct.error: it is damaged.
    """
    order, big, place = _header(file)
    return Directory(file, place, order, big)


def _header(file: BinaryIO) -> tuple[str, bool, int]:
    """The byte order as `struct` writes it, whether it is BigTIFF, the first directory's place."""
    file.seek(0)
    header = file.read(16)
    order, big = "<" if header[:2] == b"II" else ">", header[2:4] in (b"+\0", b"\0+")
    (first,) = struct.unpack_from(order + ("8xQ" if big else "4xL"), header)
    return order, big, first


class Pages:
    """The pages of a TIFF file.

    Attributes:
        page: the directory of the picture: of those that are neither a reduced-resolution image nor
            a mask, the one that is asked for.
        count: how many such there are.
        for_pillow: whether Pillow can read a file of such a kind.
        only_reduced: whether the file calls even this one a reduced-resolution image.
    """

    def __init__(self, file: BinaryIO, name: str, frame: int = 1) -> None:
        """Read the directories.

        Args:
            file: the file, seekable.
            name: what to call it in messages.
            frame: the number of the picture, from 1.

        Raises:
            PictureError: it is camera raw, or has no page that is a picture, or no such one.
            ValueError: a directory is damaged.
        """
        self._file = file
        self._order, self._big, first = _header(file)
        self.for_pillow = not self._big or self._order == "<"
        # Directories of sound files do not overlap, so this many entries is all there can be.
        self._entries_left = file.seek(0, io.SEEK_END) // 6 + 64
        self._seen: set[int] = set()
        self._name = name
        # Canon and Phase One put their mark behind the header.
        file.seek(8)
        if not self._big and file.read(4) in (b"CR\2\0", b"IIII", b"MMMM"):
            raise camera_raw(name)
        self._places: list[int] = []
        self.count, chosen = 0, None
        others: list[Directory] = []
        for directory in self._chain(first):
            if _is_picture(directory):
                self._places.append(directory.place)
                self.count += 1
                chosen = directory if self.count == frame else chosen
            elif len(others) < _SUB_DIRECTORIES_READ:
                others.append(directory)
        check_frame(frame, max(1, self.count), name)
        self._first = first
        self.only_reduced = chosen is None
        self.page = chosen or self._hidden(others)
        self.count = max(1, self.count)

    @property
    def is_first(self) -> bool:
        """Whether the page is the first directory of the file."""
        return self.page.place == self._first

    def turn_to(self, frame: int) -> None:
        """Make another picture the page, from 1 to `count`.

        Raises:
            ValueError: its directory is damaged.
        """
        if self._places:
            self.page = Directory(self._file, self._places[frame - 1], self._order, self._big)

    def _chain(self, place: int) -> Iterator[Directory]:
        """The directories from an offset on. Damage behind the first one ends the chain."""
        while place and place not in self._seen:
            try:
                directory = self._read(place)
            except (ValueError, struct.error, OverflowError):
                if len(self._seen) > 1:
                    return
                raise
            yield directory
            place = directory.following

    def _read(self, place: int) -> Directory:
        self._seen.add(place)
        directory = Directory(self._file, place, self._order, self._big)
        self._entries_left -= directory.entries
        if self._entries_left < 0:
            raise ValueError("directories overlap")
        if len(self._seen) <= _DIRECTORIES_SEARCHED and (
            _is_sensor(directory) or any(map(_is_sensor, self._below(directory)))
        ):
            raise camera_raw(self._name)
        return directory

    def _below(self, directory: Directory) -> Iterator[Directory]:
        """The directories that one points to, such as the raw data behind a thumbnail."""
        try:
            places = directory.integers(_SUB_DIRECTORIES, _SUB_DIRECTORIES_READ)
        except ValueError:
            return
        for place in places:
            try:
                below = Directory(self._file, place, self._order, self._big)
            except (ValueError, struct.error, OverflowError):
                continue
            self._entries_left -= below.entries
            if self._entries_left < 0:
                return
            yield below

    @property
    def holds_more(self) -> bool:
        """Whether the page has further pictures of full resolution below it, not just overviews."""
        return any(
            below.place not in self._seen and _is_picture(below) for below in self._below(self.page)
        )

    def _hidden(self, others: list[Directory]) -> Directory:
        """The picture of a file whose pages are all thumbnails and masks."""
        for directory in others:
            for below in self._below(directory):
                if below.place not in self._seen and _is_picture(below):
                    self.only_reduced = False
                    return below
        if any(_SUB_DIRECTORIES in directory for directory in others):
            raise PictureError(
                "it holds a small preview only, not the picture itself, as the raw "
                "files of cameras do.",
                "Develop it with a raw converter, such as darktable or RawTherapee, to TIFF or PNG "
                "first.",
                about=self._name,
            )
        for directory in others:
            if not _subfile_type(directory) & _MASK:
                return directory
        raise PictureError(
            "there is no picture in it.", "Convert it to PNG first.", about=self._name
        )


def classic_copy(file: BinaryIO, page: Directory) -> io.BytesIO:
    """A small classic TIFF of one pixel with all that a page says besides how it is stored.

    Pillow cannot read BigTIFF in big-endian order.
    """
    return io.BytesIO(b"MM\0*" + struct.pack(">L", 8) + _copied(file, page, 8, depth=0))


def _copied(file: BinaryIO, directory: Directory, place: int, depth: int) -> bytes:
    left = file.seek(0, io.SEEK_END)  # values of a sound file lie side by side
    entries: dict[int, tuple[int, int, bytes]] = {}
    if depth == 0:
        one = struct.pack(">L", 1)
        entries = dict.fromkeys((256, 257, 259, 262, 273, 277, 278, 279), (4, 1, one))
    below: dict[int, Directory] = {}
    for tag in directory.tags():
        if tag in _STORAGE_TAGS and depth == 0:
            continue
        try:
            if tag in _EXIF_DIRECTORIES:
                if depth < 2:
                    below[tag] = Directory(file, directory.integer(tag, 0), ">", big=True)
                    entries[tag] = (4, 1, bytes(4))
                continue
            kind, data = directory.kind(tag), directory.raw(tag, min(left, _MOST_BYTES))
            left -= len(data)
        except (ValueError, struct.error, OverflowError):
            continue
        if kind in (16, 17, 18):
            continue  # none that Pillow understands has so large numbers
        if data:
            entries[tag] = (kind, len(data) // struct.calcsize("<" + _TYPES[kind]), data)
    end = place + 2 + 12 * len(entries) + 4
    table, values = struct.pack(">H", len(entries)), b""
    for tag, (kind, count, data) in sorted(entries.items()):
        if tag in below:
            start = end + len(values)
            values += _copied(file, below[tag], start, depth + 1)
            data = struct.pack(">L", start)
        elif len(data) > 4:
            start, values = end + len(values), values + data + bytes(len(data) % 2)
            data = struct.pack(">L", start)
        table += struct.pack(">HHL4s", tag, kind, count, data)
    return table + bytes(4) + values


class FromPage(io.RawIOBase):
    """A TIFF file as if a page of it were the first, for programs that read the first.

    Args:
        file: the file.
        page: the directory of the page.
    """

    def __init__(self, file: BinaryIO, page: Directory) -> None:
        self._file = file
        file.seek(0)
        header = file.read(16)
        if header[2:4] in (b"+\0", b"\0+"):
            self._header = header[:8] + struct.pack(page.order + "Q", page.place)
        else:
            self._header = header[:4] + struct.pack(page.order + "L", page.place)
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        place = self._file.tell()
        data = self._file.read(size)
        patch = self._header[place : place + len(data)]
        return patch + data[len(patch) :]


def _subfile_type(directory: Directory) -> int:
    try:
        if _NEW_SUBFILE_TYPE in directory:
            return directory.integer(_NEW_SUBFILE_TYPE, 0)
        return _REDUCED if directory.integer(_SUBFILE_TYPE, 0) == _OLD_REDUCED else 0
    except ValueError:
        return 0


def _is_picture(directory: Directory) -> bool:
    """Whether a page is of full resolution, and no mask."""
    if _subfile_type(directory) & (_REDUCED | _MASK) or _WIDTH not in directory:
        return False
    return _photometric(directory) != _TRANSPARENCY_MASK


def _is_sensor(directory: Directory) -> bool:
    """Whether a page holds what a camera's sensor saw, or belongs to such a page."""
    return (
        _DNG_VERSION in directory
        or _photometric(directory) in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW)
        or any(tag in directory for tag in _SENSOR_TAGS)
    )


def _photometric(directory: Directory) -> int:
    try:
        return directory.integer(_PHOTOMETRIC, -1)
    except ValueError:
        return -1
