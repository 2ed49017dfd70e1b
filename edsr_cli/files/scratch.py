"""Scratch files: more room than there is memory, which is given back whatever happens.

Such a file has no name by the time anything is written to it (on Windows it goes with its last
handle), so that not even a process that is killed leaves one behind.
"""

import errno
import logging
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edsr_cli.errors import FileError, Kind
from edsr_cli.files.lock import BusyError, Lock
from edsr_cli.files.reasons import FULL
from edsr_cli.text import one_line

logger = logging.getLogger(__name__)

_SPARE_BYTES = 2**26  # that are left to others on the disk
_CHOSEN_BY = ("TMPDIR", "TEMP", "TMP")
_FOLDER, _LOCK = "edsr-stores-", "lock"


def scratch_folder() -> Path:
    """Where scratch files go.

    It is what `TMPDIR` says; else /var/tmp, where large files belong: many systems keep /tmp in
    memory, which a scratch file is there to spare.
    """
    large = Path("/var/tmp")
    chosen = any(os.environ.get(name) for name in _CHOSEN_BY)
    if not chosen and large.is_dir() and os.access(large, os.W_OK | os.X_OK):
        return large
    return Path(tempfile.gettempdir())


def scratch(size: int) -> mmap.mmap:
    """Give zeros in a scratch file that is mapped into memory; it goes when nobody holds it.

    Args:
        size: in bytes, at least 1. All of them are taken from the disk now: to run out of space
            while writing to mapped memory would kill the process.

    Raises:
        FileError: there is no room for it.
    """
    folder = scratch_folder()
    shown = one_line(str(folder))
    try:
        free = shutil.disk_usage(folder).free
        if free < size + _SPARE_BYTES:
            raise OSError(errno.ENOSPC, "too little is free")
        with tempfile.TemporaryFile(dir=folder) as file:
            _allocate(file.fileno(), size)
            logger.info("%s: %.2g GB are taken for a scratch file.", shown, size / 1e9)
            return mmap.mmap(file.fileno(), size)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        raise FileError(
            f"a scratch file of {size / 1e9:.2g} GB cannot be made in {shown} "
            f"({os.strerror(number) if number else error}).",
            "Set TMPDIR to a folder on a disk with more room.",
            kind=Kind.DISK_FULL if number in FULL else None,
        ) from error


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Give a folder for the length of the block, for files that need names.

    One that a killed process has left is removed by the next that asks for one.

    Raises:
        FileError: it cannot be made.
    """
    parent = scratch_folder()
    for left in parent.glob(f"{_FOLDER}*"):
        _remove_abandoned(left)
    try:
        folder, lock = _locked_folder(parent)
    except OSError as error:
        raise FileError(
            f"no scratch folder can be made there ({error.strerror}).",
            "Set TMPDIR to another folder.",
            about=one_line(str(parent)),
        ) from error
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(parent: Path) -> tuple[Path, Lock]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent))
        lock = Lock(folder / _LOCK, "another run may remove what this one keeps there")
        # Another run that finds the lock's file before it is locked takes the folder for abandoned.
        with suppress(BusyError, FileNotFoundError):
            lock.acquire()
            if (folder / _LOCK).exists():
                return folder, lock
            lock.release()


def _remove_abandoned(folder: Path) -> None:
    """Remove a scratch folder that no living process has."""
    lock = Lock(folder / _LOCK, "")
    with suppress(OSError, BusyError):
        if not (folder / _LOCK).exists():  # it was made in just this moment, or is not ours
            return
        lock.acquire()
        if os.name == "nt":  # where a file that is open is not removed
            lock.release()
        if lock.works:
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
        else:
            return
    os.ftruncate(descriptor, size)  # the free space has been looked at
