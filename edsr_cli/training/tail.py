"""The linear tail as one convolution, in training.

Behind the body, EDSR and MDSR have no activation (see `edsr_cli.model.tail`), so that the
upsampler and the last convolution act as one convolution of 5 x 5 whose kernel is a function of
their weights. Here that function is differentiated: the loss's gradient with respect to the kernel
is carried back to the weights, and they are given the gradient that the plain tail would give them.
The feature maps at high resolution, where at x4 half of an update's time goes, are never made.

The outermost ring of (low resolution) pixels, where the padding of the inner convolutions is
within reach, takes the plain tail.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edsr_cli.model.config import TAIL_RADIUS as RADIUS
from edsr_cli.model.tail import collapse

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
        kernel, bias = collapse(tail, scale)
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
