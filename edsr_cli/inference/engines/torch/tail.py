"""The collapsed tail of EDSR and MDSR in a streamed network; see `edsr_cli.model.tail`."""

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edsr_cli.inference.engines.torch import costs
from edsr_cli.inference.engines.torch.streaming import Node, RowBuffer
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
        self.buffer = RowBuffer(RADIUS)
        features, element = self.weight.shape[1], self.weight.element_size()
        self.cost = costs.collapsed_tail(features, self.scale, element)

    def push(self, rows: Tensor, last: bool) -> Tensor:
        window = self.buffer.window(rows, last)
        if window.shape[2] <= 2 * RADIUS:
            return window.new_empty(len(window), 3, 0, self.scale * window.shape[3])
        output = F.conv2d(window, self.weight, self.bias, padding=(0, RADIUS))
        output = F.pixel_shuffle(output, self.scale)
        self._mend_border(output, window, last)
        return output

    def reset(self) -> None:
        self.buffer.reset()

    def fresh(self) -> Self:
        node = copy.copy(self)
        node.buffer = RowBuffer(RADIUS)
        return node

    def _mend_border(self, output: Tensor, window: Tensor, last: bool) -> None:
        """Put the plain tail's pixels on the picture's outermost ring, as far as it is in sight.

        Args:
            output: the rows that the window gives, changed in place.
            window: those rows and `RADIUS` rows above and below.
            last: whether the rows below lie outside the picture.
        """
        scale = self.scale
        outside_above = max(0, -self.buffer.start)
        outside_below = RADIUS if last else 0
        inside = window[:, :, outside_above : window.shape[2] - outside_below]
        # Left and right: the rows of context that lie inside the picture are computed and dropped.
        columns = min(_NEEDED, window.shape[3])
        sides = self._plain(torch.cat([inside[..., :columns], inside[..., -columns:]]))
        begin = (RADIUS - outside_above) * scale
        left, right = sides[:, :, begin : begin + output.shape[2]].chunk(2)
        output[..., :scale] = left[..., :scale]
        output[..., -scale:] = right[..., -scale:]
        if outside_above == RADIUS:
            output[:, :, :scale] = self._plain(inside[:, :, :_NEEDED])[:, :, :scale]
        if last:
            output[:, :, -scale:] = self._plain(inside[:, :, -_NEEDED:])[:, :, -scale:]

    def _plain(self, rows: Tensor) -> Tensor:
        return self.tail(rows.contiguous(memory_format=torch.channels_last))
