"""One channel of a picture, such as its transparency: an array, or rows that are made on demand."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Region, RowsWindow

_ROWS = 256  # given at a time, so that nothing large is there twice


class Plane(Protocol):
    """One channel, (H, W), uint8 or uint16, of which slices are rows.

    An array is one. Of others rows are best asked for from the top: to go back costs all that is
    above.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]: ...


class PlaneRows:
    """A `Plane` that is made from the top while it is read.

    Slicing it raises what `begin` raises.

    Args:
        shape: (H, W).
        dtype: uint8 or uint16.
        begin: gives all its rows from the top in bands of any height, (h, W) each.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        begin: Callable[[], Iterator[NDArray[Any]]],
    ) -> None:
        def bands() -> Iterator[Pixels]:
            return (band[..., None] for band in begin())

        self.shape, self.dtype = shape, dtype
        self._window = RowsWindow((*shape, 1), dtype, bands)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        height, width = self.shape
        first, last, _ = rows.indices(height)
        result = np.empty((max(0, last - first), width), self.dtype)
        for top in range(first, last, _ROWS):
            region = Region(top, min(top + _ROWS, last), 0, width)
            result[top - first : region.bottom - first] = self._window.read(region)[..., 0]
        return result


class Beside(PlaneRows):
    """Alpha that is decoded with its colours, each time that one of them is read from the top.

    Args:
        shape: (H, W).
        dtype: uint8 or uint16.
        begin: gives both in bands of any height, (h, W, 4): RGB, and alpha.

    Attributes:
        both: that function.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        begin: Callable[[], Iterator[NDArray[Any]]],
    ) -> None:
        super().__init__(shape, dtype, lambda: (band[..., 3] for band in begin()))
        self.both = begin
