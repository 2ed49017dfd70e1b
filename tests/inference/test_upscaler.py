"""What the upscaler does, whoever computes: strips, panels, windows, and going on when it fails."""

import gc
import logging
import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.errors import DeviceMemoryError, WeightsError
from edsr_cli.inference import Precision, Upscaler
from edsr_cli.inference.upscaler import KEPT, Forms
from edsr_cli.pixels.windows import ArrayWindow, Region, RowsWindow
from tests.inference.fake import SCALE, WEIGHTS, FakeEngine, FakeStream, blurred


def make(engine=None, precision="fp32", max_memory=None):
    return Upscaler(WEIGHTS, SCALE, "cpu", precision, max_memory, engine or FakeEngine())


def picture(height, width, seed=0, dtype=np.uint8):
    most = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, most + 1, (height, width, 3), dtype)


class RowsOnly:
    """A target that is strict: rows of full width, from the top, once each."""

    order = "rows"

    def __init__(self, height, width, dtype=np.uint8):
        self.shape, self.dtype = (height, width, 3), np.dtype(dtype)
        self.pixels = np.empty(self.shape, dtype)
        self.below = 0

    def write(self, region, pixels):
        assert (region.left, region.right) == (0, self.shape[1])
        assert region.top == self.below < region.bottom
        assert pixels.shape == (region.bottom - region.top, self.shape[1], 3)
        assert pixels.dtype == self.dtype
        self.pixels[region.top : region.bottom] = pixels
        self.below = region.bottom


@settings(max_examples=100, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 60),
    tile=st.integers(1, 60) | st.sampled_from(["auto", "none"]),
    radius=st.integers(0, 4),
    late=st.integers(0, 3),
    max_memory=st.sampled_from([None, 9000, 20_000]),
    pixels=st.sampled_from([100, 400, 1 << 40]),
)
def test_any_cut_gives_the_picture(height, width, tile, radius, late, max_memory, pixels):
    engine = FakeEngine(radius=radius, late=late, pixels=pixels)
    upscaler, source = make(engine, max_memory=max_memory), picture(height, width)
    seen = []
    result = upscaler.upscale(source, tile=tile, progress=lambda *now: seen.append(now))
    assert np.array_equal(result.pixels, blurred(source, radius))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (height * width, height * width)
    assert engine.alive == 0
    lower = max(rows for rows, _ in engine.pushed)
    assert lower == 1 or max_memory is None or result.plan.bytes <= max_memory


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    part=st.floats(0, 1),
    late=st.integers(0, 3),
    radius=st.integers(0, 3),
    pixels=st.sampled_from([70, 400, 1 << 40]),
)
def test_it_can_begin_in_the_middle(height, part, late, radius, pixels):
    """However often memory runs out; and what is above is left alone."""
    engine = FakeEngine(radius=radius, late=late, pixels=pixels)
    source, target = picture(height, 9), RowsOnly(height * SCALE, 9 * SCALE)
    first_row = round(part * height)
    target.below = first_row * SCALE
    make(engine).upscale_into(ArrayWindow(source), target, first_row=first_row)
    assert target.below == height * SCALE and engine.alive == 0
    wanted = blurred(source, radius)
    assert np.array_equal(target.pixels[first_row * SCALE :], wanted[first_row * SCALE :])


def test_what_cannot_begin_in_the_middle():
    source, target = picture(20, 30), ArrayWindow(picture(40, 60))
    with pytest.raises(ValueError, match="row 5"):
        make().upscale_into(ArrayWindow(source), target, tile=10, first_row=5)
    with pytest.raises(ValueError, match="row 21"):
        make().upscale_into(ArrayWindow(source), RowsOnly(40, 60), first_row=21)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 60),
    late=st.integers(0, 3),
    max_memory=st.sampled_from([None, 12_000]),
    pixels=st.sampled_from([70, 400, 1 << 40]),
    deep=st.booleans(),
)
def test_rows_come_from_the_top_where_that_is_asked_for(
    height, width, late, max_memory, pixels, deep
):
    """Whatever is wide, however often memory runs out."""
    dtype = np.uint16 if deep else np.uint8
    upscaler = make(FakeEngine(late=late, pixels=pixels), max_memory=max_memory)
    source, target = picture(height, width), RowsOnly(height * SCALE, width * SCALE, dtype)
    outcome = upscaler.upscale_into(ArrayWindow(source), target)
    assert target.below == height * SCALE
    assert np.array_equal(target.pixels, blurred(source, 2, dtype))
    assert len(outcome.plan.panels) == 1 and not outcome.plan.transposed


