"""Going on with a picture that was interrupted: when, and from what. How is in `partial`."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edsr_cli import __version__
from edsr_cli.checkpoints.checkpoint import weights_digest
from edsr_cli.files.lock import lock_descriptor
from edsr_cli.files.names import display_name
from edsr_cli.files.own import check_plain, open_plain
from edsr_cli.files.temporary import remove_abandoned
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.partial import Facts, PartialRows, kept_rows, partial_path
from edsr_cli.jobs.task import output_name
from edsr_cli.jobs.work import Work

logger = logging.getLogger(__name__)


def is_resumable(work: Work) -> bool:
    """Whether finished rows of a picture can be kept, as far as is known; a warning says why not.

    Args:
        work: the picture, whose enlargement is known, and maybe how it is cut.
    """
    task, plans = work.task, work.plans
    if task.source is None or task.destination is None or task.goal is not None:
        why = "it does not go from file to file"
    elif work.inspected.frames > 1:
        why = f"it has {work.inspected.frames} frames or pages, which are begun anew"
    elif plans and not plans[-1].rows_only:
        why = "it is not made by rows of full width; a larger --max-memory, or no --tile, helps"
    else:
        return bool(work.enlargement.scales)
    logger.warning("%s: no rows are kept for --resume: %s.", output_name(task), why)
    return False


@contextmanager
def kept(work: Work, networks: Sequence[Upscaler]) -> Iterator[PartialRows | None]:
    """Keep the finished rows of a picture in the block, if it is resumable; see `kept_rows`."""
    if not work.resumable:
        yield None
        return
    assert work.task.destination is not None
    remove_abandoned(work.task.destination.parent)  # by those who were killed: large ones
    with kept_rows(work.task.destination, facts_of(work, networks)) as rows:
        yield rows


def facts_of(work: Work, networks: Sequence[Upscaler]) -> Facts:
    """All that the rows of a picture depend on, but for the last bits of sums.

    Args:
        work: the picture, behind `Worker.decode`.
        networks: what it goes through, in the strength that was chosen.
    """
    options = work.options
    return {
        "program": __version__,
        "input": [work.source.size, work.source.mtime_ns],
        "weights": weights_digest(*(network.weights for network in networks)),
        "scales": [network.scale for network in networks],
        "number format": networks[-1].precision.value,
        "ensemble": options.ensemble,
        "frame": options.frame,
        "alpha": options.alpha,
        "grey": work.grey,
    }


def pass_over(output: Path) -> None:
    """Say so where there are rows of an earlier run, which this one does not go on with."""
    if os.path.lexists(partial_path(output)):
        logger.info(
            "%s: begun anew, although an earlier run has finished rows of it; --resume goes on "
            "behind them.",
            display_name(output),
        )


def forget(output: Path) -> None:
    """Remove finished rows of an output that is there now, if nobody is at work with them.

    What a killed run was writing goes, too.
    """
    path = partial_path(output)
    if not os.path.lexists(path):
        return
    remove_abandoned(output.parent)
    with suppress(OSError):
        check_plain(path)
        if os.name == "nt":
            path.unlink()  # which fails while anybody has opened it
            return
        descriptor = open_plain(path, os.O_RDWR)
        try:
            if lock_descriptor(descriptor) is not False:
                path.unlink()
        finally:
            os.close(descriptor)
