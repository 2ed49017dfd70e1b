"""Pictures as NumPy arrays in memory, and strips of them as tensors on a device.

Strips of several pictures of one size may go together: N of them, one behind the other.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from edsr_cli.pixels.arrays import Pixels


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
