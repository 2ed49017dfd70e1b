"""torch behind the seam: `edsr_cli.inference.engine` says what each part is for.

Nothing here imports torch before it has to: a plan for a CPU needs none.
"""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.errors import UsageError
from edsr_cli.inference import memory, processors
from edsr_cli.inference.engine import Device, NotFiniteError, Precision
from edsr_cli.inference.engines.torch import costs, hardware
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import NetworkConfig
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Region

if TYPE_CHECKING:
    import torch

    from edsr_cli.inference.engines.torch.streaming import Node

STRIP_PIXELS = {"cpu": 1 << 15, "mps": 1 << 18, "cuda": 1 << 19}
"""Pixels in a strip: on a CPU as many as its caches like, on a GPU enough to keep it busy."""

_CPU = Device("cpu")


class TorchEngine:
    """The engine; it has no state of its own."""

    def device(self, name: str) -> Device:
        if name == "cpu" or (name == "auto" and not hardware.may_have_gpu()):
            return _CPU
        from edsr_cli.inference.engines.torch import devices

        device = devices.pick_device(name)
        return Device(device.type, device.index)

    def precision(self, name: str, device: Device) -> Precision:
        if name == "auto":
            return Precision.BF16 if _has_fast_bf16(device) else Precision.FP32
        try:
            precision = Precision(name)
        except ValueError:
            raise UsageError(
                f"There is no precision {name!r}.", "Use auto, fp32, bf16 or fp16."
            ) from None
        if precision is Precision.FP16 and device.type == "cpu":
            raise UsageError(
                "fp16 is for GPUs: on a CPU it would be far slower than fp32.",
                "Use --precision auto.",
            )
        return precision

    def warm_up(self) -> None:
        import edsr_cli.inference.engines.torch.assembly  # noqa: F401

    def describe(self, device: Device) -> str:
        from edsr_cli.inference.engines.torch import devices

        return devices.describe(_torch_device(device))

    def speed_key(self, device: Device) -> str:
        torch_version = f"torch {version('torch')}"
        if device.type != "cpu":
            return f"{self.describe(device)}; {torch_version}"
        # What the number of threads follows from; torch alone knows that number itself.
        told = os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS") or "auto"
        threads = processors.asked() or told
        return f"cpu ({threads} threads on {processors.available()}); {torch_version}"

    def strip_pixels(self, device: Device) -> int:
        return STRIP_PIXELS[device.type]

    def memory(self, device: Device) -> int:
        if device.type == "cpu":
            return memory.budget()
        from edsr_cli.inference.engines.torch import devices

        return devices.memory_budget(_torch_device(device))

    def memory_of(self, limit: int, device: Device) -> int:
        # On a CPU the code that oneDNN generates for each shape of strip, and the reordered weights
        # that it works with, take some 4 MB (measured with networks of 64 and 256 features).
        return limit - min(limit // 3, 4 << 20) if device.type == "cpu" else limit

    def footprint(
        self, config: NetworkConfig, scale: int, precision: Precision, ensemble: bool
    ) -> Footprint:
        return costs.footprint(config, scale, precision, ensemble)

    def compile(
        self,
        weights: Checkpoint,
        scale: int,
        device: Device,
        precision: Precision,
        *,
        ensemble: bool,
        transposed: bool,
    ) -> "TorchNetwork":
        from edsr_cli.inference.engines.torch import assembly, devices
        from edsr_cli.model.networks import network_of

        target = _torch_device(device)
        with devices.own_errors():
            network = network_of(weights.config, weights.tensors)
            node = assembly.on_device(
                network, scale, target, precision, ensemble=ensemble, transposed=transposed
            )
        return TorchNetwork(node, target, scale)

    def release(self, device: Device) -> None:
        from edsr_cli.inference.engines.torch import devices

        devices.release_memory(_torch_device(device))


class TorchNetwork:
    """A streamed network on a device.

    Args:
        node: the network, which holds no rows: pictures are pushed through a `fresh` one.
        device: where it is.
        scale: of its output.
    """

    def __init__(self, node: "Node", device: "torch.device", scale: int) -> None:
        self.node, self.device, self.scale = node, device, scale

    def stream(
        self, wanted: Region, dtype: np.dtype[Any], most_rows: int, *, sideways: bool
    ) -> "TorchStream":
        node = self.node.fresh()
        node.limit_rows(most_rows)
        return TorchStream(node, self.device, self.scale, wanted, dtype, sideways)


class TorchStream:
    """A picture on its way through a network.

    Args:
        node: the network; nobody else pushes anything through it.
        device, scale: as for `TorchNetwork`.
        wanted, dtype, sideways: see `edsr_cli.inference.engine.Compiled.stream`.
    """

    def __init__(
        self,
        node: "Node",
        device: "torch.device",
        scale: int,
        wanted: Region,
        dtype: np.dtype[Any],
        sideways: bool,
    ) -> None:
        self._node, self._device = node, device
        self._dtype, self._sideways = dtype, sideways
        self._columns = slice(wanted.left * scale, wanted.right * scale)
        # Rows that are still to come before, and up to the end of, those that are wanted.
        self._before, self._left = wanted.top * scale, wanted.bottom * scale

    def push(self, rows: Pixels, last: bool) -> Pixels:
        import torch

        from edsr_cli.inference.engines.torch import devices, transfer

        with devices.own_errors(), devices.exact_convolutions(), torch.inference_mode():
            strip = transfer.upload(rows, self._device, self._sideways)
            made = self._node.push(strip, last)
            begin, end = min(made.shape[2], self._before), min(made.shape[2], self._left)
            self._before -= begin
            self._left -= end
            made = made[:, :, begin:end, self._columns]
            if made.shape[2] == 0:  # nothing to wait for
                return np.empty((0, made.shape[3], 3), self._dtype)
            if not bool(torch.isfinite(made).all()):
                raise NotFiniteError
            return transfer.download(made, self._dtype, self._sideways)

    def reset(self) -> None:
        self._node.reset()


def _has_fast_bf16(device: Device) -> bool:
    known = hardware.multiplies_bf16() if device.type == "cpu" else None
    if known is not None:
        return known
    from edsr_cli.inference.engines.torch import devices

    return devices.has_fast_bf16(_torch_device(device))


def _torch_device(device: Device) -> "torch.device":
    import torch

    return torch.device(str(device))
