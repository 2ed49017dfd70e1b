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
        window, start = self.buffer.window(rows, last), self.buffer.start
        zeros = RADIUS - self.buffer.padding  # in the window, where the picture begins or ends
        if window.shape[2] <= 2 * zeros:
            return window.new_empty(len(window), 3, 0, self.scale * window.shape[3])
        output = self._apply(window)
        inside = window[:, :, max(0, -start) : window.shape[2] - (zeros if last else 0)]
        top, ahead = start + zeros == 0, min(start, 0) + zeros
        self._mend_border(output, inside, ahead, top=top, bottom=last)
        return output

    def held(self) -> Iterator[Tensor]:
        yield self.buffer.held

    def inlet(self, height: int) -> Tensor:
        return self.buffer.inlet(height)

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
        self.buffer.keep(window)
        rows = self._apply(window)
        self._mend_border(rows, window, RADIUS)
        return rows if into is None else into.copy_(rows)

    def _apply(self, window: Tensor) -> Tensor:
        """The finished rows, but for the picture's border."""
        padding = (self.buffer.padding, RADIUS)
        output = F.conv2d(window, self.weight, self.bias, padding=padding)
        return F.pixel_shuffle(output, self.scale)

    def reset(self) -> None:
        self.buffer.reset()

    def fresh(self) -> Self:
        node = copy.copy(self)
        node.buffer = RowBuffer(RADIUS)
        return node

    def _mend_border(
        self,
        output: Tensor,
        inside: Tensor,
        ahead: int,
        *,
        top: bool = False,
        bottom: bool = False,
    ) -> None:
        """Put the plain tail's pixels on the picture's outermost ring, as far as it is in sight.

        Args:
            output: finished rows, changed in place.
            inside: the rows of the picture that they were made from.
            ahead: how many of these are above the first finished one.
            top, bottom: whether the picture begins or ends with the finished rows.
        """
        scale = self.scale
        # Left and right: the rows of context that lie inside the picture are computed and dropped.
        columns = min(_NEEDED, inside.shape[3])
        sides = self._plain(torch.cat([inside[..., :columns], inside[..., -columns:]]))
        begin = ahead * scale
        left, right = sides[:, :, begin : begin + output.shape[2]].chunk(2)
        output[..., :scale] = left[..., :scale]
        output[..., -scale:] = right[..., -scale:]
        if top:
            output[:, :, :scale] = self._plain(inside[:, :, :_NEEDED])[:, :, :scale]
        if bottom:
            output[:, :, -scale:] = self._plain(inside[:, :, -_NEEDED:])[:, :, -scale:]

    def _plain(self, rows: Tensor) -> Tensor:
        return self.tail(rows.contiguous(memory_format=torch.channels_last))
