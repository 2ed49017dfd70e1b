"""Animations: frames that are encoded one after the other, and written as they come.

Every frame comes whole. What is written of it is the rectangle that differs from the frame before,
encoded as a picture of its own; so no more than two frames are held, however many there are.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edsr_cli.images.picture import OutputRequest
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Region

Channels = NDArray[Any]
"""Colours, and alpha behind them if there is any: (h, w, 3 or 4)."""


class SequenceEncoder(Protocol):
    """Several pictures that are being written to a file."""

    def add(self, pixels: Pixels, request: OutputRequest, milliseconds: float | None) -> None:
        """Write the next one.

        Args:
            pixels: shape and type as the request says.
            request: as for `Codec.create`.
            milliseconds: how long it is shown; None where that is not said.
        """

    def finish(self) -> tuple[str, ...]:
        """Write what is left to be written; remarks on what could not be kept."""

    def abandon(self) -> None:
        """Let go of all that is held."""


class Part(NamedTuple):
    """What of a frame is written: where it lies, its colours, and its alpha if there is any."""

    region: Region
    colours: Channels
    alpha: Channels | None


class AnimationEncoder(ABC):
    """A `SequenceEncoder` of frames of one size, the first of which has the metadata of all."""

    step = 1
    """Rectangles begin at multiples of this."""

    def __init__(self) -> None:
        self._before: Channels | None = None
        self._ends = 0.0  # of the frames that have come, in milliseconds
        self._written = 0  # the same, in the units of the format

    def add(self, pixels: Pixels, request: OutputRequest, milliseconds: float | None) -> None:
        """Write the next frame; the first begins the file."""
        alpha = request.alpha
        frame = pixels if alpha is None else np.dstack((pixels, alpha[:]))
        if self._before is None:
            self._begin(request)
            region = Region(0, frame.shape[0], 0, frame.shape[1])
        else:
            region = self._region(self._before, frame)
        self._before = frame
        part = frame[region.top : region.bottom, region.left : region.right]
        colours = pixels.shape[2]
        self._add(
            Part(
                region,
                np.ascontiguousarray(part[..., :colours]),
                None if alpha is None else np.ascontiguousarray(part[..., colours]),
            ),
            request,
            milliseconds or 0.0,
        )

    @abstractmethod
    def finish(self) -> tuple[str, ...]:
        """End the file; remarks on what could not be kept."""

    @abstractmethod
    def _begin(self, request: OutputRequest) -> None:
        """Write what stands in front of the frames."""

    @abstractmethod
    def _add(self, part: Part, request: OutputRequest, milliseconds: float) -> None:
        """Write a frame, which replaces what was there."""

    def _region(self, before: Channels, after: Channels) -> Region:
        """What of a frame is written, behind another."""
        return changed(before, after, self.step)

    def _units(self, milliseconds: float, unit: float) -> int:
        """How long a frame is shown, in units of so many milliseconds.

        It is rounded so that the animation as a whole is neither faster nor slower.
        """
        self._ends += milliseconds
        units = max(0, round(self._ends / unit) - self._written)
        self._written += units
        return units

    def abandon(self) -> None:
        """Let go of the frame that is held."""
        self._before = None


def changed(before: Channels, after: Channels, step: int = 1) -> Region:
    """The smallest rectangle that holds all changes from one frame to the next; one pixel at least.

    Args:
        before, after: the frames. Where only one has alpha, all of it has changed.
        step: its left and top sides are multiples of this.
    """
    height, width = after.shape[:2]
    if before.shape != after.shape:
        return Region(0, height, 0, width)
    differs = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return Region(0, 1, 0, 1)
    top, left = int(rows[0]) // step * step, int(columns[0]) // step * step
    return Region(top, int(rows[-1]) + 1, left, int(columns[-1]) + 1)
