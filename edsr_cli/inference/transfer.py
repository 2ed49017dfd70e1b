"""Pictures as NumPy arrays in memory, and strips of them as tensors on a device.

Strips of several pictures of one size may go together: N of them, one behind the other.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edsr_cli.errors import DeviceMemoryError

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""An RGB picture, (H, W, 3), with values of the type's full range."""


def check_pixels(pixels: Pixels) -> tuple[int, int]:
    """Height and width of what should be a picture.

    Raises:
        TypeError, ValueError: it is not an array of the type or shape of `Pixels`.
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
        kind = getattr(pixels, "dtype", type(pixels).__name__)
        raise TypeError(f"a picture must be a uint8 or uint16 NumPy array, not {kind}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"a picture must have the shape (height, width, 3), not {pixels.shape}")
    return pixels.shape[0], pixels.shape[1]


def empty_pixels(count: int, height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    """An array for pictures, (count, height, width, 3).

    Raises:
        DeviceMemoryError: there is not enough memory.
    """
    try:
        return np.empty((count, height, width, 3), dtype)
    except MemoryError as error:
        need = count * height * width * 3 * dtype.itemsize / 1e9
        raise DeviceMemoryError(
            f"The output, {width} x {height} pixels, needs {need:.1f} GB of memory.",
            "Cut the picture into parts, take a smaller scale or a machine with more memory.",
        ) from error


def upload(pixels: Pixels, device: torch.device, transposed: bool) -> Tensor:
    """(N, h, w, 3) integers to (N, 3, h, w) floats in 0..255 on the device, channels last.

    If `transposed`, the array is such a view of one that is contiguous.
    """
    order = (0, 2, 1, 3) if transposed else (0, 1, 2, 3)
    # Writeable, because torch warns of arrays that are not; a strip is small.
    stored = np.require(pixels.transpose(order), requirements=["C", "W"])
    if stored.dtype == np.uint8:
        strip = torch.from_numpy(stored).to(device).float()
    else:  # torch hardly supports uint16
        strip = torch.from_numpy(stored.astype(np.int32)).to(device).float() / 257
    return strip.permute(order).contiguous().permute(0, 3, 1, 2)


def download(rows: Tensor, dtype: np.dtype[Any], transposed: bool) -> Pixels:
    """(N, 3, h, w) floats in 0..255 to (N, h, w, 3) integers of full range, rounded and clamped.

    If `transposed`, the array is such a view of one that is contiguous.
    """
    order = (0, 2, 1, 3) if transposed else (0, 1, 2, 3)
    rows = rows.permute(0, 2, 3, 1).clamp(0, 255)
    if dtype == np.uint8:
        return (
            rows.round().to(torch.uint8).permute(order).contiguous().cpu().numpy().transpose(order)
        )
    levels = (rows * 257).round().to(torch.int32).permute(order).contiguous().cpu().numpy()
    return levels.astype(np.uint16).transpose(order)
