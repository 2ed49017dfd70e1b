import math
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edsr_cli.report.charts import HEIGHT, WIDTH, Curve, chart

NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, 0.0])
POINTS = st.lists(st.tuples(st.integers(0, 10**6), NUMBERS), max_size=40).map(sorted)


def drawn(*curves, **how):
    made = chart([Curve(f"c{n}", points) for n, points in enumerate(curves)], **how)
    assert made is not None
    return made


def places(line):
    return [tuple(map(float, each.split(","))) for each in line["path"].split()]


@given(POINTS, st.booleans())
@example([(0, 0.0), (0, 5e-324)], False)
@example([(0, 5e-324)], True)
@example([(0, 2.2250738585072014e-308), (1, 2.225073858507202e-308)], False)
@example([(0, 2.2250738585072014e-308)], True)
def test_everything_is_inside(points, logarithmic):
    made = chart([Curve("", points)], logarithmic=logarithmic)
    least = sys.float_info.min if logarithmic else -math.inf
    good = [y for _, y in points if math.isfinite(y) and y >= least]
    assert (made is None) == (not good)
    if made is None:
        return
    [line] = made["lines"]
    assert len(places(line)) == len(good) == len(line["dots"])
    ticks = [float(each["at"]) for each in made["x_ticks"] + made["y_ticks"]]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places(line))
    assert all(0 <= at <= WIDTH for at in ticks) and len(made["y_ticks"]) <= 12


def test_places_are_in_proportion():
    [line] = drawn([(0, 10.0), (50, 20.0), (100, 40.0)])["lines"]
    (x0, y0), (x1, y1), (x2, y2) = places(line)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert 2 * (y0 - y1) == pytest.approx(y1 - y2, abs=0.3)
    [line] = drawn([(0, 10.0), (50, 20.0), (100, 40.0)], logarithmic=True)["lines"]
    (_, y0), (_, y1), (_, y2) = places(line)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


@pytest.mark.parametrize(
    ("values", "logarithmic", "texts"),
    [
        ([0.0, 10.0], False, ["0", "2", "4", "6", "8", "10"]),
        ([30.0, 30.9], False, ["30.0", "30.2", "30.4", "30.6", "30.8"]),
        ([1e-4, 5e-5], False, ["5e-05", "6e-05", "7e-05", "8e-05", "9e-05", "0.0001"]),
        ([3.0, 60.0], True, ["5", "10", "20", "50"]),
        ([0.0, 300_000.0], False, ["0", "100k", "200k", "300k"]),
    ],
)
def test_ticks_are_round(values, logarithmic, texts):
    made = drawn(list(enumerate(values)), logarithmic=logarithmic)
    assert [each["text"] for each in made["y_ticks"]] == texts


def test_a_long_curve_has_few_points_and_ends_where_it_ends():
    points = [(n, float(n % 2)) for n in range(100_000)] + [(100_000, 7.0)]
    made = drawn(points)
    [line] = made["lines"]
    frame = made["frame"]
    assert 300 < len(places(line)) <= 400 and line["dots"] == []
    assert places(line)[-1] == (frame["right"], frame["top"])
    levels = {y for _, y in places(line)[:-1]}  # means of as many zeros as ones
    assert max(levels) - min(levels) < 1


def test_a_level_goes_all_the_way_in_the_colour_of_its_curve():
    made = chart(
        [
            Curve("a", [(5, 1.0), (9, 2.0)]), Curve("a0", [(0, 1.5)], level=True),
            Curve("b", [(5, 3.0)]), Curve("b0", [(0, 2.5)], level=True),
        ]
    )  # fmt: skip
    assert made is not None
    assert [line["colour"] for line in made["lines"]] == [0, 0, 1, 1]
    ends = [places(made["lines"][n]) for n in (0, 1)]
    assert [x for x, _ in ends[0]] == [x for x, _ in ends[1]]
    assert made["says"] == "a: from 1 at 5 to 2 at 9; a0: 1.5; b: 3; b0: 2.5"


def test_a_level_alone_is_nothing():
    assert chart([Curve("a", []), Curve("b", [(0, 1.0)], level=True)]) is None
