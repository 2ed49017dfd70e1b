"""What the machine offers: devices, number formats, free memory, and how it says "no more"."""

import ctypes
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import torch
from torch.nn import functional as F

from edsr_cli.errors import UsageError
from edsr_cli.inference import cgroups
from edsr_cli.inference.assembly import Precision

logger = logging.getLogger(__name__)

STRIP_PIXELS = {"cpu": 1 << 15, "mps": 1 << 18, "cuda": 1 << 19}
"""Pixels in a strip: on a CPU as many as its caches like, on a GPU enough to keep it busy."""

LEAST_BUDGET = 32 << 20
"""Bytes that are worked in on a CPU however little seems to be free: Python and torch alone take
ten times that, so that it hardly changes whether there is enough; it does change the speed."""

_M_MMAP_THRESHOLD = -3  # malloc.h


def pick_device(name: str = "auto") -> torch.device:
    """The device that a user names, after a trial: not every GPU that is there can be used.

    Args:
        name: "cpu", "cuda", "cuda:N", "mps" or "auto": the first of CUDA, MPS and CPU that works.

    Raises:
        UsageError: there is no such device here, or it does not work.
    """
    if name == "auto":
        for device in _accelerators():
            reason = _trial(device)
            if not reason:
                return device
            logger.warning("%s cannot be used: %s.", describe(device), reason)
        return torch.device("cpu")
    device = _named(name)
    reason = "" if device.type == "cpu" else _trial(device)
    if reason:
        raise UsageError(
            f"{describe(device)} cannot be used: {reason}.",
            "Use --device cpu, or a build of torch that is made for this GPU and its driver.",
        )
    return device


def _accelerators() -> Iterator[torch.device]:
    """The devices that are faster than the CPU, best first."""
    if torch.cuda.is_available():
        current = torch.cuda.current_device()
        others = (index for index in range(torch.cuda.device_count()) if index != current)
        yield from (torch.device("cuda", index) for index in (current, *others))
    if torch.backends.mps.is_available():
        yield torch.device("mps")


def _named(name: str) -> torch.device:
    """The device of that name, if the machine has one."""
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


def _trial(device: torch.device) -> str:
    """Why a GPU cannot do a convolution, without a full stop; empty if it can.

    Builds of torch hold kernels for some generations of GPUs only. An older one is listed as
    available all the same, and fails with the first kernel.
    """
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # torch says the same in ten lines
            ones = torch.ones(1, 4, 8, 8, device=device)
            total = float(F.conv2d(ones, ones[:, :, :3, :3]).sum())
    except (RuntimeError, AssertionError) as error:
        if "no kernel image" in str(error) and device.type == "cuda":
            major, minor = torch.cuda.get_device_capability(device)
            return f"this build of torch has nothing for its generation ({major}.{minor})"
        text = " ".join((str(error).strip().splitlines() or [""])[0].split()).rstrip(".")
        return text or type(error).__name__
    return "" if total == 36 * 36 else f"a convolution gave {total:g} instead of 1296"


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
    left = cgroups.memory_left()
    available = psutil.virtual_memory().available
    if left is not None:
        available = min(available, left)
    if device.type == "mps":
        spare = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return min(spare, available) * 8 // 10
    return max(available // 2, LEAST_BUDGET)


def for_tensors(limit: int, device: torch.device) -> int:
    """What a limit on memory leaves for tensors, in bytes.

    On a CPU the code that oneDNN generates for each shape of strip, and the reordered weights that
    it works with, take some 4 MB (measured with networks of 64 and 256 features).
    """
    return limit - min(limit // 3, 4 << 20) if device.type == "cpu" else limit


def keep_no_freed_memory() -> None:
    """Have large tensors on the CPU go back to the system as soon as they are freed.

    The malloc of glibc begins like this, and learns from programs that free large blocks to keep
    them; strips, which differ in size, then leave holes, and 30 MB of tensors took 47. Other
    systems do not learn that. It is for the whole process, so it is done only where memory counts
    for more than speed.
    """
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError, TypeError):  # another C library, such as musl
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 17)


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
