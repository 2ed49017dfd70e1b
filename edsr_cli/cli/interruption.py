"""Ctrl-C and other signals end the program in an orderly way: temporary files are removed."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from edsr_cli.errors import ExitCode
from edsr_cli.progress import Progress, Report, Unit

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""What asks us to end: Ctrl-C, `kill`, a terminal that is closed (on Windows: SIGBREAK)."""

_HOW = {"SIGINT": "Interrupted", "SIGHUP": "The terminal was closed"}


class StoppedError(BaseException):
    """A signal asks us to end.

    It stands for KeyboardInterrupt, which would not reach `main`: Typer takes that for itself, and
    says nothing.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        how = _HOW.get(signal.Signals(self.number).name, "Terminated")
        return f"{how}. No output was left half-written."

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return exit_code(self.number)


class _Watch:
    """What has arrived, and whether it has to wait."""

    arrived: int | None = None
    held = False
    first: Callable[[], None] | None = None


def watch() -> None:
    """Take note when one of `SIGNALS` comes, and after `let_go` raise `StoppedError` at once."""
    _Watch.arrived, _Watch.held = None, True
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # whoever started us may not want it
            signal.signal(number, _stop)


def exit_code(number: int) -> int:
    """The exit code for a signal, as shells report it."""
    return int(ExitCode.INTERRUPTED) if number == signal.SIGINT else 128 + number


def arrived() -> int | None:
    """The signal that has come, if one has, also if it was held."""
    return _Watch.arrived


def check() -> None:
    """Raise `StoppedError` if a signal has come that was held, or that a library has swallowed."""
    if _Watch.arrived is not None:
        raise StoppedError(_Watch.arrived)


def heeding(progress: Progress) -> Progress:
    """Progress that also notices, before each part, a signal that a library has swallowed."""

    def part(
        name: str, factor: int = 1, unit: Unit = Unit.PIXELS
    ) -> AbstractContextManager[Report]:
        check()
        return progress(name, factor, unit)

    return part


def ignore() -> None:
    """Let no further signal change how the program ends: for its last words and its exit code.

    A second one may come late, when all is cleaned up. It must neither interrupt the
    report of the first, nor end the interpreter, which takes handlers such as ours away on its own
    end, in another way than the first one has.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Let signals wait until the end of the block.

    An exception in the middle of torch's imports may be swallowed there, or abort the process.
    """
    _Watch.held = True
    try:
        yield
    finally:
        _Watch.held = False
    check()


def let_go() -> None:
    """Let signals wait no longer; see `check`."""
    _Watch.held = False
    check()


@contextmanager
def polite(first: Callable[[], None]) -> Iterator[None]:
    """Let the first signal in the block ask for an end; only the second raises `StoppedError`.

    `check` raises what the first has not, so call it behind the block.

    Args:
        first: called for the first signal, in the middle of whatever is going on; it should set a
            flag and do nothing else.
    """
    _Watch.first = first
    try:
        yield
    finally:
        _Watch.first = None


def _stop(number: int, frame: FrameType | None) -> None:
    _Watch.arrived = number
    first, _Watch.first = _Watch.first, None
    if first is not None:
        first()
    elif not _Watch.held:
        raise StoppedError(number)
