"""What is to be done: one file, and what holds for every file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edsr_cli.images import DEFAULT_MAX_PIXELS, OutputFormat

if TYPE_CHECKING:
    from edsr_cli.inference import Tile

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


@dataclass(frozen=True, kw_only=True)
class Options:
    """What holds for every file of a run.

    Attributes:
        ensemble: average the eight views of the geometric self-ensemble.
        tile: columns of a panel in LR pixels, "auto" or "none".
        max_pixels: refuse inputs with more pixels than this.
        overwrite: replace outputs that exist.
        compression: deflate level of PNG, 0 to 9; None for what was found best.
        alpha: "drop", "keep" or a colour as "#rrggbb"; see `edsr_cli.images.alpha`.
    """

    ensemble: bool = False
    tile: "Tile" = "auto"
    max_pixels: int = DEFAULT_MAX_PIXELS
    overwrite: bool = False
    compression: int | None = None
    alpha: str = "drop"
