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


Kernel = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights (outputs, inputs, 5, 5) and biases of one."""


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


class LinearTail:
    """Upsampler and last convolution as one convolution before one pixel shuffle.

    Args:
        layers: of the tail, see `tail_layers`.
        scale: of the tail.
    """

    def __init__(self, layers: Layers, scale: int) -> None:
        self.scale = scale
        self._layers = [_Backwards(weight, bias) for weight, bias in layers]
        self._kernels: dict[Borders, Kernel] = {}

    def kernel(self, borders: Borders) -> Kernel:
        """Kernel (3 * scale^2, F, 5, 5) and bias (3 * scale^2) of a pixel with these borders.

        It is made once; nobody changes it.
        """
        if borders not in self._kernels:
            self._kernels[borders] = self._response(borders)
        return self._kernels[borders]

    def _response(self, borders: Borders) -> Kernel:
        """The tail's impulse response.

        Row i of the kernel is what output i of a pixel is made of: its unit vector carried
        backwards through the tail, on a grid that grows with what is within reach. Nothing comes
        from outside the picture, so with borders the kernel has zeros there.
        """
        outputs = 3 * self.scale**2
        *steps, last = self._layers
        field = np.eye(outputs).reshape(outputs, 3, self.scale, self.scale)
        bias = field.sum((2, 3)) @ last.bias
        field = _inside(last.carried(field), 1, borders)
        reach = 1  # pixels of the present grid around those of the one LR pixel
        for step, layer in zip(upsampling_steps(self.scale)[::-1], steps[::-1], strict=True):
            missing = -reach % step  # to whole pixels of the coarser grid
            field = np.pad(field, [(0, 0), (0, 0), *2 * [(missing, missing)]])
            field = _unshuffled(field, step)
            bias += field.sum((2, 3)) @ layer.bias
            reach = (reach + missing) // step + 1
            field = _inside(layer.carried(field), reach, borders)
        return field, bias


class _Backwards:
    """A convolution of 3 x 3 the other way: (N, outputs, n, n) to (N, inputs, n + 2, n + 2)."""

    def __init__(self, weight: NDArray[Any], bias: NDArray[Any]) -> None:
        outputs, self._inputs, _, _ = weight.shape
        factors = weight.transpose(0, 2, 3, 1).reshape(outputs, -1)
        self._factors, self.bias = factors.astype(np.float64), bias.astype(np.float64)

    def carried(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """A transposed convolution.

        Most of a field is zeros, since a subpixel does not reach far; these are passed over.
        """
        count, _, side, _ = field.shape
        places = np.argwhere(field.any(1))  # (i, y, x), sorted
        rows, y, x = places.T
        products = field[rows, :, y, x] @ self._factors
        result = np.zeros((count, side + 2, side + 2, self._inputs))
        for (row, top, left), product in zip(
            places, products.reshape(-1, 3, 3, self._inputs), strict=True
        ):
            result[row, top : top + 3, left : left + 3] += product
        return result.transpose(0, 3, 1, 2)


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
