"""`edsr upscale`."""

import sys
from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import interruption, options
from edsr_cli.cli.downloads import finder
from edsr_cli.cli.json_lines import JsonLines
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import EdsrError, ExitCode, UsageError
from edsr_cli.restoration.words import ASKED, describe

if TYPE_CHECKING:
    from edsr_cli.inference import Tile, Upscaler
    from edsr_cli.jobs.naming import Task
    from edsr_cli.jobs.upscale import Result, Settings


def command(
    inputs: options.Inputs,
    output: options.Output = None,
    scale: options.Scale = None,
    format_name: options.Format = None,
    model: options.Model = "edsr-free",
    restore: options.Restore = None,
    ensemble: options.Ensemble = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    download: options.Download = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    device: options.Device = "auto",
    precision: options.Precision = options.PrecisionName.AUTO,
    threads: options.Threads = None,
    max_memory: options.MaxMemory = None,
    tile: options.Tile = "auto",
    max_pixels: options.MaxPixels = None,
    compression: options.Compression = None,
    alpha: options.Alpha = "drop",
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    mean_shift: options.MeanShift = None,
    residual_scale: options.ResidualScale = None,
) -> None:
    """Upscale pictures.

    Whatever the input (grey, palette, CMYK, 16-bit, with alpha), the output is 8-bit RGB with the
    input's colour profile and metadata, and with alpha if you say so.

    **Exit codes**: 0 all done, 1 some files failed, 2 wrong usage, 3 weights missing or
    damaged, 4 out of memory, 130 interrupted.
    """
    terminal = Terminal.with_flags(quiet, verbose)

    with terminal.starting():
        with interruption.held():
            from edsr_cli.jobs.inputs import sort_inputs
            from edsr_cli.jobs.own_outputs import without_own
        files, refused = sort_inputs(inputs)
        files, own = without_own(files)
        with interruption.held():
            from edsr_cli.checkpoints.convention import Stated
            from edsr_cli.checkpoints.loader import load_network
            from edsr_cli.images import DEFAULT_MAX_PIXELS
            from edsr_cli.images.alpha import check_format
            from edsr_cli.inference.processors import use_threads
            from edsr_cli.jobs.naming import assign_outputs
            from edsr_cli.jobs.upscale import Settings
            from edsr_cli.restoration.networks import as_setting, find_restoration, make_upscaler

    with terminal.log():
        if own:
            terminal.note(_left_out(own))
        use_threads(threads)
        stated = Stated(layout, value_range, mean_shift, residual_scale)
        find = finder(terminal, download)
        loaded = load_network(model, scale, stated, find)
        restoration = find_restoration(loaded, model, as_setting(restore), find)
        tasks = assign_outputs(files, output, loaded.scale, format_name)
        if compression is not None and any(task.output_format.name != "PNG" for task in tasks):
            raise UsageError("--compression is for PNG.")
        for task in tasks:
            check_format(alpha, task.output_format)
        if tasks[0].destination is None and not dry_run:
            _check_stdout(as_json)
        upscaler = make_upscaler(loaded, restoration, device, precision.value, max_memory)
        columns: Tile = tile if not tile.isdigit() else int(tile)  # type: ignore[assignment]
        settings = Settings(
            loaded.name,
            ensemble,
            columns,
            max_pixels or DEFAULT_MAX_PIXELS,
            overwrite,
            compression,
            alpha,
        )
        _run(terminal, tasks, refused, upscaler, settings, dry_run, as_json)


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
