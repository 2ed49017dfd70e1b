"""PSNR and SSIM against scikit-image, and against what follows from their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.evaluation.metrics import SSIM_WINDOW, Channels, psnr, ssim
from tests.jobs.nearest import read_back

Y, RGB = Channels.Y, Channels.RGB
BOTH = pytest.mark.parametrize("channels", [Y, RGB])
METRICS = pytest.mark.parametrize("metric", [psnr, ssim])


def planes(pixels, channels):
    """Y in 16..235, or R, G and B, as MATLAB's rgb2ycbcr has them before rounding."""
    if channels is RGB:
        return list(np.moveaxis(pixels.astype(float), 2, 0))
    red, green, blue = np.moveaxis(pixels.astype(float), 2, 0)
    return [16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256]


def cropped(pixels, border):
    return pixels[border : pixels.shape[0] - border, border : pixels.shape[1] - border]


def skimage_psnr(image, reference, border, channels):
    from skimage.metrics import peak_signal_noise_ratio  # here, for SciPy takes a second to import

    image, reference = (planes(cropped(each, border), channels) for each in (image, reference))
    return peak_signal_noise_ratio(np.stack(reference), np.stack(image), data_range=255)


def skimage_ssim(image, reference, border, channels):
    from skimage.metrics import structural_similarity

    means = []
    image, reference = (planes(cropped(each, border), channels) for each in (image, reference))
    for x, y in zip(image, reference, strict=True):
        _, likeness = structural_similarity(
            x,
            y,
            win_size=11,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            full=True,
        )
        means.append(cropped(likeness, 5).mean())
    return np.mean(means)


@st.composite
def comparisons(draw):
    """An original, a disturbed copy of it, and a border."""
    border = draw(st.integers(0, 5))
    least = SSIM_WINDOW + 2 * border
    height, width = draw(st.integers(least, least + 70)), draw(st.integers(least, least + 20))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    reference = random.integers(0, 256, (height, width, 3), np.uint8)
    noise = random.normal(0, draw(st.sampled_from([0.5, 5, 50])), reference.shape)
    image = np.clip(reference + noise, 0, 255).astype(np.uint8)
    image[height // 2, width // 2] ^= 1  # inside of every border, so that they differ
    return image, reference, border


@BOTH
@given(comparisons())
def test_psnr_agrees_with_scikit_image(channels, comparison):
    image, reference, border = comparison
    expected = skimage_psnr(image, reference, border, channels)
    assert psnr(image, reference, border=border, channels=channels) == pytest.approx(
        expected, abs=1e-9
    )


@BOTH
@given(comparisons())
def test_ssim_agrees_with_scikit_image(channels, comparison):
    image, reference, border = comparison
    expected = skimage_ssim(image, reference, border, channels)
    assert ssim(image, reference, border=border, channels=channels) == pytest.approx(
        expected, abs=1e-9
    )


@BOTH
def test_both_agree_with_scikit_image_on_a_photograph(shared, channels):
    reference = np.asarray(read_back(shared / "benchmarks/Set5/HR/butterfly.png").convert("RGB"))
    image = np.roll(reference, 1, 0)
    for ours, theirs in ((psnr, skimage_psnr), (ssim, skimage_ssim)):
        value = ours(image, reference, border=2, channels=channels)
        assert value == pytest.approx(theirs(image, reference, 2, channels), abs=1e-9)


def test_psnr_of_one_level_everywhere():
    dark, light = np.full((2, 40, 40, 3), 7, np.uint8)
    light += 1
    assert psnr(light, dark, border=0, channels=RGB) == pytest.approx(20 * np.log10(255))
    luma = (65.738 + 129.057 + 25.064) / 256
    assert psnr(light, dark, border=0, channels=Y) == pytest.approx(20 * np.log10(255 / luma))


@BOTH
def test_equal_pictures(channels):
    picture = np.random.default_rng(0).integers(0, 256, (12, 13, 3), np.uint8)
    assert psnr(picture, picture, border=0, channels=channels) == float("inf")
    assert ssim(picture, picture, border=0, channels=channels) == pytest.approx(1)


@METRICS
@BOTH
def test_the_border_does_not_count_and_what_is_inside_does(metric, channels):
    reference = np.random.default_rng(0).integers(0, 256, (40, 41, 3), np.uint8)
    image = reference.copy()
    image[20, 20] ^= 64
    before = metric(image, reference, border=3, channels=channels)
    for index in ((2, 20), (-3, 20), (20, 2), (20, -3)):
        outside = image.copy()
        outside[index] ^= 64
        assert metric(outside, reference, border=3, channels=channels) == before
    for index in ((3, 20), (-4, 20), (20, 3), (20, -4)):
        inside = image.copy()
        inside[index] ^= 64
        assert metric(inside, reference, border=3, channels=channels) < before


@pytest.mark.parametrize(("metric", "least"), [(psnr, 5), (ssim, 15)])
def test_too_small_pictures_are_refused(metric, least):
    for shape in ((least - 1, 30, 3), (30, least - 1, 3)):
        picture = np.zeros(shape, np.uint8)
        with pytest.raises(ValueError, match=f"{least} x {least} are needed"):
            metric(picture, picture, border=2, channels=Y)
    picture = np.zeros((least, least, 3), np.uint8)
    metric(picture, picture, border=2, channels=Y)


@METRICS
def test_pictures_of_different_sizes_are_refused(metric):
    with pytest.raises(ValueError, match="do not compare"):
        metric(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 21, 3), np.uint8), border=0,
               channels=Y)  # fmt: skip
