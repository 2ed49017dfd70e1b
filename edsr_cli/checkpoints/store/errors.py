"""What goes wrong while weights are fetched: at the far end, or on this machine."""

import errno
from pathlib import Path

from edsr_cli.errors import WeightsError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Make room, or choose another folder with --cache-dir."),
    errno.EDQUOT: ("the quota is used up", "Make room, or choose another folder with --cache-dir."),
    errno.EFBIG: ("the file grows larger than is allowed here", "Choose another --cache-dir."),
    errno.EROFS: ("the disk is read-only", "Choose another folder with --cache-dir."),
    errno.EACCES: ("no permission to write there", "Choose another folder with --cache-dir."),
    errno.EPERM: ("no permission to write there", "Choose another folder with --cache-dir."),
    errno.ENOTDIR: ("a part of this path is no folder", "Choose another folder with --cache-dir."),
    errno.EEXIST: ("there is a file of that name", "Choose another folder with --cache-dir."),
}


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


def is_local(error: OSError) -> bool:
    """Whether an error is this machine's file system's, which no other source can help."""
    return error.errno in _REASONS


def cannot_write(path: Path, error: OSError) -> WeightsError:
    """The error for the user when the cache cannot be written."""
    reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
    return WeightsError(f"{path}: it cannot be written: {reason}.", hint)
