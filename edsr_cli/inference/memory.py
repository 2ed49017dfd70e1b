"""The machine's own memory: what is free, and how it is given back."""

import ctypes
import sys
from contextlib import suppress

import psutil

from edsr_cli.inference import cgroups

LEAST_BUDGET = 32 << 20
"""Bytes that are worked in on a CPU however little seems to be free: Python and torch alone take
ten times that, so that it hardly changes whether there is enough; it does change the speed."""

_M_MMAP_THRESHOLD = -3  # malloc.h


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
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError, TypeError):  # another C library, such as musl
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 17)
