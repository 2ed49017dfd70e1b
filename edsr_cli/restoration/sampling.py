"""Pieces of a picture to measure on, so that a large one takes no longer than a small one."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels

Colours = NDArray[np.float32]
"""RGB of shape (H, W, 3), 0..255."""
Plane = NDArray[np.float32]
"""One channel of shape (H, W)."""

PIECE = 128
"""Side of a piece in pixels; a multiple of 8."""

_PER_AXIS = 4
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as JPEG has it


def pieces(pixels: Pixels) -> list[Colours]:
    """Up to 16 pieces, evenly spread; of a small picture, all of it.

    They begin at multiples of 8 pixels, so that a grid of 8 x 8 blocks lies the same in all.

    Args:
        pixels: (H, W, 3), uint8 or uint16.
    """
    factor = np.float32(255 / np.iinfo(pixels.dtype).max)
    starts = [_starts(size) for size in pixels.shape[:2]]
    lengths = [
        PIECE if len(each) > 1 else size for each, size in zip(starts, pixels.shape, strict=False)
    ]
    return [
        pixels[top : top + lengths[0], left : left + lengths[1]].astype(np.float32) * factor
        for top, left in product(*starts)
    ]


def _starts(size: int) -> list[int]:
    if size <= _PER_AXIS * PIECE:
        return [0]
    last = size - PIECE
    return [last * number // (_PER_AXIS - 1) // 8 * 8 for number in range(_PER_AXIS)]


def luma(colours: Colours) -> Plane:
    """The luma of a piece, 0..255."""
    return colours @ _LUMA
