"""Kernels: what they do, where they come from, and that pairs of pictures give them away."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from edsr_cli.degradations.kernel import Kernel, estimate, normalised, read_kernel
from edsr_cli.errors import PictureError, UsageError


def plain(pixels, weights, scale):
    """The definition, pixel by pixel."""
    size = len(weights)
    height, width = pixels.shape[0] // scale, pixels.shape[1] // scale
    pixels = pixels[: height * scale, : width * scale].astype(float)
    padded = np.pad(pixels, ((size, size), (size, size), (0, 0)), "symmetric")
    result = np.empty((height, width, 3))
    for i, j in np.ndindex(height, width):
        top, left = (scale * k - (size - scale) // 2 + size for k in (i, j))
        window = padded[top : top + size, left : left + size]
        result[i, j] = (window * weights[:, :, None]).sum((0, 1))
    return np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)


def kernel(size, seed=0):
    weights = np.random.default_rng(seed).uniform(0, 1, (size, size)) ** 4
    return normalised(weights, "test")


def array(values):
    """As a .npy file."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def picture(pixels):
    """As a .png file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 11])
def test_it_is_the_weighted_sum(scale, size):
    pixels = np.random.default_rng(1).integers(0, 256, (25, 31, 3), np.uint8)
    one = kernel(size)
    ours, theirs = one.downscale(pixels, scale), plain(pixels, one.weights, scale)
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= 1  # halves
    assert (ours == theirs).mean() > 0.99


def test_a_picture_smaller_than_a_pixel():
    with pytest.raises(ValueError, match="do not fill"):
        kernel(3).downscale(np.zeros((1, 9, 3), np.uint8), 2)


@pytest.mark.parametrize("scale", [2, 3])
def test_pairs_tell_the_kernel(scale):
    random = np.random.default_rng(3)
    size = 6 * scale + scale % 2
    shape = np.exp(-0.5 * ((np.arange(size) - size / 2 + 0.2) / 1.7) ** 2)
    true = normalised(np.outer(shape, np.roll(shape, 1)), "test")
    pairs = []
    for _ in range(4):
        coarse = random.integers(0, 256, (48, 48, 3)).astype(float)
        hr = np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize((144, 144)))
        hr = np.clip(hr + random.normal(0, 12, hr.shape), 0, 255).astype(np.uint8)
        hr = hr[: 144 // scale * scale, : 144 // scale * scale]
        pairs.append((hr, true.downscale(hr, scale)))
    found = estimate(pairs, scale, size)
    assert np.abs(found.weights - true.weights).max() < 0.02 * true.weights.max()
    made = found.downscale(pairs[0][0], scale).astype(int)
    assert np.abs(made - pairs[0][1]).max() <= 1


def test_pairs_that_tell_nothing():
    small = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(PictureError, match="large enough"):
        estimate([(small, small[:4, :4])], 2)


def test_files(tmp_path):
    weights = kernel(5).weights
    np.save(tmp_path / "k.npy", weights * 3)
    np.savetxt(tmp_path / "k.txt", weights)
    np.savetxt(tmp_path / "k.csv", weights, delimiter=",")
    Image.fromarray(np.round(weights / weights.max() * 60000).astype(np.uint16)).save(
        tmp_path / "k.png"
    )
    Image.fromarray((weights * 3).astype(np.float32)).save(tmp_path / "k.tif")
    for name in ("k.npy", "k.txt", "k.csv", "k.png", "k.tif"):
        found = read_kernel(tmp_path / name)
        np.testing.assert_allclose(found.weights, weights, atol=1e-5)
        assert found.weights.sum() == pytest.approx(1)
    assert read_kernel(tmp_path / "k.npy").digest == Kernel(weights).digest
    assert read_kernel(tmp_path / "k.npy").digest != kernel(5, 1).digest


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", b"no array"),
        ("a.npy", b""),
        ("a.txt", b"1 2 three"),
        ("a.txt", b"1 2 3\n4 5 6"),
        ("a.txt", b"0 0\n0 0"),
        ("a.txt", b"1 nan\n0 0"),
        ("a.png", b"no picture"),
        ("a.txt", b""),
        ("a.npy", array(np.full((3, 3), 1e308))),
        ("a.npy", array(np.ones((3, 3), complex))),
        ("a.npy", array(np.ones((2, 3, 3)))),
        ("a.npy", array(np.ones((3, 3))).replace(b"(3, 3), ", b"(300000, 300000), ")),
        ("a.npy", array(np.ones((3, 3))).replace(b"(3, 3), }", b"(50000     ")),
        ("a.png", picture(np.zeros((200, 200), np.uint8))),
        ("missing.npy", None),
    ],
)
def test_files_that_hold_no_kernel_are_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        read_kernel(tmp_path / name)


def test_a_pickle_is_not_run(tmp_path):
    np.save(tmp_path / "k.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(UsageError, match=r"k\.npy"):
        read_kernel(tmp_path / "k.npy")


def test_one_that_is_too_large():
    with pytest.raises(UsageError, match="at most"):
        normalised(np.ones((65, 65)), "big")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "k.txt")
    with pytest.raises(UsageError, match=r"k\.txt is not a file"):
        read_kernel(tmp_path / "k.txt")
