"""What torch finds on the machine: devices, their numbers and memory; how it says "no more"."""

import functools
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch.nn import functional as F

from edsr_cli.errors import UsageError
from edsr_cli.inference import memory, processors
from edsr_cli.inference.engine import OutOfMemoryError, Precision

logger = logging.getLogger(__name__)


def pick_device(name: str = "auto") -> torch.device:
    """The device that a user names, after a trial: not every GPU that is there can be used.

    Args:
        name: "cpu", "cuda", "cuda:N", "mps" or "auto": the first of CUDA, MPS and CPU that works.

    Raises:
        UsageError: there is no such device here, or it does not work.
    """
    if name == "auto":
        for device in accelerators():
            reason = trial(device)
            if not reason:
                return device
            logger.warning("%s cannot be used: %s.", describe(device), reason)
        return torch.device("cpu")
    device = _named(name)
    reason = "" if device.type == "cpu" else trial(device)
    if reason:
        raise UsageError(
            f"{describe(device)} cannot be used: {reason}.",
            "Use --device cpu, or a build of torch that is made for this GPU and its driver.",
        )
    return device


def accelerators() -> Iterator[torch.device]:
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
    if device.type not in ("cpu", "cuda", "mps"):
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


def trial(device: torch.device) -> str:
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
        return processors.described(torch.get_num_threads())
    return str(device)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 natively."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Elsewhere bf16 is emulated, many times slower than fp32. torch has no public name for
        # this question yet.
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False


def memory_budget(device: torch.device) -> int:
    """Bytes that rows of features may take on a GPU now, with a margin for everything else."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + unused) * 8 // 10
    spare = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return min(spare, memory.available()) * 8 // 10


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU; on Apple's, of the memory that it may take of the machine's."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(torch.mps.recommended_max_memory(), memory.available())


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


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise our own error where memory runs out in the block.

    Raises:
        OutOfMemoryError: it has.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # Its frames would keep tensors alive.
        raise OutOfMemoryError(str(error)) from error.with_traceback(None)


def release_memory(device: torch.device) -> None:
    """Give cached memory back to the device, for another try with smaller pieces."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def present(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the present one, so that what is said of streams and graphs is said of its own."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@functools.cache
def stream(device: torch.device, use: str) -> torch.cuda.Stream:
    """A CUDA device's stream for one use, the same for all pictures and threads.

    torch has 32 for each device and gives them out by turns. With new ones for each picture, one
    would soon be a stream that another thread is recording a graph on, where nothing else is
    allowed.
    """
    made: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return made


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


def convolutions(precision: Precision) -> AbstractContextManager[None]:
    """For a block in which a network of that format convolves its numbers that are in fp32.

    Beside a body in bf16 or fp16 these are only those of its head and tail. There TF32, with fp32's
    range and 10 bits behind the leading one, rounds no more than the body does, whose formats have
    7 and 10; and on an H200 the tail takes 1.8 ms with it, 10.1 without. So it may be used if it is
    allowed (as torch does by itself): the switch is left as it is found. A network in fp32 has it
    off. As the switch is the whole process's, others may meanwhile be computed more exactly than
    they ask for (and a graph that is recorded then stays so), never less.
    """
    return exact_convolutions() if precision is Precision.FP32 else nullcontext()


def _use_threads(threads: int) -> None:
    """Compute with so many on the CPU; 0 for what torch has chosen, if there is room for that."""
    now = torch.get_num_threads()
    wanted = threads or min(now, processors.available())
    if wanted != now:
        logger.debug("computing with %d threads instead of %d", wanted, now)
        torch.set_num_threads(wanted)


processors.follow(_use_threads)
