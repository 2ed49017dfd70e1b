"""The linear tail as one convolution, in training.

Behind the body, EDSR and MDSR have no activation, so that the upsampler and the last convolution
act as one convolution of 5 x 5 (see `edsr_cli.inference.engines.torch.tail`) whose kernel is a
function of their weights. Here that function is differentiated: the loss's gradient with respect to
the kernel is carried back to the weights, and they are given the gradient that the plain tail would
give them. The feature maps at high resolution, where at x4 half of an update's time goes, are never
made.

The outermost ring of (low resolution) pixels, where the padding of the inner convolutions is
within reach, takes the plain tail.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edsr_cli.inference.engines.torch.costs import TAIL_RADIUS as RADIUS

_NEEDED = RADIUS + 1  # rows (columns) that the outermost row (column) depends on


def run_tail(tail: nn.Sequential, features: Tensor, scale: int) -> Tensor:
    """What a linear tail makes of features, and its gradients, up to rounding.

    Args:
        tail: convolutions of 3 x 3 and pixel shuffles, the last a convolution to 3 channels.
        features: (N, F, H, W).
        scale: of the tail.

    Returns:
        (N, 3, scale * H, scale * W).
    """
    if min(features.shape[2:]) < 2 * _NEEDED:  # hardly anything but ring
        return tail(features)
    with torch.autocast(features.device.type, enabled=False):  # or the kernel is rounded twice
        kernel, bias = _collapsed(tail, scale)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    inner = F.pixel_shuffle(F.conv2d(features, kernel, bias, padding=RADIUS), scale)
    top, bottom = _plain(tail, features[:, :, :_NEEDED], features[:, :, -_NEEDED:])
    left, right = _plain(tail, features[..., :_NEEDED], features[..., -_NEEDED:])
    ring = slice(scale, -scale)
    middle = [left[:, :, ring, :scale], inner[:, :, ring, ring], right[:, :, ring, -scale:]]
    return torch.cat([top[:, :, :scale], torch.cat(middle, 3), bottom[:, :, -scale:]], 2)


def _plain(tail: nn.Sequential, one: Tensor, other: Tensor) -> tuple[Tensor, ...]:
    """The plain tail on two opposite strips; only their outer pixels are right."""
    both = torch.cat([one, other]).contiguous(memory_format=torch.channels_last)
    return tail(both).chunk(2)


def _collapsed(tail: nn.Sequential, scale: int) -> tuple[Tensor, Tensor]:
    """Kernel (3 * scale^2, F, 5, 5) and bias of the convolution before the last pixel shuffle.

    Row i of the kernel is what output i of a pixel is made of: its unit vector carried backwards
    through the tail, by transposed convolutions on a grid that grows with what is within reach.
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
