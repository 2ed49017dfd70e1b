"""Pixels turned upright."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.images.picture import Pixels


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn pixels of shape (H, W, 3) as an EXIF orientation from 1 to 8 asks for."""
    view: NDArray[Any] = pixels
    if orientation >= 5:  # rows and columns are exchanged, before anything is flipped
        view = view.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        view = view[:, ::-1]
    if orientation in (3, 4, 7, 8):
        view = view[::-1]
    return np.ascontiguousarray(view)
