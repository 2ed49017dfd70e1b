"""Exact execution of a network on a picture that comes in strips of rows.

As in a scan-line renderer, a picture is fed from top to bottom in horizontal strips. Every
convolution keeps the last rows of its input; when the next strip comes it puts them in front and
gives the rows that are now complete. Zeros are put around the picture exactly where the plain
network puts them: above its first row and below its last row once, left and right always. So the
rows that come out are the plain network's, no pixel is computed twice, and memory follows the
strip, not the picture.

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

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from edsr_cli.inference.engines.torch import costs
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

    def step(self, window: Tensor, into: Tensor | None = None, *, fused: bool = False) -> Tensor:
        """Do what `push` does in the middle of a picture, when 2 * delay rows have been pushed.

        Args:
            window: (N, C, lead + h, W), from `inlet` or `enter`.
            into: (N, C', h', W'), where the finished rows are to be written; None for a new tensor.
            fused: convolve and rectify in one call of cuDNN, where the two follow each other.

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
    """

    def __init__(self, halo: int) -> None:
        self.halo = halo
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self.start = self._start_of_next = -self.halo
        self._held: Tensor | None = None

    def window(self, rows: Tensor, last: bool) -> Tensor:
        """Put held rows in front of new ones, and zeros where the picture begins or ends.

        The window has `2 * halo` rows more than output rows can be made from it; if it is shorter
        than that, none can. What the next window needs is kept.
        """
        parts = [self._zeros(rows) if self._held is None else self._held, rows]
        if last:
            parts.append(self._zeros(rows))
        window = torch.cat(parts, dim=2)
        keep = min(2 * self.halo, window.shape[2])
        self._held = _kept(window[:, :, window.shape[2] - keep :], self._held)
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
        window = _empty(self.held, above + self.held.shape[2] + height)
        if above:
            window[:, :, :above].zero_()
        window[:, :, above : above + self.held.shape[2]] = self.held
        return window

    def keep(self, window: Tensor) -> None:
        """Hold a window's last rows."""
        self.held.copy_(window[:, :, -self.held.shape[2] :])

    def _zeros(self, like: Tensor) -> Tensor:
        return _empty(like, self.halo).zero_()


def _empty(like: Tensor, height: int) -> Tensor:
    """A tensor of another height."""
    size = (like.shape[0], like.shape[1], height, like.shape[3])
    return torch.empty(
        size, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _kept(rows: Tensor, place: Tensor | None) -> Tensor:
    """A copy of rows, since a view would keep all of its tensor in memory.

    It is made in place of the one before, where that has its size: small tensors that come and go
    among large ones would leave an allocator with holes.
    """
    if place is None or place.shape != rows.shape:
        return rows.clone()
    return place.copy_(rows)


class Convolution(Node):
    """A k x k convolution, k odd, with zeros around the picture.

    Args:
        weight: (C', C, k, k).
        bias: (C',).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = bias
        outputs, inputs, kernel, _ = weight.shape
        self.cost = costs.convolution(inputs, outputs, kernel, weight.element_size())
        self.lead = 2 * self.cost.delay
        self.buffer = RowBuffer(self.cost.delay)

    def push(self, rows: Tensor, last: bool) -> Tensor:
        return self.apply(self.window(rows, last))

    def reset(self) -> None:
        self.buffer.reset()

    def fresh(self) -> Self:
        node = copy.copy(self)
        node.buffer = RowBuffer(self.cost.delay)
        return node

    def window(self, rows: Tensor, last: bool) -> Tensor:
        """The first half of `push`: the rows to convolve; see `RowBuffer.window`."""
        return self.buffer.window(rows, last)

    def apply(self, window: Tensor) -> Tensor:
        """The second half of `push`: convolve, with zeros left and right only."""
        if window.shape[2] <= 2 * self.cost.delay:
            return window.new_empty(window.shape[0], len(self.bias), 0, window.shape[3])
        return F.conv2d(window, self.weight, self.bias, padding=(0, self.cost.delay))

    def apply_and_rectify(self, window: Tensor, fused: bool) -> Tensor:
        """`apply` and a ReLU; `fused`: in one call, which only NVIDIA's GPUs know."""
        if not fused:
            return self.apply(window).relu_()
        padding = (0, self.cost.delay)
        return torch.cudnn_convolution_relu(
            window, self.weight, self.bias, (1, 1), padding, (1, 1), 1
        )

    def held(self) -> Iterator[Tensor]:
        yield self.buffer.held

    def inlet(self, height: int) -> Tensor:
        return self.buffer.inlet(height)

    def step(self, window: Tensor, into: Tensor | None = None, *, fused: bool = False) -> Tensor:
        self.buffer.keep(window)
        rows = self.apply(window)
        return rows if into is None else into.copy_(rows)


class StreamedBlock(Node):
    """x + convolution(relu(convolution(x))).

    The identity branch needs no rows of its own: when the second convolution can finish a row, that
    row of x is still in the window of the first.

    Args:
        first, second: the convolutions. Their precision may be lower than that of x, which is
            then added up in its own precision.
        precision: element type of x; None for that of the convolutions.
    """

    def __init__(
        self, first: Convolution, second: Convolution, precision: torch.dtype | None = None
    ) -> None:
        self.first, self.second = first, second
        inputs, element = first.weight.shape[1], first.weight.element_size()
        larger = inputs * ((precision or first.weight.dtype).itemsize - element)
        self.cost = costs.residual_block(first.cost, second.cost, larger)
        self.lead = 2 * self.cost.delay
        self._finished = 0  # rows of the picture given so far

    def push(self, rows: Tensor, last: bool) -> Tensor:
        window = self.first.window(rows, last)
        branch = self.first.apply(window.to(self.first.weight.dtype)).relu_()
        branch = self.second.push(branch, last)
        begin = self._finished - self.first.buffer.start
        identity = window[:, :, begin : begin + branch.shape[2]]
        self._finished += branch.shape[2]
        if branch.dtype == identity.dtype:
            return branch.add_(identity)
        return identity + branch

    def held(self) -> Iterator[Tensor]:
        yield from self.first.held()
        yield from self.second.held()

    def inlet(self, height: int) -> Tensor:
        # The zeros make the branch higher by the rows that the second convolution holds, so that
        # these only have to be put there.
        return self.first.buffer.inlet(height, above=self.second.lead)

    def step(self, window: Tensor, into: Tensor | None = None, *, fused: bool = False) -> Tensor:
        self.first.buffer.keep(window)
        branch = self.first.apply_and_rectify(window.to(self.first.weight.dtype), fused)
        branch[:, :, : self.second.lead] = self.second.buffer.held
        branch = self.second.step(branch)
        identity = window[:, :, self.cost.delay :][:, :, : branch.shape[2]]
        return torch.add(identity, branch, out=into)

    def reset(self) -> None:
        self.first.reset()
        self.second.reset()
        self._finished = 0

    def fresh(self) -> Self:
        node = copy.copy(self)
        node.first, node.second = self.first.fresh(), self.second.fresh()
        node._finished = 0
        return node


class LongSkip(Node):
    """x + body(x), added up in the precision of x, whatever the precision of the body.

    Args:
        body: the nodes of the body.
        features: channels of x.
        precision: element type of the body.
    """

    def __init__(self, body: "Chain", features: int, precision: torch.dtype) -> None:
        self.body, self.precision = body, precision
        self.cost = costs.long_skip(body.cost, features)
        self.lead = self.cost.delay
        self._waiting: Tensor | None = None

    def push(self, rows: Tensor, last: bool) -> Tensor:
        waiting = rows if self._waiting is None else torch.cat([self._waiting, rows], dim=2)
        branch = self.body.push(rows.to(self.precision), last)
        ready = branch.shape[2]
        self._waiting = _kept(waiting[:, :, ready:], self._waiting)
        return waiting[:, :, :ready] + branch

    def held(self) -> Iterator[Tensor]:
        assert self._waiting is not None
        yield self._waiting
        yield from self.body.held()

    def inlet(self, height: int) -> Tensor:
        assert self._waiting is not None
        window = _empty(self._waiting, self.lead + height)
        window[:, :, : self.lead] = self._waiting
        return window

    def step(self, window: Tensor, into: Tensor | None = None, *, fused: bool = False) -> Tensor:
        assert self._waiting is not None
        branch = self.body.step(self.body.enter(window[:, :, self.lead :]), fused=fused)
        self._waiting.copy_(window[:, :, -self.lead :])
        return torch.add(window[:, :, : branch.shape[2]], branch, out=into)

    def reset(self) -> None:
        self.body.reset()
        self._waiting = None

    def fresh(self) -> Self:
        node = copy.copy(self)
        node.body, node._waiting = self.body.fresh(), None
        return node

    def limit_rows(self, limit: int) -> None:
        self.body.limit_rows(limit)


class Shift(Node):
    """Add a constant to each channel: the mean colour, taken off or put back."""

    def __init__(self, shift: Tensor) -> None:
        self.shift = shift.view(1, -1, 1, 1)
        self.cost = costs.shift(len(shift))

    def push(self, rows: Tensor, last: bool) -> Tensor:
        return rows + self.shift

    def step(self, window: Tensor, into: Tensor | None = None, *, fused: bool = False) -> Tensor:
        return torch.add(window, self.shift, out=into)

    def reset(self) -> None:
        pass


class PixelShuffle(Node):
    """(N, r * r * C, h, W) to (N, C, r * h, r * W): sub-pixel channels become pixels."""

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.cost = Cost(growth=factor**2)

    def push(self, rows: Tensor, last: bool) -> Tensor:
        return F.pixel_shuffle(rows, self.factor).contiguous(memory_format=torch.channels_last)

    def reset(self) -> None:
        pass


class Chain(Node):
    """Nodes in a row.

    At the end of a picture every node gives the rows that it still holds, so strips grow on their
    way through the chain, by up to its delay. `limit` keeps them bounded: longer strips travel on
    in pieces.

    Args:
        nodes: the nodes, first to last.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: Sequence[Node] = tuple(nodes)
        self.cost = costs.chain([node.cost for node in self.nodes])
        self.lead = self.nodes[0].lead
        self._limit: int | None = None

    def limit_rows(self, limit: int) -> None:
        self._limit = limit
        for node in self.nodes:
            node.limit_rows(limit)

    def push(self, rows: Tensor, last: bool) -> Tensor:
        return self._push_from(0, rows, last)

    def _push_from(self, start: int, rows: Tensor, last: bool) -> Tensor:
        outputs = []
        for position in range(start, len(self.nodes)):
            if self._limit is not None and rows.shape[2] > self._limit:
                *pieces, end = torch.split(rows, self._limit, dim=2)
                outputs += [self._push_from(position, piece, False) for piece in pieces]
                rows = end.clone()  # what is left of the long strip must not keep all of it
                del pieces, end
            rows = self.nodes[position].push(rows, last)
        return torch.cat([*outputs, rows], dim=2) if outputs else rows

    def held(self) -> Iterator[Tensor]:
        for node in self.nodes:
            yield from node.held()

    def inlet(self, height: int) -> Tensor | None:
        return self.nodes[0].inlet(height)

    def step(self, window: Tensor, into: Tensor | None = None, *, fused: bool = False) -> Tensor:
        height = window.shape[2] - self.lead
        for node, following in pairwise(self.nodes):
            height *= math.isqrt(node.cost.growth)
            inlet = following.inlet(height)
            if inlet is None:
                window = node.step(window, fused=fused)
            else:
                node.step(window, inlet[:, :, -height:], fused=fused)
                window = inlet
        return self.nodes[-1].step(window, into, fused=fused)

    def reset(self) -> None:
        for node in self.nodes:
            node.reset()

    def fresh(self) -> Self:
        chain = copy.copy(self)
        chain.nodes = tuple(node.fresh() for node in self.nodes)
        return chain
