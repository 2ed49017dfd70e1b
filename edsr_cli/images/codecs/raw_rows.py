"""Rows that need no decoder: those that a file has as they are (BMP, PPM, TGA), or an image."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from PIL import Image

from edsr_cli.images.bands import band_rows

# Pillow's names for pixels in files, of those that are decoded by rows, and their bits.
_RAW_BITS = {
    "1": 1, "1;I": 1, "L;2": 2, "L;4": 4, "P;1": 1, "P;2": 2, "P;4": 4, "L": 8, "P": 8, "I;16B": 16,
    "RGB": 24, "BGR": 24, "BGRX": 32, "BGRA": 32,
}  # fmt: skip
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def raw_rows(image: Image.Image, file: BinaryIO) -> Callable[[], Iterator[Image.Image]] | None:
    """The rows of an image that are not compressed; None where they are, or in a rare way.

    Args:
        image: the image as Pillow has opened it, not loaded.
        file: its file, seekable.
    """
    tiles = tiles_of(image)
    if len(tiles) != 1 or tiles[0].codec_name != "raw" or tiles[0].extents != (0, 0, *image.size):
        return None
    args = tiles[0].args
    args = args if isinstance(args, tuple) and len(args) == 3 else (args, 0, 1)
    rawmode, stride, direction = args
    size = row_bytes(rawmode, image.width) if isinstance(rawmode, str) else 0
    stride = stride or size
    if not 0 < size <= stride:
        return None
    step = band_rows(image.width, 16 if image.mode in _DEEP else 8)

    def begin() -> Iterator[Image.Image]:
        for top in range(0, image.height, step):
            count = min(step, image.height - top)
            first = top if direction == 1 else image.height - top - count
            file.seek(tiles[0].offset + first * stride)
            data = file.read(count * stride)
            if len(data) < count * stride - (stride - size):  # the last row may not be padded
                raise EOFError("the rows end too early")
            yield band_of(image, data.ljust(count * stride, b"\0"), (rawmode, stride, direction))

    return begin


def tiles_of(image: Image.Image) -> list[Any]:
    """What Pillow means to decode, of an image that it has opened but not loaded."""
    return getattr(image, "tile", [])


def bands_of(image: Image.Image) -> Iterator[Image.Image]:
    """The rows of an image that is loaded."""
    step = band_rows(image.width, 16 if image.mode in _DEEP else 8)
    for top in range(0, image.height, step):
        band = image.crop((0, top, image.width, min(top + step, image.height)))
        band.format = image.format
        yield band


def band_of(image: Image.Image, data: bytes, args: Any) -> Image.Image:
    """Some rows of an image that Pillow has opened but not loaded.

    Args:
        image: the image.
        data: the rows, whole, without compression.
        args: what Pillow's "raw" decoder is told about them.
    """
    rawmode, stride, direction = args if isinstance(args, tuple) else (args, 0, 1)
    size = (image.width, len(data) // (stride or row_bytes(rawmode, image.width)))
    band = Image.frombytes(image.mode, size, data, "raw", rawmode, stride, direction)
    band.info, band.format = image.info, image.format
    if image.palette is not None:
        band.palette = image.palette.copy()
        band.palette.dirty = 1
    return band


def row_bytes(rawmode: str, width: int) -> int:
    """Bytes of a row of pixels as Pillow's decoders call them; 0 for those that are not known."""
    return -(-width * _RAW_BITS.get(rawmode, 0) // 8)
