"""The work on one file: read, upscale, write, and say how it went."""

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edsr_cli.errors import EdsrError, ExitCode, FileError, Kind, PictureError
from edsr_cli.files.atomic import check_writable
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.images import (
    Metadata,
    decode,
    encode,
    probe,
    write_picture,
)
from edsr_cli.images.alpha import DROP, KEEP, UNCOVERED, WAYS_OUT, applied, enlarged
from edsr_cli.images.provenance import provenance
from edsr_cli.inference import Progress, Upscaled, Upscaler
from edsr_cli.jobs.naming import Task
from edsr_cli.jobs.results import Result, Settings, Status, exit_code
from edsr_cli.jobs.streams import read_stdin, stdout
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.restoration.choice import Choice
from edsr_cli.restoration.networks import RestoringUpscaler, at_choice, choice_for

__all__ = ["Job", "OutputExistsError", "Result", "Settings", "Status", "exit_code", "not_done"]

logger = logging.getLogger(__name__)


class OutputExistsError(PictureError):
    """There is a file where the output would go."""

    of_class = Kind.EXISTS


class Job:
    """The work on one file.

    `run` does all of it. Its steps are `inspect`, `decode`, `upscale` and `write`, in this order;
    each may be done in another thread, inside of `attempt`.

    Args:
        task: what to read and write.
        upscaler: the network to use.
        settings: see `Settings`.

    Attributes:
        result: what is known so far.
        failure: what the failed step raised, if one has failed.
        reading: whether the step at work, or the one that failed, is about the input.
        pixel_bytes: bytes that the decoded pixels take at most; known behind `inspect`.
        choice: how much to restore the picture; known behind `decode`, and None where the upscaler
            leaves no choice.
    """

    def __init__(self, task: Task, upscaler: Upscaler, settings: Settings) -> None:
        self.task, self.upscaler, self.settings = task, upscaler, settings
        self.failure: Exception | None = None
        self.reading = True
        self.pixel_bytes = 0
        self.choice: Choice | None = None
        self._source: Path | bytes | None = task.source
        self._input_name = _shown(task.source, "standard input")
        self._output_name = _shown(task.destination, "standard output")
        self._metadata = Metadata()
        self._pixels: Pixels | None = None
        self._alpha: NDArray[Any] | None = None  # of the input, where it is kept
        self.result = Result(
            task.source_name,
            task.destination_name,
            Status.FAILED,
            settings.model,
            str(upscaler.device),
            upscaler.precision.value,
        )

    def plan(self, speed: float | None = None) -> Result:
        """What `run` would do; writes nothing. Does not raise.

        It reads the picture's header only, unless how much to restore depends on its pixels. That
        the output exists already is a remark, no failure.

        Args:
            speed: multiply-adds a second, to say how long it takes; None not to.
        """

        def work() -> None:
            exists = self._inspect_for_plan()
            self._make_plan(speed)
            if isinstance(self.upscaler, RestoringUpscaler):
                if self.upscaler.restoration.fixed is None:
                    self.decode()
                    self._pixels = self._alpha = None
                else:
                    self._remember(self.upscaler.restoration.fixed)
            self.result.notes += exists

        return self._report(work, Status.PLANNED)

    def _inspect_for_plan(self) -> tuple[str, ...]:
        """`inspect`, with a remark instead of an error where there is an output already."""
        destination = self.task.destination
        try:
            self.inspect(touch=False)
        except OutputExistsError:
            return (f"{self._output_name} exists already; to replace it, add --overwrite",)
        if destination is not None and os.path.lexists(destination):
            return (f"{self._output_name} exists already, and would be replaced",)
        return ()

    def run(self, progress: Progress | None = None) -> Result:
        """Upscale the file. Does not raise, except when it is interrupted.

        Args:
            progress: called with the LR pixels that are done, and that there are.
        """

        def work() -> None:
            self.inspect()
            self._make_plan()
            self.decode()
            self.upscale(progress)
            self.write()

        return self._report(work, Status.DONE)

    def attempt(self, step: Callable[[], None]) -> bool:
        """Do a step, and say whether it went well; what went wrong goes to `result`."""
        try:
            step()
        except Exception as error:  # one file must not end the others
            self._note(error)
            return False
        return True

    def _report(self, work: Callable[[], None], status: Status) -> Result:
        begin = time.perf_counter()
        if self.attempt(work):
            self.result.status = status
        self.result.seconds = time.perf_counter() - begin
        return self.result

    def _note(self, error: Exception) -> None:
        """Put a failure into the result."""
        result, self.failure = self.result, error
        if isinstance(error, EdsrError):
            named = error.about in (self._input_name, self._output_name)
            result.error = str(error) if named else f"{self._input_name}: {error}"
            result.exit_code = error.exit_code
            if error.__cause__ is not None:
                logger.debug("What is behind the error below:", exc_info=error.__cause__)
        else:
            detail = " ".join(str(error).split())
            result.error = f"{self._input_name}: unexpected {type(error).__name__}: {detail}"
            result.exit_code = ExitCode.SOME_FAILED
            logger.debug("What is behind the error below:", exc_info=True)

    def inspect(self, touch: bool = True) -> None:
        """Find out what can go wrong before the work is done; reads the header only.

        Args:
            touch: whether to try to write where the output goes; see `check_writable`.
        """
        task, result = self.task, self.result
        if self._source is None:
            self._source = read_stdin(self.settings.max_pixels)
        info = probe(self._source, self.settings.max_pixels)
        channels = 4 if self.settings.alpha == KEEP else 3
        self.pixel_bytes = info.width * info.height * channels * (2 if info.bits > 8 else 1)
        scale = self.upscaler.scale
        result.input_size = (info.width, info.height)
        result.output_size = (info.width * scale, info.height * scale)
        task.output_format.check_size(*result.output_size)
        self.reading = False
        if task.destination is not None:
            self._check_destination(task.destination, touch)

    def _make_plan(self, speed: float | None = None) -> None:
        assert self.result.input_size is not None
        width, height = self.result.input_size
        plan = self.upscaler.plan(height, width, self.settings.ensemble, self.settings.tile)
        pixels = width * height * self.upscaler.scale**2
        self.result.plan = {
            "panels": len(plan.panels),
            "panel_width": plan.panel_width,
            "strips": -(-plan.height // plan.strip_rows) * len(plan.panels),
            "strip_rows": plan.strip_rows,
            "transposed": plan.transposed,
            "memory_bytes": plan.bytes,
            "weight_bytes": self.upscaler.weight_bytes(self.settings.ensemble),
            "picture_bytes": self.pixel_bytes + 3 * pixels,
            "encoder_bytes": self.task.output_format.encoder_bytes * pixels,
            "multiply_adds": plan.pixels * self.upscaler.work_per_pixel(self.settings.ensemble),
        }
        if speed is not None:
            seconds = self.upscaler.seconds(plan, speed, self.settings.ensemble)
            self.result.plan["seconds"] = round(seconds, 3)

    def _check_destination(self, destination: Path, touch: bool) -> None:
        name = self._output_name
        with _explained(name):
            try:
                mode = destination.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                folder = _existing(destination.parent)
            else:
                if destination.is_dir():
                    raise PictureError("this is a folder.", "Give a file with -o.", about=name)
                if not self.settings.overwrite:
                    raise OutputExistsError(
                        "the file exists already.", "To replace it, add --overwrite.", about=name
                    )
                if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                    raise PictureError(
                        "this is a device or a pipe, not a file.",
                        "Choose another name.",
                        about=name,
                    )
                folder = Path(os.path.realpath(destination)).parent
        try:
            check_writable(folder, touch=touch)
        except FileError as error:
            raise PictureError(error.what, error.hint, about=name, kind=error.kind) from error

    def decode(self) -> None:
        """Read the pixels; they are kept until they are upscaled."""
        assert self._source is not None
        self.reading = True
        alpha = self.settings.alpha
        picture = decode(self._source, self.settings.max_pixels, keep_alpha=alpha != DROP)
        picture = applied(picture, alpha)
        choice = choice_for(self.upscaler, picture.pixels, picture.compression)
        strength = choice.strength if choice else None
        record = provenance(self.settings.model, self.upscaler.scale, strength)
        self._pixels, self._metadata = picture.pixels, replace(picture.metadata, software=record)
        self._alpha = picture.alpha
        self.result.notes = tuple(
            f"{note}; {WAYS_OUT}" if note == UNCOVERED else note for note in picture.notes
        )
        self._remember(choice)

    def _remember(self, choice: Choice | None) -> None:
        """Note how much to restore."""
        self.choice = choice
        if choice is not None:
            self.result.restore, self.result.restore_reason = choice.strength, choice.reason

    @property
    def pixels(self) -> Pixels:
        """The input, (H, W, 3), behind `decode`; the output, uint8, behind `upscale`."""
        assert self._pixels is not None
        return self._pixels

    def upscale(self, progress: Progress | None = None) -> None:
        """Run the network on the pixels."""
        settings = self.settings
        upscaler = at_choice(self.upscaler, self.choice)
        self.accept(
            upscaler.upscale(self.pixels, settings.ensemble, settings.tile, "uint8", progress)
        )

    def accept(self, upscaled: Upscaled) -> None:
        """Take what `upscaler` has made of the pixels instead of calling `upscale`."""
        self._pixels = upscaled.pixels
        self.result.device = str(self.upscaler.device)
        self.result.precision = upscaled.precision.value

    def write(
        self,
        commit: Callable[[os.stat_result], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Write the upscaled pixels, and forget them.

        Args:
            commit, check: see `edsr_cli.images.write_picture`; they are for files.
        """
        task, settings = self.task, self.settings
        self.reading = False
        pixels, self._pixels = self.pixels, None
        small, self._alpha = self._alpha, None
        alpha = None if small is None else enlarged(small, self.upscaler.scale)
        if task.destination is None:
            with stdout() as file:
                remarks = encode(
                    pixels, task.output_format, self._metadata, file, settings.compression, alpha
                )
        else:
            with _explained(self._output_name):
                task.destination.parent.mkdir(parents=True, exist_ok=True)
            remarks = write_picture(
                task.destination,
                pixels,
                task.output_format,
                self._metadata,
                overwrite=settings.overwrite,
                compression=settings.compression,
                commit=commit,
                check=check,
                alpha=alpha,
            )
        self.result.notes += remarks


def not_done(name: str, error: EdsrError, upscaler: Upscaler, settings: Settings) -> Result:
    """The result for an input that is refused before there is a task for it."""
    return Result(
        name,
        "",
        Status.FAILED,
        settings.model,
        str(upscaler.device),
        upscaler.precision.value,
        error=str(error),
        exit_code=error.exit_code,
    )


def _shown(path: Path | None, stream: str) -> str:
    return stream if path is None else display_name(path)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn failures of the file system into a `PictureError` about the file to be written."""
    try:
        yield
    except OSError as error:
        raise PictureError(
            f"it cannot be written ({error.strerror}).",
            "Write it somewhere else.",
            about=name,
            kind=kind_of_system_error(error, reading=False),
        ) from error


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder
