"""Strips of a picture as NumPy arrays in memory, and as tensors on a device.

To and from an NVIDIA GPU they can travel through memory that it can read and write by itself, on
streams of their own: while it computes one strip, the next comes and the one before goes, and the
host waits for none of them before it has to give it away.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edsr_cli.inference.engine import NotFiniteError
from edsr_cli.inference.engines.torch import devices
from edsr_cli.pixels.arrays import Pixels

_AHEAD = 2  # strips that an NVIDIA GPU may be behind


class Ferry:
    """Brings the strips of one picture to a device and back.

    Args:
        device: where the picture is computed.
        dtype: of the output, uint8 or uint16.
        sideways: whether the arrays are transposed views of contiguous ones.
        ahead: whether strips may travel while others are computed, on an NVIDIA GPU.

    Attributes:
        ahead: strips to have on their way back before one is waited for.
    """

    def __init__(
        self, device: torch.device, dtype: np.dtype[Any], sideways: bool, *, ahead: bool
    ) -> None:
        self._device, self._dtype = device, dtype
        self._order = (1, 0, 2) if sideways else (0, 1, 2)
        self._up = self._down = None
        if ahead and device.type == "cuda":
            self._up, self._down = (devices.stream(device, use) for use in ("up", "down"))
        self.ahead = _AHEAD if self._down else 0

    def upload(self, pixels: Pixels) -> Tensor:
        """(h, w, 3) integers to (1, 3, h, w) floats in 0..255 on the device, channels last."""
        # Writeable, because torch warns of arrays that are not; a strip is small.
        stored = np.require(pixels.transpose(self._order), requirements=["C", "W"])
        if stored.dtype == np.uint8:
            strip = self._sent(torch.from_numpy(stored)).float()
        else:  # torch hardly supports uint16
            strip = self._sent(torch.from_numpy(stored.astype(np.int32))).float() / 257
        return strip.permute(self._order).contiguous()[None].permute(0, 3, 1, 2)

    def download(self, rows: Tensor) -> "Rows":
        """(1, 3, h, w) floats in 0..255 to (h, w, 3) integers, rounded and clamped; on their way.

        Whether they are finite is seen when they are there.
        """
        finite = torch.isfinite(rows).all()
        rows = rows[0].permute(1, 2, 0).clamp(0, 255)
        if self._dtype == np.uint8:
            rows = rows.round().to(torch.uint8)
        else:
            rows = (rows * 257).round().to(torch.int32)
        return self._brought(rows.permute(self._order).contiguous(), finite)

    def _sent(self, array: Tensor) -> Tensor:
        if self._up is None:
            return array.to(self._device)
        with torch.cuda.stream(self._up):
            strip = array.pin_memory().to(self._device, non_blocking=True)
        present = torch.cuda.current_stream()
        present.wait_stream(self._up)
        strip.record_stream(present)  # or its memory would be another's while it is still read
        return strip

    def _brought(self, levels: Tensor, finite: Tensor) -> "Rows":
        if self._down is None:
            return Rows(levels.cpu(), finite.cpu(), self._dtype, self._order)
        self._down.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._down):
            levels_here = levels.to("cpu", non_blocking=True)  # pinned, as is the next
            finite_here = finite.to("cpu", non_blocking=True)
            for each in (levels, finite):
                each.record_stream(self._down)
            arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            arrived.record()
        return Rows(levels_here, finite_here, self._dtype, self._order, arrived)


class Rows:
    """Finished rows on their way to the host.

    Args:
        levels: integers on the host, (h, w, 3) in the order of `order`.
        finite: whether they were made of finite numbers.
        dtype, order: what is made of them, and how their axes lie.
        arrived: when both are there; None if they are.
    """

    def __init__(
        self,
        levels: Tensor,
        finite: Tensor,
        dtype: np.dtype[Any],
        order: Sequence[int],
        arrived: "torch.cuda.Event | None" = None,
    ) -> None:
        self._levels, self._finite, self._arrived = levels, finite, arrived
        self._dtype, self._order = dtype, order

    def pixels(self) -> Pixels:
        """(h, w, 3), as soon as they are there.

        Raises:
            NotFiniteError: see there.
        """
        if self._arrived is not None:
            self._arrived.synchronize()
        if not bool(self._finite):
            raise NotFiniteError
        return self._levels.numpy().astype(self._dtype, copy=False).transpose(self._order)
