"""Errors sorted into kinds."""

import errno
from collections.abc import Iterator

from edsr_cli.batch.manifest import ManifestError
from edsr_cli.batch.record import Kind
from edsr_cli.errors import DeviceMemoryError, EdsrError, WeightsError
from edsr_cli.images import TooLargeError
from edsr_cli.jobs.upscale import OutputExistsError

_CLASSES: tuple[tuple[type[BaseException], Kind], ...] = (
    (OutputExistsError, Kind.EXISTS),
    (TooLargeError, Kind.TOO_LARGE),
    (DeviceMemoryError, Kind.MEMORY),
    (MemoryError, Kind.MEMORY),
    (WeightsError, Kind.WEIGHTS),
    (ManifestError, Kind.MANIFEST),
)

_FULL = (errno.ENOSPC, errno.EDQUOT)

_CODES = {
    errno.EACCES: Kind.PERMISSION,
    errno.EPERM: Kind.PERMISSION,
    errno.EROFS: Kind.PERMISSION,
    errno.ENAMETOOLONG: Kind.NAME,
    errno.EILSEQ: Kind.NAME,
    errno.EEXIST: Kind.EXISTS,
    errno.ENOMEM: Kind.MEMORY,
}

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)


def kind_of(error: BaseException, reading: bool) -> Kind:
    """The kind of a failure, by the error and by what is behind it.

    Args:
        error: what was raised.
        reading: whether the input was concerned, not the output.
    """
    chain = list(_chain(error))
    if any(isinstance(cause, OSError) and cause.errno in _FULL for cause in chain):
        return Kind.DISK_FULL
    for cause in chain:
        for known, kind in _CLASSES:
            if isinstance(cause, known):
                return kind
        code = cause.errno if isinstance(cause, OSError) else None
        if code in _CODES:
            return _CODES[code]
        if code in _GONE and reading:
            return Kind.MISSING
    if not isinstance(error, (EdsrError, OSError)):
        return Kind.UNEXPECTED
    return Kind.UNREADABLE if reading else Kind.OUTPUT


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
