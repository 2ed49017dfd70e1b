"""Bringing what was written to the disk, as far as the disk lets itself be told to."""

import errno
import hashlib
import logging
import os
import sys
import threading
from pathlib import Path

from edsr_cli.text import one_line

logger = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNSUPPORTED = (
    errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES,
    errno.EROFS, errno.ENOTTY,
)  # fmt: skip
_PIECE = 1 << 20

_warned: set[int] = set()
_lock = threading.Lock()


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
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _FULL:
            raise
        if error.errno not in _UNSUPPORTED and not _reads_back(descriptor, begin):
            raise
        _warn(descriptor, path, error)


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
    with _lock:
        if device in _warned:
            return
        _warned.add(device)
    logger.warning(
        "%s: the disk does not confirm what is written there (%s). The files are complete, but a "
        "power cut might damage the last ones.",
        one_line(str(path.parent)),
        error.strerror,
    )
