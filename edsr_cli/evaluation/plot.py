"""The gain over bicubic interpolation against JPEG quality, as a picture."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from edsr_cli.degradations import spec
from edsr_cli.degradations.pictures import CLEAN
from edsr_cli.errors import UsageError
from edsr_cli.evaluation.summary import Summary
from edsr_cli.files.atomic import atomic_write, check_writable
from edsr_cli.files.names import display_name

QUALITIES = (95, 90, 80, 70, 50, 30)
"""What is measured when nothing else is asked for."""

_CLEAN_AT = 100.0  # where pictures that were never compressed stand on the axis of qualities


def default_degradations() -> list[str]:
    """Clean pictures, and JPEGs at `QUALITIES`."""
    return [CLEAN.name, *(f"jpeg:{quality}" for quality in QUALITIES)]


def jpeg_quality(degradation: str) -> float | None:
    """Where a degradation stands on the axis, 1 to 100.

    None if it is not the compression of every picture at one quality, as 4:2:0, and nothing else.
    """
    if degradation == CLEAN.name:
        return _CLEAN_AT
    try:
        steps = spec.parse(degradation)
    except UsageError:  # a kernel
        return None
    if steps.jpeg is None:
        return None
    quality = steps.jpeg.low
    return quality if steps == spec.Spec(jpeg=spec.Strength(quality, quality)) else None


def check_plot(degradations: Sequence[str], path: Path, overwrite: bool) -> None:
    """Find out before the work whether there will be a line to draw, and a file to draw it to.

    Raises:
        UsageError: fewer than two degradations are compression alone, the file exists already or
            cannot be written, or matplotlib is missing.
    """
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"{display_name(path)} exists already.", "To replace it, add --overwrite.")
    check_writable(path.parent, UsageError)
    if len({quality for each in degradations if (quality := jpeg_quality(each))}) < 2:
        raise UsageError(
            "A plot needs two JPEG qualities or more.",
            "Give --degrade jpeg:90 --degrade jpeg:50, or leave --degrade out.",
        )
    try:
        import matplotlib as matplotlib
    except ImportError as error:
        raise UsageError(
            "A plot needs matplotlib, which is not installed.", "pip install edsr-cli[plot]"
        ) from error


def plot_gain(summaries: Sequence[Summary], path: Path, overwrite: bool) -> bool:
    """Draw a line for each data set and scale, as a PNG file.

    Args:
        summaries: of all data sets, scales and degradations; what is not compression is left out.
        path: the file.
        overwrite: replace a file that exists.

    Returns:
        Whether there was anything to draw.

    Raises:
        FileError: the file exists already, or cannot be written.
    """
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for summary in summaries:
        quality = jpeg_quality(summary.settings.degrade.name)
        if quality is not None and summary.scores and summary.bicubic:
            gain = summary.scores.psnr_y - summary.bicubic.psnr_y
            lines[f"{summary.benchmark.name} x{summary.scale}"].append((quality, gain))
    if not lines:
        return False
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for label, points in lines.items():
        axes.plot(*zip(*sorted(points), strict=True), ".-", label=label)
    axes.axhline(0, color="black", linewidth=0.8)
    ticks = sorted({quality for points in lines.values() for quality, _ in points})
    axes.set_xticks(ticks, ["clean" if tick == _CLEAN_AT else f"{tick:g}" for tick in ticks])
    axes.set_xlabel("JPEG quality of the LR pictures (4:2:0)")
    axes.set_ylabel("gain over bicubic interpolation, PSNR Y (dB)")
    models = dict.fromkeys(summary.settings.model for summary in summaries)
    axes.set_title(", ".join(models))
    axes.legend()
    axes.grid(alpha=0.3)
    with atomic_write(path, overwrite=overwrite) as file:
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return True
