"""The page of `edsr train`: how a training goes, while it runs and after it."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, field

from edsr_cli import __version__
from edsr_cli.errors import FileError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.report.charts import Curve, chart
from edsr_cli.report.pictures import Encoded
from edsr_cli.report.places import TRAINING
from edsr_cli.report.templates import render
from edsr_cli.text import duration, significant

_LISTED = 12  # rows of the record that are in the table

_ENOUGH = 8  # rows of which half make a curve

_BADGES = {"running": "good", "done": "good", "stopped": "warn", "failed": "bad"}


class Row(Protocol):
    """What was measured after an update; see `edsr_cli.training.log.Row`."""

    @property
    def update(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def loss(self) -> float: ...
    @property
    def psnr(self) -> Mapping[int, float]: ...


class Part(Struct, frozen=True):
    """A part of a picture that is validated on, in its versions.

    Attributes:
        name: of the picture.
        scale: how many times it is enlarged.
        versions: labels and pictures, all of one size: first bicubic interpolation, then the
            network's in the order of updates, last the original.
    """

    name: str
    scale: int
    versions: Sequence[tuple[str, Encoded]]


class Training(Struct, frozen=True):
    """A training, as far as it is.

    Attributes:
        name: of the run.
        state: "running", "done", "stopped" or "failed".
        reason: why it failed.
        update: updates done.
        updates: in all, or fewer where time ends it.
        seconds: wall time since it began, that between a stop and going on left out.
        fraction: how much is done, 0 to 1.
        rows: the record, rising.
        bicubic: PSNR of bicubic interpolation on the same pictures, in dB, by scale.
        parts: what is seen over time.
        facts: what is trained, and how.
        every: about so many seconds pass until the page is written again.
    """

    name: str
    state: str
    reason: str
    update: int
    updates: int
    seconds: float
    fraction: float
    rows: Sequence[Row]
    bicubic: Mapping[int, float]
    parts: Sequence[Part] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    every: float = 15.0


def write_training(path: Path, training: Training) -> None:
    """Write the page in place of an older one.

    Raises:
        FileError: it cannot be written, or somebody else's file is there.
    """
    with atomic_write(path, overwrite=TRAINING.is_at(path), error=FileError) as file:
        for piece in _page(training):
            file.write(piece.encode())


def _page(training: Training) -> Iterator[str]:
    rows = training.rows
    return render(
        "training.html.jinja",
        styles=("page.css", "viewer.css", "compare.css", "training.css"),
        scripts=("viewer.js", "training.js"),
        more_scripts=False,
        title=f"edsr train: {training.name}",
        training=training,
        badge=_BADGES[training.state],
        written=time.time(),
        tiles=_tiles(training),
        charts=list(_charts(training)),
        scales=sorted({scale for row in rows for scale in row.psnr}),
        last=[_cells(row) for row in rows[-_LISTED:]],
        subjects=[_subject(each) for each in training.parts],
        version=__version__,
    )


def _tiles(training: Training) -> Iterator[tuple[str, str]]:
    by_time = training.fraction * training.updates > training.update + 1  # it ends before the last
    yield "updates" if by_time else f"updates of {training.updates:,}", f"{training.update:,}"
    yield "done", f"{100 * training.fraction:.3g} %"
    yield "time", duration(training.seconds)
    if training.state == "running" and training.fraction > 0:
        yield "left", duration(training.seconds * (1 / training.fraction - 1))
    if training.update and training.seconds:
        yield "updates a second", significant(training.update / training.seconds)
    losses = [row.loss for row in training.rows if math.isfinite(row.loss)]
    if losses:
        yield "loss", f"{losses[-1]:.3f}"
    for scale, value in _last_psnr(training.rows).items():
        gain = value - training.bicubic.get(scale, math.nan)
        place = "below" if gain < 0 else "above"
        yield f"dB of PSNR, x{scale}; {abs(gain):.2f} {place} bicubic", f"{value:.2f}"


def _last_psnr(rows: Sequence[Row]) -> dict[int, float]:
    last: dict[int, float] = {}
    for row in rows:
        last |= row.psnr
    return last


def _charts(training: Training) -> Iterator[Mapping[str, Any]]:
    """What is drawn, and what else where a choice is not taken."""
    rows = training.rows

    def curve(name: str) -> list[Curve]:
        return [Curve("", [(row.update, getattr(row, name)) for row in rows if row.update])]

    def psnr(scale: int, rows: Sequence[Row]) -> Curve:
        return Curve(f"x{scale}", [(r.update, r.psnr[scale]) for r in rows if scale in r.psnr])

    def bicubic(scale: int) -> Curve:
        value = training.bicubic.get(scale, math.nan)
        return Curve(f"x{scale} bicubic", [(0, value)], level=True)

    loss, scales = curve("loss"), _last_psnr(rows)
    yield {
        "title": "Loss: L1, in levels of 255",
        "drawn": chart(loss, logarithmic=True),
        "choice": "logarithmic",
        "other": chart(loss),
    }
    # It rises by 20 dB at first, beside which the tenths that matter later cannot be seen.
    later = rows[len(rows) // 2 :] if len(rows) >= _ENOUGH else []
    yield {
        "title": "Validation PSNR, Y, in dB",
        "drawn": chart([each for s in scales for each in (psnr(s, rows), bicubic(s))]),
        "choice": "from the start",
        "other": chart([psnr(scale, later) for scale in scales]),
    }
    yield {"title": "Learning rate", "drawn": chart(curve("learning_rate")), "other": None}


def _cells(row: Row) -> Mapping[str, Any]:
    return {
        "after": f"{row.update:,}",
        "time": duration(row.seconds),
        "rate": f"{row.learning_rate:.3g}" if row.update else "",
        "loss": f"{row.loss:.4f}" if math.isfinite(row.loss) else "",
        "psnr": {scale: f"{value:.3f}" for scale, value in row.psnr.items()},
    }


def _subject(part: Part) -> Mapping[str, Any]:
    """What versions.html.jinja shows."""
    height, width = part.versions[0][1].shape[:2]
    return {
        "name": f"x{part.scale}, {part.name}",
        "size": (width, height),
        "border": 0,
        "versions": [
            {
                "label": label,
                "picture": {"uri": each.uri, "address": "", "tagged": False, "base": None},
            }
            for label, each in part.versions
        ],
    }
