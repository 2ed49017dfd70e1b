"""The machine's own memory: what is free, and how it is given back."""

import ctypes
import sys
from contextlib import suppress

import psutil

from edsr_cli.inference import cgroups

LEAST_BUDGET = 32 << 20
"""Bytes that are worked in on a CPU however little seems to be free: Python and torch alone take
ten times that, so that it hardly changes whether there is enough; it does change the speed."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h

_keeps_none = False


def available() -> int:
    """Bytes that are free, and that a container may still take."""
    left = cgroups.memory_left()
    free = psutil.virtual_memory().available
    return free if left is None else min(free, left)


def budget() -> int:
    """Bytes that rows of features or pixels may take now, with a margin for everything else."""
    return max(available() // 2, LEAST_BUDGET)


def keep_none_that_is_freed() -> None:
    """Have large blocks go back to the system as soon as they are freed.

    The malloc of glibc begins like this, and learns from programs that free large blocks to keep
    them; strips, which differ in size, then leave holes, and 30 MB of tensors took 47. Other
    systems do not learn that. It is for the whole process, so it is done only where memory counts
    for more than speed.
    """
    global _keeps_none
    _keeps_none = True
    _tell_malloc(_M_MMAP_THRESHOLD, 1 << 17)
    _tell_malloc(_M_TRIM_THRESHOLD, 1 << 17)
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # what was kept until now


def keep_what_is_freed() -> None:
    """Have blocks of the size of strips stay with the process when they are freed.

    glibc learns that by itself, but not for long: a block that goes back to the system is zeroed,
    page by page, when the next strip takes it again, which was a tenth of the time for small
    pictures. Where memory has been said to count for more, this does nothing.
    """
    if not _keeps_none:
        _tell_malloc(_M_TRIM_THRESHOLD, 64 << 20)
        _tell_malloc(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes


def _tell_malloc(parameter: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError, TypeError):  # another C library, such as musl
            ctypes.CDLL(None).mallopt(parameter, value)
