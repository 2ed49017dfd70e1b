import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.pixels.windows import ArrayWindow, Recent, Region, RowsWindow, Transposed


@st.composite
def regions(draw, height=40, width=50):
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    return Region(top, draw(st.integers(top + 1, height)), left, draw(st.integers(left + 1, width)))


def random_picture(dtype, height=40, width=50):
    return np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(dtype)


@given(regions(), st.sampled_from([np.uint8, np.uint16]))
def test_a_region_is_read_and_written_where_it_lies(region, dtype):
    pixels = random_picture(dtype)
    window, copy = ArrayWindow(pixels), ArrayWindow(np.zeros_like(pixels))
    assert window.shape == (40, 50, 3) and window.dtype == dtype
    copy.write(region, window.read(region))
    inside = np.zeros((40, 50), bool)
    inside[region.top : region.bottom, region.left : region.right] = True
    assert np.array_equal(copy.pixels[inside], pixels[inside])
    assert not copy.pixels[~inside].any()


def test_a_file_mapped_into_memory_is_a_window_too(tmp_path):
    pixels = random_picture(np.uint16)
    mapped = np.memmap(tmp_path / "scratch", np.uint16, "w+", shape=pixels.shape)
    ArrayWindow(mapped).write(Region(0, 40, 0, 50), pixels)
    mapped.flush()
    assert np.array_equal(np.fromfile(tmp_path / "scratch", np.uint16), pixels.ravel())


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_picture_has_no_window(shape):
    with pytest.raises(ValueError, match="picture must"):
        ArrayWindow(np.zeros(shape, np.uint8))


@given(regions())
def test_turning_a_region_twice_changes_nothing(region):
    turned = region.transposed()
    assert (turned.top, turned.left) == (region.left, region.top)
    assert turned.transposed() == region


@given(regions(height=50, width=40))
def test_a_transposed_window_reads_and_writes_the_picture_beneath(region):
    pixels = random_picture(np.uint8)
    window = Transposed(ArrayWindow(pixels))
    copy = Transposed(ArrayWindow(np.zeros_like(pixels)))
    assert window.shape == (50, 40, 3) and window.dtype == np.uint8
    found = window.read(region)
    assert np.array_equal(found, ArrayWindow(pixels.swapaxes(0, 1)).read(region))
    assert np.shares_memory(found, pixels)
    copy.write(region, found)
    assert np.array_equal(copy.read(region), found)
    assert np.count_nonzero(copy.window.pixels) == np.count_nonzero(found)


@given(regions())
def test_a_region_within_another(region):
    outer = region.grown(5, 40, 50)
    assert region.within(outer).within(Region(-outer.top, 0, -outer.left, 0)) == region


@given(st.lists(regions(), min_size=1, max_size=8), st.integers(1, 17), st.data())
def test_rows_that_are_made_while_they_are_read(asked, most, data):
    pixels = random_picture(np.uint8)
    begun = []

    def begin():
        begun.append(top := 0)
        while top < len(pixels):
            count = data.draw(st.integers(1, most))
            yield pixels[top : top + count]
            top += count

    window = RowsWindow(pixels.shape, pixels.dtype, begin)
    assert window.order == "rows" == Transposed(window).order and not begun
    highest = 0
    for region in asked:
        part = pixels[region.top : region.bottom, region.left : region.right]
        before = len(begun)
        assert np.array_equal(window.read(region), part)
        if region.top >= highest:
            assert len(begun) == max(before, 1)
        highest = region.top if len(begun) > before else max(highest, region.top)


@given(st.lists(regions(), min_size=1, max_size=8), st.integers(0, 30), st.integers(1, 17))
def test_rows_that_were_read_lately(asked, kept, most):
    pixels, begun = random_picture(np.uint8), []

    def begin():
        begun.append(None)
        return (pixels[top : top + most] for top in range(0, len(pixels), most))

    window = Recent(RowsWindow(pixels.shape, pixels.dtype, begin), kept)
    first = last = reached = 0  # rows that were read one after the other, and the last region's
    for region in asked:
        part = pixels[region.top : region.bottom, region.left : region.right]
        before = len(begun)
        assert np.array_equal(window.read(region), part)
        if max(first, last - kept) <= region.top <= reached:
            assert len(begun) == max(before, 1)
        else:
            first = region.top
            reached = 0
        last, reached = max(region.top, first), max(reached, region.bottom)


def test_rows_that_fail_or_end_are_made_anew():
    pixels = random_picture(np.uint16)
    ways = [[pixels[:9]], [pixels[:9], None], [pixels[:9], pixels[9:]]]
    window = RowsWindow(pixels.shape, pixels.dtype, lambda: map(np.positive, ways.pop(0)))
    with pytest.raises(EOFError):
        window.read(Region(5, 30, 0, 50))
    with pytest.raises(TypeError):
        window.read(Region(5, 30, 0, 50))
    assert np.array_equal(window.read(Region(5, 30, 0, 50)), pixels[5:30]) and not ways
