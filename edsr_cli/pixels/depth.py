"""Depth: samples of any number of bits spread over 8 or 16, and 16 rounded to 8."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels

_ROWS = 256  # rows at a time: rounding needs 32 bits a sample


def dtype_of(bits: int) -> np.dtype[Any]:
    """The type of samples of so many bits: uint8 for up to 8, uint16 for up to 16."""
    return np.dtype(np.uint8 if bits <= 8 else np.uint16)


def full_range(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Numbers of 1 to 16 bits spread over all of uint8 (up to 8 bits) or uint16, rounded."""
    white, full = (1 << bits) - 1, 255 if bits <= 8 else 65535
    dtype = np.uint8 if bits <= 8 else np.uint16
    if white == full:
        return values.astype(dtype, copy=False)
    table = ((np.arange(white + 1, dtype=np.uint32) * full + white // 2) // white).astype(dtype)
    return np.asarray(table[values])


def to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """uint16 as uint8, value / 257 rounded; uint8 as it is."""
    if values.dtype == np.uint8:
        return values
    rounded = np.empty(values.shape, np.uint8)  # 257 is odd, so there are no ties
    for top in range(0, len(values), _ROWS):
        rounded[top : top + _ROWS] = (values[top : top + _ROWS].astype(np.uint32) + 128) // 257
    return rounded


def spread_over(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """uint8 or uint16 over the full range of the other type, rounded; as they are if of that."""
    if dtype == np.uint8:
        return to_8_bits(values)
    return values if values.dtype == np.uint16 else np.multiply(values, 257, dtype=np.uint16)


def to_uint8(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels of shape (H, W, 3) as `to_8_bits` gives them, C-contiguous.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    _check(pixels)
    return np.ascontiguousarray(to_8_bits(pixels))


def at_depth(pixels: Pixels, bits: int) -> Pixels:
    """Pixels of shape (H, W, 3), C-contiguous, of the type for so many bits, over its full range.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    _check(pixels)
    return np.ascontiguousarray(spread_over(pixels, dtype_of(bits)))


def _check(pixels: Pixels) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be of shape (H, W, 3), not {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be uint8 or uint16, not {pixels.dtype}")
