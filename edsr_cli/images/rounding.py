"""From 16 bits to 8."""

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels

_ROWS = 256  # rows at a time: rounding needs 32 bits a sample


def to_uint8(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels of shape (H, W, 3) with 8 bits a sample, C-contiguous; uint8 comes back as it is.

    uint16 in 0..65535 becomes value / 257, rounded to the nearest.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be of shape (H, W, 3), not {pixels.shape}")
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, dtype=np.uint8)
    if pixels.dtype != np.uint16:
        raise ValueError(f"pixels must be uint8 or uint16, not {pixels.dtype}")
    rounded = np.empty(pixels.shape, dtype=np.uint8)
    for top in range(0, len(pixels), _ROWS):
        rows = pixels[top : top + _ROWS].astype(np.uint32)
        rounded[top : top + _ROWS] = (rows + 128) // 257  # 257 is odd, so there are no ties
    return rounded
