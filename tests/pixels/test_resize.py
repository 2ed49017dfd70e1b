"""Bicubic interpolation against MATLAB's rule, written down anew, and against files made by it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.pixels.resize import downscale, upscale
from tests.jobs.nearest import read_back


def cubic(x):
    """The kernel of that name in imresize."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0


def contributions(length, count, scale):
    """The weights of imresize as a matrix (count, length), with its one-based positions."""
    stretch = max(1, 1 / scale)
    reach = 4 * stretch
    matrix = np.zeros((count, length))
    for row in range(count):
        u = (row + 1) / scale + 0.5 * (1 - 1 / scale)
        left = math.floor(u - reach / 2)
        for index in range(left, left + math.ceil(reach) + 2):
            mirrored = (index - 1) % (2 * length)
            column = mirrored if mirrored < length else 2 * length - 1 - mirrored
            matrix[row, column] += cubic((u - index) / stretch)
    return matrix / matrix.sum(1, keepdims=True)


def imresize(pixels, scale):
    """Along the height, to 8 bits, along the width, to 8 bits."""
    for axis in (0, 1):
        matrix = contributions(pixels.shape[axis], round(pixels.shape[axis] * scale), scale)
        values = np.moveaxis(np.tensordot(matrix, pixels.astype(float), (1, axis)), 0, axis)
        # Sums that differ in their last bits must not differ where they are halves.
        pixels = np.clip(np.floor(np.round(values, 9) + 0.5), 0, 255).astype(np.uint8)
    return pixels


@st.composite
def pictures(draw, least=1):
    height, width = draw(st.integers(least, 40)), draw(st.integers(least, 12))
    return np.random.default_rng(draw(st.integers(0, 99))).integers(
        0, 256, (height, width, 3), np.uint8
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
@given(st.data())
def test_downscaling_is_imresize(scale, data):
    hr = data.draw(pictures(scale))
    lr = downscale(hr, scale)
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    assert lr.shape == (height, width, 3) and lr.dtype == np.uint8
    expected = imresize(hr[: height * scale, : width * scale], 1 / scale)
    # At x3 the weights are no binary fractions, and a half may go either way, twice.
    assert np.abs(lr.astype(int) - expected).max() <= (2 if scale == 3 else 0)


@pytest.mark.parametrize("scale", [2, 3, 4])
@given(st.data())
def test_upscaling_is_imresize(scale, data):
    lr = data.draw(pictures())
    sr = upscale(lr, scale)
    assert sr.shape == (lr.shape[0] * scale, lr.shape[1] * scale, 3) and sr.dtype == np.uint8
    difference = np.abs(sr.astype(int) - imresize(lr, scale)).max()
    assert difference <= (2 if scale == 3 else 0)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("name", "count"), [("Set5", 5), ("Set14", 14)])
def test_the_given_lr_files_come_out_bit_for_bit(shared, name, count, scale):
    """Those of Set14 but for their border, where they repeat the outermost pixel."""
    folder = shared / "benchmarks" / name
    files = sorted((folder / "HR").glob("*.png"))
    assert len(files) == count
    margin = 0 if name == "Set5" else 2
    inner, whole = [], []
    for file in files:
        hr = np.asarray(read_back(file).convert("RGB"))
        given = read_back(folder / "LR_bicubic" / f"X{scale}" / f"{file.stem}x{scale}.png")
        lr = np.asarray(given.convert("RGB"))
        difference = np.abs(downscale(hr, scale).astype(int) - lr)
        height, width = lr.shape[:2]
        inner.append(difference[margin : height - margin, margin : width - margin].max())
        whole.append(difference.mean())
    assert max(inner) == 0
    assert np.mean(whole) < 0.05


@given(st.integers(0, 255), st.integers(2, 4))
def test_a_flat_picture_stays_flat(level, scale):
    flat = np.full((2 * scale, scale, 3), level, np.uint8)
    assert (downscale(flat, scale) == level).all()
    assert (upscale(flat, scale) == level).all()


@pytest.mark.parametrize("shape", [(2, 9, 3), (9, 2, 3), (0, 0, 3)])
def test_less_than_a_pixel_is_refused(shape):
    with pytest.raises(ValueError, match="do not fill an LR pixel at x3"):
        downscale(np.zeros(shape, np.uint8), 3)
