import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.pixels.windows import ArrayWindow, RowsWindow
from edsr_cli.restoration.sampling import PIECE, luma, pieces


@settings(max_examples=30)
@given(height=st.integers(1, 3000), width=st.integers(1, 3000))
def test_pieces_are_few_lie_on_the_grid_and_reach_the_ends(height, width):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[::8, ::8, 0] = 200
    pixels[-8:, -8:, 2] = 100
    found = pieces(ArrayWindow(pixels))
    assert 1 <= len(found) <= 16
    assert sum(part.shape[0] * part.shape[1] for part in found) <= 16 * PIECE * PIECE
    for part in found:
        assert part.dtype == np.float32 and np.all(part[::8, ::8, 0] == 200)
    assert any((part[..., 2] == 100).any() for part in found)


def test_a_small_picture_is_one_piece():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 512, 3), np.uint8)
    [part] = pieces(ArrayWindow(pixels))
    assert np.array_equal(part, pixels)
    [deep] = pieces(ArrayWindow(pixels.astype(np.uint16) * 257))
    assert np.allclose(deep, pixels)


@settings(max_examples=30)
@given(height=st.integers(1, 3000), width=st.integers(1, 700), band=st.integers(1, 200))
def test_pieces_of_what_comes_by_rows_are_the_same_and_it_comes_once(height, width, band):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    begun = []

    def begin():
        begun.append(True)
        return (pixels[top : top + band] for top in range(0, height, band))

    found = pieces(RowsWindow(pixels.shape, pixels.dtype, begin))
    assert begun == [True]
    wanted = pieces(ArrayWindow(pixels))
    assert all(np.array_equal(*pair) for pair in zip(found, wanted, strict=True))


def test_luma_of_grey_is_grey():
    assert luma(np.full((2, 2, 3), 77, np.float32)) == pytest.approx(77)
