"""A data set's results as a table for people."""

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from edsr_cli.degradations.pictures import CLEAN
from edsr_cli.evaluation.metrics import Channels
from edsr_cli.evaluation.published import Figure
from edsr_cli.evaluation.scores import Scores
from edsr_cli.evaluation.summary import Summary
from edsr_cli.text import one_line


def make_table(summary: Summary) -> Table:
    """Every picture, the means, bicubic's means, and what others have published.

    Luma comes first, or colours where the data set is usually measured in these.
    """
    order = [Channels.Y, Channels.RGB]
    if summary.benchmark.is_div2k:
        order.reverse()
    first = order[0].name
    table = Table(
        title=Text(title(summary)),
        title_justify="left",
        title_style="bold",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("picture", overflow="fold")
    for channels in order:
        table.add_column(f"PSNR {channels.name}", justify="right")
        table.add_column(f"SSIM {channels.name}", justify="right")
    table.add_column(f"bicubic {first}", justify="right")
    table.add_column("s", justify="right")
    for result in summary.results:
        name = Text(one_line(result.picture))
        if result.scores is None or result.bicubic is None:
            table.add_row(name, "failed", style="red")
            continue
        simple = _decibels(_psnr(result.bicubic, order[0]))
        table.add_row(name, *_cells(result.scores, order), simple, f"{result.seconds:.1f}")
    table.add_section()
    if summary.scores and summary.bicubic:
        count = len(summary.results) - summary.failed
        simple = _decibels(_psnr(summary.bicubic, order[0]))
        means = (*_cells(summary.scores, order), simple, f"{summary.seconds / count:.1f}")
        table.add_row(f"mean of {count}", *means, style="bold")
        table.add_row("bicubic", *_cells(summary.bicubic, order))
        table.add_section()
    for own in (True, False):
        for figure in summary.published:
            if figure.own is own:
                cells = _published_cells(figure, order)
                table.add_row(Text(published_name(figure)), *cells, style="dim")
        table.add_section()
    return table


def title(summary: Summary) -> str:
    """What was measured, and how, in one line."""
    degradation = summary.results[0].degradation
    parts = [
        f"{summary.benchmark.name} x{summary.scale}",
        summary.settings.model + (" with ensemble" if summary.settings.ensemble else ""),
        *([f"degraded: {degradation}"] if degradation != CLEAN.name else []),
        *([] if summary.settings.restore == "0" else [f"restore {summary.settings.restore}"]),
        f"{summary.precision} on {summary.results[0].device}",
        f"border of {summary.results[0].border} pixels",
    ]
    return one_line(", ".join(parts))


def published_name(figure: Figure) -> str:
    """What is told of a published figure's origin."""
    note = f", {figure.note}" if figure.note else ""
    return f"{figure.label} ({figure.source}{note})"


def _published_cells(figure: Figure, order: list[Channels]) -> list[str]:
    empty = ["", ""]
    cells = [_decibels(figure.psnr), _similarity(figure.ssim)]
    return [cell for each in order for cell in (cells if each is figure.channels else empty)]


def _cells(scores: Scores, order: list[Channels]) -> list[str]:
    cells = []
    for channels in order:
        ssim = scores.ssim_y if channels is Channels.Y else scores.ssim_rgb
        cells += [_decibels(_psnr(scores, channels)), _similarity(ssim)]
    return cells


def _psnr(scores: Scores, channels: Channels) -> float:
    return scores.psnr_y if channels is Channels.Y else scores.psnr_rgb


def _decibels(value: float) -> str:
    return f"{value:.2f}"


def _similarity(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
