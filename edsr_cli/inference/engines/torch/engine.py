"""torch behind the seam: `edsr_cli.inference.engine` says what each part is for.

Nothing here imports torch before it has to: a plan for a CPU needs none.
"""

import os
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.errors import UsageError
from edsr_cli.inference import memory, processors
from edsr_cli.inference.engine import Device, OutOfMemoryError, Precision
from edsr_cli.inference.engines.torch import costs, hardware
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import NetworkConfig
from edsr_cli.pixels.arrays import Pixels, joined
from edsr_cli.pixels.windows import Region

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from edsr_cli.inference.engines.torch.node import Node
    from edsr_cli.inference.engines.torch.steady import Preparations, Steps
    from edsr_cli.inference.engines.torch.transfer import Rows

STRIP_PIXELS = {"cpu": 1 << 15, "mps": 1 << 18, "cuda": 1 << 19}
"""Pixels in a strip: on a CPU as many as its caches like, on a GPU enough to keep it busy, and few
enough for strips to travel while others are computed. 1920 x 1080 pixels in bf16 took an H200 59 ms
in one strip (pushed) and 58 in 4, 55 in 16 (as graphs) at x2; at x4 153 in one and 90 in 4."""

STRIPS = ("graphs", "steps", "eager")
"""How strips from the middle of a picture may be computed: in windows that are written to in place,
as one CUDA graph, where there is CUDA; so, without a graph; as all the others. On an H200
(torch 2.11) no other was faster than the first, which is taken."""

VARIABLE = "EDSR_STRIPS"
"""Of the environment: another one of `STRIPS`."""

_CPU = Device("cpu")


class TorchEngine:
    """The engine; it has no state of its own but how strips are computed.

    Args:
        strips: one of `STRIPS`; None for what the environment says, or the first.

    Raises:
        UsageError: it is none of them, or the environment's is not.
    """

    def __init__(self, strips: str | None = None) -> None:
        strips = strips or os.environ.get(VARIABLE) or STRIPS[0]
        if strips not in STRIPS:
            raise UsageError(
                f"There is no way {strips!r} to compute strips.",
                f"Set {VARIABLE} to {', '.join(STRIPS)}.",
            )
        self._strips = strips

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
        from importlib.metadata import version

        torch_version = f"torch {version('torch')}"
        if device.type != "cpu":
            return f"{self.describe(device)}; {torch_version}"
        # What the number of threads follows from; torch alone knows that number itself.
        told = os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS") or "auto"
        threads = processors.asked() or told
        return f"cpu ({threads} threads on {processors.available()}); {torch_version}"

    def strip_pixels(self, device: Device) -> int:
        return STRIP_PIXELS[device.type]

    def small_pixels(self, device: Device) -> int:
        return 0

    def memory(self, device: Device) -> int:
        if device.type == "cpu":
            return memory.budget()
        from edsr_cli.inference.engines.torch import devices

        return self._share(devices.memory_budget(_torch_device(device)), device)

    def memory_of(self, limit: int, device: Device) -> int:
        # On a CPU the code that oneDNN generates for each shape of strip, and the reordered weights
        # that it works with, take some 4 MB (measured with networks of 64 and 256 features).
        if device.type == "cpu":
            return limit - min(limit // 3, 4 << 20)
        return self._share(limit, device)

    def _share(self, budget: int, device: Device) -> int:
        """What is left for a picture's rows beside those of a graph for its strips."""
        return budget // 2 if device.type == "cuda" and self._strips != "eager" else budget

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
        small: bool,
    ) -> "TorchNetwork":
        from edsr_cli.inference.engines.torch import assembly, devices, steady
        from edsr_cli.model.networks import network_of

        target = _torch_device(device)
        with devices.own_errors():
            network = network_of(weights.config, weights.tensors)
            node = assembly.on_device(
                network, scale, target, precision, ensemble=ensemble, transposed=transposed
            )
        prepared = steady.preparations(self._strips, node, target, precision)
        return TorchNetwork(node, target, scale, precision, prepared)

    def release(self, device: Device) -> None:
        from edsr_cli.inference.engines.torch import devices

        devices.release_memory(_torch_device(device))


