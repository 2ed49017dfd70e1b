"""The devices of a machine, for people who choose one."""

from importlib.util import find_spec
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from edsr_cli.inference import memory
from edsr_cli.inference.engine import Device
from edsr_cli.inference.engines import engine_for
from edsr_cli.inference.engines.ncnn import gpus
from edsr_cli.inference.engines.ncnn.engine import NcnnEngine
from edsr_cli.inference.engines.torch import hardware

CPU = "cpu"


class Found(Struct, frozen=True):
    """A device.

    Attributes:
        name: what `--device` calls it.
        what: what it is, for people.
        engine: what computes on it by itself, "ncnn" or "torch".
        free_bytes: memory that is free on it now; None if nobody can tell.
        trouble: why it cannot be used; empty if it can.
    """

    name: str
    what: str
    engine: str
    free_bytes: int | None
    trouble: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def devices() -> list[Found]:
    """All devices that networks can run on, the best first, which "auto" takes.

    PyTorch's GPUs are tried, since not every one that is listed by its driver works. PyTorch is
    imported only where there is a driver of one. Vulkan's come last: a GPU may be here twice.
    """
    return [*_taken_unasked(), *_by_vulkan()]


def usable() -> list[str]:
    """Names of all devices that work, without the CPU if there is another.

    Vulkan devices have to be asked for by name: nobody has measured which are faster than the CPU.
    """
    names = [found.name for found in _taken_unasked() if not found.trouble]
    return names[:-1] or names


def _taken_unasked() -> list[Found]:
    """Those of PyTorch, then the CPU."""
    engine = engine_for(CPU)
    name = "ncnn" if isinstance(engine, NcnnEngine) else "torch"
    cpu = Found(CPU, engine.describe(Device(CPU)), name, memory.available())
    return [*(_gpus() if hardware.may_have_gpu() else ()), cpu]


def _by_vulkan() -> list[Found]:
    if find_spec("ncnn") is None:
        return []
    try:
        found = gpus.gpus()
    except RuntimeError as error:
        return [Found(gpus.KIND, "Vulkan", "ncnn", None, str(error))]
    return [
        Found(
            str(Device(gpus.KIND, gpu.index)),
            f"{gpu.name} (a program, slower than cpu)" if gpu.software else gpu.name,
            "ncnn",
            gpu.free_bytes,
        )
        for gpu in found
    ]


def _gpus() -> list[Found]:
    try:
        from edsr_cli.inference.engines.torch import devices as torch_devices
    except ImportError:
        return []
    found = []
    for device in torch_devices.accelerators():
        trouble = torch_devices.trial(device)
        free = None if trouble else torch_devices.free_memory(device)
        found.append(Found(str(device), torch_devices.describe(device), "torch", free, trouble))
    return found
