"""Curves as SVG: what chart.html.jinja draws, in numbers."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

WIDTH, HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 24  # for numbers beside the curves
_TICKS = 5  # about so many on an axis
_MOST_POINTS = 400  # of a curve; of more, means of neighbours are drawn
_MOST_MARKED = 60  # points with a dot, which tells its value
_ALIKE = 1e-9  # of values: a smaller span is none

Points = Sequence[tuple[float, float]]
"""Places on the x axis, rising, and values."""


class Curve(Struct, frozen=True):
    """A curve.

    Attributes:
        label: what it is; "" where the title of the chart says so.
        points: values that are not finite are left out.
        level: whether it is one value everywhere, drawn as a broken line.
    """

    label: str
    points: Points
    level: bool = False


def chart(curves: Sequence[Curve], *, logarithmic: bool = False) -> Mapping[str, Any] | None:
    """What the template draws; None where there is nothing to draw.

    Args:
        curves: in the order of their colours.
        logarithmic: whether the y axis is; values that are not positive are left out.
    """
    shown = [(each, _thinned(_drawable(each.points, logarithmic))) for each in curves]
    xs = [x for curve, points in shown if not curve.level for x, _ in points]
    ys = [y for _, points in shown for _, y in points]
    if not xs:
        return None
    across, up = _Axis(xs, _LEFT, WIDTH - _RIGHT), _Axis(ys, HEIGHT - _BOTTOM, _TOP, logarithmic)
    lines: list[Mapping[str, Any]] = []
    for curve, points in shown:
        colour = sum(not line["level"] for line in lines) - curve.level  # a level's is its curve's
        if curve.level:
            points = [(x, y) for _, y in points[:1] for x in (across.least, across.most)]
        places = [(f"{across.place(x):.1f}", f"{up.place(y):.1f}") for x, y in points]
        marked = len(points) <= _MOST_MARKED and not curve.level
        lines.append(
            {
                "label": curve.label,
                "level": curve.level,
                "colour": max(0, colour),
                "path": " ".join(map(",".join, places)),
                "dots": [
                    {"x": x, "y": y, "says": f"{at:,.0f}: {_number(value)}"}
                    for (x, y), (at, value) in zip(places, points, strict=True)
                ]
                if marked
                else [],
            }
        )
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "frame": {
            "left": _LEFT, "right": WIDTH - _RIGHT, "top": _TOP, "bottom": HEIGHT - _BOTTOM
        },
        "x_ticks": across.ticks(),
        "y_ticks": up.ticks(),
        "lines": lines,
        "says": "; ".join(_said(curve) for curve in curves if curve.points),
    }  # fmt: skip


def _said(curve: Curve) -> str:
    """A curve in words."""
    points = _drawable(curve.points, logarithmic=False)
    if not points:
        return f"{curve.label} has no values yet".strip()
    name = f"{curve.label}: " if curve.label else ""
    (first, start), (last, end) = points[0], points[-1]
    if curve.level or len(points) == 1:
        return f"{name}{_number(end)}"
    return f"{name}from {_number(start)} at {first:,.0f} to {_number(end)} at {last:,.0f}"


class _Axis:
    """Where values are on a line of the picture.

    Args:
        values: at least one, all finite.
        start, end: where the least one and the largest one are.
        logarithmic: for positive values, in powers.
    """

    def __init__(
        self, values: Sequence[float], start: float, end: float, logarithmic: bool = False
    ) -> None:
        self.least, self.most = min(values), max(values)
        largest = max(abs(self.least), abs(self.most))
        if self.most - self.least <= _ALIKE * largest:
            spare = largest / 10 or 1.0
            self.least, self.most = self.least - spare, self.most + spare
        self._start, self._end = start, end
        self._scale = math.log if logarithmic else float
        self._logarithmic = logarithmic

    def place(self, value: float) -> float:
        least, most = self._scale(self.least), self._scale(self.most)
        return self._start + (self._end - self._start) * (self._scale(value) - least) / (
            most - least
        )

    def ticks(self) -> list[Mapping[str, str]]:
        """Round values within it, with their places."""
        span = self.most - self.least
        wide = self._logarithmic and self.most / self.least >= 5
        values = _steps(self.least, self.most) if not wide else _powers(self.least, self.most)
        return [{"at": f"{self.place(v):.1f}", "text": _number(v, span)} for v in values]


def _steps(least: float, most: float) -> Iterator[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two values."""
    rough = (most - least) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    for number in range(math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9) + 1):
        yield number * step


def _powers(least: float, most: float) -> Iterator[float]:
    """1, 2 and 5 times powers of ten between two values; fewer where there are many."""
    decades = math.log10(most) - math.log10(least)
    kinds = (1, 2, 5) if decades <= 2 else (1,)
    every = max(1, round(decades / _TICKS))
    for power in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1, every):
        for kind in kinds:
            if least <= kind * 10.0**power <= most:
                yield kind * 10.0**power


def _number(value: float, span: float | None = None) -> str:
    """A value with as many digits as tell it from others that are a fifth of a span away."""
    size = abs(value)
    if size and size < 1e-3:
        return f"{value:.3g}"
    if span is None:
        return f"{value:,.0f}" if size >= 1000 else f"{value:.4g}"
    digits = max(0, -math.floor(math.log10(span / _TICKS)))
    return f"{value / 1000:,.6g}k" if size >= 10_000 else f"{value:,.{digits}f}"


def _drawable(points: Points, logarithmic: bool) -> list[tuple[float, float]]:
    # Of numbers below the least normal one logarithms and powers of ten are no use.
    finite = ((x, y) for x, y in points if math.isfinite(y))
    flushed = ((x, y if abs(y) >= sys.float_info.min else 0.0) for x, y in finite)
    return [(x, y) for x, y in flushed if y > 0 or not logarithmic]


def _thinned(points: Points) -> Points:
    """At most `_MOST_POINTS` points, each the mean of as many neighbours; the last is kept."""
    size = math.ceil(len(points) / _MOST_POINTS)
    if size <= 1:
        return points
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    means = [tuple(sum(axis) / len(group) for axis in zip(*group, strict=True)) for group in groups]
    return [(x, y) for x, y in means[:-1]] + [points[-1]]
