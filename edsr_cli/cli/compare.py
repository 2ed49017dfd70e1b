"""`edsr compare`."""

import webbrowser
from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import interruption
from edsr_cli.cli.options import Results, command
from edsr_cli.cli.terminal import JsonLines, Terminal
from edsr_cli.errors import ExitCode, UsageError
from edsr_cli.options import values
from edsr_cli.options.comparing import CompareOptions
from edsr_cli.options.definition import again, group, option
from edsr_cli.text import duration

if TYPE_CHECKING:
    from edsr_cli.report.comparison import Comparison, Version


@group
class CompareResults(Results):
    """What is said, and shown."""

    json: bool = again(
        Results, "json", text="Print one JSON object per picture on stdout.", default=...
    )
    open: bool = option(
        values.FLAG, "--open", "", "Show the page in a browser when it is there.", default=False
    )


@command(CompareOptions, CompareResults)
def compare(options: CompareOptions, results: CompareResults) -> None:
    """Compare models, settings and other programs' pictures by eye.

    Writes a page to slide between any two versions, zoom to single pixels and see where they
    differ. It needs no network, and works wherever it is sent.

    Exit codes: 0 done, 1 a file cannot be read or written, 2 wrong usage, 3 weights missing or
    damaged, 4 out of memory, 130 interrupted.

    Examples:
      edsr compare photo.jpg --open
          bicubic interpolation and edsr-free, in photo_compare.html
      edsr compare photo.jpg -m edsr-free -m edsr-photo -o page.html
          two models
      edsr compare photo.jpg --restore 0,0.5,1 --crop 300x200+40+0
          three strengths of restoring, of a part of the picture
      edsr compare small.png --with other.png --reference large.png
          a finished picture, measured against the original
      edsr compare photo.jpg -m edsr-free --sheet crops.png
          parts side by side with labels, where the versions differ most
    """
    terminal = Terminal.with_flags(results.quiet, results.verbose)
    with terminal.starting(), interruption.held():
        from edsr_cli.api.compare import comparing, outputs
        from edsr_cli.api.opening import warm_up

        page, _ = outputs(options)
        if results.open and page is None:
            raise UsageError("--open shows a page.", "Ask for one with -o.")
        warm_up(options)
    lines = JsonLines(terminal)
    with terminal.log():
        for comparison in comparing(options, interruption.heeding(terminal.progress)):
            for version in comparison.versions:
                _report(terminal, comparison, version)
            if results.json:
                lines.write(comparison.to_dict())
            interruption.check()
        if results.open and page is not None and not webbrowser.open(page.resolve().as_uri()):
            terminal.warning("No browser was found to show the page in.")
    raise typer.Exit(ExitCode.SOME_FAILED if lines.failed else ExitCode.DONE)


def _report(terminal: Terminal, comparison: "Comparison", version: "Version") -> None:
    parts = []
    if version.made:
        width, height = comparison.size
        parts.append(f"{width} x {height} in {duration(version.made['seconds'])}")
        if version.made["restore"]:
            parts.append(f"restored by {version.made['restore']:g}")
    if version.scores:
        psnr = version.scores["psnr_y"]
        figure = "infinite" if psnr is None else f"{psnr:.2f} dB"
        parts.append(f"PSNR Y {figure}, SSIM Y {version.scores['ssim_y']:.4f}")
    if parts:
        terminal.note(f"{comparison.name}, {version.label}: {'; '.join(parts)}")
