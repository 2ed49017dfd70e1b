"""Colours of what is visible, spread over what is transparent.

The colours under transparent pixels, which nobody has seen and which are black in most files, would
shine into the visible ones when they are upscaled, as a dark fringe. So near the visible ones each
takes the mean of its neighbours, one ring after the other; what is farther away takes the mean of
what is known in the smallest square of 2, 4, 8, ... pixels, on a grid, in which anything is.

It is done band by band, with all rows read twice: squares that are higher than a band depend on
what lies below it. Between the two, sums over squares as high as a band are all that is kept.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Region, RowsWindow

FAINT = 4
"""Alpha of 255 up to which a pixel counts as transparent. Of its colour nobody sees more than four
levels; and programs that multiply colours by alpha and round them, when they make a picture
smaller, leave any colour there, above all black."""

_NEAR = 8  # pixels around the visible ones that take the colours of their neighbours
_HALVINGS = 6  # from pixels to squares as high as a band
_BAND = 2**_HALVINGS  # rows

_Mask = NDArray[np.bool_]


def spread(pixels: Pixels, alpha: NDArray[Any]) -> None:
    """Change pixels (H, W, 3) where alpha (H, W), of their type, is `FAINT` or less, in place.

    A picture of which nothing is visible stays as it is.
    """

    def both() -> Iterator[NDArray[Any]]:
        # Copied before what is around is changed.
        for top in range(0, len(pixels), _BAND):
            yield np.dstack((pixels[top : top + _BAND], alpha[top : top + _BAND]))

    top = 0
    for rows in Spread(pixels.shape, pixels.dtype, both).rows():
        pixels[top : top + len(rows)] = rows
        top += len(rows)


class Spread:
    """The same for a picture that comes by rows; they are read once here.

    Args:
        shape: (H, W, 3).
        dtype: uint8 or uint16.
        both: gives all rows from the top in bands of any height, (h, W, 4): RGB, and alpha.

    Attributes:
        changes: whether any pixel may become another.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        both: Callable[[], Iterator[NDArray[Any]]],
    ) -> None:
        self._shape, self._dtype, self._both = (shape[0], shape[1], 4), dtype, both
        sums, counts, anything_hidden = [], [], False
        for pixels, known, hidden in self._bands():
            anything_hidden |= hidden
            values: NDArray[Any] = pixels * known[..., None]
            count: NDArray[Any] = known.astype(np.uint32)
            for _ in range(_HALVINGS):
                values, count = _halved(values, count)
            sums.append(values)
            counts.append(count)
        total = np.concatenate(sums).astype(np.float64)
        number = np.concatenate(counts).astype(np.float64)
        self.changes = anything_hidden and bool(number.any())
        self._means = _means(total, number) if self.changes else None

    def rows(self) -> Iterator[Pixels]:
        """All rows from the top, with their new colours, (h, W, 3); none if nothing changes."""
        if self._means is None:
            return
        for number, (pixels, known, _) in enumerate(self._bands()):
            if not known.all():
                halved = _halved(pixels * known[..., None], known.astype(np.uint32))
                beyond = self._means[number : number + 1]
                means = _means(*halved, _HALVINGS - 1, beyond)
                colours = _doubled(np.rint(means).astype(pixels.dtype), known)
                np.copyto(pixels, colours, where=~known[..., None])
            yield pixels

    def _bands(self) -> Iterator[tuple[Pixels, _Mask, bool]]:
        """Rows, with the colours near what is visible, and where colours are known then.

        And whether there is anything transparent in or near them.
        """
        height, width = self._shape[:2]
        window = RowsWindow(self._shape, self._dtype, self._both)
        for top in range(0, height, _BAND):
            above, below = max(0, top - _NEAR), min(top + _BAND + _NEAR, height)
            band: NDArray[Any] = window.read(Region(above, below, 0, width))
            least = FAINT * (np.iinfo(band.dtype).max // 255)
            pixels, known = band[..., :3].copy(), band[..., 3] > least
            hidden = not known.all()
            if hidden and known.any():
                _spread_near(pixels, known)
            inside = slice(top - above, top - above + _BAND)
            yield pixels[inside], known[inside], hidden


def _spread_near(pixels: Pixels, known: _Mask) -> None:
    """Give those around the known ones the colours of their neighbours, and know them, too."""
    for _ in range(_NEAR):
        ring = _grown(known) & ~known
        if not ring.any():
            return
        _take_means(pixels, known, ring)
        known |= ring


def _grown(mask: _Mask) -> _Mask:
    """A mask with the pixels that touch it, also at corners."""
    down = mask.copy()
    down[1:] |= mask[:-1]
    down[:-1] |= mask[1:]
    grown = down.copy()
    grown[:, 1:] |= down[:, :-1]
    grown[:, :-1] |= down[:, 1:]
    return grown


def _take_means(pixels: Pixels, known: _Mask, ring: _Mask) -> None:
    """Give each pixel of a ring the mean of its known neighbours."""
    height, width = known.shape
    rows, columns = np.nonzero(ring)
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


def _halved(sums: NDArray[Any], counts: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sums (H, W, 3) over squares, and what they are of, (H, W), for squares of twice the side."""
    height, width = (-(-side // 2) for side in counts.shape)
    # 32 bits are enough for a square as high as a band.
    total = np.zeros((height, width, 3), np.result_type(sums, np.uint32))
    count = np.zeros((height, width), counts.dtype)
    for part, number in zip(_quarters(sums), _quarters(counts), strict=True):
        there = (slice(number.shape[0]), slice(number.shape[1]))
        total[there] += part
        count[there] += number
    return total, count


def _quarters(values: NDArray[Any]) -> list[NDArray[Any]]:
    return [values[down::2, right::2] for down in (0, 1) for right in (0, 1)]


def _means(
    sums: NDArray[Any],
    counts: NDArray[Any],
    halvings: int | None = None,
    beyond: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Means of squares, (H, W, 3); where nothing is known, of the smallest one around it.

    Args:
        sums, counts: see `_halved`.
        halvings: how often squares may become larger; None for as often as it takes.
        beyond: the means of these squares after so many, which know of larger ones.
    """
    if halvings == 0:
        assert beyond is not None
        return beyond
    means = (sums / np.maximum(counts, 1)[..., None]).astype(np.float32)
    if not counts.all():
        left = None if halvings is None else halvings - 1
        larger = _means(*_halved(sums, counts), left, beyond)
        np.copyto(means, _doubled(larger, counts), where=(counts == 0)[..., None])
    return means


def _doubled(means: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """The means of squares for each of the four that they are made of, for a plane (H, W)."""
    return means.repeat(2, 0).repeat(2, 1)[: like.shape[0], : like.shape[1]]
