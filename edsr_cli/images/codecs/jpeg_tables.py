"""JPEG's quantisation tables of luma: libjpeg's for a quality, and the quality of any."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Luma of ITU-T T.81, table K.1, which libjpeg scales by the quality; rows are vertical frequencies.
_STANDARD = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def luma_table(quality: int) -> NDArray[np.int64]:
    """The quantisation table of luma that libjpeg uses for a quality from 1 to 100, (8, 8)."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_STANDARD * factor + 50) // 100, 1, 255)


def table_quality(table: Sequence[int]) -> int:
    """The quality that libjpeg would call a quantisation table of luma.

    A table of libjpeg's is found exactly. For another encoder's, that quality counts which has its
    mean step in relation to the standard table's.

    Args:
        table: 64 steps, row by row.

    Raises:
        ValueError: there are not 64 steps from 1.
    """
    steps = np.array(table, dtype=np.float64)
    if steps.shape != (64,) or steps.min() < 1:
        raise ValueError("a quantisation table has 64 steps from 1")
    steps = np.minimum(steps, 255).reshape(8, 8)
    known = np.stack([luma_table(quality) for quality in range(1, 101)])
    away = np.abs(known - steps).sum(axis=(1, 2))
    if away.min() == 0:
        return int(np.flatnonzero(away == 0)[-1]) + 1
    # Small frequencies are what is seen, so steps count by how fine they are.
    means = ((known - steps) / _STANDARD).mean(axis=(1, 2))
    return int(np.abs(means).argmin()) + 1
