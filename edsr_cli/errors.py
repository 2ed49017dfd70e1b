"""What can go wrong, as the user sees it: one line, one hint, one exit code.

Whoever catches an error finds its parts in it, and need not take its words apart.
"""

from enum import IntEnum, StrEnum
from pathlib import Path
from typing import ClassVar

from edsr_cli.text import one_line


class ExitCode(IntEnum):
    """Exit codes of every `edsr` command."""

    DONE = 0  # every file was done
    SOME_FAILED = 1  # at least one file failed; the others were done
    USAGE = 2  # the command line itself is wrong; nothing was started
    WEIGHTS = 3  # weights are missing, damaged or of a kind that cannot be used
    OUT_OF_MEMORY = 4  # not even the smallest piece of the work fits in memory
    INTERRUPTED = 130  # Ctrl-C (128 + SIGINT, as shells report it)


class Kind(StrEnum):
    """Why a file was skipped or has failed, for grouping; the record's reason has the details."""

    COMPLETE = "complete"  # skipped: its output is up to date
    EDITED = "edited"  # skipped: its output was up to date, and somebody has changed it since
    UNREADABLE = "unreadable"  # no picture, damaged, cut short, or not a file at all
    TOO_LARGE = "too-large"  # more pixels than are allowed, or than the output format can hold
    PERMISSION = "permission"
    MISSING = "missing"  # it vanished, or a link leads nowhere
    NAME = "name"  # the system cannot take the name, for the input or for the output
    EXISTS = "exists"  # there is an output that this program has not made
    OUTPUT = "output"  # the output cannot be written for another reason
    DISK_FULL = "disk-full"
    MANIFEST = "manifest"  # that it is done could not be recorded
    MEMORY = "memory"
    WEIGHTS = "weights"  # the network's output is not finite
    UNEXPECTED = "unexpected"


class EdsrError(Exception):
    """An error with a message for the user: "about: what happened. What to do.".

    Args:
        what: what happened, in one line; with `about` it goes on behind a colon.
        hint: what the user can do about it; may be empty.
        about: the file or thing that it happened to, which is shown in one line whatever characters
            it has; empty if `what` says it.
        kind: which kind of failure it is; None for that of the class, if it has one. A full disk
            is one whatever the class, since it ends a run.
    """

    exit_code = ExitCode.SOME_FAILED
    of_class: ClassVar[Kind | None] = None

    def __init__(
        self, what: str, hint: str = "", *, about: str | Path = "", kind: Kind | None = None
    ) -> None:
        super().__init__(what, hint)
        self.what, self.hint, self.about = what, hint, one_line(str(about))
        self.kind = kind if kind is Kind.DISK_FULL else self.of_class or kind

    @property
    def message(self) -> str:
        """What happened, and to which file, without what to do."""
        return f"{self.about}: {self.what}" if self.about else self.what

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(EdsrError):
    """The request makes no sense, whatever the files hold."""

    exit_code = ExitCode.USAGE


class ThreadError(EdsrError):
    """The system does not let us start another thread."""

    def __init__(self) -> None:
        super().__init__(
            "The system does not let this program start another thread.",
            "Close other programs, raise the limit (ulimit -u), or let it use fewer at once.",
        )

    def __reduce__(self) -> tuple[type["ThreadError"], tuple[()]]:
        return type(self), ()

    @staticmethod
    def is_behind(error: BaseException) -> bool:
        """Whether an error is what Python says of this."""
        return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


class FileError(EdsrError):
    """A file cannot be read or written."""


class PictureError(FileError):
    """A picture cannot be read or written."""


class WeightsError(EdsrError):
    """A model or its weights cannot be used."""

    exit_code = ExitCode.WEIGHTS
    of_class = Kind.WEIGHTS


class DeviceMemoryError(EdsrError):
    """The smallest possible piece of the work does not fit in the device's memory."""

    exit_code = ExitCode.OUT_OF_MEMORY
    of_class = Kind.MEMORY
