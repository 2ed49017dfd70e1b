import errno
import os

import pytest

from edsr_cli.errors import DeviceMemoryError, Kind, PictureError, UsageError, WeightsError
from edsr_cli.files.reasons import kind_of, kind_of_system_error, why_not_cached, why_not_written
from edsr_cli.images import TooLargeError
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.jobs.writing import OutputExistsError


def system(code):
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("error", "reading", "writing"),
    [
        (PictureError("x"), Kind.UNREADABLE, Kind.OUTPUT),
        (PictureError("x", kind=Kind.NAME), Kind.NAME, Kind.NAME),
        (OutputExistsError("x"), Kind.EXISTS, Kind.EXISTS),
        (TooLargeError("x"), Kind.TOO_LARGE, Kind.TOO_LARGE),
        (DeviceMemoryError("x"), Kind.MEMORY, Kind.MEMORY),
        (MemoryError(), Kind.MEMORY, Kind.MEMORY),
        (WeightsError("x"), Kind.WEIGHTS, Kind.WEIGHTS),
        (LedgerError("x", kind=Kind.PERMISSION), Kind.MANIFEST, Kind.MANIFEST),
        (LedgerError("x", kind=Kind.DISK_FULL), Kind.DISK_FULL, Kind.DISK_FULL),
        (UsageError("x"), Kind.UNREADABLE, Kind.OUTPUT),
        (OSError("no number"), Kind.UNREADABLE, Kind.OUTPUT),
        (system(errno.EINVAL), Kind.UNREADABLE, Kind.OUTPUT),
        (system(errno.EIO), Kind.UNREADABLE, Kind.OUTPUT),
        (system(errno.ENOENT), Kind.MISSING, Kind.OUTPUT),
        (system(errno.ELOOP), Kind.MISSING, Kind.OUTPUT),
        (system(errno.EACCES), Kind.PERMISSION, Kind.PERMISSION),
        (system(errno.EROFS), Kind.PERMISSION, Kind.PERMISSION),
        (system(errno.ENAMETOOLONG), Kind.NAME, Kind.NAME),
        (system(errno.EEXIST), Kind.EXISTS, Kind.EXISTS),
        (system(errno.ENOSPC), Kind.DISK_FULL, Kind.DISK_FULL),
        (system(errno.EDQUOT), Kind.DISK_FULL, Kind.DISK_FULL),
        (KeyError("bug"), Kind.UNEXPECTED, Kind.UNEXPECTED),
        (RuntimeError("CUDA error"), Kind.UNEXPECTED, Kind.UNEXPECTED),
    ],
)
def test_kinds(error, reading, writing):
    assert kind_of(error, reading=True) is reading
    assert kind_of(error, reading=False) is writing


def test_numbers_that_tell_nothing_of_the_kind():
    assert kind_of_system_error(OSError("no number"), reading=True) is None
    assert kind_of_system_error(system(errno.ENOENT), reading=False) is None


@pytest.mark.parametrize(
    ("code", "output", "cache"),
    [
        (
            errno.EDQUOT,
            ("the quota of the disk is used up", "Make room, or write somewhere else."),
            (
                "the quota is used up",
                "Make room, or choose another folder with --cache-dir.",
            ),
        ),
        (
            errno.EROFS,
            ("the disk is read-only", "Write it somewhere else."),
            ("the disk is read-only", "Choose another folder with --cache-dir."),
        ),
        (
            errno.ENOENT,
            ("its folder does not exist", "Create the folder first."),
            (os.strerror(errno.ENOENT), ""),
        ),
        (
            errno.EIO,
            (os.strerror(errno.EIO), "Write it somewhere else."),
            (os.strerror(errno.EIO), ""),
        ),
    ],
)
def test_words(code, output, cache):
    assert why_not_written(system(code)) == output
    assert why_not_cached(system(code)) == cache
