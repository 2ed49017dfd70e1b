"""Inputs and outputs that lie in stores, and are files here only while they are worked on."""

from contextlib import suppress

from edsr_cli.jobs.ledger import Ledger
from edsr_cli.jobs.work import Work
from edsr_cli.stores.store import Blob


def fetch(work: Work) -> None:
    """Make a file of an input that lies in a store, until the work ends."""
    path, origin = work.task.source, work.task.origin
    if path is None or origin is None:
        return

    def remove() -> None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # others are in its folder
            path.parent.rmdir()

    work.opened.callback(remove)
    origin.fetch(path)


def deliver(work: Work, ledger: Ledger, goal: Blob) -> None:
    """Put an output into its store, and let the ledger know what that says of it.

    Raises:
        StoreError: it cannot be put there; nothing is to be seen of it.
    """
    task, path = work.task, work.task.destination
    assert path is not None
    try:
        result = goal.put(path, replace=work.options.overwrite)
    finally:
        path.unlink(missing_ok=True)
    ledger.delivered(task, work.source, work.verdict, result)
