import io

import numpy as np
import pytest
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images.alpha import UNCOVERED
from edsr_cli.images.colour import Samples, icc, samples_to_rgb, to_rgb
from tests.images import builders

RGB = builders.gradient()
GREY = RGB[..., 0]
GREY16 = np.array([[0, 1, 300], [40_000, 65_534, 65_535]], np.uint16)


def converted(
    image: Image.Image, profile: bytes | None = None, bits: int = 8
) -> tuple[np.ndarray, bytes | None, list[str]]:  # type: ignore[type-arg]
    image.load()
    pixels, left, notes, alpha, _ = to_rgb(image, profile, bits, "a.png")
    assert alpha is None
    assert pixels.shape == (image.height, image.width, 3) and pixels.flags.c_contiguous
    assert pixels.flags.writeable
    return pixels, left, notes


def with_alpha(alpha: int) -> Image.Image:
    image = Image.fromarray(RGB)
    image.putalpha(alpha)
    return image


def test_rgb_keeps_pixels_and_profile() -> None:
    pixels, profile, notes = converted(Image.fromarray(RGB), icc.srgb_profile())
    assert (pixels == RGB).all() and profile == icc.srgb_profile() and not notes


def test_rows_beyond_the_first_block() -> None:
    tall = np.random.default_rng(1).integers(0, 256, (601, 3, 3), np.uint8)
    assert (converted(Image.fromarray(tall))[0] == tall).all()


@pytest.mark.parametrize("alpha", [0, 1, 128])
def test_colours_under_alpha_stay_as_stored(alpha: int) -> None:
    pixels, _, notes = converted(with_alpha(alpha))
    assert (pixels == RGB).all() and notes == [UNCOVERED]


def test_opaque_alpha_is_no_loss() -> None:
    assert converted(with_alpha(255))[2] == []


def test_premultiplied_colours_are_divided() -> None:
    pixels, _, notes = converted(with_alpha(128).convert("RGBa"))
    assert np.abs(pixels.astype(int) - RGB).max() <= 2 and notes == [UNCOVERED]
    grey = Image.fromarray(GREY)
    grey.putalpha(128)
    pixels, _, notes = converted(grey.convert("La"))
    assert np.abs(pixels[..., 2].astype(int) - GREY).max() <= 2 and notes


def test_grey_with_alpha() -> None:
    image = Image.fromarray(GREY)
    image.putalpha(7)
    pixels, _, notes = converted(image)
    assert (pixels == GREY[..., None]).all() and notes == [UNCOVERED]


def test_palette_with_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    expected = [[[10, 20, 30], [40, 50, 60]]]
    assert converted(image)[0].tolist() == expected and not converted(image)[2]
    image.info["transparency"] = b"\x00\xff"
    assert converted(image)[0].tolist() == expected
    assert converted(image)[2] == [UNCOVERED]
    del image.info["transparency"]
    assert converted(image.convert("PA"))[0].tolist() == expected


def test_transparent_colour() -> None:
    for image in (Image.fromarray(RGB), Image.fromarray(GREY)):
        image.info["transparency"] = (0, 0, 0) if image.mode == "RGB" else 0
        pixels, _, notes = converted(image)
        assert (pixels == np.asarray(image).reshape(12, 20, -1)).all()
        assert notes == [UNCOVERED]


def test_bilevel_is_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert converted(image)[0].tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_of_16_bits_is_exact(order: str) -> None:
    image = Image.open(io.BytesIO(builders.tiff(GREY16, order=order)))
    pixels, _, notes = converted(image, bits=16)
    assert pixels.dtype == np.uint16 and pixels.dtype.isnative and not notes
    assert (pixels == GREY16[..., None]).all()


def test_grey_of_16_bits_where_0_is_white() -> None:
    image = Image.open(io.BytesIO(builders.tiff(GREY16, photometric=0)))
    assert (converted(image, bits=16)[0] == 65535 - GREY16[..., None]).all()


def test_grey_of_12_bits_reaches_white() -> None:
    image = Image.open(io.BytesIO(builders.tiff(GREY16[:1, :2], bits=12, data=b"\x00\x0f\xff")))
    assert converted(image, bits=12)[0][0, :, 0].tolist() == [0, 65535]


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_grey_between_8_and_16_bits_is_rounded(bits: int) -> None:
    white = (1 << bits) - 1
    levels = np.arange(1 << bits, dtype=np.uint16).reshape(-1, 32)
    wanted = np.rint(levels * 65535.0 / white)  # white is odd, so there are no ties
    assert np.array_equal(converted(Image.fromarray(levels), bits=bits)[0][..., 0], wanted)


def test_grey_of_12_bits_in_jpeg_2000() -> None:
    image = Image.fromarray(np.array([[0, 4095 << 4]], np.uint16))  # as Pillow shifts it
    image.format = "JPEG2000"
    assert converted(image, bits=12)[0][0, :, 0].tolist() == [0, 65535]


