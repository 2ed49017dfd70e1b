"""`edsr upscale`."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import interruption
from edsr_cli.cli.options import Results, command
from edsr_cli.cli.terminal import JsonLines, Terminal
from edsr_cli.errors import EdsrError, ExitCode, UsageError
from edsr_cli.options import values
from edsr_cli.options.definition import MESSAGES, group, option
from edsr_cli.options.pictures import UpscaleOptions
from edsr_cli.restoration.words import ASKED, describe

if TYPE_CHECKING:
    from edsr_cli.jobs.record import Record


@group
class UpscaleResults(Results):
    """What is said, and shown."""

    preview: bool = option(
        values.FLAG,
        "--preview",
        "",
        "Show each picture before and after, where they differ most, in terminals that show "
        "pictures.",
        panel=MESSAGES,
        default=False,
    )


@command(UpscaleOptions, UpscaleResults)
def upscale(options: UpscaleOptions, results: UpscaleResults) -> None:
    """Upscale pictures.

    The output is upright RGB, or greyscale if the input is, of 8 bits or of 16 if the input has
    more, as far as its format takes that; with the input's colour profile and metadata, and with
    alpha if you say so.

    Exit codes: 0 all done, 1 some files failed, 2 wrong usage, 3 weights missing or damaged, 4 out
    of memory, 130 interrupted.

    Examples:
      edsr upscale photo.jpg
          makes photo_x4.png, four times as wide and high
      edsr upscale photo.jpg -s 2 -o large.webp
          twice, as WebP
      edsr upscale photo.jpg --max-side 3840
          to an exact size, such as photo_3840x2560.png
      edsr upscale *.jpg -o enlarged/ -f jpeg
          many, into a folder, as JPEG
      edsr upscale photo.jpg --dry-run
          says what it takes in memory and time
    """
    terminal = Terminal.with_flags(results.quiet, results.verbose)
    with terminal.starting():
        with interruption.held():
            from edsr_cli.api.upscale import select, upscale_files
        selected = select(options)
        with interruption.held():
            from edsr_cli.api.opening import warm_up
            from edsr_cli.jobs import estimates
            from edsr_cli.jobs.record import exit_code

            if not options.dry_run:
                warm_up(options)

    ended: list[Record] = []
    lines = JsonLines(terminal)
    preview = _preview(terminal, options.frame) if results.preview and not options.dry_run else None

    def done(record: "Record", format_name: str) -> None:
        ended.append(record)
        planned = record.status == "planned"
        _report(terminal, record, f"; {estimates.in_words(record, format_name)}" if planned else "")
        if results.json:
            lines.write(record.to_dict())
        if preview is not None:
            preview(record)
        interruption.check()

    with terminal.log():
        if results.json and _to_stdout(options):
            raise UsageError(
                "--json and the picture cannot both go to standard output.", "Give a file with -o."
            )
        upscale_files(options, selected, interruption.heeding(terminal.progress), done)
        failed = sum(record.error is not None for record in ended)
        times = [record.plan["seconds"] for record in ended if "seconds" in record.plan]
        if len(times) > 1:
            terminal.note(estimates.in_all(sum(times)))
        if failed and len(ended) > 1:
            terminal.error(f"{failed} of {len(ended)} pictures failed.")
    code = exit_code(ended)
    raise typer.Exit(ExitCode.SOME_FAILED if lines.failed and code == ExitCode.DONE else code)


def _preview(terminal: Terminal, frame: int | None) -> "Callable[[Record], None] | None":
    """What shows pictures that are done; None where the terminal cannot."""
    from edsr_cli.cli.preview import way_for
    from edsr_cli.report.before_after import before_after_png

    show = way_for(terminal.console) if terminal.can_draw else None
    if show is None:
        terminal.note(
            "This terminal is not known to show pictures, so --preview shows none. Kitty, Ghostty, "
            "Konsole, iTerm2, WezTerm and mintty do; with edsr-cli[preview], those with sixel."
        )
        return None

    def preview(record: "Record") -> None:
        if record.error is None and Path(record.input).is_file() and Path(record.output).is_file():
            with suppress(EdsrError):  # a file that is gone already
                png = before_after_png(record, frame)
                if png is not None:
                    show(terminal.console, png)

    return preview


def _to_stdout(options: UpscaleOptions) -> bool:
    """Whether a picture goes to standard output."""
    to_stream = options.output == "-" or (options.output is None and "-" in options.inputs)
    return to_stream and not options.dry_run


def _report(terminal: Terminal, record: "Record", estimates: str = "") -> None:
    for remark in record.notes:
        terminal.note(f"{record.input}: {remark}")
    if record.error is not None:
        terminal.error(record.error)
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
    how = _how(record) if plan["panels"] else "no network"
    if record.status == "planned":
        terminal.note(f"{line}; {how}{estimates}")
        return
    terminal.note(
        f"{line} in {record.seconds:.1f} s ({width * height / record.seconds / 1e6:.2f} Mpixel/s)"
    )
    terminal.detail(f"{how}, about {plan['memory_bytes'] / 1e6:.0f} MB")


def _how(record: "Record") -> str:
    """What a picture is made with, and how it is cut."""
    plan = record.plan
    columns, rows = ("rows", "columns") if plan["transposed"] else ("columns", "rows")
    # The model alone would be the network for clean pictures.
    network = record.model
    if record.restore:
        network += f", {describe(record.restore, ASKED)},"
    return (
        f"{network} on {record.device} in {record.precision}; "
        f"{plan['panels']} panel(s) of {plan['panel_width']} {columns}, {plan['strips']} strip(s) "
        f"of {plan['strip_rows']} {rows}, {plan['multiply_adds'] / 1e9:.1f} GMAC"
    )
