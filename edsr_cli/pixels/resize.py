"""Bicubic interpolation as MATLAB's `imresize` does it: how the papers make their LR pictures.

The kernel is that of Keys with a = -0.5. To make a picture smaller it is stretched by the scale, so
that it filters out what the smaller picture cannot show ("antialiasing"). Pixels are areas: HR and
LR cover the same picture. Beyond its border the picture is mirrored. As in `imresize`, the height
is changed before the width, and values are rounded to 8 bits after each. With that, the LR files of
Set5 come out bit for bit, and those of Set14 but for two pixels along their border: there, whatever
made them repeated the outermost pixel instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

_BAND_ROWS = 32  # output rows at a time: float64 takes eight times the memory of the picture


class _Kernel(Struct, frozen=True):
    """Weights for one output row in `step`, and the input row that the first one is for."""

    first: int
    weights: NDArray[np.float64]


def downscale(pixels: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Make a picture smaller, as `imresize(picture, 1/scale, 'bicubic')`.

    Args:
        pixels: (H, W, 3), 0..255. Rows and columns at the end that do not fill an LR pixel are cut
            off first.
        scale: HR pixels to an LR pixel, in each direction.

    Returns:
        (H // scale, W // scale, 3), 0..255.

    Raises:
        ValueError: the picture is smaller than an LR pixel.
    """
    height, width = (size // scale * scale for size in pixels.shape[:2])
    if not height or not width:
        raise ValueError(f"pixels of shape {pixels.shape} do not fill an LR pixel at x{scale}")
    return _resample(pixels[:height, :width], [_kernel((scale - 1) / 2, scale)], scale)


def upscale(pixels: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Make a picture larger, as `imresize(picture, scale, 'bicubic')`.

    Args:
        pixels: (H, W, 3), 0..255, with a pixel or more.
        scale: SR pixels to an LR pixel, in each direction.

    Returns:
        (scale * H, scale * W, 3), 0..255.
    """
    centres = [(phase + 0.5) / scale - 0.5 for phase in range(scale)]
    return _resample(pixels, [_kernel(centre, 1) for centre in centres], 1)


def halved(values: NDArray[Any]) -> NDArray[Any]:
    """Rounded means of squares of 2 x 2: (H, W, n), uint8 or uint16, to half of both, rounded up.

    Beyond the border the last row and the last column are repeated.
    """
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    total = np.full((len(even) // 2, even.shape[1] // 2, values.shape[2]), 2, np.uint32)
    for down in (0, 1):
        for right in (0, 1):
            total += even[down::2, right::2]
    return (total >> 2).astype(values.dtype)


def _kernel(centre: float, stretch: int) -> _Kernel:
    """The kernel around a position in input rows, with a sum of 1."""
    first = int(np.floor(centre - 2 * stretch)) + 1
    weights = cubic((np.arange(first, first + 4 * stretch) - centre) / stretch)
    return _Kernel(first, weights / weights.sum())


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic with a = -0.5 (Keys 1981, doi 10.1109/TASSP.1981.1163711)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _resample(
    pixels: NDArray[np.uint8], kernels: Sequence[_Kernel], step: int
) -> NDArray[np.uint8]:
    for _ in range(2):  # rows, then columns as rows
        pixels = np.ascontiguousarray(_resample_rows(pixels, kernels, step).swapaxes(0, 1))
    return pixels


def _resample_rows(
    pixels: NDArray[np.uint8], kernels: Sequence[_Kernel], step: int
) -> NDArray[np.uint8]:
    """Give `len(kernels)` rows for each `step` rows: (H, W, 3) -> (H * kernels / step, W, 3)."""
    height, phases = len(pixels), len(kernels)
    margin = 2 * step  # the reach of a kernel
    padded = np.pad(pixels, ((margin, margin), (0, 0), (0, 0)), "symmetric")
    output = np.empty((height // step * phases, *pixels.shape[1:]), np.uint8)
    for top in range(0, height // step, _BAND_ROWS):
        rows = min(_BAND_ROWS, height // step - top)
        for phase, kernel in enumerate(kernels):
            begin = top * step + kernel.first + margin
            values = sum(
                weight * padded[begin + k : begin + k + (rows - 1) * step + 1 : step]
                for k, weight in enumerate(kernel.weights)
            )
            rounded = np.clip(np.floor(values + 0.5), 0, 255)  # halves up
            output[top * phases + phase : (top + rows) * phases : phases] = rounded
    return output
