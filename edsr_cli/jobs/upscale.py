"""The work on one file: read, upscale, write, and say how it went."""

import logging
import sys
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from edsr_cli.errors import EdsrError, ExitCode, PictureError
from edsr_cli.images import (
    DEFAULT_MAX_PIXELS,
    check_writable,
    decode,
    encode,
    probe,
    write_picture,
)
from edsr_cli.inference import Progress, Tile, Upscaler
from edsr_cli.jobs.naming import Task

logger = logging.getLogger(__name__)


class Status(StrEnum):
    """How the work on a file ended."""

    DONE = "done"
    PLANNED = "planned"
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
    """

    model: str
    ensemble: bool = False
    tile: Tile = "auto"
    max_pixels: int = DEFAULT_MAX_PIXELS
    overwrite: bool = False


@dataclass
class Result:
    """What became of one file.

    Attributes:
        input, output: paths as the user gave them, or "-".
        status: see `Status`.
        model, device, precision: what it was made with; precision as it ended up.
        input_size, output_size: (width, height) in pixels, if it got as far.
        seconds: time for the whole file, reading and writing included.
        plan: panels, strips, estimated memory (bytes) and work (multiply-adds).
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
    plan: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    exit_code: ExitCode = ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the exit code."""
        values = {name: value for name, value in vars(self).items() if name != "exit_code"}
        return values | {"status": self.status.value, "seconds": round(self.seconds, 3)}


class Job:
    """The work on one file.

    Args:
        task: what to read and write.
        upscaler: the network to use.
        settings: see `Settings`.
    """

    def __init__(self, task: Task, upscaler: Upscaler, settings: Settings) -> None:
        self.task, self.upscaler, self.settings = task, upscaler, settings
        self._source: Path | bytes | None = task.source
        self._result = Result(
            task.source_name,
            task.destination_name,
            Status.FAILED,
            settings.model,
            str(upscaler.device),
            upscaler.precision.value,
        )

    def plan(self) -> Result:
        """What `run` would do; reads the picture's header only. Does not raise."""
        return self._report(self._prepare, Status.PLANNED)

    def run(self, progress: Progress | None = None) -> Result:
        """Upscale the file. Does not raise, except when it is interrupted.

        Args:
            progress: called with the LR pixels that are done, and that there are.
        """

        def work() -> None:
            self._prepare()
            self._upscale(progress)

        return self._report(work, Status.DONE)

    def _report(self, work: Any, status: Status) -> Result:
        result, begin = self._result, time.perf_counter()
        try:
            work()
            result.status = status
        except EdsrError as error:
            named = result.input in error.message or result.output in error.message
            result.error = str(error) if named else f"{result.input}: {error}"
            result.exit_code = error.exit_code
            logger.debug("%s", error, exc_info=True)
        except Exception as error:  # one file must not end the others
            result.error = f"{result.input}: unexpected {type(error).__name__}: {error}"
            result.exit_code = ExitCode.SOME_FAILED
            logger.debug("%s", result.error, exc_info=True)
        result.seconds = time.perf_counter() - begin
        return result

    def _prepare(self) -> None:
        """Find out everything that can go wrong before the work is done."""
        task, result = self.task, self._result
        if self._source is None:
            self._source = sys.stdin.buffer.read()
        info = probe(self._source, self.settings.max_pixels, name=task.source_name)
        scale = self.upscaler.scale
        result.input_size = (info.width, info.height)
        result.output_size = (info.width * scale, info.height * scale)
        task.output_format.check_size(*result.output_size)
        if task.destination is not None:
            if task.destination.is_dir():
                raise PictureError(f"{task.destination} is a folder.", "Give a file with -o.")
            if task.destination.exists() and not self.settings.overwrite:
                raise PictureError(
                    f"{task.destination} exists already.", "To replace it, add --overwrite."
                )
            check_writable(_existing(task.destination.parent))
        plan = self.upscaler.plan(
            info.height, info.width, self.settings.ensemble, self.settings.tile
        )
        result.plan = {
            "panels": len(plan.panels),
            "panel_width": plan.panel_width,
            "strips": -(-info.height // plan.strip_rows) * len(plan.panels),
            "strip_rows": plan.strip_rows,
            "memory_bytes": plan.bytes,
            "multiply_adds": plan.pixels * self.upscaler.work_per_pixel(self.settings.ensemble),
        }

    def _upscale(self, progress: Progress | None) -> None:
        task, settings = self.task, self.settings
        assert self._source is not None
        picture = decode(self._source, settings.max_pixels, name=task.source_name)
        self._result.notes = picture.notes
        upscaled = self.upscaler.upscale(
            picture.pixels, settings.ensemble, settings.tile, "uint8", progress
        )
        self._result.precision = upscaled.precision.value
        if task.destination is None:
            encode(upscaled.pixels, task.output_format, picture.metadata, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        task.destination.parent.mkdir(parents=True, exist_ok=True)
        write_picture(
            task.destination,
            upscaled.pixels,
            task.output_format,
            picture.metadata,
            overwrite=settings.overwrite,
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def exit_code(results: list[Result]) -> ExitCode:
    """The exit code of a run: the failures' own if they agree, else `SOME_FAILED`."""
    codes = {result.exit_code for result in results} - {ExitCode.DONE}
    if not codes:
        return ExitCode.DONE
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_FAILED
