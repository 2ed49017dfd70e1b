"""ICC colour profiles: what they are for, and conversion to sRGB."""

import functools
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from edsr_cli.pixels.transfer import encode_srgb

RGB_CURVES, _GREY_CURVE = (b"rTRC", b"gTRC", b"bTRC"), (b"kTRC",)
"""Tags of a profile: curves from stored values to light."""

# What image editors do by default.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

_LINEAR_MIDDLE = 0.5**1.4  # no display has had so low a gamma
_CIE_EPSILON, _CIE_KAPPA = 216 / 24389, 24389 / 27  # CIE 15: where L* stops being a cube root


@functools.cache
def srgb_profile() -> bytes:
    """An ICC profile for sRGB, the same bytes every time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # instead of the current time
    return bytes(profile)


def colour_space(profile: bytes) -> str:
    """What kind of pixels a profile is for: "RGB", "GRAY", "CMYK", "Lab" or another ICC name.

    Raises:
        ValueError: the profile is damaged.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise ValueError("not an ICC profile")
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, TypeError, ValueError) as error:
        raise ValueError("damaged ICC profile") from error
    return profile[16:20].decode("ascii", "replace").strip()


@functools.cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    """Made once, since that takes 17 ms; without a cache of its own, threads may share it."""
    return ImageCms.buildTransform(
        ImageCms.createProfile("LAB"),
        ImageCms.createProfile("sRGB"),
        "LAB",
        "RGB",
        _INTENT,
        _FLAGS | ImageCms.Flags.NOCACHE,
    )


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an image to sRGB, of RGB, CMYK or LAB.

    Relative colorimetric with black-point compensation, as image editors do by default.

    Args:
        image: the image.
        profile: the profile of its pixels; None for LAB, which needs none.

    Returns:
        A new image of mode "RGB".

    Raises:
        ValueError: the profile cannot be used for that.
    """
    try:
        if profile is None:
            converted = ImageCms.applyTransform(image, _lab_to_srgb())
        else:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                renderingIntent=_INTENT,
                outputMode="RGB",
                flags=_FLAGS,
            )
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ValueError("unusable ICC profile") from error
    assert converted is not None  # None only where it converts in place
    return converted


def grey_to_srgb(profile: bytes, levels: int) -> NDArray[np.uint16]:
    """The sRGB level for every level of a greyscale picture.

    Pillow can convert greyscale only to 8 bits, so the curve of the profile is evaluated here.

    Args:
        profile: a profile for greyscale.
        levels: number of levels, 256 or 65536; level 0 is black, the last one white.

    Returns:
        The converted levels, shape (levels,), values in 0..levels - 1.

    Raises:
        ValueError: the profile has no simple tone curve.
    """
    try:
        curve = read_tag(profile, b"kTRC")
        light = _evaluate(curve, np.linspace(0.0, 1.0, levels))
    except struct.error as error:
        raise ValueError("damaged ICC profile") from error
    if profile[20:24] == b"Lab ":  # then the curve gives lightness
        lightness = 100 * light
        cube = ((lightness + 16) / 116) ** 3
        light = np.where(cube > _CIE_EPSILON, cube, lightness / _CIE_KAPPA)
    srgb = encode_srgb(np.clip(np.nan_to_num(light), 0.0, 1.0))
    converted: NDArray[np.uint16] = np.rint(srgb * (levels - 1)).astype(np.uint16)
    return converted


def is_linear(profile: bytes) -> bool:
    """Whether the numbers of RGB or grey pixels count light, or nearly so, by their profile.

    A profile without simple tone curves does not say so.
    """
    try:
        names = _GREY_CURVE if profile[16:20] == b"GRAY" else RGB_CURVES
        curves = [read_tag(profile, name) for name in names]
        middle = [float(_evaluate(curve, np.array([0.5]))[0]) for curve in curves]
    except (ValueError, struct.error):
        return False
    return all(_LINEAR_MIDDLE <= value < 1 for value in middle)


def read_tag(profile: bytes, name: bytes) -> bytes:
    """A value in a profile without tables, as it is stored.

    Raises:
        ValueError: it has a table, or has no such value.
        struct.error: it is damaged.
    """
    (count,) = struct.unpack_from(">L", profile, 128)
    places: dict[bytes, tuple[int, int]] = {}
    for place in range(132, min(132 + 12 * count, len(profile)), 12):
        tag, offset, size = struct.unpack_from(">4sLL", profile, place)
        places.setdefault(tag, (offset, size))
    if b"A2B0" in places:  # wherever it stands, it counts for more
        raise ValueError("the profile has a table, not a curve")
    if name not in places:
        raise ValueError("the profile has no such value")
    offset, size = places[name]
    return profile[offset : offset + size]


@np.errstate(all="ignore")
def _evaluate(curve: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate an ICC curve (ICC.1:2022, 10.6 and 10.18): x and the result are in 0..1.

    Of a curve that makes no sense the result may be anything, also infinite or no number.
    """
    kind = curve[:4]
    if kind == b"curv":
        (count,) = struct.unpack_from(">L", curve, 8)
        if count == 0:
            return x
        values = struct.unpack_from(f">{count}H", curve, 12) if count <= 65536 else ()
        if not values:
            raise ValueError("the tone curve is too long")
        if count == 1:
            return np.asarray(x ** (values[0] / 256))
        points = np.linspace(0.0, 1.0, count)
        return np.interp(x, points, np.array(values) / 65535)
    if kind == b"para":
        (function,) = struct.unpack_from(">H", curve, 8)
        if function > 4:
            raise ValueError("the tone curve is of an unknown kind")
        count = (1, 3, 4, 5, 7)[function]
        values = tuple(v / 65536 for v in struct.unpack_from(f">{count}l", curve, 12))
        return _parametric(function, values, x)
    raise ValueError("the tone curve is of an unknown kind")


def _parametric(
    function: int, values: tuple[float, ...], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    g, a, b, c, d, e, f = (*values, *(0.0,) * (7 - len(values)))
    if function == 0:
        return np.asarray(x**g)
    if a <= 0:
        raise ValueError("the tone curve is damaged")
    power = np.maximum(a * x + b, 0.0) ** g
    if function == 1:
        return np.where(x >= -b / a, power, 0.0)
    if function == 2:
        return np.where(x >= -b / a, power + c, c)
    return np.where(x >= d, power + e, c * x + f)  # e and f are 0 in function 3
