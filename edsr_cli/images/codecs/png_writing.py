"""A PNG writer: by rows, of 8 and 16 bits, compressed by several threads.

Each strip of rows becomes an IDAT chunk. The strips are one deflate stream all the same, as pigz
makes it: each but the last ends with an empty block that fills up its last byte, is compressed with
the 32 KiB before it as its dictionary, and the checksum of all is made from those of the strips.

Each row takes, of the five filters, the one that leaves the smallest sum of absolute differences
(PNG 3rd edition, 12.7). That is done in NumPy on bytes, many at once.
"""

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edsr_cli.images.codecs.rows import RowEncoder, Strip
from edsr_cli.images.picture import OutputRequest

Bytes = NDArray[np.uint8]
Chunk = tuple[bytes, bytes]
"""Name and content."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels
_STRIP_BYTES = 2**19
_BLOCK_BYTES = 2**16  # filtered at a time, so that all that is computed stays in the cache
_WINDOW = 2**15  # how far deflate looks back
_ADLER = 65521  # the modulus of Adler-32


class PngEncoder(RowEncoder):
    """A PNG that is being written.

    Args:
        file: where to write, from its current position; a pipe will do.
        request: see `RowEncoder`.
        chunks: what to put in front of the pixels.
        level: deflate level, 0 to 9.
        strategy: one of zlib's.
    """

    def __init__(
        self,
        file: BinaryIO,
        request: OutputRequest,
        chunks: list[Chunk],
        *,
        level: int,
        strategy: int,
    ) -> None:
        height, width, colours = request.shape
        channels, bits = colours + (request.alpha is not None), request.bits
        self._pixel_bytes = channels * bits // 8
        row_bytes = width * self._pixel_bytes
        # What looks for runs alone never looks back.
        self._window = 0 if strategy in (zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY) or not level else _WINDOW
        super().__init__(
            request,
            strip_rows=_STRIP_BYTES // row_bytes,
            above=1 + -(-self._window // row_bytes),  # a row is filtered by the one above it
            stored=f">u{bits // 8}",
        )
        self._file, self._level, self._strategy = file, level, strategy
        self._chunks, self._begun, self._adler = chunks, False, 1
        kind = (width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
        self._header = struct.pack(">2L5B", *kind)

    def finish(self) -> tuple[str, ...]:
        notes = super().finish()
        write_chunk(self._file, b"IDAT", struct.pack(">L", self._adler))
        write_chunk(self._file, b"IEND", b"")
        return notes

    def _compressed(self, strip: Strip, above: Strip, top: int) -> tuple[bytes, int, int]:
        """The strip in the deflate stream, its Adler-32 and its number of bytes."""
        rows, earlier = _bytes_of(strip), _bytes_of(above)
        if not len(earlier):
            earlier = np.zeros((1, rows.shape[1]), np.uint8)
        last = top + len(strip) == self.shape[0]
        options: dict[str, Any] = {}
        if self._window:
            dictionary = self._filtered(earlier[1:], earlier[0])
            options["zdict"] = dictionary.tobytes()[-self._window :]
        data = self._filtered(rows, earlier[-1])
        deflate = zlib.compressobj(
            self._level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, self._strategy,
            **options,
        )  # fmt: skip
        packed = deflate.compress(data.data) + deflate.flush(
            zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
        )
        return packed, zlib.adler32(data.data), data.size

    def _filtered(self, rows: Bytes, above: Bytes) -> Bytes:
        if self._level:
            return filtered(rows, above, self._pixel_bytes)
        return np.pad(rows, ((0, 0), (1, 0)))  # what is not compressed gains nothing by a filter

    def _put(self, compressed: tuple[bytes, int, int]) -> None:
        packed, adler, size = compressed
        if not self._begun:
            self._begun = True
            self._file.write(SIGNATURE)
            for name, data in [(b"IHDR", self._header), *self._chunks]:
                write_chunk(self._file, name, data)
            packed = b"\x78\x01" + packed  # deflate with a window of 32 KiB, no dictionary
        self._adler = joined_adler(self._adler, adler, size)
        write_chunk(self._file, b"IDAT", packed)


def write_chunk(file: BinaryIO, name: bytes, data: bytes) -> None:
    """Write a chunk: its length, name, content and checksum."""
    file.write(struct.pack(">L4s", len(data), name))
    file.write(data)
    file.write(struct.pack(">L", zlib.crc32(data, zlib.crc32(name))))


def joined_adler(first: int, second: int, size: int) -> int:
    """The Adler-32 (RFC 1950) of data, from those of its two parts.

    Args:
        first, second: checksums of the parts.
        size: bytes in the second part.
    """
    low, high = first & 0xFFFF, first >> 16
    more, above = second & 0xFFFF, second >> 16
    # `low` goes into `high` once for each byte that follows; both begin at 1 and at 0.
    high = (high + above + size * (low - 1)) % _ADLER
    return high << 16 | (low + more - 1) % _ADLER


def filtered(rows: Bytes, above: Bytes, pixel_bytes: int) -> Bytes:
    """Rows as a PNG has them before they are compressed, each behind the number of its filter.

    Args:
        rows: shape (h, n).
        above: shape (n,), the row above them; zeros at the top of a picture.
        pixel_bytes: bytes from a sample to the same one of the pixel to its right.

    Returns:
        Shape (h, n + 1).
    """
    height, width = rows.shape
    result = np.empty((height, width + 1), np.uint8)
    step = max(1, _BLOCK_BYTES // max(1, width))
    # Around the rows are zeros, and the row above.
    around = np.zeros((min(step, height) + 1, width + pixel_bytes), np.uint8)
    for top in range(0, height, step):
        block = rows[top : top + step]
        count = len(block)
        around[0, pixel_bytes:] = above if top == 0 else rows[top - 1]
        around[1 : count + 1, pixel_bytes:] = block
        left, up = around[1 : count + 1, :-pixel_bytes], around[:count, pixel_bytes:]
        corner = around[:count, :-pixel_bytes]
        _take_smallest(block, left, up, corner, result[top : top + count])
    return result


def _take_smallest(x: Bytes, left: Bytes, up: Bytes, corner: Bytes, result: Bytes) -> None:
    """Filter rows into `result`, each in the way that leaves the smallest differences."""
    mean = left ^ up
    mean >>= 1
    mean += left & up  # rounded down, without a ninth bit
    candidates = (x, x - left, x - up, x - mean, x - paeth(left, up, corner))
    costs = np.stack([_cost(candidate) for candidate in candidates])
    chosen = costs.argmin(axis=0)
    result[:, 0] = chosen
    for number, candidate in enumerate(candidates):
        places = np.flatnonzero(chosen == number)
        result[places, 1:] = candidate[places]


def _cost(differences: Bytes) -> NDArray[np.uint64]:
    """Sums of absolute values of differences modulo 256, row by row."""
    return np.minimum(differences, -differences).sum(axis=1, dtype=np.uint64)


def paeth(left: Bytes, up: Bytes, corner: Bytes) -> Bytes:
    """Of three neighbours the one nearest to left + up - corner (PNG 3rd edition, 9.4).

    With a = |up - corner| and b = |left - corner|, its distances from the first two, that from
    `corner` is a + b where both lie on the same side of `corner`, and so never the smallest; else
    |a - b|. So eight bits do for all of it.
    """
    to_left = np.maximum(up, corner)
    to_left -= np.minimum(up, corner)
    to_up = np.maximum(left, corner)
    to_up -= np.minimum(left, corner)
    smaller = np.minimum(to_left, to_up)
    to_corner = np.maximum(to_left, to_up)
    to_corner -= smaller
    takes_corner = (up > corner) != (left > corner)
    takes_corner &= to_corner < smaller
    # Bytes are exchanged by masks of all ones: faster than `numpy.where`.
    nearest = left ^ up
    nearest &= -(to_left <= to_up).view(np.uint8)
    nearest ^= up
    changes = nearest ^ corner
    changes &= -takes_corner.view(np.uint8)
    nearest ^= changes
    return nearest


def _bytes_of(rows: Strip) -> Bytes:
    height, width, channels = rows.shape
    return rows.reshape(height, width * channels).view(np.uint8)
