"""What holds for the files of a run, and what became of each."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from edsr_cli.errors import ExitCode
from edsr_cli.images import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from edsr_cli.inference import Tile


class Status(StrEnum):
    """How the work on a file ended."""

    DONE = "done"
    PLANNED = "planned"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Settings:
    """What holds for every file of a run.

    Attributes:
        model: the model's name, for results.
        ensemble: average the eight views of the geometric self-ensemble.
        tile: columns of a panel in LR pixels, "auto" or "none".
        max_pixels: refuse inputs with more pixels than this.
        overwrite: replace outputs that exist.
        compression: deflate level of PNG, 0 to 9; None for what was found best.
        alpha: "drop", "keep" or a colour as "#rrggbb"; see `edsr_cli.images.alpha`.
    """

    model: str
    ensemble: bool = False
    tile: "Tile" = "auto"
    max_pixels: int = DEFAULT_MAX_PIXELS
    overwrite: bool = False
    compression: int | None = None
    alpha: str = "drop"


@dataclass
class Result:
    """What became of one file.

    Attributes:
        input, output: paths as the user gave them, or "-".
        status: see `Status`.
        model, device, precision: what it was made with; precision as it ended up.
        input_size, output_size: (width, height) in pixels, if it got as far.
        seconds: time for the whole file, reading and writing included.
        plan: panels, strips, estimated memory (bytes) and work (multiply-adds). If it is
            transposed, the picture's rows count as columns and the other way round. "memory_bytes"
            is for the network's rows; weights, pictures (what is read and what is made) and the
            encoder come besides. "seconds", where it was planned only: for the network, about.
        restore, restore_reason: how much the picture is restored, 0 to 1, and why; None where the
            model has no second network for that.
        notes: remarks about the picture.
        error: what went wrong and what to do, if it failed.
        exit_code: the exit code that this result stands for.
    """

    input: str
    output: str
    status: Status
    model: str
    device: str
    precision: str
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    seconds: float = 0.0
    plan: dict[str, float] = field(default_factory=dict)
    restore: float | None = None
    restore_reason: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    exit_code: ExitCode = ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the exit code."""
        values = {name: value for name, value in vars(self).items() if name != "exit_code"}
        return values | {"status": self.status.value, "seconds": round(self.seconds, 3)}


def exit_code(results: list[Result]) -> ExitCode:
    """The exit code of a run: the failures' own if they agree, else `SOME_FAILED`."""
    codes = {result.exit_code for result in results} - {ExitCode.DONE}
    if not codes:
        return ExitCode.DONE
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_FAILED
