"""PSNR and SSIM, as the papers on super-resolution take them.

Y is luma of ITU-R BT.601 in the range of video (16..235), a weighted sum of R, G and B that is not
rounded; EDSR-PyTorch, the authors' own code, takes the same. Pictures are gone through in bands of
rows, so that little memory is needed beside them.
"""

from collections.abc import Iterator
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

_Y_WEIGHTS = np.array([65.738, 129.057, 25.064]) / 256
_Y_OFFSET = 16.0
_PEAK = 255.0

SSIM_WINDOW = 11
"""Side of SSIM's window in pixels: what is compared must not be smaller."""

_offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
_gaussian = np.exp(-(_offsets**2) / (2 * 1.5**2))
_SSIM_WEIGHTS = _gaussian / _gaussian.sum()  # along each axis: the window is separable
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2

_BAND_ROWS = 32  # with the rows around them, few enough for a processor's cache


class Channels(StrEnum):
    """What is compared: luma, or the three colours."""

    Y = "y"
    RGB = "rgb"


def psnr(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, border: int, channels: Channels
) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures.

    Args:
        image, reference: (H, W, 3), RGB, 0..255.
        border: pixels to leave out on each side.
        channels: for RGB, the mean squared error is that over all three.

    Raises:
        ValueError: the pictures differ in size, or nothing is left inside the border.
    """
    image, reference = _inside(image, reference, border, 1)
    total, count = 0.0, 0
    for rows in _bands(len(image)):
        difference = _planes(image[rows], channels) - _planes(reference[rows], channels)
        total += float(np.sum(difference**2))
        count += difference.size
    return float(10 * np.log10(_PEAK**2 * count / total)) if total else float("inf")


def ssim(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, border: int, channels: Channels
) -> float:
    """Mean structural similarity, 1 for equal pictures (Wang et al. 2004).

    With the constants of that paper's own program: an 11 x 11 Gaussian window with a standard
    deviation of 1.5 pixels, K1 = 0.01, K2 = 0.03, variances without Bessel's correction, and only
    where the whole window lies inside.

    Args:
        image, reference: (H, W, 3), RGB, 0..255.
        border: pixels to leave out on each side.
        channels: for RGB, the mean over the three.

    Raises:
        ValueError: the pictures differ in size, or the inside of the border is smaller than
            `SSIM_WINDOW`.
    """
    image, reference = _inside(image, reference, border, SSIM_WINDOW)
    total, count = 0.0, 0
    for rows in _bands(len(image), SSIM_WINDOW - 1):
        likeness = _ssim_map(_planes(image[rows], channels), _planes(reference[rows], channels))
        total += float(np.sum(likeness))
        count += likeness.size
    return total / count


def _inside(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], border: int, smallest: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both pictures without their borders."""
    if image.shape != reference.shape:
        raise ValueError(f"pictures of shapes {image.shape} and {reference.shape} do not compare")
    height, width = image.shape[:2]
    least = smallest + 2 * border
    if min(height, width) < least:
        raise ValueError(
            f"{width} x {height} pixels are too few: with a border of {border} pixels, "
            f"{least} x {least} are needed"
        )
    inside = slice(border, height - border), slice(border, width - border)
    return image[inside], reference[inside]


def _bands(height: int, overlap: int = 0) -> Iterator[slice]:
    """Rows of the bands, each with `overlap` rows of the next one."""
    for top in range(0, height - overlap, _BAND_ROWS):
        yield slice(top, min(top + _BAND_ROWS + overlap, height))


def _planes(pixels: NDArray[np.uint8], channels: Channels) -> NDArray[np.float64]:
    """What is compared, (planes, H, W): Y in 16..235, or R, G and B in 0..255."""
    if channels is Channels.Y:
        return (pixels @ _Y_WEIGHTS + _Y_OFFSET)[np.newaxis]
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0), dtype=np.float64)


def _ssim_map(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """SSIM of every window: (planes, H, W) -> (planes, H - 10, W - 10) (Wang et al., eq. 13)."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    square_x, square_y, product = mean_x**2, mean_y**2, mean_x * mean_y
    variances = _windowed(x * x + y * y) - square_x - square_y
    covariance = _windowed(x * y) - product
    return ((2 * product + _C1) * (2 * covariance + _C2)) / (
        (square_x + square_y + _C1) * (variances + _C2)
    )


def _windowed(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means under the window, (planes, H, W) -> (planes, H - 10, W - 10)."""
    height, width = (size - SSIM_WINDOW + 1 for size in planes.shape[1:])
    rows = sum(w * planes[:, k : k + height] for k, w in enumerate(_SSIM_WEIGHTS))
    return sum(w * rows[:, :, k : k + width] for k, w in enumerate(_SSIM_WEIGHTS))
