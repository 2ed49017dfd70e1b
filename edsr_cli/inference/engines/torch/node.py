"""What a streamed network is composed of: nodes, and the rows that they hold.

A network is composed of nodes in the way the plain module is composed of modules. A node's one
verb is `push(rows, last)`: it takes the next rows, (N, C, h, W) with h >= 0, and gives the rows
that can be finished, (N, C', h', W'). The call that brings the picture's last rows says so with
`last`; after it a node has given as many rows as it got and needs a `reset` before the next
picture. A node that must not be disturbed by another picture at the same time is a `fresh` one:
weights are shared, rows are not.

In the middle of a picture every node gives as many rows as it gets, so where in the picture a strip
is does not matter any more. There `step` does what `push` does with less: a node writes its rows to
where the next one wants them, below the rows that it holds, and asks the host for no decision, so
that steps can be recorded as CUDA graphs (see `edsr_cli.inference.engines.torch.steady`).

Tensors are kept in the channels-last memory format, in which convolutions are faster on CPUs and
on tensor cores.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor

from edsr_cli.inference.engines.torch.costs import Cost


class Node(ABC):
    """One step of a streamed network. Subclasses hold weights and, between calls, rows.

    Attributes:
        cost: what it costs.
        lead: rows above the new ones in the windows that `step` takes.
    """

    cost: Cost
    lead = 0

    @abstractmethod
    def push(self, rows: Tensor, last: bool) -> Tensor:
        """Take the next rows and give the finished ones; see the module's description."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all rows, to begin with another picture."""

    def fresh(self) -> Self:
        """A node with the same weights, in memory once, and rows of its own: none yet."""
        return self  # what keeps no rows can serve everybody

    def limit_rows(self, limit: int) -> None:  # noqa: B027 - only chains have strips to cut
        """Let no node inside this one get more than `limit` rows at once."""

    def held(self) -> Iterator[Tensor]:
        """The rows that are kept between strips; steps leave them where they are."""
        return iter(())

    def inlet(self, height: int) -> Tensor | None:
        """A window whose last `height` rows are to be written, for `step`; None if any tensor will
        do.
        """
        return None

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
        """Do what `push` does in the middle of a picture, when 2 * delay rows have been pushed.

        Args:
            window: (N, C, lead + h, W), from `inlet` or `enter`.
            into: (N, C', h', W'), where the finished rows are to be written; None for a new tensor.

        Returns:
            The finished rows.
        """
        rows = self.push(window, False)  # right for what keeps no rows
        return rows if into is None else into.copy_(rows)

    def enter(self, rows: Tensor) -> Tensor:
        """A window for `step` with rows that are somewhere else."""
        height = rows.shape[2]
        window = self.inlet(height)
        if window is None:
            return rows
        window[:, :, -height:] = rows
        return window


class RowBuffer:
    """The rows of a node's input that later output rows still need.

    Attributes:
        halo: rows of context that an output row needs above and below itself.
        start: which row of the picture the latest window began with; negative where the window
            began with zeros above the picture.
        padding: rows of zeros that the convolution has to put above and below the latest window by
            itself: `halo` where the picture came as one strip, which is not copied then; else 0.
    """

    def __init__(self, halo: int) -> None:
        self.halo = halo
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self.start = self._start_of_next = -self.halo
        self.padding = 0
        self._held: Tensor | None = None

    def window(self, rows: Tensor, last: bool) -> Tensor:
        """Put held rows in front of new ones, and zeros where the picture begins or ends.

        With its `padding` the window has `2 * halo` rows more than output rows can be made from it;
        if it is shorter than that, none can. What the next window needs is kept.
        """
        if last and self._held is None:
            self.start, self.padding = 0, self.halo
            return rows
        parts = [self._zeros(rows) if self._held is None else self._held, rows]
        if last:
            parts.append(self._zeros(rows))
        window = torch.cat(parts, dim=2)
        keep = min(2 * self.halo, window.shape[2])
        self._held = kept(window[:, :, window.shape[2] - keep :], self._held)
        self.start = self._start_of_next
        self._start_of_next += window.shape[2] - keep
        return window

    @property
    def held(self) -> Tensor:
        """In the middle of a picture: (N, C, 2 * halo, W), the rows to put in front of new ones."""
        assert self._held is not None
        return self._held

    def inlet(self, height: int, above: int = 0) -> Tensor:
        """A window for steps: `above` zeros, held rows, and `height` rows to be written."""
        window = empty(self.held, above + self.held.shape[2] + height)
        if above:
            window[:, :, :above].zero_()
        window[:, :, above : above + self.held.shape[2]] = self.held
        return window

    def keep(self, window: Tensor) -> None:
        """Hold a window's last rows."""
        self.held.copy_(window[:, :, -self.held.shape[2] :])

    def _zeros(self, like: Tensor) -> Tensor:
        return empty(like, self.halo).zero_()


def empty(like: Tensor, height: int) -> Tensor:
    """A tensor of another height."""
    size = (like.shape[0], like.shape[1], height, like.shape[3])
    return torch.empty(
        size, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def kept(rows: Tensor, place: Tensor | None) -> Tensor:
    """A copy of rows, since a view would keep all of its tensor in memory.

    It is made in place of the one before, where that has its size: small tensors that come and go
    among large ones would leave an allocator with holes.
    """
    if place is None or place.shape != rows.shape:
        return rows.clone()
    return place.copy_(rows)
