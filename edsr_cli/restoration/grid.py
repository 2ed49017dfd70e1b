"""An earlier JPEG compression, found in the pixels.

JPEG rounds each frequency of its 8 x 8 blocks to multiples of a step. Decoded pixels are rounded,
too, but far less: taken apart into the same blocks again, frequencies lie close to multiples of the
steps that some quality has, and of no other. That finds the quality itself, of files that were
saved anew as well as of screenshots and crops, where the blocks begin elsewhere.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edsr_cli.images.codecs.jpeg_tables import luma_table
from edsr_cli.restoration.sampling import Plane

_QUALITIES = np.arange(5, 96)  # of higher ones, too little is left to see, or to mend
_FREQUENCIES = [(v, u) for v, u in product(range(8), repeat=2) if 0 < u + v <= 6]
_TELLING = [place for place in _FREQUENCIES if 4 <= sum(place) <= 5 and min(place) > 0]
"""Few, so that all places can be tried: fine steps are coarse enough there to be told apart."""
_BINS, _BINS_A_LEVEL = 1024, 8
_LEAST_FIT = 0.3  # the mean cosine: from 0.4 at quality 95 to 1 at 50; 0.1 if never compressed
_LEAST_EVIDENCE = 9.0  # by how many standard deviations it is more than nothing
_LEAST_VARIETY = 32  # values; a chequered pattern has the same few in every block
_CLIP = 8.0  # levels; larger steps between columns are edges of things


def jpeg_quality(planes: Sequence[Plane]) -> int | None:
    """The quality, 5 to 95, of a JPEG that the picture was; None if it was none, or a better one.

    Args:
        planes: luma, 0..255, of pieces that begin at multiples of 8 pixels.
    """
    places = [(0, 0), *_coarse_places(planes), *_fine_places(planes)]
    found = [
        quality
        for top, left in dict.fromkeys(places)
        if (quality := _quality(_frequencies(planes, top, left, _FREQUENCIES))) is not None
    ]
    return min(found, default=None)  # the worst of several is what harms


def _coarse_places(planes: Sequence[Plane]) -> list[tuple[int, int]]:
    """Where blocks seem to begin by the steps between rows and between columns."""
    rows, columns = (
        [int(phase) for phase in np.argsort(-phases)[:2]]
        for phases in (_phases([plane.T for plane in planes]), _phases(planes))
    )
    return list(product(rows, columns))


def _fine_places(planes: Sequence[Plane]) -> list[tuple[int, int]]:
    """Where blocks seem to begin by few frequencies."""
    evidence = {
        (top, left): float(_evidence(_frequencies(planes, top, left, _TELLING), _TELLING)[0].max())
        for top, left in product(range(8), repeat=2)
    }
    return sorted(evidence, key=lambda place: -evidence[place])[:2]


def _phases(planes: Sequence[Plane]) -> NDArray[np.float64]:
    """For each column within 8, how far the steps in front of it exceed their neighbours."""
    total, count = np.zeros(8), np.zeros(8)
    for plane in planes:
        if plane.shape[1] < 16:
            continue
        steps = np.abs(np.diff(plane, axis=1))
        excess = np.clip(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, -_CLIP, _CLIP)
        phase = (np.arange(excess.shape[1]) + 2) % 8  # of the column behind the step
        total += np.bincount(phase, excess.sum(axis=0), 8)
        count += np.bincount(phase, minlength=8) * len(plane)
    return total / np.maximum(count, 1)


def _frequencies(
    planes: Sequence[Plane], top: int, left: int, chosen: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    """How often each absolute value occurs in each of the chosen frequencies: (chosen, bins)."""
    transform = _transform(tuple(chosen))
    counts = np.zeros(len(chosen) * _BINS, np.int64)
    begins = np.arange(len(chosen)) * _BINS
    for plane in planes:
        blocks = blocks_of(plane, top, left)
        values = np.abs(blocks.reshape(-1, 64) @ transform) * _BINS_A_LEVEL
        bins = np.minimum(np.rint(values).astype(np.int64), _BINS - 1)
        counts += np.bincount((bins + begins).ravel(), minlength=len(counts))
    frequencies = counts.reshape(-1, _BINS).astype(np.float32)
    frequencies[:, -1] = 0  # what lies beyond
    return frequencies


def blocks_of(plane: Plane, top: int, left: int) -> Plane:
    """The whole 8 x 8 blocks of a plane from a place on, (N, 8, 8)."""
    rows, columns = (
        max(0, size - begin) // 8 for size, begin in zip(plane.shape, (top, left), strict=True)
    )
    part = plane[top : top + rows * 8, left : left + columns * 8]
    return part.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)


def _quality(frequencies: NDArray[np.float32]) -> int | None:
    evidence, fit = _evidence(frequencies, _FREQUENCIES)
    best = int(evidence.argmax())
    if evidence[best] < _LEAST_EVIDENCE or fit[best] < _LEAST_FIT:
        return None
    _, used = _waves()
    counted = used.T[_steps(tuple(_FREQUENCIES))[:, best]] * frequencies  # (frequencies, bins)
    varied = np.count_nonzero(counted) >= _LEAST_VARIETY
    return int(_QUALITIES[best]) if varied else None


def _evidence(
    frequencies: NDArray[np.float32], chosen: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each quality, the sum of cosines in standard deviations, and their mean."""
    seen = frequencies.any(axis=0)  # in small pictures, few
    frequencies = frequencies[:, seen]
    waves, used = (each[seen] for each in _waves())
    steps = _steps(tuple(chosen))
    order = np.arange(len(chosen))[:, None]
    sums = (frequencies @ waves)[order, steps].sum(axis=0)
    counts = np.maximum((frequencies @ used)[order, steps].sum(axis=0), 1)
    return sums / np.sqrt(counts / 2), sums / counts  # of cosines, the variance is 1/2


@cache
def _waves() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What each value says about each step from 0 to 255.

    Returns:
        The cosine, 1 for multiples of the step, (bins, steps), and whether the value counts, which
        small ones do not, since they are many whatever the step.
    """
    values = np.arange(_BINS)[:, None] / _BINS_A_LEVEL
    steps = np.arange(256)[None]
    used = ((values > 0.6 * steps) & (steps > 1)).astype(np.float32)
    waves = used * np.cos(2 * np.pi * values / np.maximum(steps, 1))
    return waves.astype(np.float32), used


@cache
def _steps(chosen: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    """The step that each quality has in each of the chosen frequencies."""
    tables = np.stack([luma_table(int(quality)) for quality in _QUALITIES], axis=-1)
    return np.stack([tables[place] for place in chosen])


@cache
def _transform(chosen: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """What turns a block of 64 pixels into the chosen frequencies, (64, chosen)."""
    matrix = cosine_transform()
    columns = [np.outer(matrix[v], matrix[u]).ravel() for v, u in chosen]
    return np.stack(columns, axis=1).astype(np.float32)


@cache
def cosine_transform() -> NDArray[np.float32]:
    """The orthonormal DCT of 8 values, (frequencies, values)."""
    k = np.arange(8)
    matrix = np.cos((2 * k[None] + 1) * k[:, None] * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)
