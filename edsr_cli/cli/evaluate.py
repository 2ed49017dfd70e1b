"""`edsr evaluate`."""

from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import interruption
from edsr_cli.cli.options import Messages, Results, command
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import ExitCode
from edsr_cli.options.definition import again, group
from edsr_cli.options.evaluating import EvaluateOptions

if TYPE_CHECKING:
    from edsr_cli.evaluation.evaluate import Result
    from edsr_cli.evaluation.summary import Summary


@group
class EvaluateResults(Messages):
    """What is said, and where."""

    json: bool = again(
        Results,
        "json",
        text="Instead of tables, print one JSON object per picture and one per mean.",
        default=...,
    )


@command(EvaluateOptions, EvaluateResults)
def evaluate(options: EvaluateOptions, results: EvaluateResults) -> None:
    """Measure how close upscaled pictures come to the originals: PSNR and SSIM.

    As the papers do: 8-bit output, luma (Y) and colours (RGB), the border left out, beside bicubic
    interpolation and published figures. In fp32 unless --precision says otherwise, so that figures
    compare.

    Exit codes: 0 all done, 1 some pictures failed, 2 wrong usage, 3 weights missing or damaged, 4
    out of memory, 130 interrupted.

    Examples:
      edsr evaluate Set5 Set14
          tables, at every scale of the model
      edsr evaluate photos/ -s 4 --save upscaled
          your own pictures, and what came out
      edsr evaluate Set5 --degrade jpeg:50
          as pictures are on the web
    """
    terminal = Terminal.with_flags(results.quiet, results.verbose)

    with terminal.starting(), interruption.held():
        from edsr_cli.api.evaluate import evaluating
        from edsr_cli.api.opening import warm_up
        from edsr_cli.evaluation.summary import Summary
        from edsr_cli.evaluation.table import make_table

        warm_up(options)
    codes = set()
    with terminal.log():
        for outcome in evaluating(options, terminal.progress):
            interruption.check()
            if not isinstance(outcome, Summary):
                codes.add(outcome.exit_code)
                _report(terminal, outcome)
            else:
                _remark(terminal, outcome)
            if results.json:
                terminal.json(outcome.to_dict())
            elif isinstance(outcome, Summary):
                terminal.table(make_table(outcome))
    codes.discard(ExitCode.DONE)
    code = ExitCode.SOME_FAILED if len(codes) > 1 else next(iter(codes), ExitCode.DONE)
    raise typer.Exit(code)


def _report(terminal: Terminal, result: "Result") -> None:
    for remark in result.notes:
        terminal.note(remark)
    if result.error is not None:
        terminal.error(result.error)
    elif result.scores is not None:
        terminal.detail(
            f"{result.dataset} x{result.scale}, {result.picture}: PSNR Y "
            f"{result.scores.psnr_y:.3f} dB, RGB {result.scores.psnr_rgb:.3f} dB, "
            f"{result.seconds:.1f} s"
        )


def _remark(terminal: Terminal, summary: "Summary") -> None:
    """Say what stands in the way of comparing the means with published figures."""
    from edsr_cli.evaluation.published import set_size

    name, count = summary.benchmark.name, len(summary.results)
    if summary.failed and count > 1:
        terminal.error(f"{name} x{summary.scale}: {summary.failed} of {count} pictures failed.")
    if summary.benchmark.lr is not None and summary.results[0].lr == "made":
        terminal.note(f"{name} has no LR pictures for x{summary.scale}: they were made from HR.")
    size = set_size(name)
    if summary.published and size != count:
        terminal.note(f"Published figures are for all {size} pictures of {name}, not for {count}.")