class TorchNetwork:
    """A streamed network on a device.

    Args:
        node: the network, which holds no rows: pictures are pushed through a `fresh` one.
        device: where it is.
        scale: of its output.
        precision: of the network.
        prepared: what it has for the middle of pictures; None to push every strip.
    """

    def __init__(
        self,
        node: "Node",
        device: "torch.device",
        scale: int,
        precision: Precision,
        prepared: "Preparations | None" = None,
    ) -> None:
        self.node, self.device, self.scale = node, device, scale
        self.precision, self.prepared = precision, prepared

    def stream(
        self, wanted: Region, dtype: np.dtype[Any], most_rows: int, *, sideways: bool
    ) -> "TorchStream":
        return TorchStream(self, wanted, dtype, most_rows, sideways)


class TorchStream:
    """A picture on its way through a network.

    Args:
        network: which.
        wanted, dtype, most_rows, sideways: see `edsr_cli.inference.engine.Compiled.stream`.
    """

    def __init__(
        self,
        network: TorchNetwork,
        wanted: Region,
        dtype: np.dtype[Any],
        most_rows: int,
        sideways: bool,
    ) -> None:
        from edsr_cli.inference.engines.torch import transfer

        scale = network.scale
        self._network, self._node = network, network.node.fresh()
        self._node.limit_rows(most_rows)
        ahead = network.prepared is not None
        self._sideways = sideways
        self._ferry = transfer.Ferry(network.device, dtype, sideways, ahead=ahead)
        self._columns = slice(wanted.left * scale, wanted.right * scale)
        # Rows that are still to come before, and up to the end of, those that are wanted.
        self._before, self._left = wanted.top * scale, wanted.bottom * scale
        self._nothing = np.empty((0, (wanted.right - wanted.left) * scale, 3), dtype)
        self._coming: deque[Rows] = deque()
        self._pushed = 0  # rows
        self._steps: tuple[torch.Size, Steps] | None = None

    def push(self, rows: Pixels, last: bool) -> Pixels:
        import torch

        from edsr_cli.inference.engines.torch import devices

        try:
            with (
                devices.own_errors(),
                devices.present(self._network.device),
                devices.convolutions(self._network.precision),
                torch.inference_mode(),
            ):
                self._send(self._made(self._ferry.upload(rows), last))
                behind = 0 if last else self._ferry.ahead
                count = max(0, len(self._coming) - behind)
                parts = [self._coming.popleft().pixels() for _ in range(count)]
                return joined(parts or [self._nothing], sideways=self._sideways)
        except OutOfMemoryError:
            self._steps = None
            if self._network.prepared is not None:
                self._network.prepared.forget()
            raise

    def reset(self) -> None:
        self._end_steps()
        self._node.reset()
        self._coming.clear()

    def _made(self, strip: "Tensor", last: bool) -> "Tensor":
        """The next finished rows: (1, 3, h, w), h >= 0; only until the next call."""
        shape, prepared = strip.shape, self._network.prepared
        settled = self._pushed >= 2 * self._node.cost.delay
        self._pushed += shape[2]
        if self._steps is not None and (last or self._steps[0] != shape):
            self._steps[1].give(self._node)
            self._end_steps()
        if prepared is not None and settled and not last and self._steps is None:
            steps = prepared.lend(strip)
            if steps is not None:
                steps.take(list(self._node.held()))
                self._steps = shape, steps
        return self._node.push(strip, last) if self._steps is None else self._steps[1](strip)

    def _end_steps(self) -> None:
        if self._steps is not None and self._network.prepared is not None:
            shape, steps = self._steps
            self._network.prepared.take_back(steps, shape)
        self._steps = None

    def _send(self, made: "Tensor") -> None:
        """Send home what is wanted of the next rows."""
        begin, end = min(made.shape[2], self._before), min(made.shape[2], self._left)
        self._before -= begin
        self._left -= end
        made = made[:, :, begin:end, self._columns]
        if made.shape[2]:
            self._coming.append(self._ferry.download(made))


def _has_fast_bf16(device: Device) -> bool:
    known = hardware.multiplies_bf16() if device.type == "cpu" else None
    if known is not None:
        return known
    from edsr_cli.inference.engines.torch import devices

    return devices.has_fast_bf16(_torch_device(device))


def _torch_device(device: Device) -> "torch.device":
    import torch

    return torch.device(str(device))
