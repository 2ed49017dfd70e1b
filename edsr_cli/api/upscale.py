"""Upscale picture files."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.jobs.inputs import sort_inputs, without_own
from edsr_cli.options.definition import takes
from edsr_cli.options.pictures import UpscaleOptions
from edsr_cli.progress import Progress, calling

if TYPE_CHECKING:
    from edsr_cli.jobs.record import Record
    from edsr_cli.jobs.task import Task
    from edsr_cli.jobs.worker import Worker

logger = logging.getLogger(__name__)


@takes(UpscaleOptions)
def upscale(options: UpscaleOptions) -> "list[Record]":
    """Upscale picture files, as `edsr upscale` does.

    Whatever the input (grey, palette, CMYK, 16-bit, with alpha), the output is 8-bit RGB with the
    input's colour profile and metadata, and with alpha if you say so. For arrays and images in
    memory there is `load`.

    Returns:
        What became of each picture: `input`, `output`, `status` ("done", "planned" or "failed"),
        `input_size` and `output_size` (width, height), `seconds`, `plan`, `restore`, `notes`, and
        `reason` if it failed, which does not end the others; `to_short_dict()` is what
        `edsr upscale --json` prints.

    Raises:
        UsageError: the request makes no sense; nothing was done.
        WeightsError: the model is unknown or its file cannot be used.
        TypeError, ValueError: an option is not what it should be; the message names it.

    Example:
        for result in edsr_cli.upscale(["a.jpg", "b.png"], "large/", scale=2, format="webp"):
            print(result.reason or f"{result.input} -> {result.output}")
    """
    records: list[Record] = []

    def done(record: Record) -> None:
        records.append(record)
        if options.each is not None:
            options.each(record)

    prepare(options, select(options), calling(options.progress)).go(done)
    return records


@dataclass(frozen=True)
class Selected:
    """The inputs, as they can be told apart by their names.

    Attributes:
        files: what may be pictures, at least one.
        refused: what is something else, with the reason.
        own: outputs of earlier runs that are left out.
    """

    files: list[str]
    refused: dict[str, EdsrError]
    own: list[str]


def select(options: UpscaleOptions) -> Selected:
    """Look at the inputs, before anything is loaded that takes time.

    Raises:
        UsageError: none may be a picture.
    """
    files, refused = sort_inputs(options.inputs)
    files, own = without_own(files)
    return Selected(files, refused, own)


@dataclass(frozen=True)
class Prepared:
    """Pictures that may be upscaled.

    Attributes:
        options: what was asked for.
        refused: inputs that are no pictures, with the reason.
        worker: does the work.
        tasks: one for each picture.
        progress: told how it goes on.
        speed: multiply-adds a second, for a dry run that is to tell the time.
    """

    options: UpscaleOptions
    refused: dict[str, EdsrError]
    worker: "Worker"
    tasks: "Sequence[Task]"
    progress: Progress
    speed: float | None = None

    def go(self, done: "Callable[[Record], None]") -> None:
        """Do it, or plan it, one picture after the other; `done` gets the record of each."""
        from edsr_cli.jobs.executors import Serial

        for name, error in self.refused.items():
            done(self.worker.refused(name, error))
        numbers = iter(range(1, len(self.tasks) + 1))

        def life(task: "Task") -> "Record":
            if self.options.dry_run:
                return self.worker.plan(task, speed=self.speed, forgiving=True)
            count = f"{next(numbers)} of {len(self.tasks)}: " if len(self.tasks) > 1 else ""
            with self.progress(f"{count}{task.source_name}", self.worker.scale**2) as report:
                return self.worker.complete(task, report)

        Serial(life).run(self.tasks, done)


def prepare(options: UpscaleOptions, selected: Selected, progress: Progress) -> Prepared:
    """Load the model, and give every input its output.

    Raises:
        UsageError, WeightsError: see `upscale`.
    """
    from edsr_cli.api.fetching import finder
    from edsr_cli.api.opening import worker_spec
    from edsr_cli.jobs import estimate
    from edsr_cli.jobs.naming import assign_outputs

    if selected.own:
        logger.info("%s", _left_out(selected.own))
    spec = worker_spec(options, options.device)
    networks = spec.load(finder(options.download, progress))
    tasks = assign_outputs(selected.files, options.output, networks[0].scale, options.format)
    _check(options, tasks)
    worker = spec.open(networks)
    speed = estimate.speed(worker.upscalers[0]) if options.dry_run else None
    return Prepared(options, selected.refused, worker, tasks, progress, speed)


def _check(options: UpscaleOptions, tasks: "Sequence[Task]") -> None:
    """Refuse what the output formats, or standard output, cannot take."""
    from edsr_cli.images.alpha import check_format

    formats = {task.output_format.name for task in tasks}
    if options.compression is not None and formats != {"PNG"}:
        raise UsageError("--compression is for PNG.")
    for task in tasks:
        check_format(options.alpha, task.output_format)
    to_stdout = tasks[0].destination is None and not options.dry_run
    if to_stdout and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(
            "A picture cannot be written to a terminal.", "Give a file with -o, or use > or |."
        )


def _left_out(own: list[str]) -> str:
    """A line about outputs that were named as inputs."""
    more = f" and {len(own) - 3} more" if len(own) > 3 else ""
    return (
        f"Left out, because edsr has made them from pictures that are named too: "
        f"{', '.join(own[:3])}{more}."
    )
