"""Strips of pictures as NumPy arrays in memory, and as tensors on a device."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from edsr_cli.pixels.arrays import Pixels


def upload(pixels: Pixels, device: torch.device, sideways: bool) -> Tensor:
    """(h, w, 3) integers to (1, 3, h, w) floats in 0..255 on the device, channels last.

    If `sideways`, the array is a transposed view of one that is contiguous.
    """
    order = (1, 0, 2) if sideways else (0, 1, 2)
    # Writeable, because torch warns of arrays that are not; a strip is small.
    stored = np.require(pixels.transpose(order), requirements=["C", "W"])
    if stored.dtype == np.uint8:
        strip = torch.from_numpy(stored).to(device).float()
    else:  # torch hardly supports uint16
        strip = torch.from_numpy(stored.astype(np.int32)).to(device).float() / 257
    return strip.permute(order).contiguous()[None].permute(0, 3, 1, 2)


def download(rows: Tensor, dtype: np.dtype[Any], sideways: bool) -> Pixels:
    """(1, 3, h, w) floats in 0..255 to (h, w, 3) integers of full range, rounded and clamped.

    If `sideways`, the array is a transposed view of one that is contiguous.
    """
    order = (1, 0, 2) if sideways else (0, 1, 2)
    rows = rows[0].permute(1, 2, 0).clamp(0, 255)
    if dtype == np.uint8:
        rows = rows.round().to(torch.uint8)
        return rows.permute(order).contiguous().cpu().numpy().transpose(order)
    levels = (rows * 257).round().to(torch.int32).permute(order).contiguous().cpu().numpy()
    return levels.astype(np.uint16).transpose(order)
