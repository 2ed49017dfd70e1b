"""How many threads compute: the one place where that is said; engines follow."""

import math
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from edsr_cli.inference import cgroups

MOST_THREADS = 1024

_FIRST_BYTES = 1 << 14
_OF_A_KIND = frozenset(
    (
        "vendor_id", "cpu family", "model", "model name", "stepping", "flags",  # of x86
        "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features",  # of ARM
        "isa", "uarch", "cpu", "features",  # of RISC-V, POWER and IBM Z
    )
)  # fmt: skip

_asked: int | None = None  # None where nobody has said anything
_followers: list[Callable[[int], None]] = []


def available() -> int:
    """Processors that this process may keep busy: by its affinity, and by a container's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = cgroups.processors()
    # Part of a processor is worth a thread: it idles for the rest of the time.
    return count if quota is None else max(1, min(count, math.ceil(quota)))


@cache
def kind() -> str | None:
    """The kind of this machine's processors, with all that they can do; None if nothing tells.

    Two machines where it is the same run the same code. On macOS it takes another process to ask.
    """
    if sys.platform.startswith("linux"):
        told = {key: value for key, value in first_processor().items() if key in _OF_A_KIND}
        return repr((platform.machine(), sorted(told.items()))) if told else None
    if sys.platform == "win32":
        named = os.environ.get("PROCESSOR_IDENTIFIER")
        return f"{platform.machine()} {named}" if named else None
    return None


def first_processor() -> dict[str, str]:
    """What Linux says of the first processor, in /proc/cpuinfo; empty where it does not."""
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            text = file.read(_FIRST_BYTES)  # there may be hundreds of them
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def asked() -> int:
    """How many threads were asked for; 0 if the choice is an engine's."""
    return _asked or 0


def threads() -> int:
    """How many an engine without a choice of its own takes.

    As many as were asked for, or told OpenMP, or as there are processors for.
    """
    if _asked:
        return _asked
    told = os.environ.get("OMP_NUM_THREADS", "")
    most = available()
    return min(int(told), most) if told.isdecimal() and int(told) else most


def described(threads: int) -> str:
    """What people are told of a CPU, such as "cpu (1 thread)"."""
    return f"cpu ({threads} thread{'s' if threads != 1 else ''})"


def use_threads(threads: int | None = None) -> None:
    """Say how many threads engines compute with on the CPU, for the whole process.

    Args:
        threads: their number; None or 0 for what an engine has chosen or was told
            (OMP_NUM_THREADS), but no more than there are processors for. Behind a quota more would
            only stand in each other's way: the kernel stops all of them for the rest of every
            tenth of a second.

    Raises:
        ValueError: it is negative or absurdly large.
    """
    global _asked
    if threads is not None and not 0 <= threads <= MOST_THREADS:
        raise ValueError(f"threads must be from 0 to {MOST_THREADS}, not {threads}")
    _asked = threads or 0
    for follower in _followers:
        follower(_asked)


def follow(follower: Callable[[int], None]) -> None:
    """Have a function called with `asked()` whenever that is said, and now if it has been."""
    _followers.append(follower)
    if _asked is not None:
        follower(_asked)


_forks_are_safe = False


def survive_forks() -> None:
    """Let children of this process compute with one thread instead of waiting for ever.

    Of all threads only the one that forks lives on in the child, but OpenMP there still counts on
    the others, which it had for the parent's work. With a single thread it needs none.
    """
    global _forks_are_safe
    if not _forks_are_safe and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)
    _forks_are_safe = True


def _in_child() -> None:
    use_threads(1)
