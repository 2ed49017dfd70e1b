"""Arithmetic of alpha: what it hides, and colours multiplied by it, or laid on others."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels

_ROWS = 256  # rows at a time: arithmetic needs more bits than the samples have
_VISIBLE = 16  # a difference of 1/16 of the full range is seen


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


def uncovers(pixels: Pixels, alpha: NDArray[Any]) -> bool:
    """Whether pixels (H, W, 3) look different without their alpha (H, W) than on white."""
    white = int(np.iinfo(pixels.dtype).max)
    for top in range(0, len(pixels), _ROWS):
        hidden = white - alpha[top : top + _ROWS].astype(np.int64)
        darkest = pixels[top : top + _ROWS].min(axis=2).astype(np.int64)
        if ((white - darkest) * hidden > white * white // _VISIBLE).any():
            return True
    return False


def lay_on(pixels: Pixels, alpha: NDArray[Any], colour: tuple[int, ...]) -> None:
    """Lay pixels (H, W, 3) with alpha (H, W) of their type on a colour of 8 bits, in place."""
    white = np.uint64(np.iinfo(pixels.dtype).max)
    ground = np.array(colour, np.uint64) * (white // np.uint64(255))
    for top in range(0, len(pixels), _ROWS):
        rows = pixels[top : top + _ROWS]
        by = alpha[top : top + _ROWS, :, None].astype(np.uint64)
        rows[...] = (rows * by + ground * (white - by) + white // np.uint64(2)) // white
