"""`edsr upscale`."""

import sys
from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import interruption
from edsr_cli.cli.downloads import finder
from edsr_cli.cli.json_lines import JsonLines
from edsr_cli.cli.options import Results, command
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import EdsrError, ExitCode, UsageError
from edsr_cli.options.pictures import UpscaleOptions
from edsr_cli.restoration.words import ASKED, describe

if TYPE_CHECKING:
    from edsr_cli.inference import Upscaler
    from edsr_cli.jobs.naming import Task
    from edsr_cli.jobs.upscale import Result, Settings


@command(UpscaleOptions, Results)
def upscale(options: UpscaleOptions, results: Results) -> None:
    """Upscale pictures.

    Whatever the input (grey, palette, CMYK, 16-bit, with alpha), the output is 8-bit RGB with the
    input's colour profile and metadata, and with alpha if you say so.

    Exit codes: 0 all done, 1 some files failed, 2 wrong usage, 3 weights missing or damaged, 4 out
    of memory, 130 interrupted.

    Examples:
      edsr upscale photo.jpg
          makes photo_x4.png, four times as wide and high
      edsr upscale photo.jpg -s 2 -o large.webp
          twice, as WebP
      edsr upscale *.jpg -o enlarged/ -f jpeg
          many, into a folder, as JPEG
      edsr upscale photo.jpg --dry-run
          says what it takes in memory and time
    """
    terminal = Terminal.with_flags(results.quiet, results.verbose)

    with terminal.starting():
        with interruption.held():
            from edsr_cli.jobs.inputs import sort_inputs
            from edsr_cli.jobs.own_outputs import without_own
        files, refused = sort_inputs(options.inputs)
        files, own = without_own(files)
        with interruption.held():
            from edsr_cli.checkpoints.loader import load_network
            from edsr_cli.checkpoints.stated import Stated
            from edsr_cli.images import DEFAULT_MAX_PIXELS
            from edsr_cli.images.alpha import check_format
            from edsr_cli.inference.processors import use_threads
            from edsr_cli.jobs.naming import assign_outputs
            from edsr_cli.jobs.upscale import Settings
            from edsr_cli.restoration.networks import find_restoration, make_upscaler

    with terminal.log():
        if own:
            terminal.note(_left_out(own))
        use_threads(options.threads)
        stated = Stated(
            options.layout, options.value_range, options.mean_shift, options.residual_scale
        )
        find = finder(terminal, options.download)
        loaded = load_network(options.model, options.scale, stated, find)
        restoration = find_restoration(loaded, options.model, options.restore, find)
        tasks = assign_outputs(files, options.output, loaded.scale, options.format)
        formats = {task.output_format.name for task in tasks}
        if options.compression is not None and formats != {"PNG"}:
            raise UsageError("--compression is for PNG.")
        for task in tasks:
            check_format(options.alpha, task.output_format)
        if tasks[0].destination is None and not options.dry_run:
            _check_stdout(results.json)
        upscaler = make_upscaler(
            loaded, restoration, options.device, options.precision, options.max_memory
        )
        settings = Settings(
            loaded.name,
            options.ensemble,
            options.tile,
            options.max_pixels or DEFAULT_MAX_PIXELS,
            options.overwrite,
            options.compression,
            options.alpha,
        )
        _run(terminal, tasks, refused, upscaler, settings, options.dry_run, results.json)


def _left_out(own: list[str]) -> str:
    """A line about outputs that were named as inputs."""
    more = f" and {len(own) - 3} more" if len(own) > 3 else ""
    return (
        f"Left out, because edsr has made them from pictures that are named too: "
        f"{', '.join(own[:3])}{more}."
    )


def _check_stdout(as_json: bool) -> None:
    """Refuse to write a picture where it would do harm."""
    if as_json:
        raise UsageError(
            "--json and the picture cannot both go to standard output.", "Give a file with -o."
        )
    if sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(
            "A picture cannot be written to a terminal.", "Give a file with -o, or use > or |."
        )


def _run(
    terminal: Terminal,
    tasks: "list[Task]",
    refused: dict[str, EdsrError],
    upscaler: "Upscaler",
    settings: "Settings",
    dry_run: bool,
    as_json: bool,
) -> None:
    from edsr_cli.jobs import estimate
    from edsr_cli.jobs.upscale import Job, exit_code, not_done

    results, lines = [], JsonLines(terminal)
    speed = estimate.speed(upscaler) if dry_run else None
    for name, error in refused.items():
        result = not_done(name, error, upscaler, settings)
        results.append(result)
        _report(terminal, result)
        if as_json:
            lines.write(result.to_dict())
    for number, task in enumerate(tasks, start=1):
        interruption.check()
        count = f"{number} of {len(tasks)}: " if len(tasks) > 1 else ""
        job = Job(task, upscaler, settings)
        if dry_run:
            result = job.plan(speed)
        else:
            with terminal.progress(f"{count}{task.source_name}", upscaler.scale**2) as progress:
                result = job.run(progress)
        results.append(result)
        if result.status == "planned":
            words = estimate.in_words(result, task.output_format.name)
            _report(terminal, result, f"; {words}")
        else:
            _report(terminal, result)
        if as_json:
            lines.write(result.to_dict())
    failed = sum(result.error is not None for result in results)
    times = [result.plan["seconds"] for result in results if "seconds" in result.plan]
    if len(times) > 1:
        terminal.note(estimate.in_all(sum(times)))
    if failed and len(results) > 1:
        terminal.error(f"{failed} of {len(results)} pictures failed.")
    code = exit_code(results)
    raise typer.Exit(ExitCode.SOME_FAILED if lines.failed and code == ExitCode.DONE else code)


def _report(terminal: Terminal, result: "Result", estimates: str = "") -> None:
    for remark in result.notes:
        terminal.note(f"{result.input}: {remark}")
    if result.error is not None:
        terminal.error(result.error)
        return
    if result.restore is not None:
        say = (
            terminal.note if result.restore and result.restore_reason != ASKED else terminal.detail
        )
        say(f"{result.input}: {describe(result.restore, result.restore_reason)}")
    assert result.input_size and result.output_size
    width, height = result.output_size
    line = (
        f"{result.input} -> {result.output}: {result.input_size[0]} x {result.input_size[1]} -> "
        f"{width} x {height}"
    )
    plan = result.plan
    columns, rows = ("rows", "columns") if plan["transposed"] else ("columns", "rows")
    cut = (
        f"{plan['panels']} panel(s) of {plan['panel_width']} {columns}, {plan['strips']} strip(s) "
        f"of {plan['strip_rows']} {rows}, {plan['multiply_adds'] / 1e9:.1f} GMAC"
    )
    made = f"{result.model} on {result.device} in {result.precision}"
    if result.status == "planned":
        terminal.note(f"{line}; {made}; {cut}{estimates}")
        return
    terminal.note(
        f"{line} in {result.seconds:.1f} s ({width * height / result.seconds / 1e6:.2f} Mpixel/s)"
    )
    terminal.detail(f"{made}; {cut}, about {plan['memory_bytes'] / 1e6:.0f} MB")
