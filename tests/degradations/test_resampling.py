"""Blur and reduction beside Pillow's filters and a Gaussian that is written down anew."""

import numpy as np
import pytest
import torch
from PIL import Image

from edsr_cli.degradations.resampling import FILTERS, matrices, reduce
from edsr_cli.degradations.spec import Filter
from edsr_cli.pixels.resize import downscale
from tests.training.conftest import picture


def reduced(pixels, scale, name, sigma=0.0):
    height, width = pixels.shape[0] // scale, pixels.shape[1] // scale
    chosen, sigmas = torch.tensor([FILTERS.index(name)]), torch.tensor([sigma])
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    made = reduce(
        tensor,
        matrices(height, scale, chosen, sigmas, sigma / scale),
        matrices(width, scale, chosen, sigmas, sigma / scale),
    )
    return made[0].permute(1, 2, 0).numpy()


def blurred(pixels, sigma):
    """A Gaussian along both axes, the outermost pixels repeated: plain sums."""
    values = pixels.astype(np.float64)
    reach = int(8 * sigma) + 1
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        length = values.shape[axis]
        taken = [values.take(np.clip(np.arange(length) + o, 0, length - 1), axis) for o in offsets]
        values = sum(weight * part for weight, part in zip(weights, taken, strict=True))
    return values


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", FILTERS)
def test_the_filters_are_pillows(scale, name):
    # Not from 0 to 255: Pillow cuts off what overshoots between the two passes.
    noise = np.random.default_rng(1).integers(64, 192, (12 * scale, 17 * scale, 3), np.uint8)
    for pixels in (picture(0, 12 * scale, 17 * scale), noise):
        filter_of_pillow = Image.Resampling[name.name]
        theirs = np.asarray(Image.fromarray(pixels).resize((17, 12), filter_of_pillow))
        difference = np.abs(np.clip(reduced(pixels, scale, name), 0, 255) - theirs)
        # Pillow rounds to 8 bits between the two passes, and each time to a level.
        assert difference.max() < 1.6 and difference.mean() < 0.6


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_also_matlabs(scale):
    pixels = picture(5, 20 * scale, 14 * scale)
    inner = np.s_[3:-3, 3:-3]  # beyond the border MATLAB mirrors
    difference = reduced(pixels, scale, Filter.BICUBIC) - downscale(pixels, scale)
    assert np.abs(difference[inner]).max() < 1.1


@pytest.mark.parametrize("sigma", [0.4, 0.8, 1.2, 8.0])
def test_the_blur_is_a_gaussian(sigma):
    scale = 2
    pixels = np.random.default_rng(2).integers(0, 256, (24, 32, 3), np.uint8)
    wanted = blurred(pixels, sigma).reshape(12, scale, 16, scale, 3).mean((1, 3))
    np.testing.assert_allclose(
        reduced(pixels, scale, Filter.BOX, sigma), wanted, atol=0.02 if sigma < 2 else 0.7
    )  # it ends at three sigmas


def test_each_picture_has_a_matrix_of_its_own():
    chosen, sigmas = torch.tensor([0, 4, 3]), torch.tensor([0.0, 0.7, 1.5])
    together = matrices(9, 3, chosen, sigmas, 0.5)
    assert together.shape == (3, 9, 27)
    torch.testing.assert_close(together.sum(2), torch.ones(3, 9))
    for index in range(3):
        alone = matrices(9, 3, chosen[index : index + 1], sigmas[index : index + 1], 0.5)
        torch.testing.assert_close(together[index], alone[0])


def test_rows_and_columns_may_be_blurred_apart():
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[8, 8] = 255
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    box = torch.tensor([0])
    sharp, soft = (matrices(8, 2, box, torch.tensor([sigma]), 1.0) for sigma in (0.0, 2.0))
    made = reduce(tensor, soft, sharp)[0, 0]
    assert (made[:, 4] > 0).sum() > 3 and (made.sum(0) > 0).sum() == 1
