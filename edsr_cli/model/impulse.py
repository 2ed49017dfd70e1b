"""The linear tail of EDSR and MDSR as one convolution, in NumPy; see `edsr_cli.model.tail`.

A pixel on the outermost ring of a picture has kernels of its own: what the tail's inner
convolutions would take from outside the picture is zero there, on every grid on the way up. They
are impulse responses as well, with everything outside left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.model.config import NetworkConfig, upsampling_steps

Layers = Sequence[tuple[NDArray[Any], NDArray[Any]]]
"""Weights (outputs, inputs, 3, 3) and biases of convolutions, first to last."""


@dataclass(frozen=True)
class Borders:
    """On which sides of a pixel the picture ends."""

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False


def tail_layers(config: NetworkConfig, tensors: Mapping[str, NDArray[Any]], scale: int) -> Layers:
    """The convolutions of a network's tail at one of its scales."""
    upsampler = "tail.0"
    if config.architecture == "mdsr":
        upsampler = f"upsample.{config.scales.index(scale)}"
    keys = [f"{upsampler}.{2 * index}" for index in range(len(upsampling_steps(scale)))]
    keys.append(config.last_convolution)
    return [(tensors[f"{key}.weight"], tensors[f"{key}.bias"]) for key in keys]


def impulse_response(
    layers: Layers, scale: int, borders: Borders
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel (3 * scale^2, F, 5, 5) and bias (3 * scale^2) that give a pixel before the shuffle.

    Row i of the kernel is what output i of a pixel is made of: its unit vector carried backwards
    through the tail, on a grid that grows with what is within reach. Nothing comes from outside the
    picture, so with borders the kernel has zeros there.

    Args:
        layers: of the tail, see `tail_layers`.
        scale: of the tail.
        borders: those of the pixel.
    """
    outputs = 3 * scale * scale
    *steps, (weight, offset) = [
        (weight.astype(np.float64), offset.astype(np.float64)) for weight, offset in layers
    ]
    field = np.eye(outputs).reshape(outputs, 3, scale, scale)
    bias = field.sum((2, 3)) @ offset
    field = _inside(_backwards(field, weight), 1, borders)
    reach = 1  # pixels of the present grid around those of the one LR pixel
    for step, (weight, offset) in zip(upsampling_steps(scale)[::-1], steps[::-1], strict=True):
        missing = -reach % step  # to whole pixels of the coarser grid
        field = _unshuffled(np.pad(field, [(0, 0), (0, 0), *2 * [(missing, missing)]]), step)
        bias += field.sum((2, 3)) @ offset
        reach = (reach + missing) // step + 1
        field = _inside(_backwards(field, weight), reach, borders)
    return field, bias


def _backwards(field: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """A transposed convolution: (N, outputs, n, n) to (N, inputs, n + 2, n + 2).

    Most of a field is zeros, since a subpixel does not reach far; these are passed over.
    """
    count, outputs, side, _ = field.shape
    inputs = weight.shape[1]
    factors = weight.reshape(outputs, -1)
    result = np.zeros((count, inputs, side + 2, side + 2))
    for y in range(side):
        for x in range(side):
            rows = np.flatnonzero(field[:, :, y, x].any(1))
            product = (field[rows, :, y, x] @ factors).reshape(len(rows), inputs, 3, 3)
            result[rows, :, y : y + 3, x : x + 3] += product
    return result


def _inside(field: NDArray[np.float64], reach: int, borders: Borders) -> NDArray[np.float64]:
    """The field with zeros outside the picture, in place."""
    field[:, :, : reach * borders.top] = 0
    field[:, :, field.shape[2] - reach * borders.bottom :] = 0
    field[:, :, :, : reach * borders.left] = 0
    field[:, :, :, field.shape[3] - reach * borders.right :] = 0
    return field


def _unshuffled(field: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """The inverse of a pixel shuffle."""
    count, channels, height, width = field.shape
    parts = field.reshape(count, channels, height // step, step, width // step, step)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(
        count, channels * step * step, height // step, width // step
    )
