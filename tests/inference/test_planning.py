import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edsr_cli.errors import DeviceMemoryError, ExitCode
from edsr_cli.inference.planning import (
    SMALLEST_PANEL,
    Footprint,
    Plan,
    Region,
    make_plan,
    smallest_plan,
)

BASELINE = Footprint(radius=36, held_bytes=41 * 512, work_bytes=1536)
footprints = st.builds(
    Footprint, st.integers(1, 172), st.integers(100, 10**6), st.integers(100, 10**5)
)
lengths = st.integers(1, 30_000)


@given(lengths, lengths, footprints, st.integers(10**5, 10**11), st.integers(1, 10**6))
def test_a_plan_keeps_to_its_budget_or_says_that_it_cannot(
    height, width, footprint, budget, pixels
):
    try:
        plan = make_plan(height, width, footprint, budget, pixels)
    except DeviceMemoryError as error:
        assert smallest_plan(height, width, footprint).bytes > budget
        assert error.exit_code == ExitCode.OUT_OF_MEMORY
        assert "--max-memory" in error.hint
    else:
        assert plan.bytes <= budget
        assert 1 <= plan.strip_rows <= height
        assert 1 <= plan.panel_width <= width


@given(lengths, lengths, st.integers(1, 30_000))
def test_panels_cover_every_column_once(height, width, panel_width):
    panels = Plan(height, width, panel_width, 8, BASELINE).panels
    assert [panel.left for panel in panels] == [0, *(panel.right for panel in panels[:-1])]
    assert panels[-1].right == width
    widths = [panel.right - panel.left for panel in panels]
    assert max(widths) <= panel_width
    assert max(widths) - min(widths) <= 1
    assert all((panel.top, panel.bottom) == (0, height) for panel in panels)


def test_a_picture_that_fits_is_one_panel_and_no_pixel_is_computed_twice():
    plan = make_plan(5000, 4000, BASELINE, 10**9, 1 << 15)
    assert len(plan.panels) == 1
    assert plan.pixels == 5000 * 4000
    assert plan.strip_rows == 32
    assert make_plan(5000, 400, BASELINE, 10**9, 1 << 15).strip_rows == (1 << 15) // 400


def test_memory_does_not_depend_on_height():
    short = make_plan(512, 512, BASELINE, 10**9, 1 << 15)
    tall = make_plan(16384, 512, BASELINE, 10**9, 1 << 15)
    assert short.bytes == tall.bytes
    assert short.strip_rows == tall.strip_rows


def test_lower_strips_come_before_panels():
    full = make_plan(1000, 1000, BASELINE, 10**9, 1 << 15)
    tight = make_plan(1000, 1000, BASELINE, full.bytes - 1, 1 << 15)
    assert len(tight.panels) == 1
    assert tight.strip_rows < full.strip_rows


def test_a_tight_budget_gives_panels_with_clipped_halos():
    plan = make_plan(1000, 1000, BASELINE, 8 * 10**6, 1 << 15)
    first, *_, last = plan.panels
    assert len(plan.panels) > 1
    grown = first.grown(36, 1000, 1000)
    assert (grown.left, grown.right) == (0, first.right + 36)
    grown = last.grown(36, 1000, 1000)
    assert (grown.left, grown.right) == (last.left - 36, 1000)
    assert plan.pixels == 1000 * (1000 + 72 * (len(plan.panels) - 1))


def test_the_users_panel_width_is_kept():
    plan = make_plan(300, 1000, BASELINE, 10**9, 1 << 15, panel_width=64)
    assert plan.panel_width == 64
    assert make_plan(300, 50, BASELINE, 10**9, 1 << 15, panel_width=64).panel_width == 50
    with pytest.raises(DeviceMemoryError):
        make_plan(300, 1000, BASELINE, 10**6, 1 << 15, panel_width=64)


@given(lengths, lengths, st.integers(1, 30_000), st.integers(1, 3000))
def test_smaller_plans_end_at_the_smallest(height, width, panel_width, strip_rows):
    plan: Plan | None = Plan(height, width, min(panel_width, width), strip_rows, BASELINE)
    steps = 0
    while plan is not None:
        last, plan = plan, plan.smaller()
        steps += 1
        if plan is not None:
            assert plan.bytes <= last.bytes
            assert (plan.strip_rows, plan.panel_width) < (last.strip_rows, last.panel_width) or (
                plan.panel_width < last.panel_width
            )
    assert last.strip_rows == 1
    assert last.panel_width <= SMALLEST_PANEL
    assert steps < 40


def test_region_is_clipped_at_the_picture():
    assert Region(10, 20, 0, 5).grown(8, 25, 100) == Region(2, 25, 0, 13)


@given(lengths, st.integers(1, 2000))
def test_strips_are_of_nearly_equal_height(height, width):
    rows = make_plan(height, width, BASELINE, 10**12, 1 << 15).strip_rows
    strips = -(-height // rows)
    assert rows * strips - height < strips  # the last is short by less than a row for each strip


@given(lengths, st.integers(1, 3000), st.integers(1, 8))
def test_strips_are_whole_tiles_where_they_can_be(height, width, tile_rows):
    footprint = replace(BASELINE, tile_rows=tile_rows)
    plain, tiled = (
        make_plan(height, width, each, 10**12, 1 << 12) for each in (BASELINE, footprint)
    )
    assert tiled.strip_rows == height or tiled.strip_rows % tile_rows == 0
    assert tiled.strip_rows - plain.strip_rows < tile_rows
    # Where there is memory for fewer rows than a tile has, they are taken.
    low = make_plan(height, width, footprint, footprint.bytes(width, 1), 1 << 12, rows_only=True)
    assert low.strip_rows == 1


def test_narrow_panels_are_better_than_the_lowest_strips():
    """One-row strips cost three times their work, halos less: that decides between the two."""
    footprint = Footprint(radius=8, held_bytes=1000, work_bytes=1000)
    budget = footprint.bytes(1000, 1)  # enough for one panel in strips of one row
    plan = make_plan(1000, 1000, footprint, budget, 1 << 15)
    assert len(plan.panels) > 1 and plan.strip_rows > 1
    assert plan.slowdown < 1.7
    one = Plan(1000, 1000, 1000, 1, footprint)
    assert one.bytes == budget and one.slowdown == pytest.approx(3 / (1 + 2 / 32))


def test_the_plain_work_is_what_others_are_compared_with():
    assert Plan(500, 400, 400, 100, BASELINE).slowdown == pytest.approx(1, abs=0.05)
    assert Plan(3, 400, 400, 3, BASELINE).slowdown == 1  # a low picture has no higher strips
    narrow = Plan(1000, 1000, 16, 1, BASELINE)
    assert 10 < narrow.slowdown < 20


def test_a_message_has_the_users_own_figure():
    with pytest.raises(DeviceMemoryError, match=r"about 6\.5 MB.*only 6\.0 MB"):
        make_plan(300, 1000, BASELINE, 2 * 10**6, 1 << 15, panel_width=64, spare=4 * 10**6)


def test_what_comes_out_at_the_end_counts():
    plain, loud = (Footprint(10, 100, 1000, output) for output in (0, 50))
    assert loud.bytes(7, 4) - plain.bytes(7, 4) == 7 * (4 + 10) * 50
    assert make_plan(1000, 100, loud, 10**6, 1 << 15).bytes <= 10**6
