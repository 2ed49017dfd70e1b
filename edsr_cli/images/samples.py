"""What a decoder of ours gives: samples as stored in a file, and what they mean."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_ROWS = 256  # rows at a time: arithmetic needs more bits than the samples have


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels before they become RGB.

    Attributes:
        space: what the colours are.
        colours: shape (H, W, 1) for GRAY, (H, W, 3) for RGB and LAB, (H, W, 4) for CMYK; uint8 in
            0..255 or uint16 in 0..65535. In CMYK 0 is no ink. LAB is always uint8: L* from 0 to
            255, a* and b* from -128 to 127, with 128 added.
        alpha: shape (H, W), of the same type; None where there is none.
        bits: bits per channel in the file.
        damaged: whether the file is known to be damaged, though it could be decoded.
        on_white: whether the colours, RGB, are those of the picture laid on white by its alpha.
    """

    space: Literal["GRAY", "RGB", "CMYK", "LAB"]
    colours: NDArray[Any]
    alpha: NDArray[Any] | None
    bits: int
    damaged: bool = False
    on_white: bool = False


def full_range(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Numbers of 1 to 16 bits spread over all of uint8 (up to 8 bits) or uint16, rounded."""
    white, full = (1 << bits) - 1, 255 if bits <= 8 else 65535
    dtype = np.uint8 if bits <= 8 else np.uint16
    if white == full:
        return values.astype(dtype, copy=False)
    table = ((np.arange(white + 1, dtype=np.uint32) * full + white // 2) // white).astype(dtype)
    return np.asarray(table[values])


def opaque(alpha: NDArray[Any]) -> bool:
    """Whether alpha says "opaque" everywhere."""
    return bool((alpha == np.iinfo(alpha.dtype).max).all())


def divide_by_alpha(colours: NDArray[Any], alpha: NDArray[Any]) -> None:
    """Undo the multiplication of colours (H, W, n) by alpha (H, W), in place.

    Where alpha is 0 nothing is known of the colours, and they stay.
    """
    white = np.iinfo(colours.dtype).max
    for top in range(0, len(colours), _ROWS):
        rows = colours[top : top + _ROWS]
        by = alpha[top : top + _ROWS, :, None].astype(np.uint64)
        divided = np.minimum((rows * np.uint64(white) + by // 2) // np.maximum(by, 1), white)
        np.copyto(rows, divided.astype(rows.dtype), where=by > 0)


def take_off_white(colours: NDArray[Any], alpha: NDArray[Any]) -> None:
    """Undo that colours (H, W, n) with alpha (H, W) were laid on white, in place."""
    white = np.iinfo(colours.dtype).max
    np.subtract(white, colours, out=colours)
    divide_by_alpha(colours, alpha)
    np.subtract(white, colours, out=colours)


def may_be_on_white(colours: NDArray[Any], alpha: NDArray[Any]) -> bool:
    """Whether all colours (H, W, n) are as light as white that shines through alpha (H, W)."""
    white = int(np.iinfo(colours.dtype).max)
    for top in range(0, len(colours), _ROWS):
        dark = white - colours[top : top + _ROWS].min(axis=2).astype(np.int64)
        if (dark > alpha[top : top + _ROWS].astype(np.int64) + white // 255).any():
            return False
    return True


def to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """uint16 as uint8, value / 257 rounded; uint8 as it is."""
    if values.dtype == np.uint8:
        return values
    rounded = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):
        rounded[top : top + _ROWS] = (values[top : top + _ROWS].astype(np.uint32) + 128) // 257
    return rounded
