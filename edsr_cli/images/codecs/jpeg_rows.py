"""The pixels of a JPEG by rows, where it has restart markers at the ends of rows.

Pillow decodes a JPEG whole. Restart markers cut it into intervals that do not depend on each other
(ITU-T T.81, E.1.4), so that the intervals of some rows are a JPEG of their own. Colours of lower
resolution are interpolated between rows, so each such JPEG has a row of blocks too many on either
side.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from msgspec import Struct
from PIL import Image

from edsr_cli.images.source import kept_position

_SCAN, _FRAME, _RESTARTS = 0xDA, (0xC0, 0xC1), 0xDD
_TABLES = (0xC4, 0xDB)  # of Huffman codes, and of quantisation
_COLOURS = (0xE0, 0xEE)  # JFIF and Adobe, which tell how colours are stored
_MOST_HEADER_BYTES = 2**26
_PIECE_BYTES = 2**20
_MOST_SAMPLE_BYTES = 8  # a code of 16 bits and a number of 11, where each byte may be stuffed
_BYTES_AT_ONCE = 30  # for a pixel of an interval: it is decoded with its neighbours; measured
_MARKER = re.compile(rb"\xff[\xd0-\xfe]")  # in the data of a scan all others are stuffed


class Intervals(Struct, frozen=True):
    """How a picture is cut into intervals.

    Attributes:
        width, height: of the picture.
        block: rows of a row of blocks that belong together (MCU).
        across: intervals of a row of blocks, where it takes more than one; else 1.
        down: rows of blocks in an interval, where it has more than one; else 1.
        header: all that a decoder needs before the data, with the height of the picture in it.
        height_at: where in the header that is.
        place: where in the file the data begins.
        interval_bytes: the most that an interval can take.
    """

    width: int
    height: int
    block: int
    across: int
    down: int
    header: bytes
    height_at: int
    place: int
    interval_bytes: int

    @property
    def unit(self) -> int:
        """Rows that begin and end with an interval."""
        return self.block * self.down

    @property
    def bytes(self) -> int:
        """Memory that decoding takes, about, where a band is not much higher than `unit`."""
        return _BYTES_AT_ONCE * self.unit * self.width


def read_intervals(file: BinaryIO) -> Intervals | None:
    """How a JPEG is cut; None where it cannot be decoded by rows. The position is kept."""
    with kept_position(file):
        try:
            return _read(file)
        except (struct.error, IndexError, ZeroDivisionError):
            return None


def _read(file: BinaryIO) -> Intervals | None:
    file.seek(2)
    kept, frame, interval, height_at = b"\xff\xd8", b"", 0, 0
    while file.tell() < _MOST_HEADER_BYTES:
        mark, marker, size = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF or size < 2:
            return None
        content = file.read(size - 2)
        if marker in _FRAME:
            frame, height_at = content, len(kept) + 5
        elif marker == _RESTARTS:
            (interval,) = struct.unpack(">H", content)
        elif marker == _SCAN:
            if not frame or content[0] != frame[5]:  # colours one after the other
                return None
        elif marker not in (*_TABLES, *_COLOURS):
            if 0xC0 <= marker <= 0xCF:  # progressive, arithmetic, ...
                return None
            continue
        kept += struct.pack(">BBH", mark, marker, size) + content
        if marker == _SCAN:
            return _cut(frame, interval, kept, height_at, file.tell())
    return None


def _cut(
    frame: bytes, interval: int, header: bytes, height_at: int, place: int
) -> Intervals | None:
    bits, height, width, count = struct.unpack_from(">BHHB", frame)
    samplings = frame[7 : 6 + 3 * count : 3]
    if bits != 8 or not interval or not height or len(samplings) != count:
        return None
    # One channel alone is not cut into larger blocks, whatever it says (A.2.2).
    wide, high = (
        (1, 1)
        if count == 1
        else (max(each >> 4 for each in samplings), max(each & 15 for each in samplings))
    )
    columns = -(-width // (8 * wide))
    if interval % columns == 0:
        across, down = 1, interval // columns
    elif columns % interval == 0:
        across, down = columns // interval, 1
    else:
        return None
    most = _MOST_SAMPLE_BYTES * 64 * wide * high * count * interval
    return Intervals(width, height, 8 * high, across, down, header, height_at, place, most)


def decode_rows(file: BinaryIO, cut: Intervals, rows: int) -> Iterator[Image.Image]:
    """Decode a picture from the top.

    Args:
        file: the file, seekable.
        cut: how it is cut.
        rows: about how many rows to give at a time.

    Yields:
        Images of full width, loaded.

    Raises:
        EOFError: it is cut short.
        OSError: it is damaged, or an interval is missing.
    """
    step = max(1, rows // cut.unit)
    units = -(-cut.height // cut.unit)
    coming = _intervals(file, cut)
    held: dict[int, list[bytes]] = {}  # intervals of rows
    for first in range(0, units, step):
        last = min(first + step, units)
        above, below = max(first - 1, 0), min(last + 1, units)
        held = {unit: data for unit, data in held.items() if unit >= above}
        for unit in range(max(held, default=-1) + 1, below):
            held[unit] = [next(coming) for _ in range(cut.across)]
        top = above * cut.unit
        parts = [data for unit in range(above, below) for data in held[unit]]
        data = _jpeg(cut, parts, min(below * cut.unit, cut.height) - top)
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        image.load()
        bottom = min(last * cut.unit, cut.height)
        yield image.crop((0, first * cut.unit - top, cut.width, bottom - top))


def pieces(file: BinaryIO, cut: Intervals, rows: int) -> Iterator[bytes]:
    """The same picture as JPEGs of some rows each; arguments and errors as for `decode_rows`."""
    step = max(1, rows // cut.unit)
    coming = _intervals(file, cut)
    for top in range(0, cut.height, step * cut.unit):
        height = min(step * cut.unit, cut.height - top)
        count = -(-height // cut.unit) * cut.across
        yield _jpeg(cut, [next(coming) for _ in range(count)], height)


def _jpeg(cut: Intervals, intervals: list[bytes], height: int) -> bytes:
    """Intervals as a picture of their own."""
    header = bytearray(cut.header)
    struct.pack_into(">H", header, cut.height_at, height)
    parts: list[bytes] = [bytes(header)]
    for number, data in enumerate(intervals):
        parts += [b"\xff", bytes([0xD0 + (number - 1) % 8])] if number else []
        parts.append(data)
    return b"".join([*parts, b"\xff\xd9"])


def _intervals(file: BinaryIO, cut: Intervals) -> Iterator[bytes]:
    """The data between markers; the file may be moved meanwhile."""
    parts: list[bytes] = []  # of an interval
    edge = b""  # 0xFF that may begin a marker
    place, size, number = cut.place, 0, 0
    while True:
        file.seek(place)
        piece = file.read(_PIECE_BYTES)
        place += len(piece)
        start, data = 0, edge + piece
        for marker in _MARKER.finditer(data):
            yield b"".join((*parts, data[start : marker.start()]))
            start = marker.end()
            if data[start - 1] != 0xD0 + number % 8:  # the end of the picture, maybe
                raise OSError("an interval is missing")
            parts.clear()
            size, number = 0, number + 1
        edge = b"\xff" if data.endswith(b"\xff") else b""
        parts.append(data[start : len(data) - len(edge)])
        size += len(parts[-1])
        if not piece:
            raise EOFError("the picture ends too early")
        if size > cut.interval_bytes:
            raise OSError("an interval is longer than its pixels can be")
