"""The linear tail of EDSR and MDSR as one convolution.

Behind the body these networks have no activation: the upsampler (one or two convolutions with
pixel shuffles) and the last convolution are linear. So one output pixel is a weighted sum of the
features around it, and the whole tail is a single 5 x 5 convolution at low resolution, from F to
3 * scale^2 channels, and one pixel shuffle. For F = 64 that is 1/8 of the tail's multiply-adds at
x2 and 1/10 at x4, and no feature map at high resolution is ever made.

The kernel is the tail's impulse response. It holds wherever the padding of the tail's inner
convolutions is out of reach, which is everywhere but on the outermost ring of pixels of the (low
resolution) picture; who uses it runs the plain tail there, on the few rows or columns it needs.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edsr_cli.model.config import TAIL_RADIUS


def collapse(tail: nn.Sequential, scale: int) -> tuple[Tensor, Tensor]:
    """Kernel (3 * scale^2, F, 5, 5) and bias of the convolution before the last pixel shuffle.

    Row i of the kernel is what output i of a pixel is made of: its unit vector carried backwards
    through the tail, by transposed convolutions on a grid that grows with what is within reach.

    Args:
        tail: convolutions of 3 x 3 and pixel shuffles, the last a convolution to 3 channels.
        scale: of the tail.

    Returns:
        Functions of the tail's weights, which can be differentiated, in their format.
    """
    outputs = 3 * scale * scale
    *steps, last = tail
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    field = torch.eye(outputs, dtype=last.weight.dtype, device=last.weight.device)
    field = field.reshape(outputs, 3, scale, scale)
    bias = field.sum((2, 3)) @ last.bias
    field = F.conv_transpose2d(field, last.weight)
    reach = 1  # pixels of the present grid around those of the one LR pixel
    for convolution, shuffle in zip(steps[-2::-2], steps[::-2], strict=True):
        assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
        assert isinstance(shuffle, nn.PixelShuffle)
        step = shuffle.upscale_factor
        missing = -reach % step  # to whole pixels of the coarser grid
        field = F.pixel_unshuffle(F.pad(field, [missing] * 4), step)
        bias = bias + field.sum((2, 3)) @ convolution.bias
        field = F.conv_transpose2d(field, convolution.weight)
        reach = (reach + missing) // step + 1
    return field, bias


def collapsed(tail: nn.Sequential, scale: int) -> nn.Sequential:
    """The convolution and pixel shuffle that equal a tail away from the picture's border.

    The kernel is computed in float64 on the CPU, so that it is as good as rounding allows.

    Args:
        tail, scale: as for `collapse`.

    Returns:
        A convolution with kernel size 2 * TAIL_RADIUS + 1, in the format and on the device of the
        tail, without gradients, and a pixel shuffle by `scale`.
    """
    with torch.inference_mode(False), torch.no_grad():
        kernel, bias = collapse(copy.deepcopy(tail).cpu().double(), scale)
        convolution = nn.Conv2d(kernel.shape[1], len(kernel), kernel.shape[2], padding=TAIL_RADIUS)
        convolution.to(next(tail.parameters())).requires_grad_(False)
        convolution.weight.copy_(kernel)
        assert convolution.bias is not None
        convolution.bias.copy_(bias)
    return nn.Sequential(convolution, nn.PixelShuffle(scale))
