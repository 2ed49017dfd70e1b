"""The linear tail of EDSR and MDSR as one convolution.

Behind the body these networks have no activation: the upsampler (one or two convolutions with
pixel shuffles) and the last convolution are linear. So one output pixel is a weighted sum of the
features around it, and the whole tail is a single 5 x 5 convolution at low resolution, from F to
3 * scale^2 channels, and one pixel shuffle. For F = 64 that is 1/8 of the tail's multiply-adds at
x2 and 1/10 at x4, and no feature map at high resolution is ever made.

The kernel is the tail's impulse response. It holds wherever the padding of the tail's inner
convolutions is out of reach, which is everywhere but on the outermost ring of pixels of the (low
resolution) picture; there the plain tail is run, on the few rows or columns it needs.
"""

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edsr_cli.inference.engines.torch import costs
from edsr_cli.inference.engines.torch.costs import TAIL_RADIUS as RADIUS
from edsr_cli.inference.engines.torch.streaming import Node, RowBuffer

_NEEDED = RADIUS + 1  # rows (columns) that the outermost row (column) depends on


class CollapsedTail(Node):
    """Upsampler and last convolution: (N, F, h, W) to (N, 3, scale * h, scale * W).

    Args:
        tail: the plain modules in order, convolutions and pixel shuffles only.
        collapsed: what `collapse` makes of them.
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


def collapse(tail: nn.Sequential, scale: int) -> nn.Sequential:
    """The convolution and pixel shuffle that equal a linear tail away from the picture's border.

    The kernel is computed in float64 on the CPU, so that it is as good as rounding allows.

    Args:
        tail: convolutions and pixel shuffles, (N, F, H, W) to (N, 3, scale * H, scale * W), whose
            outputs depend on features up to `RADIUS` pixels away.
        scale: see above.

    Returns:
        A convolution from F to 3 * scale^2 channels with kernel size 2 * RADIUS + 1, in the
        precision and on the device of the tail, and a pixel shuffle by `scale`.
    """
    parameter = next(tail.parameters())
    features, outputs = parameter.shape[1], 3 * scale * scale
    size, centre = 2 * RADIUS + 1, slice(RADIUS * scale, (RADIUS + 1) * scale)
    with torch.inference_mode(False), torch.enable_grad():
        exact = copy.deepcopy(tail).cpu().double()
        # Row i of the kernel is the gradient of output i of the middle pixel: one copy of the
        # field for each output, so that a single backward pass gives them all.
        fields = torch.zeros(outputs, features, size, size, dtype=torch.float64, requires_grad=True)
        pixels = F.pixel_unshuffle(exact(fields)[:, :, centre, centre], scale).flatten(1).diagonal()
        (weight,) = torch.autograd.grad(pixels.sum(), fields)
        convolution = nn.Conv2d(features, outputs, size, padding=RADIUS)
        convolution.to(parameter).requires_grad_(False)
        convolution.weight.copy_(weight)
        assert convolution.bias is not None
        convolution.bias.copy_(pixels.detach())
    return nn.Sequential(convolution, nn.PixelShuffle(scale))
