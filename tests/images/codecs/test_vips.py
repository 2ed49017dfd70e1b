"""Rows by libvips."""

import io

import numpy as np
import pytest
from PIL import Image

from edsr_cli.images.codecs import vips


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (1, 1, 3), (33, 1)])
def test_bands_have_three_axes_however_small(shape: tuple[int, ...]) -> None:
    pytest.importorskip("pyvips")
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    bands = list(vips.decode_rows(file, 16))
    assert np.array_equal(np.concatenate(bands), pixels.reshape(*shape[:2], -1))
