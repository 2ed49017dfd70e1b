import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from edsr_cli.images.colour import icc, spaces
from tests.images import builders


def test_srgb_profile_is_always_the_same_and_leaves_srgb_alone() -> None:
    profile = icc.srgb_profile()
    assert icc.colour_space(profile) == "RGB"
    assert struct.unpack(">3H", profile[24:30]) == (2000, 1, 1)
    image = Image.fromarray(builders.gradient())
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    same = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    assert same is not None
    assert np.abs(np.asarray(same).astype(int) - builders.gradient()).max() <= 1


@pytest.mark.parametrize(
    ("profile", "space"),
    [(builders.grey_icc(builders.gamma_curve(2.2)), "GRAY"), (builders.cmyk_icc(), "CMYK")],
)
def test_colour_space(profile: bytes, space: str) -> None:
    assert icc.colour_space(profile) == space


@pytest.mark.parametrize(
    "profile", [b"", b"x" * 500, icc.srgb_profile()[:131], icc.srgb_profile()[:200]]
)
def test_a_damaged_profile_is_reported(profile: bytes) -> None:
    with pytest.raises(ValueError):
        icc.colour_space(profile)


def parametric(function: int, *values: float) -> bytes:
    numbers = [round(value * 65536) for value in values]
    return b"para\0\0\0\0" + struct.pack(f">HH{len(numbers)}l", function, 0, *numbers)


TABLE = [round(65535 * (i / 63) ** 1.5) for i in range(64)]
CURVES = {
    "identity": b"curv\0\0\0\0" + struct.pack(">L", 0),
    "gamma": builders.gamma_curve(1.8),
    "table": b"curv\0\0\0\0" + struct.pack(">L64H", 64, *TABLE),
    "parametric 0": parametric(0, 2.2),
    "parametric 1": parametric(1, 2.0, 0.9, 0.1),
    "parametric 2": parametric(2, 2.0, 0.9, 0.05, 0.02),
    "parametric 3": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "parametric 4": parametric(4, 2.0, 0.9, 0.05, 0.5, 0.1, 0.02, 0.01),
}


def test_a_table_counts_wherever_it_stands() -> None:
    """A profile with one is not what its curves alone say."""
    profile = spaces.LINEAR_SRGB.profile()
    assert icc.is_linear(profile)
    for name in (b"desc", b"bTRC"):
        place = profile.index(name)
        with_table = profile[:place] + b"A2B0" + profile[place + 4 :]
        with pytest.raises(ValueError, match="table"):
            icc.read_tag(with_table, b"rTRC")
        assert not icc.is_linear(with_table)


def test_a_transfer_function_of_single_points_is_none() -> None:
    assert spaces.from_numbers([], [], [1.0, 2.0, 3.0]) is None


def test_a_curve_that_makes_no_sense_warns_nobody() -> None:
    levels = icc.grey_to_srgb(builders.grey_icc(parametric(0, -1.0)), 256)
    assert levels.shape == (256,) and levels.max() <= 255


@pytest.mark.parametrize("name", CURVES)
def test_grey_agrees_with_littlecms(name: str) -> None:
    profile = builders.grey_icc(CURVES[name])
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(1, 256))
    expected = ImageCms.profileToProfile(
        ramp,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.NOOPTIMIZE,  # otherwise it interpolates, 10 levels wrong near black
    )
    assert expected is not None
    ours = icc.grey_to_srgb(profile, 256).astype(int)
    assert np.abs(ours - np.asarray(expected)[0, :, 1]).max() <= 1


def test_grey_has_all_levels_at_16_bits() -> None:
    ours = icc.grey_to_srgb(builders.grey_icc(builders.gamma_curve(1.8)), 65536)
    assert ours[0] == 0 and ours[-1] == 65535
    assert len(np.unique(ours)) > 40_000
    coarse = icc.grey_to_srgb(builders.grey_icc(builders.gamma_curve(1.8)), 256)
    assert (np.rint(ours[::257] / 257) == coarse).all()


def test_grey_of_a_lab_profile_is_lightness() -> None:
    tags = {b"kTRC": CURVES["identity"]}
    ours = icc.grey_to_srgb(builders.icc(b"GRAY", tags, b"mntr", b"Lab "), 256)
    assert ours[0] == 0 and ours[-1] == 255
    assert ours[128] == 119  # L* = 50.2 is 18.5 % light


@pytest.mark.parametrize(
    "curve",
    [b"", b"curv", b"what\0\0\0\0\0\0\0\0", CURVES["table"][:40], parametric(5, 1, 1, 1),
     parametric(1, 2.0, 0.0, 0.1), b"curv\0\0\0\0\xff\xff\xff\xff"],
)  # fmt: skip
def test_a_curve_that_cannot_be_read_is_reported(curve: bytes) -> None:
    with pytest.raises(ValueError):
        icc.grey_to_srgb(builders.grey_icc(curve), 256)


def test_cmyk_goes_through_its_profile() -> None:
    image = Image.new("CMYK", (2, 1))
    image.putpixel((0, 0), (255, 0, 0, 0))
    converted = icc.to_srgb(image, builders.cmyk_icc())
    red, green, blue = converted.getpixel((0, 0))  # type: ignore[misc]
    assert red > 200 and green < 80 and blue < 80  # Pillow alone would make it cyan
    assert min(converted.getpixel((1, 0))) >= 250  # type: ignore[type-var]


def test_the_black_of_the_ink_becomes_black() -> None:
    """Black-point compensation: the darkest ink of a press, a dark grey, is black on a screen."""
    image = Image.new("CMYK", (2, 1))
    image.putpixel((0, 0), (255, 255, 255, 255))
    converted = icc.to_srgb(image, builders.cmyk_icc(black=38))  # L* = 15
    assert converted.getpixel((0, 0)) == (0, 0, 0)
    assert min(converted.getpixel((1, 0))) >= 250  # type: ignore[type-var]
