"""The collapsed tail of EDSR and MDSR in a streamed network; see `edsr_cli.model.tail`."""

import copy
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edsr_cli.inference.engines.torch import costs
from edsr_cli.inference.engines.torch.node import Node, RowBuffer
from edsr_cli.model.config import TAIL_RADIUS as RADIUS

_NEEDED = RADIUS + 1  # rows (columns) that the outermost row (column) depends on


class CollapsedTail(Node):
    """Upsampler and last convolution: (N, F, h, W) to (N, 3, scale * h, scale * W).

    Args:
        tail: the plain modules in order, convolutions and pixel shuffles only.
        collapsed: what `edsr_cli.model.tail.collapsed` makes of them.
    """

    def __init__(self, tail: nn.Sequential, collapsed: nn.Sequential) -> None:
        convolution, shuffle = collapsed
        assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
        assert isinstance(shuffle, nn.PixelShuffle)
        self.tail, self.scale = tail, shuffle.upscale_factor
        self.weight = convolution.weight.contiguous(memory_format=torch.channels_last)
        self.bias = convolution.bias
        self.lead = 2 * RADIUS
        self.buffer = RowBuffer(RADIUS)
        features, element = self.weight.shape[1], self.weight.element_size()
        self.cost = costs.collapsed_tail(features, self.scale, element)

    def push(self, rows: Tensor, last: bool) -> Tensor:
        window = self.buffer.window(rows, last)
        if window.shape[2] <= 2 * RADIUS:
            return window.new_empty(len(window), 3, 0, self.scale * window.shape[3])
        return self._apply(window, max(0, -self.buffer.start), RADIUS if last else 0)

    def held(self) -> Iterator[Tensor]:
        yield self.buffer.held

    def inlet(self, height: int) -> Tensor:
        return self.buffer.inlet(height)

    def step(self, window: Tensor, into: Tensor | None = None, *, fused: bool = False) -> Tensor:
        self.buffer.keep(window)
        rows = self._apply(window, 0, 0)
        return rows if into is None else into.copy_(rows)

    def _apply(self, window: Tensor, above: int, below: int) -> Tensor:
        """The finished rows; arguments as for `_mend_border`."""
        output = F.conv2d(window, self.weight, self.bias, padding=(0, RADIUS))
        output = F.pixel_shuffle(output, self.scale)
        self._mend_border(output, window, above, below)
        return output

    def reset(self) -> None:
        self.buffer.reset()

    def fresh(self) -> Self:
        node = copy.copy(self)
        node.buffer = RowBuffer(RADIUS)
        return node

    def _mend_border(self, output: Tensor, window: Tensor, above: int, below: int) -> None:
        """Put the plain tail's pixels on the picture's outermost ring, as far as it is in sight.

        Args:
            output: the rows that the window gives, changed in place.
            window: those rows and `RADIUS` rows above and below.
            above, below: how many of its rows are outside the picture.
        """
        scale = self.scale
        inside = window[:, :, above : window.shape[2] - below]
        # Left and right: the rows of context that lie inside the picture are computed and dropped.
        columns = min(_NEEDED, window.shape[3])
        sides = self._plain(torch.cat([inside[..., :columns], inside[..., -columns:]]))
        begin = (RADIUS - above) * scale
        left, right = sides[:, :, begin : begin + output.shape[2]].chunk(2)
        output[..., :scale] = left[..., :scale]
        output[..., -scale:] = right[..., -scale:]
        if above == RADIUS:
            output[:, :, :scale] = self._plain(inside[:, :, :_NEEDED])[:, :, :scale]
        if below:
            output[:, :, -scale:] = self._plain(inside[:, :, -_NEEDED:])[:, :, -scale:]

    def _plain(self, rows: Tensor) -> Tensor:
        return self.tail(rows.contiguous(memory_format=torch.channels_last))
