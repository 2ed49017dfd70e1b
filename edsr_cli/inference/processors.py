"""How many threads compute: the one place where that is said; engines follow."""

import math
import os
from collections.abc import Callable

from edsr_cli.inference import cgroups

MOST_THREADS = 1024

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
