"""The last steps of writing a file: bringing it to the disk, and a name that must be free."""

import ctypes
import errno
import hashlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from edsr_cli.files.lock import lock_descriptor
from edsr_cli.files.reasons import FULL
from edsr_cli.text import one_line

logger = logging.getLogger(__name__)

# What is said where a file system cannot do something, or does not let us.
_UNSUPPORTED = (
    errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL,
    errno.ENOTTY,
)  # fmt: skip
_NO_RENAMING = (*_UNSUPPORTED, errno.EMLINK)
_NO_SYNC = (*_UNSUPPORTED, errno.EROFS)
_PIECE = 1 << 20

_AT_FDCWD = -100
_LINUX_NOREPLACE, _MACOS_EXCLUSIVE = 1, 4

_one_at_a_time = threading.Lock()
_warned: set[int] = set()
_warning = threading.Lock()


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
            if problem.errno not in _NO_RENAMING:
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


def sync(descriptor: int, path: Path, begin: int = 0) -> None:
    """Return when what was written to a file is on the disk.

    Where the file system cannot say so, as on some network and FUSE mounts, there is one warning
    for each of them, and the work goes on: the file is complete, only a power cut might still lose
    it. If the disk reports that it has failed to write, the file is read again, past what is still
    in memory, and what is there decides.

    Args:
        descriptor: the file, open for reading and writing.
        path: its name, for the warning.
        begin: where what has to be read again begins, in bytes.

    Raises:
        OSError: the disk is full, or what was written is not there.
    """
    try:
        _flush(descriptor)
    except OSError as error:
        if error.errno in FULL:
            raise
        if error.errno not in _NO_SYNC and not _reads_back(descriptor, begin):
            raise
        _warn(descriptor, path, error)


def _flush(descriptor: int) -> None:
    """Have a file written to the disk; on macOS, past the cache of the disk itself."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync leaves it in that cache there
            return
        except OSError:
            pass  # some file systems, such as those of servers, have nothing but fsync
    os.fsync(descriptor)


def _reads_back(descriptor: int, begin: int) -> bool:
    """Whether a file has the same content in memory and on the disk, as far as one can find out."""
    if sys.platform == "win32" or not hasattr(os, "posix_fadvise"):
        return False
    try:
        in_memory = _digest(descriptor, begin)
        # A write that has failed leaves its pages marked as written, so that they can be dropped.
        os.posix_fadvise(descriptor, begin, 0, os.POSIX_FADV_DONTNEED)
        return _digest(descriptor, begin) == in_memory
    except OSError:
        return False


def _digest(descriptor: int, place: int) -> bytes:
    digest = hashlib.sha256()
    while piece := os.pread(descriptor, _PIECE, place):
        digest.update(piece)
        place += len(piece)
    return digest.digest()


def _warn(descriptor: int, path: Path, error: OSError) -> None:
    device = os.fstat(descriptor).st_dev
    with _warning:
        if device in _warned:
            return
        _warned.add(device)
    logger.warning(
        "%s: the disk does not confirm what is written there (%s). The files are complete, but a "
        "power cut might damage the last ones.",
        one_line(str(path.parent)),
        error.strerror,
    )
