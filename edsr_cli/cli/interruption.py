"""Ctrl-C and SIGTERM end the program in an orderly way: temporary files are removed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StoppedError(BaseException):
    """A signal asks us to end.

    It stands for KeyboardInterrupt, which would not reach `main`: Typer takes that for itself, and
    says nothing.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Watch:
    """What has arrived, and whether it has to wait."""

    arrived: int | None = None
    held = False


def watch() -> None:
    """Raise `StoppedError` wherever we are when SIGINT or SIGTERM comes."""
    _Watch.arrived = None
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # whoever started us may not want it
            signal.signal(number, _stop)


def check() -> None:
    """Raise `StoppedError` if a signal has come that was held, or that a library has swallowed."""
    if _Watch.arrived is not None:
        raise StoppedError(_Watch.arrived)


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


def _stop(number: int, frame: FrameType | None) -> None:
    _Watch.arrived = number
    if not _Watch.held:
        raise StoppedError(number)
