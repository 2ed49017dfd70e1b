"""What is known of outputs before a run, and put on record in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from edsr_cli.errors import EdsrError, Kind
from edsr_cli.files.state import FileState as FileState
from edsr_cli.jobs.record import Record
from edsr_cli.jobs.task import Task


class LedgerError(EdsrError):
    """The ledger cannot be read or written, so nobody could tell what is done."""

    of_class = Kind.MANIFEST


NO_FILE = FileState(-1, -1)
"""Fits no file."""


def state_of(path: Path) -> FileState | None:
    """The state of what is at a place; None for nothing. A link counts as the file it leads to."""
    try:
        return FileState.of(path.stat())
    except OSError:
        # Something that cannot be looked at is there all the same, and fits no line.
        return NO_FILE if os.path.lexists(path) else None


class Verdict(Struct, frozen=True):
    """What to do about a picture.

    Attributes:
        skip: why it need not be made; None to make it.
        overwrite: whether the output that is there may be replaced.
        replaces: that output, if it is ours.
        sha256: digest of the input, where that counts.
        free: whether nothing was found where the output goes.
    """

    skip: Kind | None = None
    overwrite: bool = False
    replaces: FileState | None = None
    sha256: str | None = None
    free: bool = False


class Ledger:
    """Knows nothing and keeps nothing: for files that are upscaled one by one.

    A ledger has one owner, which is the worker whose outputs it is about; several workers of a run
    have one each. It may be used by several threads.
    """

    def arrive(self, task: Task) -> None:
        """Get ready for a task, before any work on it begins. What this raises ends the run.

        It is about the folder of the output: of all tasks of one, the first is enough.
        """

    def judge(self, task: Task, source: FileState, *, overwrite: bool) -> Verdict:
        """Decide about a task.

        Args:
            task: what to read and write.
            source: the input as it is now; `NO_FILE` if it cannot be looked at.
            overwrite: whether to make the output in any case, whatever it replaces.

        Raises:
            EdsrError: nobody can tell.
        """
        return Verdict(overwrite=overwrite)

    def check(self, task: Task) -> None:
        """Make sure that outputs still go where they did when the run began.

        It is asked several times for each, so it has to be quick.

        Raises:
            EdsrError: they would not.
        """

    def promise(self, task: Task, source: FileState, verdict: Verdict, result: FileState) -> None:
        """Put an output on record, durably, before it takes its name.

        Args:
            task: what was read and is written.
            source: the input as it was when it was read.
            verdict: what was decided about it.
            result: the finished output; for a store, the file that it is going to get.

        Raises:
            LedgerError: it cannot be written.
            PictureError: the output would not go where others did; see `check`.
        """

    def delivered(self, task: Task, source: FileState, verdict: Verdict, result: FileState) -> None:
        """Take note of what a store says of an output that it has got; see `promise`."""

    def close_account(self, task: Task, record: Record) -> None:
        """Take note of what became of a task that has failed; all else is known by then."""

    @contextmanager
    def in_place(self, task: Task) -> Iterator[None]:
        """Do `check` before the block, and if it fails.

        A folder that goes away in between is the reason, whatever the failure says.
        """
        self.check(task)
        try:
            yield
        except Exception:
            self.check(task)
            raise
