import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.pixels.windows import ArrayWindow
from edsr_cli.restoration.noise import Noise, noise_of
from edsr_cli.restoration.sampling import pieces
from tests.restoration.pictures import grass, noisy, scene


def measured(pixels):
    return noise_of(pieces(ArrayWindow(pixels)))


def level(pixels):
    return measured(pixels).level


@settings(max_examples=8)
@given(sigma=st.floats(1.5, 25), seed=st.integers(0, 9))
def test_the_level_of_coloured_noise_is_found(sigma, seed):
    assert level(noisy(scene(seed=seed), sigma)) == pytest.approx(sigma, rel=0.2)


@pytest.mark.parametrize("sigma", [3, 6, 12])
def test_grain_counts_as_the_noise_that_is_as_strong_in_luma(sigma):
    assert level(noisy(scene(), sigma, grey=True)) == pytest.approx(sigma / 0.668, rel=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_picture_has_next_to_none(seed):
    assert level(scene(seed=seed)) < 0.7


def test_texture_is_not_noise():
    assert level(grass()) < 1
    assert level(noisy(grass(), 8)) > 5


@settings(max_examples=8)
@given(sigma=st.floats(1, 8), contrast=st.floats(0.2, 1))
def test_detail_is_what_is_there_without_the_noise(sigma, contrast):
    faint = np.rint(128 + contrast * (grass() - 128.0)).astype(np.uint8)
    clean, damaged = measured(faint).detail, measured(noisy(faint, sigma)).detail
    assert damaged == pytest.approx(clean, rel=0.15, abs=1)
    assert clean == pytest.approx(contrast * measured(grass()).detail, rel=0.1)


@given(level=st.floats(0, 90), detail=st.floats(1, 60))
def test_noise_counts_for_less_where_there_is_more_detail(level, detail):
    noise = Noise(level, detail)
    assert (
        Noise(level, 2 * detail).effective <= noise.effective <= Noise(level + 1, detail).effective
    )
    assert Noise(level, 5.5).effective == level


def test_borders_and_what_is_cut_off_do_not_hide_it():
    pixels = noisy(scene(), 8)
    for value in (0, 128, 255):
        framed = np.full((180, 180, 3), value, np.uint8)
        framed[20:148, 20:148] = pixels
        assert level(framed) == pytest.approx(8, rel=0.25)


@pytest.mark.parametrize("shape", [(1, 1, 3), (8, 8, 3), (5, 400, 3), (64, 64, 3)])
def test_what_is_flat_or_tiny_has_none(shape):
    assert level(np.full(shape, 77, np.uint8)) == 0


def test_drawings_have_none():
    drawing = np.full((256, 256, 3), 240, np.uint8)
    drawing[40:90, 30:200] = (200, 30, 30)
    drawing[100:102, :] = 20
    assert level(drawing) == 0


def test_sixteen_bits_are_measured_in_levels_of_eight():
    pixels = noisy(scene(), 6)
    assert level(pixels.astype(np.uint16) * 257) == pytest.approx(level(pixels), abs=0.01)
