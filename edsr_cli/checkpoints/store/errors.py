"""What goes wrong while weights are fetched: at the far end, or on this machine."""

from pathlib import Path

from edsr_cli.errors import WeightsError
from edsr_cli.files.reasons import why_not_cached


class SourceError(Exception):
    """A source does not give the file; the next one may.

    Args:
        reason: what happened, without a full stop.
        unreachable: whether there was no connection at all.
        wrong: whether there was a file, and it is not the one that was promised.
    """

    def __init__(self, reason: str, unreachable: bool = False, wrong: bool = False) -> None:
        super().__init__(reason)
        self.unreachable, self.wrong = unreachable, wrong


def cannot_write(path: Path, error: OSError) -> WeightsError:
    """The error for the user when the cache cannot be written."""
    reason, hint = why_not_cached(error)
    return WeightsError(f"it cannot be written: {reason}.", hint, about=path)
