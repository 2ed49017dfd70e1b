"""Files that the program keeps for itself under names of its own."""

import errno
import os
import stat
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class NotPlainError(OSError):
    """There is something of the file's name that is no file, such as a link or a pipe."""


def open_plain(path: Path, flags: int) -> int:
    """Open a file that must be a plain one, or make it if the flags say so; gives a descriptor.

    A file of the program's own has no reason to be a link, which would let us change or empty a
    file elsewhere, or a pipe or a device, which may never end or block for ever.

    Args:
        path: the file.
        flags: of `os.open`; what keeps it from following links and from blocking is added.

    Raises:
        NotPlainError: it is something else.
        OSError: it cannot be opened.
    """
    try:
        check_plain(path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | careful | _BINARY, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # EMLINK is FreeBSD's
            raise _not_plain("a link") from error
        raise
    # What was looked at by name may have been exchanged since.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_plain("a device or a pipe")
    return descriptor


def check_plain(path: Path) -> os.stat_result:
    """The status of a file that must be a plain one.

    Raises:
        NotPlainError: it is something else.
        OSError: there is nothing, or it cannot be looked at.
    """
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        raise _not_plain("a link")
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise _not_plain("a device or a pipe")
    return status


def beginning(path: Path, count: int) -> bytes | None:
    """The first bytes of a file, to recognise it by; None if there is no file that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, count)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _not_plain(what: str) -> NotPlainError:
    return NotPlainError(errno.EINVAL, f"this is {what}, not a file")
