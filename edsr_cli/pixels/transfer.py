"""Linear light on its way through a network that knows pictures as they are stored.

Networks are trained on pictures whose numbers follow the eye, as those of sRGB do. Where numbers
count light instead (gamma 1.0, as in scans and what raw converters hand on) the same edge is
another one in the dark than in the light. So such a picture gets the curve of sRGB before the
network, and loses it behind it: its colours are what they were.
"""

from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Readable, Region, Writable


class FromLight:
    """A window on a picture of linear light, which is read with the curve of sRGB.

    Args:
        window: the picture, uint8 or uint16. What is read is uint16 in any case: 8 bits of light
            are too coarse in the dark, but there is no need to make it worse.
    """

    dtype = np.dtype(np.uint16)

    def __init__(self, window: Readable) -> None:
        self.window, self.shape = window, window.shape
        self.order: Literal["any", "rows"] = window.order

    def read(self, region: Region) -> Pixels:
        pixels = self.window.read(region)
        return np.take(_from_light(np.iinfo(pixels.dtype).max), pixels)


class ToLight:
    """A window that is written with the curve of sRGB, into a picture of linear light.

    Args:
        window: the picture, uint8 or uint16. What is written is uint16.
    """

    dtype = np.dtype(np.uint16)

    def __init__(self, window: Writable) -> None:
        self.window, self.shape = window, window.shape
        self.order: Literal["any", "rows"] = window.order

    def write(self, region: Region, pixels: Pixels) -> None:
        self.window.write(region, np.take(_to_light(self.window.dtype), pixels))


def for_network(source: Readable, target: Writable, *, linear: bool) -> tuple[Readable, Writable]:
    """A picture, and where what a network makes of it goes, as networks are to see them.

    Args:
        source, target: as they are stored.
        linear: whether their numbers count light.
    """
    return (FromLight(source), ToLight(target)) if linear else (source, target)


def encode_srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve of sRGB (IEC 61966-2-1) from light to numbers, both in 0..1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def decode_srgb(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `encode_srgb`."""
    return np.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)


@cache
def _from_light(white: int) -> NDArray[np.uint16]:
    """For each level of light up to white the level of sRGB with 16 bits."""
    table = encode_srgb(np.arange(white + 1) / white)
    return np.rint(table * 65535).astype(np.uint16)


@cache
def _to_light(dtype: np.dtype[Any]) -> NDArray[Any]:
    """The level of light for each of sRGB with 16 bits."""
    table = decode_srgb(np.arange(65536) / 65535)
    return np.rint(table * np.iinfo(dtype).max).astype(dtype)
