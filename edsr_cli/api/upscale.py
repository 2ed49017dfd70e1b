"""Upscale picture files."""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.jobs.inputs import sort_inputs, without_own
from edsr_cli.options.definition import takes
from edsr_cli.options.pictures import UpscaleOptions
from edsr_cli.progress import Progress, Unit, calling
from edsr_cli.stores.addresses import is_address, shown

if TYPE_CHECKING:
    from edsr_cli.jobs.record import Record
    from edsr_cli.jobs.task import Task
    from edsr_cli.jobs.worker import Worker

logger = logging.getLogger(__name__)


@takes(UpscaleOptions)
def upscale(options: UpscaleOptions) -> "list[Record]":
    """Upscale picture files, as `edsr upscale` does.

    The output is upright RGB, or greyscale if the input is, of 8 bits or of 16 if the input has
    more, as far as its format takes that; with the input's colour profile and metadata, and with
    alpha if you say so. It has the exact size that one of the options says: networks enlarge to
    that or more, and the rest is taken off again. For arrays and images in memory there is `load`.

    Returns:
        What became of each picture: `input`, `output`, `status` ("done", "planned" or "failed"),
        `input_size` and `output_size` (width, height), `seconds`, `plan`, `restore`, `notes`, and
        `error` with the reason if it failed, which does not end the others; `to_dict()` is what
        `edsr upscale --json` prints.

    Raises:
        UsageError: the request makes no sense; nothing was done.
        WeightsError: the model is unknown or its file cannot be used.
        TypeError, ValueError: an option is not what it should be; the message names it.

    Example:
        for result in edsr_cli.upscale(["a.jpg", "b.png"], "large/", scale=2, format="webp"):
            print(result.error or f"{result.input} -> {result.output}")
    """
    records: list[Record] = []
    if not options.inputs:  # nothing to do is no mistake where names come from a search
        return records

    def done(record: "Record", format_name: str) -> None:
        if options.each is not None:
            options.each(record)
        records.append(record)

    upscale_files(options, select(options), calling(options.progress), done)
    return records


class Selected(Struct, frozen=True):
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
    # Beside an object no output can go, so -o is needed.
    files, refused = sort_inputs(options.inputs, stores=options.output is not None)
    files, own = without_own(files)
    return Selected(files, refused, own)


def upscale_files(
    options: UpscaleOptions,
    selected: Selected,
    progress: Progress,
    done: "Callable[[Record, str], None]",
) -> None:
    """Upscale one file after another.

    Args:
        options: what was asked for.
        selected: the inputs.
        progress: told how each goes on.
        done: called with what became of each, and with the name of the output format.

    Raises:
        UsageError, WeightsError: before the first is done; see `upscale`.
    """
    from edsr_cli.api.checks import staged
    from edsr_cli.api.fetching import finder
    from edsr_cli.api.opening import worker_spec
    from edsr_cli.jobs.naming import Namer, assign_outputs
    from edsr_cli.jobs.small import device_for
    from edsr_cli.jobs.target import target_of

    if selected.own:
        logger.info("%s", _left_out(selected.own))
    spec = worker_spec(options, [options.device])
    family = spec.load(finder(options.download, progress))
    spec = replace(spec, devices=(device_for(options, family, selected.files),))
    namer = Namer(target_of(options, family.first), options.name, family.name)
    with staged(options) as staging:
        if staging is None:
            tasks = assign_outputs(selected.files, options.output, namer, options.format)
        else:
            files, output, bind = staging.stand_ins(selected.files, options.output)
            with staging.naming(output, options.output):
                tasks = assign_outputs(files, output, namer, options.format, bind)
        _check(options, tasks)
        _upscale(options, selected, spec.open(family), tasks, progress, done)


def _upscale(
    options: UpscaleOptions,
    selected: Selected,
    worker: "Worker",
    tasks: "Sequence[Task]",
    progress: Progress,
    done: "Callable[[Record, str], None]",
) -> None:
    from edsr_cli.jobs import estimates
    from edsr_cli.jobs.executors import Serial

    worker = replace(worker, resume=options.resume)
    speed = estimates.speed(worker.upscalers[0]) if options.dry_run else None
    begun, format_name = 0, tasks[0].output_format.name

    def life(task: "Task") -> "Record":
        nonlocal begun, format_name
        begun, format_name = begun + 1, task.output_format.name
        if options.dry_run:
            return estimates.plan(worker, task, speed=speed, forgiving=True)
        count = f"{begun} of {len(tasks)}: " if len(tasks) > 1 else ""
        unit = Unit.PIXELS if worker.scale else Unit.PARTS
        with progress(f"{count}{task.source_name}", (worker.scale or 1) ** 2, unit) as report:
            return worker.complete(task, report)

    for name, error in selected.refused.items():
        name = shown(name) if is_address(name) else name
        done(worker.refused(name, error), format_name)
    Serial(life).run(tasks, lambda record: done(record, format_name))


def _check(options: UpscaleOptions, tasks: "Sequence[Task]") -> None:
    """Refuse what the output formats, or standard output, cannot take."""
    from edsr_cli.api.checks import check_format
    from edsr_cli.jobs.naming import is_same

    # Of the formats of inputs, what one cannot do may be said for the others.
    for output_format in () if is_same(options.format) else {task.output_format for task in tasks}:
        check_format(options, output_format)
    to_stdout = tasks[0].destination is None and not options.dry_run
    if to_stdout and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(
            "A picture cannot be written to a terminal.", "Give a file with -o, or use > or |."
        )


def _left_out(own: list[str]) -> str:
    """A line about outputs that were named as inputs."""
    more = f" and {len(own) - 3} more" if len(own) > 3 else ""
    return (
        "Left out, because edsr has made them from pictures that are named too: "
        f"{', '.join(own[:3])}{more}."
    )
