from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.evaluation.metrics import Channels, psnr
from edsr_cli.pixels.resize import downscale, upscale
from edsr_cli.training.loading import load_photos
from edsr_cli.training.photos import Photo, Photos
from edsr_cli.training.validation import bicubic_psnr, hold_out, pairs_in, pairs_of, validate
from tests.jobs.nearest import nearest_network, repeated
from tests.training.conftest import picture


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_held_out_pictures_are_not_learnt_from(photos: Photos, count: int) -> None:
    learn, held = hold_out(photos, count)
    names = {photo.name for photo in learn.photos}, {photo.name for photo in held.photos}
    assert len(names[1]) == min(count, 3)
    assert names[0] and not names[0] & names[1]
    assert names[0] | names[1] == {photo.name for photo in photos.photos}


@pytest.mark.parametrize(
    ("total", "held"), [(1, 0), (3, 0), (4, 1), (9, 2), (31, 7), (32, 8), (500, 8)]
)
def test_of_few_pictures_most_are_learnt_from(total: int, held: int) -> None:
    places = [Photo(str(number), 8, 8, 0, {2: 0}) for number in range(total)]
    photos = Photos(places, np.zeros(192, np.uint8), {2: np.zeros(48, np.uint8)})
    learn, kept = hold_out(photos)
    assert (len(learn.photos), len(kept.photos)) == (total - held, held)


def test_of_a_large_picture_the_middle_is_measured(tmp_path: Path) -> None:
    Image.fromarray(picture(0, 1001, 503)).save(tmp_path / "large.png")
    photos = load_photos([tmp_path], (2, 3), 48)
    for scale in (2, 3):
        (pair,) = pairs_of(photos, scale)
        assert pair.lr.shape == (480 // scale, 480 // scale, 3)
        assert pair.hr.shape == (480, 480, 3)
        inner = (slice(8, -8),) * 2
        assert np.array_equal(downscale(pair.hr, scale)[inner], pair.lr[inner])


def test_psnr_is_the_mean_of_all_pictures(photos: Photos) -> None:
    pairs = {4: pairs_of(photos, 4)}
    expected = []
    for pair in pairs[4]:
        sr = repeated(pair.lr)
        expected.append(psnr(sr, pair.hr, border=4, channels=Channels.Y))
    assert validate(nearest_network(), pairs, "cpu") == {
        4: pytest.approx(np.mean(expected), abs=1e-9)
    }


def test_bicubic_interpolation_is_measured_likewise(photos: Photos) -> None:
    pairs = {2: pairs_of(photos, 2), 4: []}
    expected = [
        psnr(upscale(pair.lr, 2), pair.hr, border=2, channels=Channels.Y) for pair in pairs[2]
    ]
    assert bicubic_psnr(pairs) == {2: pytest.approx(np.mean(expected), abs=1e-9)}


def test_no_pictures_give_no_psnr() -> None:
    assert validate(nearest_network(), {4: []}, "cpu") == {}


def test_a_data_set_with_lr_pictures(shared: Path) -> None:
    pairs = pairs_in(shared / "benchmarks" / "Set5", 3)
    assert len(pairs) == 5
    assert all(pair.hr.shape[0] == 3 * pair.lr.shape[0] for pair in pairs)
