"""The linear tail of EDSR and MDSR as one convolution, in NumPy; see `edsr_cli.model.tail`.

A pixel on the outermost ring of a picture has kernels of its own: what the tail's inner
convolutions would take from outside the picture is zero there, on every grid on the way up. They
are impulse responses as well, without what comes by way of places outside. So a response is kept in
parts, by the sides on which it leaves the pixel that it is the response of: what is beyond one of
them is outside for a pixel at that border.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.model.config import TAIL_RADIUS, NetworkConfig, upsampling_steps

Layers = Sequence[tuple[NDArray[Any], NDArray[Any]]]
"""Weights (outputs, inputs, 3, 3) and biases of convolutions, first to last."""


Kernel = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights (outputs, inputs, 5, 5) and biases of one."""


class Borders(Struct, frozen=True):
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
        self._layers = layers
        self._kernels: dict[Borders, Kernel] = {}

    def kernel(self, borders: Borders) -> Kernel:
        """Kernel (3 * scale^2, F, 5, 5) and bias (3 * scale^2) of a pixel with these borders.

        It is made once; nobody changes it.
        """
        if borders not in self._kernels:
            field, biases = self._response
            sides = _sides(borders)
            beyond, *places = field.places
            kernel = np.zeros((3 * self.scale**2, field.values.shape[1], 5, 5))
            for each in set(beyond[beyond & sides == 0].tolist()):
                part = beyond == each  # in which places are different
                rows, y, x = (place[part] for place in places)
                kernel[rows, :, y + TAIL_RADIUS, x + TAIL_RADIUS] += field.values[part]
            inside = [each & sides == 0 for each in range(len(biases))]
            self._kernels[borders] = kernel, biases[inside].sum(0)
        return self._kernels[borders]

    @cached_property
    def _response(self) -> tuple["_Field", NDArray[np.float64]]:
        """The tail's impulse response, and its biases, (all sides + 1, 3 * scale^2).

        Row i is what output i of a pixel is made of: its unit vector carried backwards through the
        tail, from grid to coarser grid.
        """
        outputs = np.arange(3 * self.scale**2)
        channel, place = divmod(outputs, self.scale**2)
        inside = np.zeros_like(outputs)
        field = _Field(np.stack([inside, outputs, *divmod(place, self.scale)]), np.eye(3)[channel])
        biases = np.zeros((_ALL_SIDES + 1, len(outputs)))
        size = self.scale
        for index, (weight, bias) in enumerate(reversed(self._layers)):
            if index:
                step = upsampling_steps(self.scale)[-index]
                field, size = field.unshuffled(step), size // step
            np.add.at(biases, tuple(field.places[:2]), field.values @ bias.astype(np.float64))
            field = field.carried(weight.astype(np.float64), size)
        return field, biases


_TOP, _BOTTOM, _LEFT, _RIGHT = 1, 2, 4, 8
_ALL_SIDES = _TOP | _BOTTOM | _LEFT | _RIGHT


def _sides(borders: Borders) -> int:
    """The sides on which a picture ends."""
    return (
        _TOP * borders.top
        | _BOTTOM * borders.bottom
        | _LEFT * borders.left
        | _RIGHT * borders.right
    )


class _Field(NamedTuple):
    """What outputs of a pixel are made of, on the way back through the tail; zeros are left out.

    Attributes:
        places: (4, N): on which sides of the pixel it has been, of which output it is a part, and
            y and x on the present grid, from the pixel's upper left corner.
        values: of the channels there, (N, C).
    """

    places: NDArray[np.int64]
    values: NDArray[np.float64]

    def carried(self, weight: NDArray[np.float64], size: int) -> "_Field":
        """The field before a convolution.

        Args:
            weight: (C, inputs, 3, 3).
            size: of the pixel on this grid.
        """
        outputs, inputs, _, _ = weight.shape
        products = self.values @ weight.transpose(0, 2, 3, 1).reshape(outputs, -1)
        beyond, rows, y, x = self.places.repeat(9, axis=1)
        dy, dx = np.tile(np.indices((3, 3)).reshape(2, 9) - 1, self.places.shape[1])
        y, x = y + dy, x + dx
        beyond = beyond | _TOP * (y < 0) | _BOTTOM * (y >= size) | _LEFT * (x < 0)
        beyond |= _RIGHT * (x >= size)
        places = np.stack([beyond, rows, y, x])
        order, begins = _grouped(places)
        values = np.add.reduceat(products.reshape(-1, inputs)[order], begins)
        return _Field(places[:, order[begins]], values)

    def unshuffled(self, step: int) -> "_Field":
        """The field before a pixel shuffle."""
        beyond, rows, y, x = self.places
        (y, from_y), (x, from_x) = np.divmod(y, step), np.divmod(x, step)
        places = np.stack([beyond, rows, y, x])
        order, begins = _grouped(places)
        which = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(order)))
        channels = self.values.shape[1]
        values = np.zeros((len(begins), channels, step * step))
        values[which, :, (from_y * step + from_x)[order]] = self.values[order]
        return _Field(places[:, order[begins]], values.reshape(-1, channels * step * step))


def _grouped(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """An order of places, (4, N), in which equal ones follow each other, and where each begins."""
    order = np.lexsort(places)
    ordered = places[:, order]
    return order, np.flatnonzero((np.diff(ordered, prepend=ordered[:, :1] - 1) != 0).any(0))
