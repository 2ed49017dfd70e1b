"""Drawings, told from photographs.

What a program draws, and what a scanner makes black and white, has harder edges than photographs
that were made smaller, which the networks were trained on. The plain one gives them outlines; the
restoring one, which has seen all kinds of damage, does not. The few frequencies of drawings may
also happen to be those of a JPEG, or of noise.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edsr_cli.restoration.grid import blocks_of
from edsr_cli.restoration.sampling import Plane

_FEW, _COVERED = 8, 0.9
"""The most frequent values of luma in blocks with edges, and what they cover at least: 0.95 to 1 of
drawings in few colours, 0.83 at most once these were JPEGs of quality 90 or less, 0.5 of
photographs."""
_STEP = 24.0  # levels from one pixel to the next
_HARD = 0.15
"""Of steps so large, those between two flat places: 0.18 to 1 of drawings in any colours without
smoothed edges, 0.03 at most of photographs."""
_FLAT, _TEXTURED, _REACH = 0.5, 0.005, 3
"""Of all steps, those of nothing: 0.5 to 1 of drawings, and of a photograph on white. Of all steps,
the others which are no nearer than so many pixels to half a large one: 0.004 at most of drawings
with smoothed edges, 0.007 once they were made smaller with more than their mean, 0.07 once they
were JPEGs, 0.1 of photographs."""


def has_hard_edges(planes: Sequence[Plane]) -> bool:
    """Whether a picture is a drawing with edges from one pixel to the next, as it was drawn.

    Args:
        planes: luma, 0..255, of pieces of it.
    """
    if _has_few_colours(planes):
        return True
    all_steps = flat = large = hard = 0
    for steps in _steps(planes):
        nothing, big = steps == 0, np.abs(steps[:, 1:-1]) > _STEP
        all_steps, flat = all_steps + steps.size, flat + int(np.count_nonzero(nothing))
        large += int(np.count_nonzero(big))
        hard += int(np.count_nonzero(big & nothing[:, :-2] & nothing[:, 2:]))
    return hard > 0 and hard >= _HARD * large and flat >= _FLAT * all_steps


def has_smoothed_edges(planes: Sequence[Plane]) -> bool:
    """Whether a picture is a drawing with smoothed edges, as it was drawn; see `has_hard_edges`."""
    all_steps = flat = edges = textured = 0
    for steps in _steps(planes):
        nothing, edge = steps == 0, np.abs(steps) > _STEP / 2
        all_steps, flat = all_steps + steps.size, flat + int(np.count_nonzero(nothing))
        edges += int(np.count_nonzero(edge))
        around = np.pad(edge, ((0, 0), (_REACH, _REACH)))
        near = sliding_window_view(around, 2 * _REACH + 1, axis=1).any(axis=2)
        textured += int(np.count_nonzero(~nothing & ~near))
    return edges > 0 and flat >= _FLAT * all_steps and textured <= _TEXTURED * all_steps


def _has_few_colours(planes: Sequence[Plane]) -> bool:
    blocks = np.concatenate([blocks_of(plane, 0, 0).reshape(-1, 64) for plane in planes])
    uneven = blocks[np.ptp(blocks, axis=1) > _STEP]
    counts = np.bincount(np.rint(4 * uneven).astype(np.int64).ravel(), minlength=_FEW)
    return uneven.size > 0 and bool(np.sort(counts)[-_FEW:].sum() >= _COVERED * uneven.size)


def _steps(planes: Sequence[Plane]) -> Iterator[Plane]:
    """From each pixel to the next, along rows and along columns."""
    for plane in planes:
        for turned in (plane, plane.T):
            if turned.shape[1] > 1:
                yield np.diff(turned, axis=1)