def test_integers() -> None:
    image = Image.fromarray(GREY16.astype(np.int32))
    assert (converted(image)[0] == GREY16[..., None]).all()
    for bad in (-1, 65536):
        image.putpixel((0, 0), bad)
        with pytest.raises(PictureError, match=rf"a\.png: its grey values go .*{bad}"):
            converted(image)


def test_floating_point_is_refused() -> None:
    with pytest.raises(PictureError, match=r"a\.png: .*floating-point"):
        converted(Image.new("F", (2, 2)))


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBX"])
def test_other_modes_go_through_pillow(mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    assert (converted(image)[0] == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_of_a_decoder_of_ours(dtype: type) -> None:
    factor = 1 if dtype is np.uint8 else 257
    rgb, alpha = RGB.astype(dtype) * dtype(factor), GREY.astype(dtype)
    pixels, profile, notes, *_ = samples_to_rgb(
        Samples("RGB", rgb, alpha, 8), icc.srgb_profile(), "a.tif"
    )
    assert (pixels == rgb).all() and pixels.dtype == dtype
    assert profile == icc.srgb_profile() and notes == [UNCOVERED]
    opaque = np.full_like(alpha, np.iinfo(dtype).max)
    assert samples_to_rgb(Samples("RGB", rgb, opaque, 8), None, "a.tif")[2] == []
    linear = builders.grey_icc(builders.gamma_curve(1.0))
    pixels, profile, notes, *_ = samples_to_rgb(
        Samples("GRAY", rgb[..., :1], None, 8), linear, "a.tif"
    )
    assert pixels.dtype == dtype and profile == icc.srgb_profile()
    assert (pixels == icc.grey_to_srgb(linear, np.iinfo(dtype).max + 1)[rgb[..., :1]]).all()
    pixels, profile, notes, *_ = samples_to_rgb(Samples("RGB", rgb, None, 8), linear, "a.tif")
    assert (pixels == rgb).all() and profile is None and "dropped" in notes[0]


def test_lab() -> None:
    pixels, profile, _ = converted(Image.new("LAB", (1, 1), (255, 128, 128)))
    assert pixels.min() >= 254 and profile == icc.srgb_profile()


def test_cmyk_through_its_profile() -> None:
    pixels, profile, notes = converted(
        Image.new("CMYK", (1, 1), (255, 0, 0, 0)), builders.cmyk_icc()
    )
    assert pixels[0, 0, 0] > 200 > 80 > pixels[0, 0, 2]
    assert profile == icc.srgb_profile()
    assert notes == ["CMYK converted to sRGB by its ICC profile"]


@pytest.mark.parametrize("profile", [None, b"broken" * 50, builders.icc(b"CMYK", {}, b"prtr")])
def test_cmyk_without_a_usable_profile(profile: bytes | None) -> None:
    pixels, left, notes = converted(Image.new("CMYK", (1, 1), (255, 0, 0, 0)), profile)
    assert pixels[0, 0].tolist() == [0, 255, 255] and left is None
    assert notes[-1] == "CMYK without a usable profile: colours are approximate"
    assert len(notes) == (1 if profile is None else 2)


def test_ink_is_not_inverted_in_a_cmyk_jpeg() -> None:
    data = builders.saved(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG")
    assert converted(Image.open(io.BytesIO(data)))[0].min() >= 250  # no ink is white


def test_grey_goes_through_its_profile() -> None:
    profile = builders.grey_icc(builders.gamma_curve(1.0))
    pixels, left, notes = converted(Image.fromarray(GREY), profile)
    assert left == icc.srgb_profile() and notes == [
        "greyscale converted to sRGB by its ICC profile"
    ]
    assert pixels.dtype == np.uint8
    assert (pixels[..., 0] == icc.grey_to_srgb(profile, 256)[GREY]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()  # no tint
    deep, left, _ = converted(Image.fromarray(GREY16), profile, bits=16)
    assert deep.dtype == np.uint16 and left == icc.srgb_profile()
    assert (deep[..., 1] == icc.grey_to_srgb(profile, 65536)[GREY16]).all()


def test_grey_with_an_unusable_profile() -> None:
    profile = builders.grey_icc(b"what\0\0\0\0\0\0\0\0")
    pixels, left, notes = converted(Image.fromarray(GREY), profile)
    assert (pixels == GREY[..., None]).all() and left is None
    assert len(notes) == 1 and "dropped" in notes[0]


def test_grey_with_an_rgb_profile_keeps_it() -> None:
    assert converted(Image.fromarray(GREY), icc.srgb_profile())[1:] == (icc.srgb_profile(), [])


@pytest.mark.parametrize(
    ("profile", "words"),
    [(b"x" * 300, "damaged"), (builders.grey_icc(builders.gamma_curve(2.2)), "for GRAY"),
     (builders.cmyk_icc(), "for CMYK")],
)  # fmt: skip
def test_a_profile_that_does_not_fit_rgb_is_dropped(profile: bytes, words: str) -> None:
    pixels, left, notes = converted(Image.fromarray(RGB), profile)
    assert (pixels == RGB).all() and left is None
    assert len(notes) == 1 and words in notes[0] and "dropped" in notes[0]