def test_rows_only_are_never_cut_into_panels():
    upscaler = make(FakeEngine(pixels=30), max_memory=10_000)
    wide, target = ArrayWindow(picture(5, 60)), RowsOnly(10, 120)
    assert upscaler.plan(5, 60).transposed
    with pytest.raises(DeviceMemoryError, match="one row of 60 pixels"):
        upscaler.upscale_into(wide, target)
    assert not target.below
    with pytest.raises(DeviceMemoryError, match="smallest piece"):
        upscaler.plan(5, 1000, rows_only=True)
    with pytest.raises(ValueError, match="row by row"):
        upscaler.upscale_into(wide, target, tile=20)
    upscaler.plan(5, 60, tile=60, rows_only=True)
    # What is free is a guess, so that it is tried.
    starved = make(FakeEngine(free=0))
    plan = starved.plan(500, 1000, rows_only=True)
    assert (plan.panel_width, plan.strip_rows, plan.smaller()) == (1000, 1, None)
    assert starved.plan(500, 1000).panel_width == 16


@pytest.mark.parametrize(("height", "width"), [(30, 11), (11, 30)])
@pytest.mark.parametrize("tile", ["auto", 7])
def test_pictures_in_files_that_are_mapped(tmp_path, height, width, tile):
    pixels = picture(height, width)
    source = np.memmap(tmp_path / "lr", np.uint8, "w+", shape=pixels.shape)
    source[:] = pixels
    target = np.memmap(tmp_path / "sr", np.uint8, "w+", shape=(height * 2, width * 2, 3))
    make().upscale_into(ArrayWindow(source), ArrayWindow(target), tile=tile)
    target.flush()
    found = np.fromfile(tmp_path / "sr", np.uint8).reshape(target.shape)
    assert np.array_equal(found, blurred(pixels, 2))


@pytest.mark.parametrize("read", [np.uint8, np.uint16])
@pytest.mark.parametrize("written", [np.uint8, np.uint16])
def test_the_targets_type_is_the_outputs(read, written):
    source = picture(9, 14, dtype=read)
    target = np.empty((18, 28, 3), written)
    make().upscale_into(ArrayWindow(source), ArrayWindow(target))
    assert np.array_equal(target, blurred(source, 2, written))
    assert make().upscale(source).pixels.dtype == read


def test_no_more_is_read_than_needed():
    """A strip at a time, and each once where there is one panel."""
    read = []

    class Watched(ArrayWindow):
        def read(self, region):
            read.append(region)
            return super().read(region)

    source, target = Watched(picture(70, 9)), np.empty((140, 18, 3), np.uint8)
    rows = make().upscale_into(source, ArrayWindow(target)).plan.strip_rows
    assert read == [Region(top, min(70, top + rows), 0, 9) for top in range(0, 70, rows)]


@pytest.mark.parametrize(("height", "width"), [(70, 9), (9, 70)])
def test_rows_that_are_decoded_while_they_are_read(height, width):
    """From the top, and but once: so the picture is neither transposed nor split."""
    pixels, begun = picture(height, width), []

    def begin():
        begun.append(None)
        return iter(np.array_split(pixels, 4))

    target = np.empty((2 * height, 2 * width, 3), np.uint8)
    source = RowsWindow(pixels.shape, pixels.dtype, begin)
    plan = make().upscale_into(source, ArrayWindow(target)).plan
    assert np.array_equal(target, blurred(pixels, 2, np.uint8)) and len(begun) == 1
    assert not plan.transposed and len(plan.panels) == 1


@pytest.mark.parametrize(("height", "width"), [(30, 11), (11, 30)])
def test_rows_are_not_copied_on_their_way_to_the_engine(height, width, monkeypatch):
    pixels, pushed, push = picture(height, width), [], FakeStream.push

    def watched(stream, rows, last):
        pushed.append(rows)
        return push(stream, rows, last)

    monkeypatch.setattr(FakeStream, "push", watched)
    make().upscale(pixels, tile=7)
    make().upscale(pixels)
    assert pushed and all(np.shares_memory(rows, pixels) for rows in pushed)


def test_windows_that_do_not_fit_each_other():
    with pytest.raises(ValueError, match="does not fit"):
        make().upscale_into(ArrayWindow(picture(5, 5)), RowsOnly(10, 11))


def test_a_plan_compiles_nothing():
    engine = FakeEngine()
    upscaler = make(engine)
    plan = upscaler.plan(320, 200)
    assert upscaler.work_per_pixel() == 7 and plan.footprint.multiply_adds == 7
    assert upscaler.seconds(plan, 7.0) == pytest.approx(64_000)
    assert not engine.compiled


def test_running_out_of_memory_goes_on_with_smaller_pieces(caplog):
    engine = FakeEngine(pixels=200)
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        result = make(engine).upscale(picture(90, 50))
    assert np.array_equal(result.pixels, blurred(picture(90, 50), 2))
    assert engine.released == len(caplog.records) == 3  # 30, 15, 7, 3 rows
    assert caplog.records[-1].message == (
        "Memory ran out on an abacus: going on with strips of 3 rows in panels of 50 columns."
    )
    assert result.plan.strip_rows == 3
    assert engine.pushed[0] == (30, 50) and max(engine.pushed[3:]) == (3, 50)


