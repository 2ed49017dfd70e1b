"""Vulkan devices, as another process sees them: a broken driver may end the one that asks.

Nothing here asks before somebody wants to use one, or a list.
"""

import json
import subprocess
import sys
from functools import cache

from msgspec import Struct

from edsr_cli.errors import UsageError

KIND = "vulkan"

_PATIENCE = 60.0  # seconds, in which a driver has long answered
_SOFTWARE = 3  # VkPhysicalDeviceType has 4 for that, ncnn counts otherwise
_ASK = """
import json, ncnn
ncnn.create_gpu_instance()
found = []
for index in range(ncnn.get_gpu_count()):
    info = ncnn.get_gpu_info(index)
    megabytes = ncnn.get_gpu_device(index).get_heap_budget()
    found.append((info.device_name(), info.type(), megabytes))
print("\\n" + json.dumps(found))
ncnn.destroy_gpu_instance()
"""


class Gpu(Struct, frozen=True):
    """A Vulkan device.

    Attributes:
        index: which one it is to ncnn.
        name: as its driver calls it.
        software: whether it is a program that computes on the CPU.
        free_bytes: memory that a process may take on it.
    """

    index: int
    name: str
    software: bool
    free_bytes: int


@cache
def gpus() -> tuple[Gpu, ...]:
    """All that there are; none where there is no Vulkan.

    Raises:
        RuntimeError: the process that asked did not come to an end, or died.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK], capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"a driver did not answer within {_PATIENCE:.0f} s") from None
    try:
        # A driver may print, too, and fall over at the very end.
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"a driver ended the process (status {done.returncode})") from None
    return tuple(
        Gpu(index, name, kind == _SOFTWARE, megabytes << 20)
        for index, (name, kind, megabytes) in enumerate(found)
    )


def chosen(name: str) -> Gpu:
    """The device that a user names.

    Args:
        name: "vulkan" for the first that is no software, "vulkan:N", or "vulkan:" and a part of
            what its driver calls it.

    Raises:
        UsageError: there is none.
    """
    try:
        found = gpus()
    except RuntimeError as error:
        raise UsageError(
            f"Vulkan does not work: {error}.", "Update the GPU's driver, or use --device cpu."
        ) from error
    if not found:
        raise UsageError(
            "There is no Vulkan device.",
            "Install the GPU's driver, and on Linux libvulkan1; or use --device cpu.",
        )
    _, _, wanted = name.partition(":")
    if not wanted:
        fitting = [gpu for gpu in found if not gpu.software]
    elif wanted.isdecimal():
        fitting = [gpu for gpu in found if gpu.index == int(wanted)]
    else:
        fitting = [gpu for gpu in found if wanted.casefold() in gpu.name.casefold()]
    if fitting:
        return fitting[0]
    if not wanted:
        raise UsageError(
            f"The only Vulkan device is a program, {found[0].name}.",
            f"Use --device cpu, which is faster; or {KIND}:{found[0].index} all the same.",
        )
    raise UsageError(f"There is no Vulkan device {wanted!r}.", "See edsr devices.")
