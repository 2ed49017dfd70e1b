import errno
import os

import pytest

from edsr_cli.errors import DeviceMemoryError, Kind, PictureError, UsageError, WeightsError
from edsr_cli.images import TooLargeError
from edsr_cli.jobs.batch.manifest import ManifestError
from edsr_cli.jobs.batch.reasons import kind_of
from edsr_cli.jobs.upscale import OutputExistsError


def system(code):
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("error", "cause", "reading", "writing"),
    [
        (PictureError("x"), None, Kind.UNREADABLE, Kind.OUTPUT),
        (PictureError("x"), ValueError("bad"), Kind.UNREADABLE, Kind.OUTPUT),
        (PictureError("x"), OSError("no number"), Kind.UNREADABLE, Kind.OUTPUT),
        (PictureError("x"), system(errno.EINVAL), Kind.UNREADABLE, Kind.OUTPUT),
        (PictureError("x"), system(errno.EIO), Kind.UNREADABLE, Kind.OUTPUT),
        (PictureError("x"), system(errno.ENOENT), Kind.MISSING, Kind.OUTPUT),
        (PictureError("x"), system(errno.ELOOP), Kind.MISSING, Kind.OUTPUT),
        (PictureError("x"), system(errno.EACCES), Kind.PERMISSION, Kind.PERMISSION),
        (PictureError("x"), system(errno.EROFS), Kind.PERMISSION, Kind.PERMISSION),
        (PictureError("x"), system(errno.ENAMETOOLONG), Kind.NAME, Kind.NAME),
        (PictureError("x"), system(errno.EEXIST), Kind.EXISTS, Kind.EXISTS),
        (PictureError("x"), system(errno.ENOSPC), Kind.DISK_FULL, Kind.DISK_FULL),
        (PictureError("x"), system(errno.EDQUOT), Kind.DISK_FULL, Kind.DISK_FULL),
        (PictureError("x"), MemoryError(), Kind.MEMORY, Kind.MEMORY),
        (OutputExistsError("x"), None, Kind.EXISTS, Kind.EXISTS),
        (TooLargeError("x"), None, Kind.TOO_LARGE, Kind.TOO_LARGE),
        (DeviceMemoryError("x"), RuntimeError(), Kind.MEMORY, Kind.MEMORY),
        (MemoryError(), None, Kind.MEMORY, Kind.MEMORY),
        (WeightsError("x"), None, Kind.WEIGHTS, Kind.WEIGHTS),
        (ManifestError("x"), system(errno.EIO), Kind.MANIFEST, Kind.MANIFEST),
        (ManifestError("x"), system(errno.ENOSPC), Kind.DISK_FULL, Kind.DISK_FULL),
        (UsageError("x"), None, Kind.UNREADABLE, Kind.OUTPUT),
        (system(errno.EACCES), None, Kind.PERMISSION, Kind.PERMISSION),
        (KeyError("bug"), None, Kind.UNEXPECTED, Kind.UNEXPECTED),
        (RuntimeError("CUDA error"), None, Kind.UNEXPECTED, Kind.UNEXPECTED),
    ],
)
def test_kinds(error, cause, reading, writing):
    error.__cause__ = cause
    assert kind_of(error, reading=True) is reading
    assert kind_of(error, reading=False) is writing
