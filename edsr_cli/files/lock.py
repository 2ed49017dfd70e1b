"""Locks on files, which end with the process however that ends.

Where the file system has none (some network and FUSE mounts), the work goes on without.
"""

import errno
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from edsr_cli.files.own import open_plain
from edsr_cli.text import one_line

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

logger = logging.getLogger(__name__)

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK)
_POLL = 0.1  # seconds between two tries while waiting


class BusyError(Exception):
    """Somebody else has the lock."""


def lock_descriptor(descriptor: int) -> bool | None:
    """Try to lock an open file until it is closed.

    Returns:
        True if that worked, False if somebody else has locked it, None if it cannot be locked
        here. Another descriptor of the same process counts as somebody else.
    """
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _BUSY else None
    return True


class Lock:
    """A file whose only use is that one process at a time has locked it. It stays, empty.

    Args:
        path: the file; it is made if necessary.
        risk: what may happen where files cannot be locked, for a warning.

    Attributes:
        works: whether it keeps others out, after it was acquired.
    """

    def __init__(self, path: Path, risk: str) -> None:
        self._path, self._risk = path, risk
        self._descriptor = -1
        self.works = False

    def acquire(self) -> None:
        """Take the lock, or go without one where there are none.

        Raises:
            BusyError: somebody else has it.
            OSError: the file cannot be made, or is no plain file.
        """
        descriptor = open_plain(self._path, os.O_RDWR | os.O_CREAT)
        locked = lock_descriptor(descriptor)
        if locked is False:
            os.close(descriptor)
            raise BusyError
        if locked is None:
            folder = one_line(str(self._path.parent))
            logger.warning("%s: files cannot be locked there, so %s.", folder, self._risk)
        self._descriptor, self.works = descriptor, locked is True

    def wait(self, message: str) -> None:
        """Take the lock when it is free, with a warning if that is not at once.

        Raises:
            OSError: the file cannot be made, or is no plain file.
        """
        said = False
        while True:
            try:
                self.acquire()
            except BusyError:
                if not said:
                    logger.warning("%s", message)
                said = True
                time.sleep(_POLL)
            else:
                return

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            if sys.platform == "win32":
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                with suppress(OSError):  # it may not have been locked
                    msvcrt.locking(self._descriptor, msvcrt.LK_UNLCK, 1)
            os.close(self._descriptor)
            self._descriptor = -1
