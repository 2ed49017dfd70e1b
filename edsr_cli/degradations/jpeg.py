"""What a JPEG file makes of a picture, computed on the device: no file is written.

The steps are libjpeg's (ITU-T T.81; libjpeg's jccolor, jcsample, jcdctmgr, jdsample): luma and
colour differences in 8 bits, colour at half resolution, the cosine transform of 8 x 8 blocks,
rounding to multiples of the quantisation table, and all the way back, with the triangle filter that
libjpeg enlarges the colours by. What is left of differences is the transform: here it is exact,
there it is in fixed-point numbers.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from edsr_cli.images.codecs.jpeg_tables import luma_table

_BLOCK = 8

_LUMA = luma_table(50)  # the standard one: T.81, table K.1

# Table K.2, row by row.
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
_TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
_FROM_YCC = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def compress(rgb: Tensor, quality: Tensor, full_colour: Tensor) -> Tensor:
    """Pictures as they come back from JPEG files.

    Args:
        rgb: (N, 3, H, W), whole numbers in 0..255 as floats.
        quality: (N,), 1..100 on libjpeg's scale.
        full_colour: (N,) bool: colours at full resolution (4:4:4), else at half (4:2:0).

    Returns:
        (N, 3, H, W), whole numbers in 0..255 as floats.
    """
    constants = _constants(rgb.device)
    height, width = rgb.shape[2:]
    inner = (slice(None), slice(None), slice(height), slice(width))
    ycc = torch.einsum("ij,njhw->nihw", constants.to_ycc, rgb)
    ycc[:, 1:] += 128
    ycc = (ycc + 0.5).floor().clamp(0, 255)
    luma_table, chroma_table = (
        _steps(values, quality) for values in (constants.luma, constants.chroma)
    )
    luma = _through_blocks(_filled(ycc[:, :1], _BLOCK, _BLOCK), luma_table)[inner]
    colours = ycc[:, 1:]
    # Rows are filled up behind the halving, columns in front of it. At its right and lower end the
    # triangle filter repeats the picture's last sample, not what fills the block up.
    halved = _filled(_halve(_filled(colours, 2, 2 * _BLOCK)), _BLOCK, _BLOCK)
    halved = _through_blocks(halved, chroma_table)
    chroma = _double(halved[:, :, : (height + 1) // 2, : (width + 1) // 2])[inner]
    if full_colour.device.type != "cpu" or full_colour.any():
        whole = _through_blocks(_filled(colours, _BLOCK, _BLOCK), chroma_table)[inner]
        chroma = torch.where(full_colour[:, None, None, None], whole, chroma)
    ycc = torch.cat([luma, chroma - 128], 1)
    back = torch.einsum("ij,njhw->nihw", constants.from_ycc, ycc)
    return (back + 0.5).floor().clamp(0, 255)


def _filled(planes: Tensor, rows: int, columns: int) -> Tensor:
    """The last row and column repeated up to multiples of `rows` and `columns`."""
    height, width = planes.shape[2:]
    return F.pad(planes, (0, -width % columns, 0, -height % rows), "replicate")


class _Constants(NamedTuple):
    """What the steps need beside the picture, on a device."""

    to_ycc: Tensor
    from_ycc: Tensor
    luma: Tensor
    chroma: Tensor
    transform: Tensor


@cache
def _constants(device: torch.device) -> _Constants:
    """Made once: a CUDA graph cannot record a copy from the host."""
    tables = (torch.tensor(values, dtype=torch.float32).flatten() for values in (_LUMA, _CHROMA))
    made = (torch.tensor(_TO_YCC), torch.tensor(_FROM_YCC), *tables, _transform())
    return _Constants(*(tensor.to(device) for tensor in made))


def _steps(standard: Tensor, quality: Tensor) -> Tensor:
    """Quantisation steps at some qualities, (N, 64), by libjpeg's rule."""
    quality = quality.float()[:, None]
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    return ((standard * percent + 50) / 100).floor().clamp(1, 255)


def _through_blocks(planes: Tensor, table: Tensor) -> Tensor:
    """Transform, quantise and transform back: (N, C, H, W), H and W multiples of 8."""
    count, channels, height, width = planes.shape
    size = _BLOCK
    blocks = planes.reshape(count, channels, height // size, size, width // size, size)
    blocks = blocks.transpose(3, 4).reshape(count, -1, size * size) - 128
    transform = _constants(planes.device).transform
    steps = table[:, None]
    quotients = blocks @ transform.T / steps
    # Halves away from zero, as libjpeg does: the mean of a block often lies at one.
    coefficients = (quotients.abs() + 0.5).floor() * quotients.sign() * steps
    blocks = (coefficients @ transform + 128.5).floor().clamp(0, 255)
    blocks = blocks.reshape(count, channels, height // size, width // size, size, size)
    return blocks.transpose(3, 4).reshape(count, channels, height, width)


def _transform() -> Tensor:
    """The cosine transform of an 8 x 8 block as a matrix of 64 x 64, orthonormal."""
    k = torch.arange(8, dtype=torch.float64)
    rows = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows).float()


def _halve(planes: Tensor) -> Tensor:
    """Means of 2 x 2; halves are rounded up and down in turn along a row, as libjpeg does."""
    sums = F.avg_pool2d(planes, 2, divisor_override=1)
    bias = 1 + torch.arange(sums.shape[3], device=planes.device) % 2
    return ((sums + bias) / 4).floor()


def _double(planes: Tensor) -> Tensor:
    """Twice the size by the triangle filter, three quarters of the nearer sample (jdsample)."""
    rows = F.pad(planes, (0, 0, 1, 1), "replicate")
    upper = 3 * planes + rows[:, :, :-2]
    lower = 3 * planes + rows[:, :, 2:]
    rows = torch.stack([upper, lower], 3).flatten(2, 3)
    columns = F.pad(rows, (1, 1, 0, 0), "replicate")
    left = ((3 * rows + columns[..., :-2] + 8) / 16).floor()
    right = ((3 * rows + columns[..., 2:] + 7) / 16).floor()
    return torch.stack([left, right], 4).flatten(3, 4)
