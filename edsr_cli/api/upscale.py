"""Upscale picture files."""

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.jobs.inputs import sort_inputs
from edsr_cli.jobs.own_outputs import without_own
from edsr_cli.options.definition import takes
from edsr_cli.options.pictures import UpscaleOptions
from edsr_cli.progress import Progress, calling

if TYPE_CHECKING:
    from edsr_cli.inference import Upscaler
    from edsr_cli.jobs.naming import Task
    from edsr_cli.jobs.upscale import Result, Settings

logger = logging.getLogger(__name__)


@takes(UpscaleOptions)
def upscale(options: UpscaleOptions) -> "list[Result]":
    """Upscale picture files, as `edsr upscale` does.

    Whatever the input (grey, palette, CMYK, 16-bit, with alpha), the output is 8-bit RGB with the
    input's colour profile and metadata, and with alpha if you say so. For arrays and images in
    memory there is `load`.

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
    results = []
    for result, _ in upscaling(options, select(options), calling(options.progress)):
        if options.each is not None:
            options.each(result)
        results.append(result)
    return results


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


def upscaling(
    options: UpscaleOptions, selected: Selected, progress: Progress
) -> "Iterator[tuple[Result, Task | None]]":
    """Upscale one file after another; gives what became of it, and its task if it had one.

    Raises:
        UsageError, WeightsError: before the first result; see `upscale`.
    """
    from edsr_cli.api.opening import open_network, put_on_device
    from edsr_cli.jobs import estimate
    from edsr_cli.jobs.naming import assign_outputs

    if selected.own:
        logger.info("%s", _left_out(selected.own))
    network = open_network(options, options.scale, progress)
    tasks = assign_outputs(selected.files, options.output, network.scale, options.format)
    _check(options, tasks)
    upscaler = put_on_device(options, network, options.device, progress)
    settings = _settings(options, network.name)
    speed = estimate.speed(upscaler) if options.dry_run else None
    for name, error in selected.refused.items():
        yield _refused(name, error, upscaler, settings), None
    for number, task in enumerate(tasks, start=1):
        count = f"{number} of {len(tasks)}: " if len(tasks) > 1 else ""
        if options.dry_run:
            yield _planned(task, upscaler, settings, speed), task
        else:
            yield _done(task, upscaler, settings, progress, count), task


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


def _settings(options: UpscaleOptions, model: str) -> "Settings":
    from edsr_cli.images import DEFAULT_MAX_PIXELS
    from edsr_cli.jobs.upscale import Settings

    return Settings(
        model,
        options.ensemble,
        options.tile,
        options.max_pixels or DEFAULT_MAX_PIXELS,
        options.overwrite,
        options.compression,
        options.alpha,
    )


def _refused(name: str, error: EdsrError, upscaler: "Upscaler", settings: "Settings") -> "Result":
    from edsr_cli.jobs.upscale import not_done

    return not_done(name, error, upscaler, settings)


def _planned(
    task: "Task", upscaler: "Upscaler", settings: "Settings", speed: float | None
) -> "Result":
    from edsr_cli.jobs.upscale import Job

    return Job(task, upscaler, settings).plan(speed)


def _done(
    task: "Task", upscaler: "Upscaler", settings: "Settings", progress: Progress, count: str
) -> "Result":
    from edsr_cli.jobs.upscale import Job

    with progress(f"{count}{task.source_name}", upscaler.scale**2) as report:
        return Job(task, upscaler, settings).run(report)


def _left_out(own: list[str]) -> str:
    """A line about outputs that were named as inputs."""
    more = f" and {len(own) - 3} more" if len(own) > 3 else ""
    return (
        f"Left out, because edsr has made them from pictures that are named too: "
        f"{', '.join(own[:3])}{more}."
    )
