"""The JPEG on tensors beside libjpeg's, which Pillow brings."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from edsr_cli.degradations.jpeg import compress
from tests.training.conftest import picture


def through_file(pixels, quality, full_colour):
    file = io.BytesIO()
    subsampling = "4:4:4" if full_colour else "4:2:0"
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as image:
        return np.asarray(image).astype(int)


def on_tensors(pixels, quality, full_colour):
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    result = compress(tensor, torch.tensor([quality]), torch.tensor([full_colour]))
    return result[0].permute(1, 2, 0).numpy().astype(int)


def textured(height, width):
    """Waves, an edge, and grain: nothing that is easy to compress."""
    pixels = picture(3, height, width).astype(int)
    pixels[:, width // 2 :] = 255 - pixels[:, width // 2 :]
    grain = np.random.default_rng(0).normal(0, 6, pixels.shape)
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("full_colour", [False, True])
@pytest.mark.parametrize("quality", [5, 30, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("size", [(96, 128), (37, 51), (60, 44), (1, 1)])
def test_it_is_libjpegs_within_a_level(quality, full_colour, size):
    pixels = textured(*size)
    ours = on_tensors(pixels, quality, full_colour)
    libjpegs = through_file(pixels, quality, full_colour)
    assert ours.shape == pixels.shape
    difference = np.abs(ours - libjpegs).mean()
    assert difference < 1
    if quality < 90 and min(size) > 1:  # the compression does far more than that
        assert difference < 0.2 * np.abs(libjpegs - pixels).mean()


def test_each_picture_has_its_own_quality_and_colours():
    pixels = [textured(48, 64), picture(1, 48, 64), picture(2, 48, 64)]
    batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float()
    settings = [(30, True), (90, False), (60, True)]
    together = compress(
        batch,
        torch.tensor([quality for quality, _ in settings]),
        torch.tensor([full for _, full in settings]),
    )
    for one, each, (quality, full) in zip(together, pixels, settings, strict=True):
        alone = on_tensors(each, quality, full)
        np.testing.assert_array_equal(one.permute(1, 2, 0).numpy(), alone)


def test_the_output_is_whole_levels():
    result = on_tensors(textured(40, 40), 20, False)
    assert result.min() >= 0 and result.max() <= 255
