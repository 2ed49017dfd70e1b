"""`edsr upscale`."""

from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import interruption
from edsr_cli.cli.json_lines import JsonLines
from edsr_cli.cli.options import Results, command
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import ExitCode, UsageError
from edsr_cli.options.pictures import UpscaleOptions
from edsr_cli.restoration.words import ASKED, describe

if TYPE_CHECKING:
    from edsr_cli.jobs.upscale import Result


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
            from edsr_cli.api.upscale import select, upscaling
        selected = select(options)
        with interruption.held():
            from edsr_cli.api.opening import warm_up
            from edsr_cli.jobs import estimate
            from edsr_cli.jobs.upscale import exit_code

            if not options.dry_run:
                warm_up()

    ended, lines = [], JsonLines(terminal)
    with terminal.log():
        if results.json and _to_stdout(options):
            raise UsageError(
                "--json and the picture cannot both go to standard output.", "Give a file with -o."
            )
        for result, task in upscaling(options, selected, interruption.heeding(terminal.progress)):
            ended.append(result)
            plan = ""
            if task is not None and result.status == "planned":
                plan = f"; {estimate.in_words(result, task.output_format.name)}"
            _report(terminal, result, plan)
            if results.json:
                lines.write(result.to_dict())
            interruption.check()
        failed = sum(result.error is not None for result in ended)
        times = [result.plan["seconds"] for result in ended if "seconds" in result.plan]
        if len(times) > 1:
            terminal.note(estimate.in_all(sum(times)))
        if failed and len(ended) > 1:
            terminal.error(f"{failed} of {len(ended)} pictures failed.")
    code = exit_code(ended)
    raise typer.Exit(ExitCode.SOME_FAILED if lines.failed and code == ExitCode.DONE else code)


def _to_stdout(options: UpscaleOptions) -> bool:
    """Whether a picture goes to standard output."""
    to_stream = options.output == "-" or (options.output is None and "-" in options.inputs)
    return to_stream and not options.dry_run


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
