"""How many threads compute: the one place where that is decided and set."""

import logging
import math
import os

import torch

from edsr_cli.inference import cgroups

logger = logging.getLogger(__name__)

MOST_THREADS = 1024


def available() -> int:
    """Processors that this process may keep busy: by its affinity, and by a container's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = cgroups.processors()
    # Part of a processor is worth a thread: it idles for the rest of the time.
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def use_threads(threads: int | None = None) -> int:
    """Set how many threads torch computes with on the CPU, for the whole process.

    Args:
        threads: their number; None or 0 for what torch has chosen or was told (OMP_NUM_THREADS),
            but no more than there are processors for. Behind a quota more would only stand in each
            other's way: the kernel stops all of them for the rest of every tenth of a second.

    Returns:
        The number.

    Raises:
        ValueError: it is negative or absurdly large.
    """
    if threads is not None and not 0 <= threads <= MOST_THREADS:
        raise ValueError(f"threads must be from 0 to {MOST_THREADS}, not {threads}")
    now = torch.get_num_threads()
    wanted = threads or min(now, available())
    if wanted != now:
        logger.debug("computing with %d threads instead of %d", wanted, now)
        torch.set_num_threads(wanted)
    return wanted


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
    torch.set_num_threads(1)
