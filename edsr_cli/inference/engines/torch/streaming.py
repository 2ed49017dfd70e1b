"""Exact execution of a network on a picture that comes in strips of rows.

As in a scan-line renderer, a picture is fed from top to bottom in horizontal strips. Every
convolution keeps the last rows of its input; when the next strip comes it puts them in front and
gives the rows that are now complete. Zeros are put around the picture exactly where the plain
network puts them: above its first row and below its last row once, left and right always. So the
rows that come out are the plain network's, no pixel is computed twice, and memory follows the
strip, not the picture.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from edsr_cli.inference.engines.torch import costs
from edsr_cli.inference.engines.torch.costs import Cost
from edsr_cli.inference.engines.torch.fused import Convolve, convolved
from edsr_cli.inference.engines.torch.node import Node, RowBuffer, empty, kept


class Convolution(Node):
    """A k x k convolution, k odd, with zeros around the picture.

    Args:
        weight: (C', C, k, k).
        bias: (C',).
        convolve: what is done with them; perhaps a ReLU follows.
    """

    def __init__(self, weight: Tensor, bias: Tensor, convolve: Convolve = convolved) -> None:
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias, self._convolve = bias, convolve
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
        """The second half of `push`: convolve, with zeros left and right that are not in it."""
        above, beside = self.buffer.padding, self.cost.delay
        if window.shape[2] + 2 * above <= 2 * beside:
            return window.new_empty(window.shape[0], len(self.bias), 0, window.shape[3])
        return self._convolve(window, self.weight, self.bias, (above, beside))

    def held(self) -> Iterator[Tensor]:
        yield self.buffer.held

    def inlet(self, height: int) -> Tensor:
        return self.buffer.inlet(height)

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
        self.buffer.keep(window)
        rows = self.apply(window)
        return rows if into is None else into.copy_(rows)


class StreamedBlock(Node):
    """x + convolution(relu(convolution(x))).

    The identity branch needs no rows of its own: when the second convolution can finish a row, that
    row of x is still in the window of the first.

    Args:
        first, second: the convolutions, the first one with the ReLU. Their precision may be lower
            than that of x, which is then added up in its own precision.
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
        branch = self.first.apply(window.to(self.first.weight.dtype))
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

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
        self.first.buffer.keep(window)
        branch = self.first.apply(window.to(self.first.weight.dtype))
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
        self._waiting = kept(waiting[:, :, ready:], self._waiting)
        return waiting[:, :, :ready] + branch

    def held(self) -> Iterator[Tensor]:
        assert self._waiting is not None
        yield self._waiting
        yield from self.body.held()

    def inlet(self, height: int) -> Tensor:
        assert self._waiting is not None
        window = empty(self._waiting, self.lead + height)
        window[:, :, : self.lead] = self._waiting
        return window

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
        assert self._waiting is not None
        branch = self.body.step(self.body.enter(window[:, :, self.lead :]))
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

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
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

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
        height = window.shape[2] - self.lead
        for node, following in pairwise(self.nodes):
            height *= math.isqrt(node.cost.growth)
            inlet = following.inlet(height)
            if inlet is None:
                window = node.step(window)
            else:
                node.step(window, inlet[:, :, -height:])
                window = inlet
        return self.nodes[-1].step(window, into)

    def reset(self) -> None:
        for node in self.nodes:
            node.reset()

    def fresh(self) -> Self:
        chain = copy.copy(self)
        chain.nodes = tuple(node.fresh() for node in self.nodes)
        return chain
