"""Blur and reduction in one step, by a matrix for the rows and one for the columns.

A Gaussian blur and a filter that makes a picture smaller are both separable and linear, so that
together they are one matrix product from the left and one from the right. Every patch has matrices
of its own, of the same shape.
"""

import math

import torch
from torch import Tensor

from edsr_cli.degradations.spec import Filter

FILTERS = tuple(Filter)
"""The filters by the numbers that `matrices` takes."""

_DEVIATIONS = 3  # at which the Gaussian ends; each counts as an LR pixel at least
_LEAST_SIGMA = 0.02  # HR pixels: what is less leaves the picture as it is


def reduce(hr: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Make pictures smaller.

    Args:
        hr: (N, C, H, W).
        rows: (N, h, H), from `matrices`.
        columns: (N, w, W), from `matrices`.

    Returns:
        (N, C, h, w).
    """
    return rows[:, None] @ (hr @ columns.transpose(1, 2)[:, None])


def matrices(length: int, scale: int, filters: Tensor, sigmas: Tensor, widest: float) -> Tensor:
    """What makes rows of LR pixels from rows of HR pixels.

    Beyond the ends, the outermost HR pixel is repeated for the blur; the filter takes what is
    inside alone, as Pillow's does.

    Args:
        length: LR pixels in a row.
        scale: HR pixels to an LR pixel.
        filters: (N,) int64, indices into `FILTERS`.
        sigmas: (N,) of the Gaussian before the filter, in HR pixels; 0 for none.
        widest: the largest that these may be, in LR pixels.

    Returns:
        (N, length, scale * length), fp32; each row has a sum of 1.
    """
    hr = torch.arange(scale * length, device=filters.device, dtype=torch.float32)
    lr = torch.arange(length, device=filters.device, dtype=torch.float32)
    position = (hr[None] + 0.5) / scale - lr[:, None] - 0.5  # in LR pixels from the centre
    kernels = torch.stack([_VALUES[name](position) for name in FILTERS])
    reduction = kernels[filters]
    reduction = reduction / reduction.sum(2, keepdim=True)
    return _blurred(reduction, sigmas, math.ceil(_DEVIATIONS * max(1.0, widest) * scale))


def _blurred(reduction: Tensor, sigmas: Tensor, reach: int) -> Tensor:
    """The matrix of a reduction that comes after a blur: each row spread by the Gaussian.

    What the Gaussian would take from beyond an end is the outermost pixel's, so its weight is added
    to that pixel.
    """
    offsets = torch.arange(-reach, reach + 1, device=sigmas.device)
    sigma = sigmas.clamp(min=_LEAST_SIGMA)[:, None]
    gaussian = torch.exp(-0.5 * (offsets / sigma) ** 2)
    gaussian = gaussian / gaussian.sum(1, keepdim=True)
    count, rows, length = reduction.shape
    spread = reduction.new_zeros(count, rows, length + 2 * reach)
    for index in range(2 * reach + 1):
        spread[:, :, index : index + length] += reduction * gaussian[:, index, None, None]
    inner = spread[:, :, reach : reach + length].clone()
    inner[:, :, 0] += spread[:, :, :reach].sum(2)
    inner[:, :, -1] += spread[:, :, reach + length :].sum(2)
    return inner


def _box(x: Tensor) -> Tensor:
    # A pixel on the border between two belongs to the one at its right, as in Pillow.
    return ((x > -0.5) & (x <= 0.5)).float()


def _bilinear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _hamming(x: Tensor) -> Tensor:
    window = 0.54 + 0.46 * torch.cos(math.pi * x)
    return torch.where(x.abs() < 1, torch.sinc(x) * window, 0.0)


def _bicubic(x: Tensor) -> Tensor:
    """Keys' cubic with a = -0.5, as in MATLAB and Pillow."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


_VALUES = {
    Filter.BOX: _box,
    Filter.BILINEAR: _bilinear,
    Filter.HAMMING: _hamming,
    Filter.BICUBIC: _bicubic,
    Filter.LANCZOS: _lanczos,
}
