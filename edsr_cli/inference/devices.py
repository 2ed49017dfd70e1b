"""What the machine offers: devices, number formats, free memory, and how it says "no more"."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from edsr_cli.errors import UsageError
from edsr_cli.inference.assembly import Precision

STRIP_PIXELS = {"cpu": 1 << 15, "mps": 1 << 18, "cuda": 1 << 19}
"""Pixels in a strip: on a CPU as many as its caches like, on a GPU enough to keep it busy."""


def pick_device(name: str = "auto") -> torch.device:
    """The device that a user names.

    Args:
        name: "cpu", "cuda", "cuda:N", "mps" or "auto": the first of CUDA, MPS and CPU there is.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in STRIP_PIXELS:
        raise UsageError(f"There is no device {name!r}.", "Use auto, cpu, cuda, cuda:N or mps.")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise UsageError(
                "No CUDA device can be used here.",
                "Use --device cpu, or install an NVIDIA driver and a CUDA build of torch.",
            )
        index = 0 if device.index is None else device.index
        if index >= count:
            raise UsageError(f"There is no CUDA device {index}; there are {count}, from 0.")
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("Apple's GPU (mps) cannot be used here.", "Use --device cpu.")
    return torch.device(device.type)


def describe(device: torch.device) -> str:
    """The device's name for people, such as "cuda:0 (NVIDIA H200)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return str(device)


def pick_precision(name: str, device: torch.device) -> Precision:
    """The number format that a user names.

    Args:
        name: "fp32", "bf16", "fp16", or "auto": bf16 where the device multiplies it natively,
            else fp32.
        device: where the network will run.

    Raises:
        UsageError: the format is unknown, or cannot be used on the device.
    """
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


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Elsewhere bf16 is emulated, many times slower than fp32. torch has no public name for
        # this question yet.
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False


def memory_budget(device: torch.device) -> int:
    """Bytes that rows of features may take on a device now, with a margin for everything else."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + unused) * 8 // 10
    available = min(psutil.virtual_memory().available, _container_memory())
    if device.type == "mps":
        spare = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return min(spare, available) * 8 // 10
    return available // 2


def _container_memory() -> int:
    """What the memory limit of a Linux container (cgroup v2) leaves, in bytes."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or no limit ("max")
        return 1 << 62
    return max(0, limit - used)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # CPUs and Apple's GPUs raise a plain RuntimeError. A CUDA "illegal memory access" must not
    # match: after one nothing works any more.
    phrases = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "_ALLOC_FAILED",
        "could not create a primitive",  # oneDNN, whatever it lacked; seen when memory was short
    )
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in phrases)


def release_memory(device: torch.device) -> None:
    """Give cached memory back to the device, for another try with smaller pieces."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


class _ExactConvolutions:
    """The switch behind `exact_convolutions`, which the process has one of.

    The first thread that comes sets it and the last that leaves puts back what was there before;
    with each doing both, one would turn it for the others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = True

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = torch.backends.cudnn.allow_tf32
                torch.backends.cudnn.allow_tf32 = False
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.backends.cudnn.allow_tf32 = self._before


_exact_convolutions = _ExactConvolutions()


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """Keep CUDA from rounding the factors of fp32 convolutions to TF32's 10 bits, as it may.

    Threads may be inside at the same time.
    """
    _exact_convolutions.enter()
    try:
        yield
    finally:
        _exact_convolutions.leave()
