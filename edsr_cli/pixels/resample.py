"""Pictures made smaller, to an exact size, by rows.

The kernel is Keys' cubic with a = -0.5, as in MATLAB's `imresize`, stretched by the ratio of the
sizes, so that it filters out what the smaller picture cannot show. Both pictures cover the same
area, and the ratios of width and height may differ. At the edges the kernel is cut off and its
weights are brought back to a sum of 1, as Pillow does. Samples are taken as they are, not made
linear in light: `benchmarks/sizes.py` compares with that, and with Lanczos' kernel.

The arithmetic is that of integers: weights are multiples of 2^-17, so that products and sums of 16
bits are exact in 64-bit floating point, and values are rounded once, at the end, halves up. So the
result does not depend on how the rows come, nor on the machine.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edsr_cli.pixels.arrays import Pixels, empty_pixels
from edsr_cli.pixels.resize import cubic
from edsr_cli.pixels.windows import ArrayWindow, Region, Writable

_REACH = 2  # of the kernel, in pixels of the smaller picture
_WEIGHT_BITS = 17  # twice this, 16 bits of sample and the overshoot stay below the 53 of a double
_COLUMNS = 32  # output columns that are one product of matrices
_BAND_SAMPLES = 2**20  # at a time; as doubles they take eight bytes each


class Reducing:
    """A picture that becomes smaller on its way into another window: a `Writable`, from the top.

    It keeps the rows that the kernel spans, whatever the height.

    Args:
        target: where the smaller picture goes, of either order; its type is that of the result.
        height, width: of the larger picture, at least those of the target.
        dtype: uint8 or uint16, of the larger picture.

    Raises:
        ValueError: the target is larger.
    """

    order: Literal["rows"] = "rows"

    def __init__(self, target: Writable, height: int, width: int, dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = (height, width, 3), dtype
        self._target = target
        self._across = _Axis(width, target.shape[1])
        self._down = _Axis(height, target.shape[0])
        white, wanted = np.iinfo(dtype).max, np.iinfo(target.dtype).max
        self._unit = wanted / white if wanted >= white else 1 / (white // wanted)
        self._rows = np.empty((0, 3 * target.shape[1]))  # reduced across; (n, 3 * W), planes
        self._top = 0  # the input row that the first of them is
        self._made = 0  # output rows

    def write(self, region: Region, pixels: Pixels) -> None:
        """Take the next rows, (h, W, 3), of full width."""
        seen = self._top + len(self._rows)
        if (region.top, region.left, region.right) != (seen, 0, self.shape[1]):
            raise ValueError(f"rows from {seen} on, of full width, not {region}")
        step = max(1, _BAND_SAMPLES // (3 * self.shape[1]))
        for top in range(0, len(pixels), step):
            self._take(pixels[top : top + step])

    def _take(self, pixels: Pixels) -> None:
        planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 1), np.float64)  # (n, 3, W)
        across = self._across
        rows = np.empty((len(pixels), 3, across.new))
        for left in range(0, across.new, _COLUMNS):
            right = min(left + _COLUMNS, across.new)
            first, weights = across.matrix(left, right)
            part = planes[:, :, first : first + weights.shape[1]]
            rows[:, :, left:right] = part @ weights.T
        self._rows = np.concatenate([self._rows, rows.reshape(len(rows), -1)])
        self._give()

    def _give(self) -> None:
        """Pass on the rows that everything is there for, and forget what no other needs."""
        down, width = self._down, self._across.new
        last = int(np.searchsorted(down.ends, self._top + len(self._rows), "right"))
        if last > self._made:
            first, weights = down.matrix(self._made, last)
            first -= self._top
            values = weights @ self._rows[first : first + weights.shape[1]]
            values *= self._unit / 2.0 ** (2 * _WEIGHT_BITS)
            np.floor(values + 0.5, out=values)
            np.clip(values, 0, np.iinfo(self._target.dtype).max, out=values)
            rows = np.moveaxis(values.reshape(-1, 3, width), 1, 2).astype(self._target.dtype)
            region = Region(self._made, last, 0, width)
            self._made = last
            self._target.write(region, np.ascontiguousarray(rows))
        if self._made < down.new:
            spare = int(down.starts[self._made]) - self._top
            self._rows, self._top = self._rows[max(spare, 0) :], self._top + max(spare, 0)


class _Axis:
    """How one direction is made smaller.

    Args:
        old, new: pixels before and after.

    Attributes:
        starts, ends: the input pixels, the latter exclusive, that each output pixel is made of.
    """

    def __init__(self, old: int, new: int) -> None:
        if not 1 <= new <= old:
            raise ValueError(f"{old} pixels cannot be reduced to {new}")
        self.old, self.new = old, new
        self._reach = _REACH * old / new
        centres = self._centres(0, new)
        self.starts = np.maximum(np.ceil(centres - self._reach), 0).astype(np.int64)
        self.ends = np.minimum(np.floor(centres + self._reach) + 1, old).astype(np.int64)

    def matrix(self, begin: int, end: int) -> tuple[int, NDArray[np.float64]]:
        """Weights of output pixels, (end - begin, n), and the input pixel that the first is for.

        They are whole numbers, with a sum of 2^17 in every row.
        """
        first, last = int(self.starts[begin]), int(self.ends[end - 1])
        distances = np.arange(first, last) - self._centres(begin, end)[:, None]
        weights = cubic(distances * (self.new / self.old))
        one = 2.0**_WEIGHT_BITS
        weights = np.rint(weights * (one / weights.sum(axis=1, keepdims=True)))
        rows = np.arange(end - begin)
        weights[rows, weights.argmax(axis=1)] += one - weights.sum(axis=1)
        return first, weights

    def _centres(self, begin: int, end: int) -> NDArray[np.float64]:
        return (np.arange(begin, end, dtype=np.float64) + 0.5) * (self.old / self.new) - 0.5


def reduced(pixels: Pixels, width: int, height: int, dtype: DTypeLike | None = None) -> Pixels:
    """A picture made smaller.

    Args:
        pixels: (H, W, 3), uint8 or uint16.
        width, height: at most those of `pixels`.
        dtype: type of the result; None for that of `pixels`.

    Returns:
        (height, width, 3).
    """
    rows, columns = pixels.shape[:2]
    result = empty_pixels(height, width, np.dtype(pixels.dtype if dtype is None else dtype))
    window = Reducing(ArrayWindow(result), rows, columns, pixels.dtype)
    window.write(Region(0, rows, 0, columns), pixels)
    return result
