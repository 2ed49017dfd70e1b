"""Pieces of a picture to measure on, so that a large one takes no longer than a small one."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.windows import Readable, Region

Colours = NDArray[np.float32]
"""RGB of shape (H, W, 3), 0..255."""
Plane = NDArray[np.float32]
"""One channel of shape (H, W)."""

PIECE = 128
"""Side of a piece in pixels; a multiple of 8."""

_PER_AXIS = 4
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The shares of R, G and B in luma: ITU-R BT.601, as JPEG has it."""


def pieces(picture: Readable) -> list[Colours]:
    """Up to 16 pieces, evenly spread; of a small picture, all of it.

    They begin at multiples of 8 pixels, so that a grid of 8 x 8 blocks lies the same in all. They
    are read from the top, so that a picture that comes by rows has to come once, and gives the same
    as one in memory.

    Args:
        picture: (H, W, 3), uint8 or uint16.
    """
    factor = np.float32(255 / np.iinfo(picture.dtype).max)
    height, width = picture.shape[:2]
    rows, columns = (
        [(start, start + PIECE) for start in _starts(size)] or [(0, size)]
        for size in (height, width)
    )
    return [
        picture.read(Region(*row, *column)).astype(np.float32) * factor
        for row, column in product(rows, columns)
    ]


def _starts(size: int) -> list[int]:
    """Where pieces begin; nowhere where all of so many pixels are one."""
    if size <= _PER_AXIS * PIECE:
        return []
    last = size - PIECE
    return [last * number // (_PER_AXIS - 1) // 8 * 8 for number in range(_PER_AXIS)]


def luma(colours: Colours) -> Plane:
    """The luma of a piece, 0..255."""
    return colours @ LUMA
