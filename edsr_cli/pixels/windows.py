"""Windows on pictures: what is read, and what is written, a region at a time.

The upscaler knows no more of a picture than this. Whether a region lies in memory, in a file that
is mapped into it, or is decoded just now, is the business of who hands out the window.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.pixels.arrays import Pixels, check_pixels


class Region(Struct, frozen=True):
    """A rectangle of a picture, in pixels; `bottom` and `right` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, radius: int, height: int, width: int) -> "Region":
        """This region and what its output depends on, clipped at the picture's edges."""
        return Region(
            max(0, self.top - radius),
            min(height, self.bottom + radius),
            max(0, self.left - radius),
            min(width, self.right + radius),
        )

    def panels(self, width: int) -> Iterator["Region"]:
        """Split into panels of nearly equal width, none wider than `width`, left to right."""
        columns = self.right - self.left
        count = -(-columns // width)
        edges = [self.left + columns * i // count for i in range(count + 1)]
        for left, right in pairwise(edges):
            yield replace(self, left=left, right=right)

    def within(self, outer: "Region") -> "Region":
        """The same rectangle, counted from the top left corner of one that it lies in."""
        return Region(
            self.top - outer.top,
            self.bottom - outer.top,
            self.left - outer.left,
            self.right - outer.left,
        )

    def transposed(self) -> "Region":
        """The same rectangle of the picture with rows for columns."""
        return Region(self.left, self.right, self.top, self.bottom)


class Readable(Protocol):
    """A picture that can be read.

    Attributes:
        shape: (H, W, 3).
        dtype: uint8 or uint16; samples take its full range.
        order: "any" where every region costs about its size; "rows" where rows are best asked for
            from the top, and to go back far costs all that is above.
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def order(self) -> Literal["any", "rows"]: ...

    def read(self, region: Region) -> Pixels:
        """A region, (h, w, 3); nobody writes to what comes back."""


class Writable(Protocol):
    """A picture that is being made.

    Attributes:
        shape: (H, W, 3).
        dtype: uint8 or uint16; samples take its full range.
        order: "any" where regions may come in any order and more than once; "rows" where they must
            be of full width and come once each, from the top.
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def order(self) -> Literal["any", "rows"]: ...

    def write(self, region: Region, pixels: Pixels) -> None:
        """Put pixels, (h, w, 3) of the window's type, where the region says."""


class ArrayWindow:
    """A whole picture in memory, or in a file mapped into it (`numpy.memmap`): read and written.

    Args:
        pixels: the picture, which is not copied.

    Raises:
        TypeError, ValueError: it is no picture; see `check_pixels`.
    """

    order: Literal["any"] = "any"

    def __init__(self, pixels: Pixels) -> None:
        height, width = check_pixels(pixels)
        self.pixels, self.shape, self.dtype = pixels, (height, width, 3), pixels.dtype

    def read(self, region: Region) -> Pixels:
        return self.pixels[region.top : region.bottom, region.left : region.right]

    def write(self, region: Region, pixels: Pixels) -> None:
        self.pixels[region.top : region.bottom, region.left : region.right] = pixels


class RowsWindow:
    """A picture that is made from the top while it is read, as decoders do.

    The rows of the last region stay. For what lies above them, all is made anew; see `Recent`.

    Args:
        shape: (H, W, 3) of the picture.
        dtype: its type.
        begin: gives all its rows from the top in bands of any height, (h, W, 3) each.
    """

    order: Literal["rows"] = "rows"

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        begin: Callable[[], Iterator[Pixels]],
    ) -> None:
        self.shape, self.dtype, self._begin = shape, dtype, begin
        self._bands: _Bands = deque()
        self._coming: Iterator[Pixels] | None = None
        self._made = 0  # rows

    def read(self, region: Region) -> Pixels:
        """A region; it raises what the decoder raises, and then begins anew.

        Raises:
            EOFError: there are fewer rows than there should be.
        """
        if self._coming is None or region.top < (self._bands[0][0] if self._bands else 0):
            self._coming, self._made = self._begin(), 0
            self._bands.clear()
        try:
            while self._made < region.bottom:
                _forget(self._bands, region.top)
                band = next(self._coming, None)
                if band is None:
                    raise EOFError("the rows end too early")
                self._bands.append((self._made, band))
                self._made += len(band)
        except BaseException:
            self._coming = None
            raise
        if self._made == self.shape[0]:  # who made them may go
            self._coming = iter(())
        return _cut(self._bands, region)


class Recent:
    """A window that is read from the top, by whom has to go back a little at times.

    Args:
        window: the window, which is read in full width.
        kept: rows above the last region that stay.
    """

    def __init__(self, window: Readable, kept: int) -> None:
        self.shape, self.dtype = window.shape, window.dtype
        self.order: Literal["any", "rows"] = window.order
        self._window, self._kept = window, kept
        self._bands: _Bands = deque()
        self._end = 0  # the row below them

    def read(self, region: Region) -> Pixels:
        """A region; it raises what the window raises."""
        if not self._bands or not self._bands[0][0] <= region.top <= self._end:
            self._bands.clear()
            self._end = region.top
        _forget(self._bands, region.top - self._kept)
        if self._end < region.bottom:
            rows = self._window.read(Region(self._end, region.bottom, 0, self.shape[1]))
            self._bands.append((self._end, rows))
            self._end = region.bottom
        return _cut(self._bands, region)


_Bands = deque[tuple[int, Pixels]]
"""Rows that follow each other: the first row, and pixels, of each band."""


def _forget(bands: _Bands, top: int) -> None:
    """Drop the bands above a row; the last one stays."""
    while len(bands) > 1 and bands[1][0] <= top:
        bands.popleft()


def _cut(bands: _Bands, region: Region) -> Pixels:
    """A region of bands; no copy where it lies in one of them."""
    parts: list[Any] = [
        band[max(region.top - top, 0) : region.bottom - top, region.left : region.right]
        for top, band in bands
        if top < region.bottom and top + len(band) > region.top
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class Transposed:
    """A window on a picture with rows for columns, through which it is read and written.

    What comes and goes are views: nothing is copied here.

    Args:
        window: a window on the picture; one that is read or one of any order that is written.
    """

    def __init__(self, window: Any) -> None:
        height, width, _ = window.shape
        self.order: Literal["any", "rows"] = window.order
        self.window, self.shape, self.dtype = window, (width, height, 3), window.dtype

    def read(self, region: Region) -> Pixels:
        return self.window.read(region.transposed()).swapaxes(0, 1)

    def write(self, region: Region, pixels: Pixels) -> None:
        self.window.write(region.transposed(), pixels.swapaxes(0, 1))


def whole(picture: Readable) -> Pixels:
    """All of a picture as one array; not a copy where it is one already."""
    if isinstance(picture, ArrayWindow):
        return picture.pixels
    height, width = picture.shape[:2]
    return picture.read(Region(0, height, 0, width))
