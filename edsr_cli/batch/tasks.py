"""What a source of tasks gives: pictures to upscale, and what it came across besides."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edsr_cli.jobs.naming import Task


class Ignored(StrEnum):
    """Why something in an input folder is no task; the values are for people."""

    OTHER = "not pictures"
    UNREAD = "pictures of formats that cannot be read"
    HIDDEN = "hidden"
    EXCLUDED = "left out by --include or --exclude"
    OUTPUTS = "folders of outputs"
    REPEATED = "links to folders that are taken anyway"
    SUBFOLDER = "folders below (--no-recursive)"
    VANISHED = "gone before they were read"  # while watching; otherwise that is a failure


@dataclass(frozen=True)
class BatchTask(Task):
    """One picture to upscale.

    Attributes:
        source, destination: never standard input or output.
        name: the input's path below its input folder, with "/" between the parts. Of several
            input folders that share an output folder, their names come first.
        folder: the output folder that the destination is in, which has the manifest.
    """

    source: Path
    destination: Path
    name: str
    folder: Path

    @property
    def output_name(self) -> str:
        """The output's path below the output folder, with "/" between the parts."""
        return self.destination.relative_to(self.folder).as_posix()


@dataclass(frozen=True)
class Passed:
    """Something that is no task, and why."""

    path: Path
    why: Ignored


@dataclass(frozen=True)
class Unlisted:
    """A folder that cannot be listed, or a file that cannot be looked at."""

    path: Path
    error: OSError


Item = BatchTask | Passed | Unlisted

Source = Iterator[Item | None]
"""Where tasks come from; it may go on for ever.

It is read by one thread, a little ahead of the work. While there is nothing for now it gives None,
at least once a second, so that the reader can see whether it is to stop.
"""
