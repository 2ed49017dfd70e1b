"""What patches get: the table that is drawn, and what is made of it."""

import io
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from edsr_cli.degradations.patches import Degradation, degrade_picture
from edsr_cli.degradations.spec import MARGIN, PHOTO, parse
from edsr_cli.pixels.resize import downscale
from tests.training.conftest import picture

SCALE = 2


def pair(seed=0, height=40, width=48):
    hr = picture(seed, height * SCALE, width * SCALE)
    return hr, downscale(hr, SCALE)


def degraded(spec, seed=0, which=0):
    hr, lr = pair(which)
    return degrade_picture(Degradation(parse(spec)), hr, lr, seed)[0]


def drawn(spec, count=4000):
    return Degradation(parse(spec)).draw(count, np.random.default_rng(7))


def test_every_step_gets_its_share():
    table = drawn(str(PHOTO))
    clean = ~table["made"] & (table["noise"] == 0) & (table["shot"] == 0) & (table["quality"] == 0)
    left = 1 - PHOTO.clean
    assert abs((table["noise"] > 0).mean() - left * PHOTO.noise.share) < 0.03
    assert abs((table["quality"] > 0).mean() - left * PHOTO.jpeg.share) < 0.03
    assert abs((table["again"] > 0).mean() - left * PHOTO.jpeg.share * PHOTO.again.share) < 0.03
    assert abs(table["full_colour"].mean() - PHOTO.full_colour) < 0.03
    assert clean.mean() > PHOTO.clean
    made = 1 - (1 - PHOTO.filter_share) * (1 - PHOTO.blur.share)
    assert abs(table["made"].mean() - left * made) < 0.03
    filters = Counter(table["filter"][table["made"]].tolist())
    assert len(filters) == len(PHOTO.filters)


def test_values_are_within_their_ranges():
    table = drawn("blur:0.1-0.3,noise:2-5,jpeg:30-60,again:70-80@0.5")
    assert table["blur_down"].min() >= 0.1 and table["blur_down"].max() <= 0.3
    assert table["noise"].min() >= 2 and table["noise"].max() <= 5
    assert set(np.unique(table["quality"])) == set(range(30, 61))
    again = table["again"][table["again"] > 0]
    assert again.min() >= 70 and again.max() <= 80
    assert (table["blur_down"] != table["blur_right"]).mean() == pytest.approx(0.2, abs=0.03)
    moved = (table["down"] != table["again_down"]) & (table["right"] != table["again_right"])
    assert moved.all()  # the second compression has another grid
    for name in ("down", "right", "again_down", "again_right"):
        assert set(np.unique(table[name])) == set(range(8))


def test_a_fixed_step_is_the_same_for_all():
    table = drawn("jpeg:50,noise:5")
    assert (table["quality"] == 50).all() and (table["noise"] == 5).all()
    assert not table["made"].any() and not table["again"].any()


def test_clean_leaves_the_bicubic_picture():
    _, lr = pair()
    np.testing.assert_array_equal(degraded("clean@0.9999999,jpeg:5"), lr)


def test_jpeg_is_a_files():
    _, lr = pair()
    file = io.BytesIO()
    Image.fromarray(lr).save(file, "JPEG", quality=40, subsampling="4:2:0")
    with Image.open(file) as image:
        theirs = np.asarray(image).astype(int)
    ours = degraded("jpeg:40")
    assert np.abs(ours - theirs).mean() < 1 < np.abs(theirs - lr).mean()


def test_a_grid_that_begins_elsewhere():
    """A patch whose blocks begin 3 rows and 5 columns late is the part of such a picture."""
    _, lr = pair()
    degradation = Degradation(parse("jpeg:20"))
    table = degradation.draw(1, np.random.default_rng(0), whole=True)
    tensors = {name: torch.from_numpy(values) for name, values in table.items()}
    whole = torch.from_numpy(lr).permute(2, 0, 1)[None].float()
    wanted = degradation.apply(None, whole, tensors)[:, :, 13:, 11:]
    # The same pixels as a patch that begins at row 13, column 11: the next blocks begin at 16.
    moved = tensors | {"down": torch.tensor([3]), "right": torch.tensor([5])}
    cut = degradation.apply(None, whole[:, :, 13:, 11:], moved)
    inner = np.s_[:, :, MARGIN:, MARGIN:]
    # Colours at half resolution begin at odd pixels here, so that luma alone is the same.
    luma = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    difference = ((cut - wanted) * luma).sum(1, keepdim=True)[inner]
    unmoved = degradation.apply(None, whole[:, :, 13:, 11:], tensors)
    other = ((unmoved - wanted) * luma).sum(1, keepdim=True)[inner]
    assert difference.abs().mean() < 0.3 * other.abs().mean()


def test_noise_has_its_strength_and_its_colours():
    flat = np.full((128, 128, 3), 128, np.uint8)
    big = flat.repeat(2, 0).repeat(2, 1)
    for spec, sigma in (("noise:10", 10), ("shot:10", 10 * (128 / 255) ** 0.5)):
        noise, _ = degrade_picture(Degradation(parse(spec)), big, flat, 1)
        noise = noise.astype(float) - 128
        assert noise.std() == pytest.approx(sigma, rel=0.02)
        between = np.corrcoef(noise.reshape(-1, 3).T)
        assert np.abs(between[np.triu_indices(3, 1)]).max() < 0.05
    noise, _ = degrade_picture(Degradation(parse("noise:10,grey")), big, flat, 1)
    assert (noise == noise[..., :1]).all()


def test_blur_and_filters_are_made_from_hr():
    hr, lr = pair()
    boxed = degraded("filter:box")
    np.testing.assert_array_equal(
        boxed, np.floor(hr.reshape(40, 2, 48, 2, 3).mean((1, 3)) + 0.5).astype(np.uint8)
    )
    soft = degraded("blur:0.8").astype(float)
    assert np.abs(np.diff(soft, axis=1)).mean() < np.abs(np.diff(lr.astype(float), axis=1)).mean()


@pytest.mark.parametrize("spec", ["photo", "noise:5", "jpeg:40-90,again:50"])
def test_the_same_seed_gives_the_same_picture(spec):
    np.testing.assert_array_equal(degraded(spec, 5), degraded(spec, 5))
    assert any((degraded(spec, 5) != degraded(spec, seed)).any() for seed in range(6, 12))


def test_a_patch_does_not_depend_on_its_neighbours():
    degradation = Degradation(PHOTO)
    pairs = [pair(which) for which in range(6)]
    hr, lr = (
        torch.from_numpy(np.stack([each[part] for each in pairs])).permute(0, 3, 1, 2).float()
        for part in (0, 1)
    )
    table = degradation.draw(6, np.random.default_rng(3))
    tensors = {name: torch.from_numpy(values) for name, values in table.items()}
    together = degradation.apply(hr, lr, tensors)
    assert together.shape == lr.shape and (together != lr).any()
    for index in range(6):
        one = slice(index, index + 1)
        row = {name: values[one] for name, values in tensors.items()}
        alone = degradation.apply(hr[one], lr[one], row)
        assert (alone[0] - together[index]).abs().max() <= 1  # sums in another order
    assert together.min() >= 0 and together.max() <= 255
    assert torch.equal(together, together.round())


@pytest.mark.parametrize(
    ("spec", "quality"), [("noise:5", 0), ("jpeg:40", 40), ("jpeg:40,again:90", 90)]
)
def test_the_last_quality_is_told(spec, quality):
    assert degrade_picture(Degradation(parse(spec)), *pair(), 0)[1] == quality
