"""What is to be done with one file. What holds for every file are options."""

from pathlib import Path

from msgspec import Struct

from edsr_cli.files.names import display_name
from edsr_cli.images import OutputFormat
from edsr_cli.stores.store import Blob
from edsr_cli.text import one_line

STREAM = "-"
"""Stands for standard input or standard output."""


class Task(Struct, frozen=True):
    """One picture to upscale.

    Attributes:
        source: the file to read; None for standard input.
        destination: the file to write; None for standard output.
        output_format: the format to write.
        origin: the object of a store that the source is made of; None where it is a file already.
        goal: the object that is made of the destination; None where that stays a file.
    """

    source: Path | None
    destination: Path | None
    output_format: OutputFormat
    origin: Blob | None = None
    goal: Blob | None = None

    @property
    def source_name(self) -> str:
        """The input as the user gave it, but for what is secret in an address."""
        if self.origin is not None:
            return self.origin.shown
        return STREAM if self.source is None else str(self.source)

    @property
    def label(self) -> str:
        """What to call it while it is at work."""
        return self.source_name

    @property
    def destination_name(self) -> str:
        """The output as a path, an address, or "-"."""
        if self.goal is not None:
            return self.goal.shown
        return STREAM if self.destination is None else str(self.destination)


def input_name(task: Task) -> str:
    """What to call the input in messages."""
    if task.source is None and task.origin is None:
        return "standard input"
    return one_line(task.source_name)


def output_name(task: Task) -> str:
    """What to call the output in messages."""
    return "standard output" if task.destination is None else one_line(task.destination_name)


def names(task: Task) -> dict[str, str]:
    """What its files may be called in messages, and what to call them instead.

    An object of a store has another name while it is a file here.
    """
    found = {name: name for name in (input_name(task), output_name(task))}
    if task.source is not None:
        found[display_name(task.source)] = input_name(task)
    if task.destination is not None:
        found[display_name(task.destination)] = output_name(task)
    return found
