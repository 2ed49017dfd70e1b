import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.images import decode
from edsr_cli.images.picture import Compression
from edsr_cli.pixels.windows import ArrayWindow
from edsr_cli.restoration.choice import STRENGTHS, THRESHOLDS, choose
from edsr_cli.restoration.noise import Noise
from edsr_cli.restoration.words import describe
from tests.restoration.pictures import grass, jpeg, noisy, saved, scene


@given(
    scale=st.sampled_from([2, 3, 4]),
    codec=st.sampled_from(["JPEG", "WebP", "AVIF"]),
    quality=st.integers(1, 99),
    level=st.floats(0, 100),
    detail=st.floats(1, 60),
)
def test_more_damage_is_never_restored_less(scale, codec, quality, level, detail):
    thresholds = THRESHOLDS[scale]
    worse, better = (thresholds.for_compression(Compression(codec, quality + k)) for k in (0, 1))
    assert better <= worse and {better, worse} <= set(STRENGTHS)
    noises = Noise(level, 2 * detail), Noise(level, detail), Noise(level + 1, detail)
    strengths = [thresholds.for_noise(noise) for noise in noises]
    assert strengths == sorted(strengths)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_ends_of_the_scale_are_the_ends_of_the_strengths(scale):
    thresholds = THRESHOLDS[scale]
    for codec, steps in thresholds.qualities.items():
        assert list(steps) == sorted(steps, reverse=True)
        assert thresholds.for_compression(Compression(codec, 100)) == 0
        assert thresholds.for_compression(Compression(codec, 5)) == 1
    assert list(thresholds.noise) == sorted(thresholds.noise)
    ends = Noise(0, 1), Noise(50, 60)
    assert tuple(map(thresholds.for_noise, ends)) == (0, 1)


@pytest.mark.parametrize("pixels", [scene(), grass(), np.full((9, 9, 3), 40, np.uint8)])
def test_a_clean_picture_is_left_alone(pixels):
    choice = choose(ArrayWindow(pixels), 4)
    assert (choice.strength, choice.reason) == (0, "no damage found")


def test_what_the_file_states_counts():
    picture = decode(saved(scene(), "JPEG", quality=50))
    choice = choose(picture.window, 4, picture.compression)
    assert (choice.strength, choice.reason) == (1, "JPEG of quality 50")
    # A picture that no longer says it: much the same.
    measured = choose(picture.window, 4)
    assert measured.strength == 1 and measured.reason.startswith("traces of a JPEG of quality ")


def test_a_good_file_of_a_bad_one_is_found_out():
    picture = decode(saved(jpeg(scene(), 40), "JPEG", quality=98))
    choice = choose(picture.window, 4, picture.compression)
    assert choice.strength == 1 and choice.reason.startswith("traces of a JPEG of quality ")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_noise_in_a_good_file_is_found(form):
    options = {} if form == "PNG" else {"quality": 100}
    picture = decode(saved(noisy(scene(), 9), form, **options))
    choice = choose(picture.window, 4, picture.compression)
    assert choice.strength == 1
    assert re.fullmatch("noise of about (8|9|10) levels", choice.reason)


def test_what_is_stated_is_said_of_a_good_file():
    picture = decode(saved(scene(), "JPEG", quality=100, subsampling=0))
    choice = choose(picture.window, 4, picture.compression)
    assert (choice.strength, choice.reason) == (0, "JPEG of quality 100")


@settings(max_examples=25)
@given(
    pixels=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1)).map(
        lambda seed: np.random.default_rng(seed).integers(0, 256, (*seed[:2], 3), np.uint8)
    )
)
def test_any_picture_gets_a_strength(pixels):
    assert choose(ArrayWindow(pixels), 2).strength in STRENGTHS
    assert choose(ArrayWindow(pixels.astype(np.uint16) * 257), 2).strength in STRENGTHS


def test_words():
    assert describe(0.5, "JPEG of quality 72") == (
        "JPEG of quality 72, restored with strength 0.5 (--restore)"
    )
    assert describe(0.0, "no damage found") == "no damage found, so nothing is restored"
    assert describe(1.0, "--restore") == "restored with strength 1"
    assert describe(0.0, "--restore") == "not restored"
