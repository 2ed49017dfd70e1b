"""Compressed segments unpacked: the strips and tiles of TIFF, the rows of PSD.

libtiff does the work, by way of Pillow, on a TIFF that is made here: greyscale of 8 bits, as wide
as a row of the segment has bytes. So nothing is left to interpret, and no depth, planes, extra
channels or byte order that could be got wrong. Only where the method of compression deals with
pixels rather than bytes does the file say what they are.
"""

import io
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from edsr_cli.images.guard import limits

NONE, FAX, FAX3, FAX4, LZW, OLD_JPEG, JPEG, DEFLATE = 1, 2, 3, 4, 5, 6, 7, 8
PACKBITS, OLD_DEFLATE, LZMA, ZSTD, WEBP = 32773, 32946, 34925, 50000, 50001

BYTE_METHODS = frozenset((LZW, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD))
"""Methods that pack bytes, whatever these mean."""
OPTIONAL_METHODS = {LZMA: "LZMA", ZSTD: "Zstandard", WEBP: "WebP"}
"""Methods that not every libtiff has, and what to call them."""
FAX_METHODS = frozenset((FAX, FAX3, FAX4))
"""Methods for rows of bits."""
PIXEL_METHODS = frozenset((JPEG, WEBP))
"""Methods for pixels of 8 bits a channel."""

# How many bytes one packed byte can stand for. With less data than that a segment is cut short, and
# no memory need be taken for it.
_MOST_UNPACKED = {DEFLATE: 1040, OLD_DEFLATE: 1040, LZW: 4096, PACKBITS: 64}
_BLOCK_BYTES = 2**22  # copied at a time
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def reverse_bits(data: bytes) -> bytes:
    """Bytes with the order of their bits reversed, as TIFF's FillOrder 2 has them."""
    return data.translate(_REVERSED)


def unpack_bytes(
    segments: Sequence[bytes], method: int, row_bytes: int, rows: Sequence[int]
) -> NDArray[np.uint8]:
    """Unpack segments of whole rows of bytes.

    Args:
        segments: the packed data.
        method: how it is packed, one of `BYTE_METHODS`.
        row_bytes: bytes of a row.
        rows: rows of each segment; all the same, but the last one may have fewer.

    Returns:
        Shape (sum of rows, row_bytes).

    Raises:
        EOFError: there is less data than there must be.
        OSError: the data is damaged.
    """
    most = _MOST_UNPACKED.get(method)
    if most and any(
        len(segment) * most < count * row_bytes
        for segment, count in zip(segments, rows, strict=True)
    ):
        raise EOFError("a segment is cut short")
    return _load(segments, _Wrapper(row_bytes, method), rows)[:, :, 0]


def unpack_fax(
    segments: Sequence[bytes], method: int, options: int, width: int, rows: Sequence[int]
) -> NDArray[np.uint8]:
    """Unpack segments of rows of bits, as `unpack_bytes` does.

    Args:
        segments, method, rows: see there; the method is one of `FAX_METHODS`.
        options: the T4Options or T6Options of the TIFF file.
        width: bits of a row.

    Returns:
        Shape (sum of rows, width), 0 or 1.
    """
    tag = {FAX3: 292, FAX4: 293}.get(method)
    more: dict[int, tuple[int, Sequence[int]]] = {tag: (4, (options,))} if tag else {}
    return _load(segments, _Wrapper(width, method, bits=1, more=more), rows)[:, :, 0]


def unpack_pixels(
    segments: Sequence[bytes],
    method: int,
    tables: bytes,
    width: int,
    rows: Sequence[int],
    channels: int,
    subsampling: tuple[int, int] | None,
) -> NDArray[np.uint8]:
    """Unpack segments of pixels, as `unpack_bytes` does.

    Args:
        segments, method, rows: see there; the method is one of `PIXEL_METHODS`.
        tables: the JPEGTables of the TIFF file, or nothing.
        width: pixels of a row.
        channels: channels of a pixel, 1 to 4.
        subsampling: for colours as YCbCr, which become RGB; None for all others, which are left.

    Returns:
        Shape (sum of rows, width, channels).
    """
    # Four channels of any meaning pass as CMYK, which nobody touches.
    photometric = {1: 1, 2: 1, 3: 2, 4: 5}[channels]
    more: dict[int, tuple[int, Sequence[int]]] = {}
    if method == WEBP and channels == 4:
        photometric, more[338] = 2, (3, (2,))
    if channels == 2:
        more[338] = (3, (2,))
    if tables:
        more[347] = (7, tables)
    if subsampling:
        photometric, more[530] = 6, (3, subsampling)
    return _load(segments, _Wrapper(width, method, channels, 8, photometric, more), rows)


class _Wrapper:
    """The directory of a TIFF file with one strip for each segment."""

    def __init__(
        self,
        width: int,
        method: int,
        channels: int = 1,
        bits: int = 8,
        photometric: int = 1,
        more: dict[int, tuple[int, Sequence[int]]] | None = None,
    ) -> None:
        self.entries: dict[int, tuple[int, Sequence[int]]] = {
            256: (4, (width,)),
            258: (3, (bits,) * channels),
            259: (3, (method,)),
            262: (3, (photometric,)),
            277: (3, (channels,)),
            **(more or {}),
        }

    def file(self, segments: Sequence[bytes], rows: Sequence[int]) -> bytes:
        sizes = [len(segment) for segment in segments]
        places = [8]
        for size in sizes[:-1]:
            places.append(places[-1] + size)
        start = 8 + sum(sizes)
        entries = self.entries | {
            257: (4, (sum(rows),)),
            273: (4, places),
            278: (4, (rows[0],)),
            279: (4, sizes),
        }
        table = struct.pack("<H", len(entries))
        values = b""
        end = start + 2 + 12 * len(entries) + 4
        for tag, (kind, numbers) in sorted(entries.items()):
            packed = struct.pack(f"<{len(numbers)}{ {3: 'H', 4: 'L', 7: 'B'}[kind] }", *numbers)
            if len(packed) > 4:
                packed, values = struct.pack("<L", end + len(values)), values + packed
            table += struct.pack("<HHL4s", tag, kind, len(numbers), packed)
        return b"".join((b"II*\0", struct.pack("<L", start), *segments, table, bytes(4), values))


def _load(segments: Sequence[bytes], wrapper: _Wrapper, rows: Sequence[int]) -> NDArray[np.uint8]:
    if not all(segments):
        raise EOFError("a segment has no data")
    file = io.BytesIO(wrapper.file(segments, rows))
    # Pillow counts what are bytes here as pixels; the true ones have been counted before.
    with limits(wrapper.entries[256][1][0] * sum(rows)):
        image = TiffImagePlugin.TiffImageFile(file)
        image.load()
        height, channels = image.height, len(image.getbands())
        pixels = np.empty((height, image.width, channels), np.uint8)
        step = max(1, _BLOCK_BYTES // (image.width * channels))
        for top in range(0, height, step):  # no second copy of what may be a whole picture
            bottom = min(top + step, height)
            block = np.asarray(image.crop((0, top, image.width, bottom)), np.uint8)
            pixels[top:bottom] = block.reshape(bottom - top, image.width, channels)
    return pixels
