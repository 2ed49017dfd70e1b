"""What is to be done with one file. What holds for every file are options."""

from dataclasses import dataclass
from pathlib import Path

from edsr_cli.images import OutputFormat

STREAM = "-"
"""Stands for standard input or standard output."""


@dataclass(frozen=True)
class Task:
    """One picture to upscale.

    Attributes:
        source: the file to read; None for standard input.
        destination: the file to write; None for standard output.
        output_format: the format to write.
    """

    source: Path | None
    destination: Path | None
    output_format: OutputFormat

    @property
    def source_name(self) -> str:
        """The input as the user gave it."""
        return STREAM if self.source is None else str(self.source)

    @property
    def label(self) -> str:
        """What to call it while it is at work."""
        return self.source_name

    @property
    def destination_name(self) -> str:
        """The output as a path, or "-"."""
        return STREAM if self.destination is None else str(self.destination)