@pytest.mark.parametrize("late", [0, 1, 3])
def test_finished_rows_are_not_done_again(late):
    engine = FakeEngine(late=late)
    write, rows = ArrayWindow.write, []

    class Target(ArrayWindow):
        def write(self, region, pixels):
            rows.extend(range(region.top, region.bottom))
            if len(rows) > 60:
                engine.pixels = 150
            write(self, region, pixels)

    source, target = picture(200, 12), np.empty((400, 24, 3), np.uint8)
    outcome = make(engine, max_memory=3500).upscale_into(ArrayWindow(source), Target(target))
    assert np.array_equal(target, blurred(source, 2))
    assert rows == list(range(400))
    assert outcome.plan.strip_rows <= 12 < max(height for height, _ in engine.pushed)


@pytest.mark.parametrize("late", [0, 2])
@pytest.mark.parametrize("radius", [1, 9])
def test_rows_that_are_needed_again_are_not_decoded_again(radius, late):
    engine, pixels, begun = FakeEngine(radius=radius, late=late), picture(200, 5), []
    write = ArrayWindow.write

    class Target(ArrayWindow):
        def write(self, region, pixels):
            engine.pixels = 70 if region.bottom > 200 else engine.pixels
            write(self, region, pixels)

    def begin():
        begun.append(None)
        return iter(np.array_split(pixels, 50))

    source, target = RowsWindow(pixels.shape, pixels.dtype, begin), np.empty((400, 10, 3), "uint8")
    make(engine).upscale_into(source, Target(target))
    assert np.array_equal(target, blurred(pixels, radius))
    assert engine.released and len(begun) == 1


def test_memory_that_does_not_suffice_for_one_row_ends_the_work():
    engine = FakeEngine(pixels=2)
    upscaler = make(engine)
    with pytest.raises(DeviceMemoryError, match="an abacus, although one row of 16") as caught:
        upscaler.upscale(picture(40, 40))
    assert "--ensemble" in caught.value.hint and engine.alive == 0
    engine.pixels = 1 << 40
    upscaler.upscale(picture(40, 40))  # the upscaler itself is still good


def test_weights_that_do_not_fit():
    upscaler = make(FakeEngine(weights=1))
    upscaler.upscale(picture(9, 4))
    with pytest.raises(DeviceMemoryError, match="weights do not fit in the memory of an abacus"):
        upscaler.upscale(picture(4, 9))
    upscaler.upscale(picture(9, 4))


def test_an_overflow_is_done_again_in_fp32(caplog):
    engine, pixels = FakeEngine(overflows=200), picture(70, 9) // 2
    pixels[40:] += 100
    upscaler = make(engine, "fp16")
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        result = upscaler.upscale(pixels)
    assert np.array_equal(result.pixels, blurred(pixels, 2))
    assert [record.message for record in caplog.records] == [
        "A strip overflowed in fp16: doing it again, and the rest, in fp32."
    ]
    assert result.precision is Precision.FP32 and upscaler.precision is Precision.FP16
    assert engine.compiled == [
        (Precision.FP16, False, False, False),
        (Precision.FP32, False, False, False),
    ]


def test_numbers_that_are_not_finite_in_fp32_never_make_a_picture():
    with pytest.raises(WeightsError, match="not finite"):
        make(FakeEngine(overflows=-1), "bf16").upscale(picture(5, 5))


@pytest.mark.parametrize("error", [RuntimeError("bug"), MemoryError(), KeyboardInterrupt()])
def test_what_else_is_raised_comes_out_and_rows_are_let_go(error):
    def progress(done, total):
        raise error

    engine = FakeEngine()
    with pytest.raises(type(error)):
        make(engine).upscale(picture(40, 40), progress=progress)
    assert engine.alive == 0 and engine.released == 0


def test_few_forms_are_kept():
    made = []
    forms = Forms()
    get = partial(forms.get, lambda *form: made.append(form) or object(), small=False)
    bf16 = get(Precision.BF16, False, False)
    ensemble = get(Precision.FP32, True, False)
    # The mean of all views is the same whichever way the picture lies.
    assert get(Precision.FP32, True, True) is ensemble
    upright = get(Precision.FP32, False, False)
    sideways = get(Precision.FP32, False, True)
    assert upright is not sideways
    assert list(forms.kept.values()) == [upright, sideways]
    assert get(Precision.FP32, False, False) is upright
    assert get(Precision.BF16, False, False) is not bf16
    assert len(forms.kept) == KEPT
    assert get(Precision.FP32, False, False, small=True) is not upright
    assert get(Precision.FP32, False, False) is upright  # it was used after the other
    assert len(made) == 6


def test_one_that_is_let_go_is_gone_at_once():
    """With its weights, on a GPU too, and not when the interpreter looks for knots."""
    gc.disable()
    try:
        upscaler = make()
        upscaler.upscale(picture(9, 9))
        gone = weakref.ref(upscaler)
        del upscaler
        assert gone() is None
    finally:
        gc.enable()


def test_a_scale_that_the_network_does_not_have_is_refused():
    with pytest.raises(ValueError, match="scales"):
        Upscaler(WEIGHTS, 3, engine=FakeEngine())
