"""What the numbers of pixels mean: profiles, colour spaces, and conversion to RGB.

Here: every kind of pixels to RGB, without touching the colours of those that are RGB already.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images.alpha import DROPPED, UNCOVERED
from edsr_cli.images.colour import icc
from edsr_cli.pixels.alpha import opaque, take_off_white, uncovers
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import to_8_bits

DAMAGED = "the file is damaged: parts of the picture may be wrong"
"""The remark on a file that could be decoded all the same."""

_ROWS = 256  # rows converted at a time, to hold no second copy of the picture
_GREY16 = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_MIN_IS_WHITE, _PHOTOMETRIC = 0, 262  # a TIFF tag and its value


class Samples(Struct, frozen=True, eq=False):
    """Pixels before they become RGB.

    Attributes:
        space: what the colours are.
        colours: shape (H, W, 1) for GRAY, (H, W, 3) for RGB and LAB, (H, W, 4) for CMYK; uint8 in
            0..255 or uint16 in 0..65535. In CMYK 0 is no ink. LAB is always uint8: L* from 0 to
            255, a* and b* from -128 to 127, with 128 added.
        alpha: shape (H, W), of the same type; None where there is none.
        bits: bits per channel in the file.
        on_white: whether the colours, RGB, are those of the picture laid on white by its alpha.
    """

    space: Literal["GRAY", "RGB", "CMYK", "LAB"]
    colours: NDArray[Any]
    alpha: NDArray[Any] | None
    bits: int
    on_white: bool = False


class Converted(NamedTuple):
    """What has become of an image.

    Attributes:
        pixels: shape (H, W, 3), C-contiguous.
        profile: the ICC profile that goes with them, or None.
        notes: remarks on what was lost.
        alpha: shape (H, W), of the pixels' type; None where there is none or it was dropped.
        grey: whether the image is stored as shades of grey.
    """

    pixels: Pixels
    profile: bytes | None
    notes: list[str]
    alpha: NDArray[Any] | None
    grey: bool = False


def to_rgb(
    image: Image.Image,
    profile: bytes | None,
    bits: int,
    name: str,
    keep_alpha: bool = False,
    keep_grey: bool = False,
) -> Converted:
    """Convert a loaded image to RGB pixels.

    The colours under alpha stay as stored. Greyscale of more than 8 bits becomes uint16, everything
    else uint8. CMYK goes to sRGB through its profile if it has one that works, greyscale through
    its own; RGB keeps its pixels and its profile.

    Args:
        image: the image, loaded, of any mode.
        profile: the ICC profile stored with it, or None.
        bits: bits per channel in the file.
        name: what to call it in messages.
        keep_alpha: whether to give alpha, too, instead of a remark that it was dropped.
        keep_grey: whether greyscale is to keep its values and its profile, because it will be
            greyscale again. Where the profile counts light, it is converted all the same.

    Raises:
        PictureError: such pixels cannot be converted.
    """
    if image.mode == "F":
        raise PictureError(
            "its pixels are floating-point numbers, which cannot be read.",
            "Save it with 8 or 16 bits per channel first.",
            about=name,
        )
    is_grey = _is_grey(image)
    image, alpha = _apart(image, bits)
    pixels, profile, notes = _colours_to_rgb(image, profile, bits, name, keep_grey)
    return _with_alpha(Converted(pixels, profile, notes, alpha, is_grey), keep_alpha)


def _colours_to_rgb(
    image: Image.Image, profile: bytes | None, bits: int, name: str, keep_grey: bool
) -> tuple[Pixels, bytes | None, list[str]]:
    """`to_rgb` for an image without alpha."""
    notes: list[str] = []
    base = _base(image.mode)
    space = _checked_space(profile, base, notes)
    if base == "GRAY":
        grey = _grey16(image, bits, name) if image.mode in _GREY16 else np.asarray(image, np.uint8)
        if profile is not None and space == "GRAY" and not (keep_grey and _is_encoded(profile)):
            grey, profile = _grey_through_profile(grey, profile, notes)
        return _replicate(grey), profile if space else None, notes
    if image.mode == "LAB":
        return _to_array(icc.to_srgb(image, None)), icc.srgb_profile(), notes
    if base == "CMYK" and profile is not None and space == "CMYK":
        try:
            pixels = _to_array(icc.to_srgb(image, profile))
            return pixels, icc.srgb_profile(), [*notes, "CMYK converted to sRGB by its ICC profile"]
        except ValueError:
            notes.append("its CMYK profile cannot be used and was dropped")
            space = None
    if base == "CMYK":
        notes.append("CMYK without a usable profile: colours are approximate")
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return _to_array(rgb), profile if space == "RGB" else None, notes


def samples_to_rgb(
    samples: Samples,
    profile: bytes | None,
    name: str,
    keep_alpha: bool = False,
    keep_grey: bool = False,
) -> Converted:
    """Convert samples to RGB pixels, as `to_rgb` does an image.

    RGB and greyscale of more than 8 bits become uint16, all else uint8.

    Args:
        samples: what a decoder of ours gave.
        profile: the ICC profile stored with them, or None.
        name: what to call the file in messages.
        keep_alpha, keep_grey: see `to_rgb`.

    Raises:
        PictureError: such pixels cannot be converted.
    """
    pixels, profile, notes = _sampled_colours_to_rgb(samples, profile, name, keep_grey)
    alpha = samples.alpha
    if alpha is not None and pixels.dtype == np.uint8:
        alpha = to_8_bits(alpha)
    if samples.on_white and alpha is not None and keep_alpha:
        pixels = pixels if pixels.flags.writeable else pixels.copy()
        take_off_white(pixels, alpha)
    converted = Converted(pixels, profile, notes, alpha, samples.space == "GRAY")
    return _with_alpha(converted, keep_alpha, as_seen=samples.on_white)


def _sampled_colours_to_rgb(
    samples: Samples, profile: bytes | None, name: str, keep_grey: bool
) -> tuple[Pixels, bytes | None, list[str]]:
    notes: list[str] = []
    colours, space = samples.colours, samples.space
    if space in ("CMYK", "LAB"):
        colours = to_8_bits(colours)
        if space == "LAB":
            colours = colours ^ np.array([0, 0x80, 0x80], np.uint8)  # Pillow unpacks signed values
        image = Image.frombytes(space, colours.shape[1::-1], colours.tobytes())
        return _colours_to_rgb(image, profile, samples.bits, name, keep_grey)
    kept = _checked_space(profile, space, notes)
    if space == "RGB":
        return np.ascontiguousarray(colours), profile if kept else None, notes
    grey: Pixels = colours[:, :, 0]
    if profile is not None and kept == "GRAY" and not (keep_grey and _is_encoded(profile)):
        grey, profile = _grey_through_profile(grey, profile, notes)
    return _replicate(grey), profile if kept else None, notes


def transparency_note(
    pixels: Pixels, alpha: NDArray[Any] | None, as_seen: bool = False
) -> str | None:
    """The remark on pixels that lose their alpha; None where it says "opaque" everywhere.

    Args:
        pixels: (H, W, 3).
        alpha: (H, W), of their type; None for none.
        as_seen: whether the colours are as seen on white.
    """
    if alpha is None or opaque(alpha):
        return None
    return UNCOVERED if not as_seen and uncovers(pixels, alpha) else DROPPED


def _with_alpha(converted: Converted, keep_alpha: bool, as_seen: bool = False) -> Converted:
    """The same with alpha, or else with a remark if that changes what is seen."""
    if converted.alpha is None or keep_alpha:
        return converted
    note = transparency_note(converted.pixels, converted.alpha, as_seen)
    if note:
        converted.notes.insert(0, note)
    return converted._replace(alpha=None)


def _apart(image: Image.Image, bits: int) -> tuple[Image.Image, NDArray[Any] | None]:
    """The image without alpha or transparent colour, of mode 1, L, RGB or any that has none.

    And its alpha, (H, W), of the type that the pixels will have.
    """
    if image.mode in ("RGBa", "La"):  # colours multiplied by alpha
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if image.mode == "PA" or (image.mode == "P" and image.has_transparency_data):
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA"):
        colours = image.getchannel("L") if image.mode == "LA" else image.convert("RGB")
        return colours, np.array(image.getchannel("A"))
    clear = _transparent_colour(image, bits)
    alpha = None if clear is None else _all_but(image, clear)
    return image.convert("L") if image.mode == "1" else image, alpha


def _transparent_colour(image: Image.Image, bits: int) -> tuple[int, ...] | None:
    """The colour that is transparent, as the pixels have it; None for none."""
    clear = image.info.get("transparency")
    clear = clear if isinstance(clear, tuple | list) else (clear,)
    expected = 3 if image.mode == "RGB" else 1 if _base(image.mode) == "GRAY" else 0
    if image.mode == "1":
        expected = 1
    if len(clear) != expected or not all(isinstance(value, int) for value in clear):
        return None
    if image.format == "PNG" and image.mode == "L" and bits in (2, 4):
        return (clear[0] * 255 // ((1 << bits) - 1),)  # as Pillow spreads the pixels
    # Of colours of 16 bits Pillow has kept the upper half.
    deep = image.mode == "RGB" and (max(clear) > 255 or (image.format == "PNG" and bits == 16))
    return tuple(value >> 8 for value in clear) if deep else tuple(clear)


def _all_but(image: Image.Image, clear: tuple[int, ...]) -> NDArray[Any]:
    """Alpha (H, W) that is 0 where the image has a colour."""
    dtype = np.uint16 if image.mode in _GREY16 else np.uint8
    alpha = np.empty((image.height, image.width), dtype)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        rows = np.asarray(image.crop((0, top, image.width, bottom)))
        rows = rows.astype(np.int64).reshape(*alpha[top:bottom].shape, -1)
        if image.mode == "1":
            rows *= 255
        alpha[top:bottom] = (rows != np.array(clear)).any(axis=2) * np.iinfo(dtype).max
    return alpha


def _base(mode: str) -> str:
    if mode == "L" or mode in _GREY16:
        return "GRAY"
    return mode if mode in ("CMYK", "LAB") else "RGB"


def _is_grey(image: Image.Image) -> bool:
    """Whether an image is greyscale, or has a palette of greys alone."""
    if image.mode in ("P", "PA") and image.palette is not None:
        colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode in ("1", "LA", "La") or _base(image.mode) == "GRAY"


def _is_encoded(profile: bytes) -> bool:
    """Whether the numbers of greyscale are as eyes see, by its profile, and not as light adds."""
    return not icc.is_linear(profile)


def _checked_space(profile: bytes | None, base: str, notes: list[str]) -> str | None:
    """The colour space of a profile that can be used for such pixels; None where there is none."""
    if profile is None or base == "LAB":
        return None
    try:
        space = icc.colour_space(profile)
    except ValueError:
        notes.append("its ICC profile is damaged and was dropped")
        return None
    # Greyscale with an RGB profile is common and well-defined: r = g = b.
    if space == base or (base == "GRAY" and space == "RGB"):
        return space
    notes.append(f"its ICC profile is for {space}, not for such a picture, and was dropped")
    return None


def _grey16(image: Image.Image, bits: int, name: str) -> NDArray[np.uint16]:
    """Greyscale as uint16 over the full range 0..65535, shape (H, W)."""
    values = np.asarray(image)
    if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
        raise PictureError(
            f"its grey values go from {values.min()} to {values.max()}, outside the "
            "0..65535 of a 16-bit picture.",
            "Scale them to 16 bits first.",
            about=name,
        )
    grey = values.astype(np.uint16)
    if 8 < bits < 16 and image.mode != "I":  # Pillow scales what it gives as mode I
        if image.format == "JPEG2000":
            grey >>= 16 - bits  # Pillow has shifted it up
        white = (1 << bits) - 1
        grey = ((grey.astype(np.uint32) * 65535 + white // 2) // white).astype(np.uint16)
    # Pillow inverts such greyscale of 8 bits, but not of 16.
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _MIN_IS_WHITE:
        grey = 65535 - grey
    return grey


def _grey_through_profile(
    grey: Pixels, profile: bytes, notes: list[str]
) -> tuple[Pixels, bytes | None]:
    try:
        table = icc.grey_to_srgb(profile, np.iinfo(grey.dtype).max + 1)
    except ValueError:
        notes.append("its greyscale ICC profile cannot be used and was dropped")
        return grey, None
    notes.append("greyscale converted to sRGB by its ICC profile")
    converted = table[grey]
    if grey.dtype == np.uint8:
        return converted.astype(np.uint8), icc.srgb_profile()
    return converted, icc.srgb_profile()


def _replicate(grey: Pixels) -> Pixels:
    pixels: Pixels = np.empty((*grey.shape, 3), dtype=grey.dtype)
    pixels[...] = grey[:, :, None]
    return pixels


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    """An RGB image as an array that may be written to, shape (H, W, 3)."""
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels
