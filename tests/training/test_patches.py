import numpy as np
import pytest
import torch

from edsr_cli.degradations.patches import Degradation
from edsr_cli.degradations.spec import PHOTO, parse
from edsr_cli.training.patches import Sampler, home
from edsr_cli.training.photos import Photos

CPU = torch.device("cpu")


def sampler(photos: Photos, scales: tuple[int, ...] = (2, 3, 4), patch: int = 7) -> Sampler:
    return Sampler(photos, scales, batch_size=6, patch_size=patch, seed=3, device=CPU)


def places(photos: Photos, patch: np.ndarray, scale: int | None) -> set[tuple[int, int, int, int]]:
    """(picture, row, column, view) of everywhere that a patch can have come from."""
    found = set()
    size = len(patch)
    for index in range(len(photos.photos)):
        pixels = photos.picture(index) if scale is None else photos.small_picture(index, scale)
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size), (0, 1))
        for view in range(8):
            upright = patch.swapaxes(0, 1) if view & 4 else patch
            upright = upright[:: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
            corners = (windows[..., 0, 0] == upright[0, 0]).all(2)  # few are left to compare whole
            found |= {
                (index, row, column, view)
                for row, column in zip(*corners.nonzero(), strict=True)
                if (windows[row, column] == upright.transpose(2, 0, 1)).all()
            }
    return found


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_hr_and_lr_show_the_same_place_in_the_same_view(photos: Photos, scale: int) -> None:
    views = set()
    for number in range(4):
        batch = sampler(photos, (scale,)).batch(number)
        assert batch.lr.shape == (6, 3, 7, 7)
        assert batch.hr.shape == (6, 3, 7 * scale, 7 * scale)
        assert batch.lr.dtype == batch.hr.dtype == torch.float32
        for lr, hr in zip(batch.lr, batch.hr, strict=True):
            ((index, row, column, view),) = places(
                photos, hr.permute(1, 2, 0).numpy().astype(np.uint8), None
            )
            assert row % scale == column % scale == 0
            where = (index, row // scale, column // scale, view)
            assert where in places(photos, lr.permute(1, 2, 0).numpy().astype(np.uint8), scale)
            views.add(view)
    assert len(views) == 8


def test_a_batch_depends_on_the_seed_and_its_number_alone(photos: Photos) -> None:
    one, other = sampler(photos), sampler(photos)
    for number in (5, 0, 3):
        expected = one.batch(number)
        for _ in range(number % 3):
            other.batch(7)
        again = other.batch(number)
        assert again.scale == expected.scale
        assert torch.equal(again.lr, expected.lr)
        assert torch.equal(again.hr, expected.hr)
    assert not torch.equal(one.batch(0).hr, one.batch(1).hr)
    reseeded = Sampler(photos, (2, 3, 4), 6, 7, seed=4, device=CPU)
    assert not torch.equal(reseeded.draw(0).tables["places"], one.draw(0).tables["places"])


def test_every_scale_and_every_place_gets_its_turn(photos: Photos) -> None:
    batches = [sampler(photos).batch(number) for number in range(60)]
    assert {batch.scale for batch in batches} == {2, 3, 4}
    # The largest patch that fits leaves one place in the smallest picture, 48 x 48 at x4.
    corners = sampler(photos, (4,), patch=12)
    for number in range(20):
        assert corners.batch(number).hr.shape == (6, 3, 48, 48)


def test_every_corner_that_fits_is_drawn(photos: Photos) -> None:
    """Of 24 x 24 LR pixels, a patch of 23 has two rows and two columns to begin at."""
    places = torch.cat([sampler(photos, (2,), 23).draw(n).tables["places"] for n in range(40)])
    smallest = places[(places[:, 1] == 24) & (places[:, 3] == 48)]  # widths in LR and HR pixels
    corners = {(top, left) for top, left in smallest[:, 4:6].tolist()}
    assert corners == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_degraded_patches_are_those_of_their_places(photos: Photos) -> None:
    spec = parse("jpeg:90,444")
    worse = Sampler(photos, (2,), 6, 7, seed=3, device=CPU, degradation=Degradation(spec))
    for number in range(3):
        batch = worse.batch(number)
        assert batch.lr.shape == (6, 3, 7, 7) and batch.hr.shape == (6, 3, 14, 14)
        for lr, hr in zip(batch.lr, batch.hr, strict=True):
            ((index, row, column, view),) = places(
                photos, hr.permute(1, 2, 0).numpy().astype(np.uint8), None
            )
            pixels = photos.small_picture(index, 2)[row // 2 :, column // 2 :][:7, :7]
            upright = lr.permute(2, 1, 0) if view & 4 else lr.permute(1, 2, 0)
            upright = upright.numpy()[:: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
            assert 0 < np.abs(upright - pixels).mean() < 5


def test_what_a_patch_suffers_depends_on_the_seed_and_its_number_alone(photos: Photos) -> None:
    def batch(number: int, before: int = 0, seed: int = 3) -> torch.Tensor:
        sampler = Sampler(photos, (2,), 6, 7, seed, CPU, Degradation(PHOTO))
        for other in range(before):
            sampler.batch(other)
        return sampler.batch(number).lr

    assert torch.equal(batch(4), batch(4, before=3))
    assert not torch.equal(batch(4), batch(4, seed=4))


def test_every_batch_suffers_something_else(photos: Photos) -> None:
    sampler = Sampler(photos, (2,), 6, 7, 3, CPU, Degradation(parse("noise:1-10")))
    first, second = (sampler.without_places(sampler.draw(number).tables) for number in range(2))
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_the_degradation_leaves_the_choice_of_pictures_alone(photos: Photos) -> None:
    """The two draw from generators of their own."""
    one, other = (
        Sampler(photos, (2,), 6, 7, 3, CPU, Degradation(parse(spec)))
        for spec in ("jpeg:30", "noise:3,jpeg:60-90")
    )
    assert torch.equal(one.batch(2).hr, other.batch(2).hr)


def test_without_a_gpu_the_pictures_stay_in_memory(photos: Photos) -> None:
    assert home(photos, CPU) == CPU
    assert home(photos, torch.device("mps")) == CPU
