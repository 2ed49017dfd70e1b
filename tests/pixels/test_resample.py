import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.pixels.resample import Reducing, reduced
from edsr_cli.pixels.windows import ArrayWindow, Region
from tests.pixels.test_resize import cubic

WHITE = {np.uint8: 255, np.uint16: 65535}
SIDES = st.integers(1, 40).flatmap(lambda old: st.tuples(st.just(old), st.integers(1, old)))


def noise(height, width, dtype, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, WHITE[dtype] + 1, (height, width, 3)).astype(dtype)


def weights(old, new):
    """The weights of each output pixel, as a dense matrix (new, old), from the formula."""
    matrix = np.zeros((new, old))
    for i in range(new):
        centre = (i + 0.5) * old / new - 0.5
        for k in range(old):
            matrix[i, k] = cubic((k - centre) * new / old)
    return matrix / matrix.sum(axis=1, keepdims=True)


@given(SIDES, SIDES, st.sampled_from([np.uint8, np.uint16]), st.sampled_from([np.uint8, np.uint16]))
def test_is_the_formula_rounded_once(rows, columns, dtype, wanted):
    pixels = noise(rows[0], columns[0], dtype)
    exact = np.einsum("ij,jkc,lk->ilc", weights(*rows), pixels / WHITE[dtype], weights(*columns))
    exact = np.clip(exact, 0, 1) * WHITE[wanted]
    found = reduced(pixels, columns[1], rows[1], wanted)
    assert found.dtype == wanted
    # What the weights are rounded to counts for far less than a level of 8 bits, and two of 16.
    assert np.abs(found - exact).max() <= (0.51 if wanted is np.uint8 else 2.5)


@pytest.mark.parametrize(
    ("old", "new"), [((90, 60), (75, 50)), ((97, 61), (33, 20)), ((64, 48), (64, 12))]
)
def test_is_what_pillow_makes_of_floats(old, new):
    pixels = noise(old[1], old[0], np.uint8)
    planes = [Image.fromarray(pixels[..., c].astype(np.float32)) for c in range(3)]
    theirs = np.stack([np.asarray(p.resize(new, Image.Resampling.BICUBIC)) for p in planes], 2)
    assert np.abs(reduced(pixels, *new) - np.clip(theirs, 0, 255)).max() < 0.51


@given(st.integers(0, 9), st.lists(st.integers(1, 7), min_size=1, max_size=40))
def test_does_not_depend_on_how_rows_come(seed, steps):
    pixels = noise(sum(steps), 50, np.uint16, seed)
    height = max(1, sum(steps) * 3 // 5)
    target = np.zeros((height, 23, 3), np.uint8)
    window = Reducing(ArrayWindow(target), *pixels.shape[:2], pixels.dtype)
    top = 0
    for step in steps:
        window.write(Region(top, top + step, 0, 50), pixels[top : top + step])
        top += step
    np.testing.assert_array_equal(target, reduced(pixels, 23, height, np.uint8))


def test_holds_no_more_rows_than_the_kernel_spans():
    target = np.zeros((2000, 4, 3), np.uint8)
    window = Reducing(ArrayWindow(target), 5000, 10, np.dtype(np.uint8))
    held = 0
    for top in range(0, 5000, 8):
        window.write(Region(top, top + 8, 0, 10), noise(8, 10, np.uint8))
        held = max(held, len(window._rows))
    assert held <= 2 * 2 * 2.5 + 8 + 3


class Rows:
    """A window that takes rows from the top only, as encoders do."""

    order = "rows"

    def __init__(self, shape, dtype):
        self.shape, self.dtype, self.seen = shape, np.dtype(dtype), 0

    def write(self, region, pixels):
        assert (region.top, region.left, region.right) == (self.seen, 0, self.shape[1])
        assert pixels.shape == (region.bottom - region.top, self.shape[1], 3)
        assert pixels.dtype == self.dtype and pixels.flags.c_contiguous
        self.seen = region.bottom


@given(SIDES, SIDES)
def test_gives_every_row_once_from_the_top(rows, columns):
    target = Rows((rows[1], columns[1], 3), np.uint16)
    window = Reducing(target, rows[0], columns[0], np.dtype(np.uint8))
    for top in range(rows[0]):
        window.write(Region(top, top + 1, 0, columns[0]), noise(1, columns[0], np.uint8))
    assert target.seen == rows[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_same_size_is_the_same_picture(dtype):
    pixels = noise(33, 21, dtype)
    np.testing.assert_array_equal(reduced(pixels, 21, 33), pixels)


@pytest.mark.parametrize("level", [0, 1, 137, 254, 255])
def test_what_is_even_stays_so(level):
    assert (reduced(np.full((37, 41, 3), level, np.uint8), 17, 16) == level).all()
    assert (reduced(np.full((37, 41, 3), level, np.uint8), 17, 16, np.uint16) == level * 257).all()


def test_every_level_of_a_ramp_of_16_bits_is_kept():
    ramp = np.repeat(np.arange(65536, dtype=np.uint16).reshape(256, 256), 2, axis=1)
    wide = np.repeat(ramp.reshape(1, -1, 1), 3, axis=2)
    found = reduced(np.ascontiguousarray(wide), 65536, 1)[0, :, 0]
    assert len(np.unique(found)) > 65500 and np.abs(np.diff(found.astype(int))).max() <= 2


def test_refuses_to_enlarge_and_rows_out_of_order():
    with pytest.raises(ValueError, match="5 pixels cannot be reduced to 6"):
        reduced(noise(5, 9, np.uint8), 9, 6)
    window = Reducing(ArrayWindow(np.zeros((2, 2, 3), np.uint8)), 4, 4, np.dtype(np.uint8))
    for region in (Region(1, 2, 0, 4), Region(0, 1, 0, 2)):
        with pytest.raises(ValueError, match="rows from 0 on"):
            window.write(region, noise(1, 4, np.uint8))
