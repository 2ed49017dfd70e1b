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
    from edsr_cli.inference import Tile
    from edsr_cli.jobs.record import Record
    from edsr_cli.jobs.task import Task
    from edsr_cli.jobs.worker import Worker


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
            from edsr_cli.jobs.inputs import sort_inputs, without_own
        files, refused = sort_inputs(inputs)
        files, own = without_own(files)
        with interruption.held():
            from edsr_cli.checkpoints.stated import Stated
            from edsr_cli.images import DEFAULT_MAX_PIXELS
            from edsr_cli.images.alpha import check_format
            from edsr_cli.jobs.naming import assign_outputs
            from edsr_cli.jobs.task import Options
            from edsr_cli.jobs.worker import WorkerSpec
            from edsr_cli.restoration.networks import as_setting

    with terminal.log():
        if own:
            terminal.note(_left_out(own))
        columns: Tile = tile if not tile.isdigit() else int(tile)  # type: ignore[assignment]
        spec = WorkerSpec(
            model=model,
            scale=scale,
            devices=(device,),
            precision=precision.value,
            max_memory=max_memory,
            threads=threads,
            restore=as_setting(restore),
            stated=Stated(layout, value_range, mean_shift, residual_scale),
            options=Options(
                ensemble=ensemble,
                tile=columns,
                max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
                overwrite=overwrite,
                compression=compression,
                alpha=alpha,
            ),
        )
        networks = spec.load(finder(terminal, download))
        tasks = assign_outputs(files, output, networks[0].scale, format_name)
        if compression is not None and any(task.output_format.name != "PNG" for task in tasks):
            raise UsageError("--compression is for PNG.")
        for task in tasks:
            check_format(alpha, task.output_format)
        if tasks[0].destination is None and not dry_run:
            _check_stdout(as_json)
        _run(terminal, tasks, refused, spec.open(networks), dry_run, as_json)


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
    worker: "Worker",
    dry_run: bool,
    as_json: bool,
) -> None:
    from edsr_cli.jobs import estimate
    from edsr_cli.jobs.executors import Serial
    from edsr_cli.jobs.record import exit_code

    records: list[Record] = []
    lines, begun = JsonLines(terminal), 0
    speed = estimate.speed(worker.upscalers[0]) if dry_run else None

    def life(task: "Task") -> "Record":
        nonlocal begun
        interruption.check()
        begun += 1
        if dry_run:
            return worker.plan(task, speed=speed, forgiving=True)
        count = f"{begun} of {len(tasks)}: " if len(tasks) > 1 else ""
        with terminal.progress(f"{count}{task.source_name}", worker.scale**2) as progress:
            return worker.complete(task, progress)

    def done(record: "Record") -> None:
        records.append(record)
        if record.status == "planned":  # a run has one format
            words = estimate.in_words(record, tasks[0].output_format.name)
            _report(terminal, record, f"; {words}")
        else:
            _report(terminal, record)
        if as_json:
            lines.write(record.to_short_dict())

    for name, error in refused.items():
        done(worker.refused(name, error))
    Serial(life).run(tasks, done)
    failed = sum(record.status == "failed" for record in records)
    times = [record.plan["seconds"] for record in records if "seconds" in record.plan]
    if len(times) > 1:
        terminal.note(estimate.in_all(sum(times)))
    if failed and len(records) > 1:
        terminal.error(f"{failed} of {len(records)} pictures failed.")
    code = exit_code(records)
    raise typer.Exit(ExitCode.SOME_FAILED if lines.failed and code == ExitCode.DONE else code)


def _report(terminal: Terminal, record: "Record", estimates: str = "") -> None:
    for remark in record.notes:
        terminal.note(f"{record.input}: {remark}")
    if record.status == "failed":
        terminal.error(record.reason or "")
        return
    if record.restore is not None:
        say = (
            terminal.note if record.restore and record.restore_reason != ASKED else terminal.detail
        )
        say(f"{record.input}: {describe(record.restore, record.restore_reason)}")
    assert record.input_size and record.output_size
    width, height = record.output_size
    line = (
        f"{record.input} -> {record.output}: {record.input_size[0]} x {record.input_size[1]} -> "
        f"{width} x {height}"
    )
    plan = record.plan
    columns, rows = ("rows", "columns") if plan["transposed"] else ("columns", "rows")
    cut = (
        f"{plan['panels']} panel(s) of {plan['panel_width']} {columns}, {plan['strips']} strip(s) "
        f"of {plan['strip_rows']} {rows}, {plan['multiply_adds'] / 1e9:.1f} GMAC"
    )
    made = f"{record.model} on {record.device} in {record.precision}"
    if record.status == "planned":
        terminal.note(f"{line}; {made}; {cut}{estimates}")
        return
    terminal.note(
        f"{line} in {record.seconds:.1f} s ({width * height / record.seconds / 1e6:.2f} Mpixel/s)"
    )
    terminal.detail(f"{made}; {cut}, about {plan['memory_bytes'] / 1e6:.0f} MB")
