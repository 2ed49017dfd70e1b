"""Linear light, seen as sRGB by a network; LittleCMS knows the curve, too."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

import edsr_cli
from edsr_cli.images.colour.spaces import LINEAR_SRGB
from edsr_cli.pixels.resize import downscale
from edsr_cli.pixels.transfer import FromLight, ToLight, decode_srgb, encode_srgb
from edsr_cli.pixels.windows import ArrayWindow, Region, RowsWindow

LEVELS = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
WHOLE = Region(0, 256, 0, 256)


def there_and_back(light, dtype=np.uint16):
    target = np.empty(light.shape, dtype)
    pixels = FromLight(ArrayWindow(light)).read(Region(0, len(light), 0, light.shape[1]))
    assert pixels.dtype == np.uint16
    ToLight(ArrayWindow(target)).write(Region(0, len(light), 0, light.shape[1]), pixels)
    return target


def test_light_comes_back_to_within_rounding():
    """Near white a level of sRGB is two of light."""
    off = there_and_back(LEVELS).astype(int) - LEVELS
    assert np.abs(off).max() == 1 and (off[:60] == 0).all()
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert (there_and_back(levels, np.uint8) == levels).all()
    assert (there_and_back(levels, np.uint16) == levels.astype(np.uint16) * 257).mean() > 0.5


def test_the_curve_is_that_of_srgb():
    numbers = np.linspace(0, 1, 1001)
    assert np.allclose(encode_srgb(decode_srgb(numbers)), numbers, atol=1e-7)
    image = Image.fromarray(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2))
    linear = ImageCms.ImageCmsProfile(io.BytesIO(LINEAR_SRGB.profile()))
    seen = ImageCms.profileToProfile(image, linear, ImageCms.createProfile("sRGB"))
    ours = FromLight(ArrayWindow(np.asarray(image))).read(Region(0, 1, 0, 256))
    assert np.abs(ours / 257 - np.asarray(seen)).max() < 1


def test_windows_keep_size_and_order():
    window = FromLight(RowsWindow((256, 256, 3), LEVELS.dtype, lambda: iter([LEVELS])))
    assert (window.shape, window.dtype, window.order) == ((256, 256, 3), np.uint16, "rows")
    part = Region(3, 9, 7, 20)
    assert np.array_equal(window.read(part), FromLight(ArrayWindow(LEVELS)).read(WHOLE)[3:9, 7:20])
    target = np.zeros_like(LEVELS)
    out = ToLight(ArrayWindow(target))
    assert (out.shape, out.dtype, out.order) == ((256, 256, 3), np.uint16, "any")
    out.write(part, np.full((6, 13, 3), 65535, np.uint16))
    assert target.sum(dtype=np.int64) == 6 * 13 * 3 * 65535 == target[3:9, 7:20].sum(dtype=np.int64)


def test_a_network_sees_more_of_a_photograph(shared):
    picture = Image.open(shared / "benchmarks/Set5/HR/butterfly.png").convert("RGB")
    sharp = np.asarray(picture)[60:188, 60:188]
    light = np.rint(decode_srgb(downscale(sharp, 2) / 255) * 65535).astype(np.uint16)

    def psnr(linear):
        off = np.rint(encode_srgb(linear / 65535) * 255) - sharp
        return 10 * np.log10(255**2 / np.mean(off[2:-2, 2:-2] ** 2))

    upscaler = edsr_cli.load("edsr-free", scale=2, device="cpu").upscaler
    plain, seen = np.empty((2, 128, 128, 3), np.uint16)
    upscaler.upscale_into(ArrayWindow(light), ArrayWindow(plain))
    upscaler.upscale_into(FromLight(ArrayWindow(light)), ToLight(ArrayWindow(seen)))
    assert psnr(seen) > psnr(plain) + 3


@pytest.mark.parametrize("window", [FromLight, ToLight])
def test_they_are_chained_without_copies_of_the_picture(window):
    pixels = np.zeros((4, 5, 3), np.uint16)
    assert window(ArrayWindow(pixels)).window.pixels is pixels
