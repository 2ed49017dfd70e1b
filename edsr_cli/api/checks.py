"""What `upscale` and `batch` look at before the work: formats, and addresses of stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.files.scratch import scratch_directory
from edsr_cli.images import FORMATS, OutputFormat, alpha, sequences
from edsr_cli.jobs.staging import Staging
from edsr_cli.jobs.writing import check_promises
from edsr_cli.options.pictures import Outputs, UpscaleOptions
from edsr_cli.stores.addresses import is_address
from edsr_cli.stores.lists import is_list

if TYPE_CHECKING:
    from edsr_cli.options.folders import BatchOptions

_OF_FORMATS = ("compression", "quality", "chroma", "tiff")


def check_format(options: Outputs, output_format: OutputFormat) -> None:
    """Refuse what a format cannot do.

    Raises:
        UsageError: it cannot.
    """
    name = output_format.name
    for option in _OF_FORMATS:
        if getattr(options, option) is not None and option not in output_format.takes:
            able = [each.name for each in FORMATS if option in each.takes]
            named = " and ".join([", ".join(able[:-1]), able[-1]] if able[1:] else able)
            raise UsageError(f"--{option} is for {named}.", f"Leave it out for {name}.")
    try:
        check_promises(options, output_format)
    except PictureError as error:
        raise UsageError(error.what, error.hint) from None
    alpha.check_format(options.alpha, output_format)
    if options.frames is not None:
        sequences.check_several(output_format)


def stores_in(options: "BatchOptions | UpscaleOptions") -> bool:
    """Whether inputs or the output lie in stores."""
    return comes_from_stores(options) or goes_to_store(options)


def comes_from_stores(options: "BatchOptions | UpscaleOptions") -> bool:
    """Whether inputs lie in stores."""
    lists = not isinstance(options, UpscaleOptions)
    return any(is_address(name) or (lists and is_list(name)) for name in options.inputs)


def goes_to_store(options: "BatchOptions | UpscaleOptions") -> bool:
    """Whether outputs go to a store."""
    return options.output is not None and is_address(options.output)


@contextmanager
def staged(
    options: "BatchOptions | UpscaleOptions", *, always: bool = False
) -> Iterator[Staging | None]:
    """Give a place for what is in stores while it is on this machine; None if nothing is.

    Args:
        options: what was asked for.
        always: whether something else may name what is in stores.

    Raises:
        FileError: it cannot be made.
        UsageError: an option does not go with stores.
    """
    if not (always or stores_in(options)):
        yield None
        return
    _check(options)
    with scratch_directory() as folder:
        yield Staging(folder)


def _check(options: "BatchOptions | UpscaleOptions") -> None:
    if options.keep_times and goes_to_store(options):
        raise UsageError("--keep-times is for files: a store has times of its own.")
    if isinstance(options, UpscaleOptions):
        return
    if options.watch and stores_in(options):
        raise UsageError(
            "--watch is for folders on this machine: stores do not say what arrives.",
            "Start the same command again now and then; it does what is new.",
        )
    if options.checksum and comes_from_stores(options):
        raise UsageError(
            "--checksum would fetch everything each time.",
            "Leave it out: objects are known by what their store says of their content.",
        )
