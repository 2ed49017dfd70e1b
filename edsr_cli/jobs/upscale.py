"""The work on one file: read, upscale, write, and say how it went."""

import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from edsr_cli.errors import EdsrError, ExitCode, PictureError
from edsr_cli.images import (
    DEFAULT_MAX_PIXELS,
    check_writable,
    decode,
    encode,
    probe,
    write_picture,
)
from edsr_cli.images.source import display_name
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
        plan: panels, strips, estimated memory (bytes) and work (multiply-adds). If it is
            transposed, the picture's rows count as columns and the other way round.
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
        self._input_name = _shown(task.source, "standard input")
        self._output_name = _shown(task.destination, "standard output")
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
            named = error.message.startswith((f"{self._input_name}: ", f"{self._output_name}: "))
            result.error = str(error) if named else f"{self._input_name}: {error}"
            result.exit_code = error.exit_code
            if error.__cause__ is not None:
                logger.debug("What is behind the error below:", exc_info=error.__cause__)
        except Exception as error:  # one file must not end the others
            detail = " ".join(str(error).split())
            result.error = f"{self._input_name}: unexpected {type(error).__name__}: {detail}"
            result.exit_code = ExitCode.SOME_FAILED
            logger.debug("What is behind the error below:", exc_info=True)
        result.seconds = time.perf_counter() - begin
        return result

    def _prepare(self) -> None:
        """Find out everything that can go wrong before the work is done."""
        task, result = self.task, self._result
        if self._source is None:
            self._source = _read_stdin()
        info = probe(self._source, self.settings.max_pixels)
        scale = self.upscaler.scale
        result.input_size = (info.width, info.height)
        result.output_size = (info.width * scale, info.height * scale)
        task.output_format.check_size(*result.output_size)
        if task.destination is not None:
            self._check_destination(task.destination)
        plan = self.upscaler.plan(
            info.height, info.width, self.settings.ensemble, self.settings.tile
        )
        result.plan = {
            "panels": len(plan.panels),
            "panel_width": plan.panel_width,
            "strips": -(-plan.height // plan.strip_rows) * len(plan.panels),
            "strip_rows": plan.strip_rows,
            "transposed": plan.transposed,
            "memory_bytes": plan.bytes,
            "multiply_adds": plan.pixels * self.upscaler.work_per_pixel(self.settings.ensemble),
        }

    def _check_destination(self, destination: Path) -> None:
        name = self._output_name
        with _explained(name):
            try:
                mode = destination.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                folder = _existing(destination.parent)
            else:
                if destination.is_dir():
                    raise PictureError(f"{name}: this is a folder.", "Give a file with -o.")
                if not self.settings.overwrite:
                    raise PictureError(
                        f"{name}: the file exists already.", "To replace it, add --overwrite."
                    )
                if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                    raise PictureError(
                        f"{name}: this is a device or a pipe, not a file.", "Choose another name."
                    )
                folder = Path(os.path.realpath(destination)).parent
        try:
            check_writable(folder)
        except PictureError as error:
            reason = error.message.removeprefix(f"{display_name(folder)}: ")
            raise PictureError(f"{name}: {reason}", error.hint) from error

    def _upscale(self, progress: Progress | None) -> None:
        task, settings = self.task, self.settings
        assert self._source is not None
        picture = decode(self._source, settings.max_pixels)
        self._result.notes = picture.notes
        upscaled = self.upscaler.upscale(
            picture.pixels, settings.ensemble, settings.tile, "uint8", progress
        )
        self._result.precision = upscaled.precision.value
        if task.destination is None:
            with _stdout() as file:
                remarks = encode(upscaled.pixels, task.output_format, picture.metadata, file)
        else:
            with _explained(self._output_name):
                task.destination.parent.mkdir(parents=True, exist_ok=True)
            remarks = write_picture(
                task.destination,
                upscaled.pixels,
                task.output_format,
                picture.metadata,
                overwrite=settings.overwrite,
            )
        self._result.notes += remarks


def _shown(path: Path | None, stream: str) -> str:
    return stream if path is None else display_name(path)


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise PictureError("standard input: it is closed.", "Send it the content of a picture.")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise PictureError(
            f"standard input: it cannot be read ({error.strerror}).",
            "Send it the content of a picture.",
        ) from error


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    hint = "Write to a file with -o."
    if sys.stdout is None:
        raise PictureError("standard output: it is closed.", hint)
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        sys.stdout = None  # or the interpreter would try again at the end, and complain
        if isinstance(error, BrokenPipeError):
            reason = "whoever reads it has stopped before the end"
        else:
            reason = f"it cannot be written to ({error.strerror})"
        raise PictureError(f"standard output: {reason}.", hint) from error


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn failures of the file system into a `PictureError` about the file to be written."""
    try:
        yield
    except OSError as error:
        raise PictureError(
            f"{name}: it cannot be written ({error.strerror}).", "Write it somewhere else."
        ) from error


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def exit_code(results: list[Result]) -> ExitCode:
    """The exit code of a run: the failures' own if they agree, else `SOME_FAILED`."""
    codes = {result.exit_code for result in results} - {ExitCode.DONE}
    if not codes:
        return ExitCode.DONE
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_FAILED
