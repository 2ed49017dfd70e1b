"""Drawings with hard edges, told from photographs.

A program that draws without smoothing, or a scanner that makes black and white, leaves edges from
one pixel to the next, harder than those of any photograph. The plain network, which was trained on
photographs, gives them outlines; the restoring one, which has seen all kinds of damage, does not.
Their few frequencies may also happen to be those of a JPEG, or of noise.
"""

from collections.abc import Sequence

import numpy as np

from edsr_cli.restoration.grid import blocks_of
from edsr_cli.restoration.sampling import Plane

_FEW, _COVERED = 8, 0.9
"""The most frequent values of luma in blocks that have several, and what they cover at least: 0.95
to 1 of drawings in few colours, 0.83 at most once these were JPEGs of quality 90 or less, 0.5 of
photographs."""
_STEP = 24.0  # levels from one pixel to the next
_HARD, _FLAT = 0.15, 0.5
"""Of steps so large, those between two flat places: 0.18 to 1 of drawings in any colours, 0.03 at
most of photographs. Of all steps, those of nothing: a photograph with a drawn caption has fewer."""


def is_drawn(planes: Sequence[Plane]) -> bool:
    """Whether a picture is a drawing with hard edges, as it was drawn.

    Args:
        planes: luma, 0..255, of pieces of it.
    """
    return _has_few_colours(planes) or _has_hard_edges(planes)


def _has_few_colours(planes: Sequence[Plane]) -> bool:
    blocks = np.concatenate([blocks_of(plane, 0, 0).reshape(-1, 64) for plane in planes])
    uneven = blocks[np.ptp(blocks, axis=1) > 0]
    counts = np.bincount(np.rint(4 * uneven).astype(np.int64).ravel(), minlength=_FEW)
    return uneven.size > 0 and bool(np.sort(counts)[-_FEW:].sum() >= _COVERED * uneven.size)


def _has_hard_edges(planes: Sequence[Plane]) -> bool:
    all_steps = flat = large = hard = 0
    for plane in planes:
        for turned in (plane, plane.T):
            steps = np.diff(turned, axis=1)
            nothing, big = steps == 0, np.abs(steps[:, 1:-1]) > _STEP
            all_steps, flat = all_steps + steps.size, flat + int(np.count_nonzero(nothing))
            large += int(np.count_nonzero(big))
            hard += int(np.count_nonzero(big & nothing[:, :-2] & nothing[:, 2:]))
    return hard > 0 and hard >= _HARD * large and flat >= _FLAT * all_steps
