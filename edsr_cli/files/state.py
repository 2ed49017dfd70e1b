"""What tells whether a file, or an object in a store, has changed."""

import os

from msgspec import Struct


class FileState(Struct, frozen=True):  # one for each object of a folder is held
    """What tells whether a file has changed.

    Attributes:
        size: bytes.
        mtime_ns: time of the last change, in nanoseconds since 1970; 0 where a store tells none,
            `ON_ITS_WAY` of an output that it has not got yet, whose clock will say it.
        version: what a store calls this content, such as its ETag; empty for files.
    """

    size: int
    mtime_ns: int
    version: str = ""

    @classmethod
    def of(cls, status: os.stat_result) -> "FileState":
        """The state that a stat call has found."""
        return cls(status.st_size, status.st_mtime_ns)


ON_ITS_WAY = -1
"""Stands for a time that nobody knows yet."""
