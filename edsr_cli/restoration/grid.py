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
from numpy.lib.stride_tricks import sliding_window_view
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
    places = dict.fromkeys([(0, 0), *_coarse_places(planes), *_fine_places(planes)])
    frequencies = np.stack([_frequencies(planes, *place) for place in places])
    evidence, fit = _evidence(frequencies, _FREQUENCIES)
    found = map(_quality, frequencies, evidence, fit)
    # The worst of several is what harms.
    return min((quality for quality in found if quality is not None), default=None)


def _coarse_places(planes: Sequence[Plane]) -> list[tuple[int, int]]:
    """Where blocks seem to begin by the steps between rows and between columns."""
    rows, columns = (
        [int(phase) for phase in np.argsort(-phases)[:2]]
        for phases in (_phases([plane.T for plane in planes]), _phases(planes))
    )
    return list(product(rows, columns))


def _fine_places(planes: Sequence[Plane]) -> list[tuple[int, int]]:
    """Where blocks seem to begin by few frequencies."""
    evidence, _ = _evidence(_frequencies_of_all_places(planes), _TELLING)
    best = np.argsort(-evidence.max(axis=1), kind="stable")[:2]
    return [divmod(int(place), 8) for place in best]


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


def _frequencies(planes: Sequence[Plane], top: int, left: int) -> NDArray[np.float32]:
    """How often each absolute value occurs in each frequency: (frequencies, bins).

    Args:
        planes: see `jpeg_quality`.
        top, left: where blocks begin.
    """
    transform = _transform()
    begins = np.arange(len(_FREQUENCIES)) * _BINS
    places = [
        _bins(blocks_of(plane, top, left).reshape(-1, 64) @ transform) + begins for plane in planes
    ]
    minlength = len(_FREQUENCIES) * _BINS
    counts = np.bincount(np.concatenate(places).ravel(), minlength=minlength)
    return _without_last(counts.reshape(len(_FREQUENCIES), _BINS))


def _frequencies_of_all_places(planes: Sequence[Plane]) -> NDArray[np.float32]:
    """`_frequencies`, of the telling ones, wherever blocks may begin: (64, telling, bins)."""
    matrix = cosine_transform()
    counts = np.zeros((len(_TELLING), 64 * _BINS), np.int64)
    for plane in planes:
        if min(plane.shape) < 8:
            continue
        top, left = (np.arange(size - 7) % 8 for size in plane.shape)
        begins = (8 * top[:, None] + left) * _BINS
        for u in {u for _, u in _TELLING}:
            # Of a block at every pixel: first along rows, then along columns.
            across = sliding_window_view(plane, 8, axis=1) @ matrix[u]
            blocks = sliding_window_view(across, 8, axis=0)
            for index, place in enumerate(_TELLING):
                if place[1] == u:
                    bins = _bins(blocks @ matrix[place[0]]) + begins
                    counts[index] += np.bincount(bins.ravel(), minlength=64 * _BINS)
    return _without_last(counts.reshape(len(_TELLING), 64, _BINS).swapaxes(0, 1))


def _bins(values: Plane) -> NDArray[np.int64]:
    """The bin that each value belongs to, whatever its sign."""
    bins = np.rint(np.abs(values) * _BINS_A_LEVEL).astype(np.int64)
    return np.minimum(bins, _BINS - 1)


def _without_last(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Counts, (..., bins), without those in the last bin, which is for all that lies beyond."""
    frequencies = counts.astype(np.float32, order="C")
    frequencies[..., -1] = 0
    return frequencies


def blocks_of(plane: Plane, top: int, left: int) -> Plane:
    """The whole 8 x 8 blocks of (H, W) or (H, W, C) from a place on, (N, 8, 8) or (N, 8, 8, C)."""
    height, width, *channels = plane.shape
    rows, columns = max(0, height - top) // 8, max(0, width - left) // 8
    part = plane[top : top + rows * 8, left : left + columns * 8]
    blocks = part.reshape(rows, 8, columns, 8, *channels).swapaxes(1, 2)
    return blocks.reshape(rows * columns, 8, 8, *channels)


def _quality(
    frequencies: NDArray[np.float32], evidence: NDArray[np.float32], fit: NDArray[np.float32]
) -> int | None:
    """The quality that one place tells of, by `_evidence` of it."""
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
    """For each quality, the sum of cosines in standard deviations, and their mean.

    Args:
        frequencies: (places, chosen, bins).
        chosen: frequencies.

    Returns:
        Both (places, qualities).
    """
    rows = frequencies.reshape(-1, _BINS)
    seen = rows.any(axis=0)  # in small pictures, few
    rows = rows[:, seen]
    order, steps = np.arange(len(chosen))[:, None], _steps(tuple(chosen))
    sums, counts = (
        (rows @ each[seen]).reshape(*frequencies.shape[:2], -1)[:, order, steps].sum(axis=1)
        for each in _waves()
    )
    counts = np.maximum(counts, 1)
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
def _transform() -> NDArray[np.float32]:
    """What turns a block of 64 pixels into its frequencies, (64, frequencies)."""
    matrix = cosine_transform()
    columns = [np.outer(matrix[v], matrix[u]).ravel() for v, u in _FREQUENCIES]
    return np.stack(columns, axis=1).astype(np.float32)


@cache
def cosine_transform() -> NDArray[np.float32]:
    """The orthonormal DCT of 8 values, (frequencies, values)."""
    k = np.arange(8)
    matrix = np.cos((2 * k[None] + 1) * k[:, None] * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)
