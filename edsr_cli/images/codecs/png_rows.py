"""The pixels of a PNG by rows, and with all their bits.

Pillow gives a picture only whole, and 16-bit colours as 8 bits. Here zlib unpacks the rows, and
Pillow undoes their filters (PNG 3rd edition, 9), some rows at a time and byte by byte, so that
there is nothing left to interpret.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.images.bands import band_rows
from edsr_cli.images.colour import Samples
from edsr_cli.images.source import kept_position

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
_PIECE_BYTES = 2**16  # of packed data, read at a time

# A filter looks at the same byte of the pixels to the left and above, so the bytes of a pixel may
# be filtered in groups. Pillow has these kinds of pixels.
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_GROUPS = {1: (1,), 2: (2,), 3: (3,), 4: (4,), 6: (4, 2), 8: (4, 4)}

# Where the seven passes of an interlaced picture begin, and their steps (PNG 3rd edition, 8.1).
_PASSES = (
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
    (1, 0, 2, 1),
)  # fmt: skip


class Header(Struct, frozen=True):
    """What IHDR says."""

    width: int
    height: int
    bits: int
    colour_type: int
    interlaced: bool

    @property
    def channels(self) -> int:
        """Channels of a pixel."""
        return _CHANNELS[self.colour_type]

    @property
    def pixel_bytes(self) -> int:
        """How far apart the bytes are that a filter compares."""
        return max(1, self.bits * self.channels // 8)

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of so many pixels, without the number of its filter."""
        return -(-width * self.bits * self.channels // 8)


def read_header(file: BinaryIO) -> Header | None:
    """The header of a PNG, whose position is kept; None where it makes no sense."""
    with kept_position(file):
        file.seek(16)
        data = file.read(13)
    if len(data) < 13:
        return None
    width, height, bits, colour_type, _, _, interlaced = struct.unpack(">LL5B", data)
    if colour_type not in _CHANNELS or bits not in (1, 2, 4, 8, 16):
        return None
    return Header(width, height, bits, colour_type, bool(interlaced))


def decode_rows(file: BinaryIO, place: int, header: Header, step: int) -> Iterator[NDArray[Any]]:
    """Decode a picture from the top.

    Args:
        file: the file, seekable.
        place: where the content of the first IDAT chunk begins.
        header: its header.
        step: how many rows to give at a time; an interlaced picture, whose samples have 8 or 16
            bits, comes whole.

    Yields:
        Bytes, (rows, bytes of a row), as they were before they were filtered and packed.

    Raises:
        EOFError: the data ends too early.
        zlib.error, ValueError: it is damaged.
    """
    packed = _Unpacker(_pieces(file, place))
    if header.interlaced:
        yield _interlaced(packed, header)
        return
    yield from _pass_rows(packed, header, header.width, header.height, step)


def to_samples(rows: NDArray[np.uint8], header: Header, clear: Any) -> Samples:
    """Rows of bytes, as `decode_rows` gives them, as samples.

    Args:
        rows: of samples of 8 or 16 bits; not of a palette.
        header: the header of the picture.
        clear: the colour that tRNS calls transparent: a number, three, or None for none.
    """
    values: NDArray[Any] = rows
    if header.bits == 16:
        values = rows.view(">u2").astype(np.uint16)
    values = values.reshape(len(rows), header.width, header.channels)
    colours, alpha = values, None
    if header.colour_type in (GREY_ALPHA, RGBA):
        colours, alpha = values[..., :-1], values[..., -1]
    elif clear is not None:
        other = (colours != np.array(clear, np.int64)).any(axis=2)
        alpha = other * colours.dtype.type(np.iinfo(colours.dtype).max)
    return Samples("GRAY" if colours.shape[2] == 1 else "RGB", colours, alpha, header.bits)


def _pieces(file: BinaryIO, place: int) -> Iterator[bytes]:
    """The data of consecutive IDAT chunks; the file may be moved in between."""
    place -= 8
    while True:
        file.seek(place)
        head = file.read(8)
        if head[4:] != b"IDAT":
            return
        place += 8
        end = place + int.from_bytes(head[:4], "big")
        while place < end:
            file.seek(place)
            piece = file.read(min(end - place, _PIECE_BYTES))
            if not piece:
                return
            place += len(piece)
            yield piece
        place += 4


class _Unpacker:
    """Packed pieces as a stream of bytes, of which no more is unpacked than is asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._zlib, self._left = pieces, zlib.decompressobj(), b""

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._zlib.decompress(self._left, size)
            self._left = self._zlib.unconsumed_tail
            if not part and not self._left:
                self._left = next(self._pieces, b"")
                if not self._left or self._zlib.eof:
                    raise EOFError("the rows end too early")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _pass_rows(
    packed: _Unpacker, header: Header, width: int, height: int, step: int
) -> Iterator[NDArray[np.uint8]]:
    size = header.row_bytes(width)
    above = np.zeros(size, np.uint8)
    for top in range(0, height, step):
        count = min(step, height - top)
        filtered = np.frombuffer(packed.read(count * (size + 1)), np.uint8)
        rows = unfilter(filtered.reshape(count, size + 1), above, header.pixel_bytes)
        above = rows[-1]
        yield rows


def _interlaced(packed: _Unpacker, header: Header) -> NDArray[np.uint8]:
    whole = np.empty((header.height, header.width, header.pixel_bytes), np.uint8)
    for down, right, rows, columns in _PASSES:
        part = whole[down::rows, right::columns]
        height, width = part.shape[:2]
        if not part.size:
            continue
        top = 0
        for band in _pass_rows(packed, header, width, height, band_rows(width, header.bits)):
            part[top : top + len(band)] = band.reshape(len(band), width, -1)
            top += len(band)
    return whole.reshape(header.height, -1)


def unfilter(
    filtered: NDArray[np.uint8], above: NDArray[np.uint8], pixel_bytes: int
) -> NDArray[np.uint8]:
    """Undo the filters of rows.

    Args:
        filtered: (rows, 1 + bytes of a row): each row with the number of its filter in front.
        above: the row above the first, unfiltered; zeros at the top of a picture.
        pixel_bytes: how far apart the bytes are that a filter compares: 1, 2, 3, 4, 6 or 8.

    Returns:
        (rows, bytes of a row).

    Raises:
        ValueError: there is no such filter.
    """
    count, size = filtered.shape[0] + 1, filtered.shape[1] - 1
    rows = np.zeros((count, size + 1), np.uint8)  # the row above counts as not filtered
    rows[0, 1:], rows[1:] = above, filtered
    if pixel_bytes in _MODES:
        return _unfilter(rows, pixel_bytes)
    # Pairs of bytes, which are copied faster than single ones.
    pairs = rows[:, 1:].copy().view(np.uint16).reshape(count, -1, pixel_bytes // 2)
    result = np.empty((count - 1, *pairs.shape[1:]), np.uint16)
    first = 0
    for group in _GROUPS[pixel_bytes]:
        last = first + group // 2
        part = np.empty((count, 1 + size // pixel_bytes * group), np.uint8)
        part[:, 0] = rows[:, 0]
        part[:, 1:] = np.ascontiguousarray(pairs[..., first:last]).view(np.uint8).reshape(count, -1)
        done = _unfilter(part, group).view(np.uint16)
        result[..., first:last] = done.reshape(*result.shape[:2], group // 2)
        first = last
    return result.reshape(count - 1, -1).view(np.uint8)


def _unfilter(rows: NDArray[np.uint8], pixel_bytes: int) -> NDArray[np.uint8]:
    """The rows but the first one, which is there for the second."""
    count, size = rows.shape[0], rows.shape[1] - 1
    mode = _MODES[pixel_bytes]
    stored = zlib.compress(rows.data, 0)  # which is no more than a copy
    image = Image.frombytes(mode, (size // pixel_bytes, count), stored, "zip", mode, 0)
    return np.asarray(image)[1:].reshape(count - 1, size)
