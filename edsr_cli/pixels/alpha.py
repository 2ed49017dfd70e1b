"""Arithmetic of alpha: what it hides, and colours multiplied by it, laid on others, or spread.

The colours under transparent pixels, which nobody has seen and which are black in most files, would
shine into the visible ones when they are upscaled, as a dark fringe; so those around are spread
over them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels

_ROWS = 256  # rows at a time: arithmetic needs more bits than the samples have
_NEAR = 8  # pixels around the visible ones that take the colours of their neighbours
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


def spread(pixels: Pixels, alpha: NDArray[Any]) -> None:
    """Give pixels (H, W, 3) where alpha (H, W) rounds to 0 the colours of those around, in place.

    Near the visible ones each takes the mean of its neighbours, one ring after the other; what is
    farther away takes means of larger and larger squares. A picture of which nothing is visible
    stays as it is.
    """
    # What will not be seen with 8 bits says nothing of colours either.
    known = alpha > np.iinfo(alpha.dtype).max // 510
    if known.all() or not known.any():
        return
    for _ in range(_NEAR):
        ring = _grown(known) & ~known
        if not ring.any():
            return
        _take_means(pixels, known, ring)
        known |= ring
    _fill(pixels, known)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with the pixels that touch it, also at corners."""
    down = mask.copy()
    down[1:] |= mask[:-1]
    down[:-1] |= mask[1:]
    grown = down.copy()
    grown[:, 1:] |= down[:, :-1]
    grown[:, :-1] |= down[:, 1:]
    return grown


def _take_means(pixels: Pixels, known: NDArray[np.bool_], ring: NDArray[np.bool_]) -> None:
    """Give each pixel of a ring the mean of its known neighbours."""
    height, width = known.shape
    for top in range(0, height, _ROWS):
        rows, columns = np.nonzero(ring[top : top + _ROWS])
        rows += top
        total = np.zeros((len(rows), 3), np.float32)
        count = np.zeros((len(rows), 1), np.float32)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                # Beyond the border the pixel itself is met, which is not known.
                y, x = rows + down, columns + right
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                y, x = np.where(inside, y, rows), np.where(inside, x, columns)
                weight = known[y, x].astype(np.float32)[:, None]
                total += pixels[y, x] * weight
                count += weight
        pixels[rows, columns] = np.rint(total / count)


def _fill(pixels: Pixels, known: NDArray[np.bool_]) -> None:
    """Give unknown pixels the mean of the smallest square of 2, 4, 8, ... with known ones."""
    means, weights = _halved(pixels, known)
    levels = [(means, weights)]
    while not weights.all():
        means, weights = _halved(means, weights)
        levels.append((means, weights))
    for (finer, known_there), (coarser, _) in zip(levels[-2::-1], levels[:0:-1], strict=True):
        _copy_down(coarser, finer, known_there)
    for top in range(0, len(pixels), _ROWS):
        rows = slice(top, top + _ROWS)
        part = levels[0][0][top // 2 : (top + _ROWS) // 2]
        _copy_down(part, pixels[rows], known[rows])


def _halved(
    values: NDArray[Any], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Means of the known ones in squares of 2 x 2, and where there are any."""
    height, width = (-(-side // 2) for side in known.shape)
    total = np.zeros((height, width, 3), np.float32)
    count = np.zeros((height, width), np.uint8)
    for down in (0, 1):
        for right in (0, 1):
            part, mask = values[down::2, right::2], known[down::2, right::2]
            there = (slice(mask.shape[0]), slice(mask.shape[1]))
            np.add(total[there], part, out=total[there], where=mask[..., None])
            count[there] += mask
    total /= np.maximum(count, 1)[..., None]
    return total, count > 0


def _copy_down(coarser: NDArray[np.float32], finer: NDArray[Any], known: NDArray[np.bool_]) -> None:
    """Put the means of squares where nothing is known in the next finer level."""
    for down in (0, 1):
        for right in (0, 1):
            part, mask = finer[down::2, right::2], known[down::2, right::2]
            source = coarser[: mask.shape[0], : mask.shape[1]]
            if part.dtype != np.float32:
                source = np.rint(source).astype(part.dtype)
            np.copyto(part, source, where=~mask[..., None])
