"""Errors sorted into kinds."""

from collections.abc import Iterator

from edsr_cli.errors import DeviceMemoryError, EdsrError, Kind, WeightsError
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.images import TooLargeError
from edsr_cli.jobs.batch.manifest import ManifestError
from edsr_cli.jobs.upscale import OutputExistsError

_CLASSES: tuple[tuple[type[BaseException], Kind], ...] = (
    (OutputExistsError, Kind.EXISTS),
    (TooLargeError, Kind.TOO_LARGE),
    (DeviceMemoryError, Kind.MEMORY),
    (MemoryError, Kind.MEMORY),
    (WeightsError, Kind.WEIGHTS),
    (ManifestError, Kind.MANIFEST),
)


def kind_of(error: BaseException, reading: bool) -> Kind:
    """The kind of a failure, by the error and by what is behind it.

    Args:
        error: what was raised.
        reading: whether the input was concerned, not the output.
    """
    chain = list(_chain(error))
    kinds = [
        kind_of_system_error(each, reading) if isinstance(each, OSError) else None for each in chain
    ]
    if Kind.DISK_FULL in kinds:
        return Kind.DISK_FULL
    for cause, of_system in zip(chain, kinds, strict=True):
        for known, kind in _CLASSES:
            if isinstance(cause, known):
                return kind
        if of_system is not None:
            return of_system
    if not isinstance(error, (EdsrError, OSError)):
        return Kind.UNEXPECTED
    return Kind.UNREADABLE if reading else Kind.OUTPUT


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
