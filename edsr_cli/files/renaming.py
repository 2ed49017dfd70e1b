"""Giving a finished file a name that must be free."""

import ctypes
import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from edsr_cli.files.lock import lock_descriptor

# What is said where a file system cannot do something, or does not let us.
_UNSUPPORTED = (
    errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK,
    errno.EINVAL, errno.ENOTTY,
)  # fmt: skip

_AT_FDCWD = -100
_LINUX_NOREPLACE, _MACOS_EXCLUSIVE = 1, 4

_one_at_a_time = threading.Lock()


def rename_new(source: Path, target: Path) -> None:
    """Rename a file, in the same folder, to a name that must be free.

    At every moment there is a complete file of the new name or none, whatever is killed. Systems
    can do that at once (Linux, macOS, Windows), or by a second hard link. Some file systems have
    neither, as FAT on macOS or what some servers offer. There, the name is looked at, and then
    taken: a file that another program creates in the microseconds between would be replaced. The
    other way, to hold the name by an empty file, was worse: a kill left that behind.

    Raises:
        FileExistsError: the name is taken.
        OSError: the file cannot be renamed.
        ValueError: a name has a null character.
    """
    if os.name == "nt":
        os.rename(source, target)  # noqa: PTH104 - on Windows it fails if the target exists
        return
    for way in (_rename_exclusive, _link):
        try:
            way(source, target)
        except OSError as problem:
            if problem.errno not in _UNSUPPORTED:
                raise
        else:
            return
    _look_and_rename(source, target)


def _rename_exclusive(source: Path, target: Path) -> None:
    old, new = os.fsencode(source), os.fsencode(target)
    if b"\0" in old + new:
        raise ValueError("embedded null character")  # C would take it for the end of the name
    function = _system_function()
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(old, new):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


@cache
def _system_function() -> Callable[[bytes, bytes], int] | None:
    """Renames without replacing; gives 0, or sets `ctypes.get_errno`. None if there is none."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            linux = library.renameat2
            place = (ctypes.c_int, ctypes.c_char_p)
            linux.argtypes = (*place, *place, ctypes.c_uint)
            return lambda old, new: int(linux(_AT_FDCWD, old, _AT_FDCWD, new, _LINUX_NOREPLACE))
        if sys.platform == "darwin":
            macos = library.renamex_np
            macos.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint]
            return lambda old, new: int(macos(old, new, _MACOS_EXCLUSIVE))
    except (AttributeError, OSError, TypeError):
        pass
    return None


def _link(source: Path, target: Path) -> None:
    os.link(source, target)
    os.unlink(source)  # noqa: PTH108 - beside os.link


def _look_and_rename(source: Path, target: Path) -> None:
    with _one_at_a_time:
        descriptor = _lock_folder(target.parent)
        try:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
            os.rename(source, target)  # noqa: PTH104
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _lock_folder(folder: Path) -> int | None:
    """Keep other processes of this program out for a moment, where folders can be locked."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    end = time.monotonic() + 1  # whoever has locked a folder for longer is not one of us
    while lock_descriptor(descriptor) is False and time.monotonic() < end:
        time.sleep(0.005)
    return descriptor
