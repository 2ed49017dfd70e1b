"""AVIF of greyscale, which has one channel; imagecodecs decodes it with a libavif of its own."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from edsr_cli.api.checks import check_format
from edsr_cli.errors import UsageError
from edsr_cli.images import Metadata, OutputOptions, decode, encode, outputs
from edsr_cli.images.colour import spaces
from edsr_cli.options.pictures import Outputs
from tests.images import builders

GREY = builders.gradient(24, 40)[..., :1]
PROFILE = spaces.grey_profile(spaces.ADOBE_RGB.profile())


@pytest.mark.parametrize("alpha", [None, GREY[::-1, :, 0]], ids=["opaque", "alpha"])
def test_greyscale_has_one_channel(alpha: np.ndarray | None) -> None:
    file = io.BytesIO()
    best, metadata = OutputOptions(quality=100), Metadata(icc_profile=PROFILE)
    pixels = np.repeat(GREY, 3, 2)
    notes = encode(pixels, outputs.AVIF, metadata, file, best, alpha, grey=True)
    found = imagecodecs.avif_decode(file.getvalue())
    assert notes == () and found.shape == (24, 40) + (() if alpha is None else (2,))
    assert (found.reshape(24, 40, -1)[..., :1] == GREY).all()
    picture = decode(file.getvalue(), keep_alpha=True, keep_grey=True)
    assert picture.grey and picture.notes == () and picture.metadata.icc_profile == PROFILE
    assert (picture.pixels == pixels).all()
    assert (picture.alpha is None) if alpha is None else (picture.alpha == alpha).all()


def test_colours_with_alpha_are_not_greyscale() -> None:
    """Although their alpha is a picture of one channel."""
    image = Image.fromarray(np.dstack((builders.gradient(24, 40), GREY)))
    assert not decode(builders.saved(image, "AVIF"), keep_alpha=True).grey


def test_colours_are_rounded_at_any_quality() -> None:
    """Which is why --lossless refuses AVIF: should this change, it need not."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    file = io.BytesIO()
    encode(noise, outputs.AVIF, Metadata(), file, OutputOptions(quality=100))
    off = np.abs(imagecodecs.avif_decode(file.getvalue()).astype(int) - noise)
    assert 0 < off.max() <= 3
    with pytest.raises(UsageError, match="AVIF is written with loss: Pillow writes YCbCr"):
        check_format(Outputs(lossless=True), outputs.AVIF)
