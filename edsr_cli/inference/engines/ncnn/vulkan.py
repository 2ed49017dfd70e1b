"""GPUs of any maker, by way of Vulkan: the same networks, in windows of rows.

Numbers are fp32, or stored in fp16 and added up in fp32 if that is asked for; what is computed is
checked before it is used. On an NVIDIA GPU torch is seven times as fast.
"""

from functools import cache

from msgspec.structs import replace

from edsr_cli.errors import UsageError
from edsr_cli.inference import memory
from edsr_cli.inference.engine import Device, Precision
from edsr_cli.inference.engines.ncnn import gpus
from edsr_cli.inference.engines.ncnn.engine import NcnnEngine
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import NetworkConfig

# The rows around a strip, which are computed twice, are few then: an H100 took 1.6 s for two
# megapixels, and 2.2 s in strips of a quarter.
_STRIP_PIXELS = 1 << 20
_GOOD_ROWS = 128


class VulkanEngine(NcnnEngine):
    """The engine."""

    def device(self, name: str) -> Device:
        gpu = gpus.chosen(name)
        if reason := _amiss(gpu.index):
            raise UsageError(
                f"{gpu.name} cannot be used: {reason}.",
                "Update its driver, or use --device cpu.",
            )
        return Device(gpus.KIND, gpu.index)

    def precision(self, name: str, device: Device) -> Precision:
        if name in ("auto", "fp32"):
            return Precision.FP32
        if name != "fp16":
            raise UsageError(
                f"Vulkan devices compute in fp32 or fp16, not in {name!r}.",
                "Use --precision fp32.",
            )
        gpu = _gpu(device)
        if reason := _amiss(gpu.index, half=True):
            raise UsageError(
                f"{gpu.name} cannot be used in fp16: {reason}.", "Use --precision fp32."
            )
        return Precision.FP16

    def describe(self, device: Device) -> str:
        return f"{device} ({_gpu(device).name})"

    def speed_key(self, device: Device) -> str:
        return f"{super().speed_key(device)}; {_gpu(device).name}"

    def strip_pixels(self, device: Device) -> int:
        return _STRIP_PIXELS

    def small_pixels(self, device: Device) -> int:
        return 0

    def memory(self, device: Device) -> int:
        # A GPU beside the processor has the same memory.
        return min(_gpu(device).free_bytes // 2, memory.budget())

    def footprint(
        self, config: NetworkConfig, scale: int, precision: Precision, ensemble: bool
    ) -> Footprint:
        costs = super().footprint(config, scale, precision, ensemble)
        # Nothing is held, but the rows that others depend on are there with them.
        return replace(costs, held_bytes=2 * costs.radius * costs.work_bytes, good_rows=_GOOD_ROWS)


def _gpu(device: Device) -> gpus.Gpu:
    return gpus.chosen(str(device))


@cache
def _amiss(index: int, *, half: bool = False) -> str:
    """What is wrong with a device, or with fp16 on it; empty if nothing is."""
    from edsr_cli.inference.engines.ncnn import check

    return check.amiss(index, half=half)
