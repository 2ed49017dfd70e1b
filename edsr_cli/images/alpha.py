"""Transparency: dropped, kept beside the colours, or laid on a colour. It never reaches a network.

What is kept is enlarged by interpolation.
"""

from collections.abc import Iterator
from contextlib import suppress
from math import ceil, floor
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import DTypeLike, NDArray
from PIL import Image, ImageColor

from edsr_cli.errors import UsageError
from edsr_cli.images.picture import OutputFormat, Picture
from edsr_cli.pixels.alpha import lay_on
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.planes import Beside, Plane, PlaneRows
from edsr_cli.pixels.spreading import Spread, spread
from edsr_cli.pixels.windows import ArrayWindow, RowsWindow

DROP, KEEP = "drop", "keep"
"""Settings; any other is a colour, see `alpha_setting`."""

DROPPED = "alpha channel dropped"
"""The remark on a picture that was seen almost as its colours alone are."""

UNCOVERED = "alpha channel dropped, which uncovers what it hid"
"""The remark on a picture that looks different now."""

WAYS_OUT = "--alpha keep keeps it, --alpha white lays the picture on white"
"""What to do about `UNCOVERED` on the command line."""

_ROWS = 256  # rows at a time: arithmetic needs more bits than samples have
_BAND_PIXELS = 2**18  # enlarged at a time, before that
_REACH = 3  # rows that interpolation looks at on either side, and one to spare


def alpha_setting(text: str) -> str:
    """The setting that a text stands for: "drop", "keep" or a colour as "#rrggbb".

    Args:
        text: one of these, or a colour as CSS names it, such as "white" or "rgb(255, 0, 0)".

    Raises:
        ValueError: it is none of these, or a colour that is not opaque.
    """
    word = text.strip().lower()
    if word in (DROP, KEEP):
        return word
    colour: tuple[int, ...] = ()
    with suppress(ValueError):
        colour = ImageColor.getrgb(word)
    if len(colour) == 4 and colour[3] == 255:
        colour = colour[:3]
    if len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
        raise ValueError(f"{text!r} is not drop, keep or an opaque colour such as white or #ff8000")
    return "#" + bytes(colour).hex()


def is_tinted(setting: str) -> bool:
    """Whether a setting, see `alpha_setting`, is a colour that is no shade of grey."""
    return setting not in (DROP, KEEP) and len(set(ImageColor.getrgb(setting)[:3])) > 1


def check_format(setting: str, output_format: OutputFormat) -> None:
    """Refuse to keep alpha in a format that has no place for it.

    Raises:
        UsageError: that is what is asked for.
    """
    from edsr_cli.images.formats import FORMATS  # made of codecs, which remark on alpha

    if setting == KEEP and not output_format.alpha:
        able = [entry.name for entry in FORMATS if entry.alpha]
        raise UsageError(
            f"{output_format.name} cannot hold the alpha channel that --alpha keep asks for.",
            f"Write {', '.join(able[:-1])} or {able[-1]}, or lay the pictures on a colour, such "
            "as --alpha white.",
        )


def applied(picture: Picture, setting: str) -> Picture:
    """A picture with the colours that a network is to see.

    Args:
        picture: as `edsr_cli.images.decode` gives it; its pixels may be changed. For "keep", one
            that comes by rows is read once.
        setting: see `alpha_setting`.

    Returns:
        For "keep", the colours spread over what is transparent, and alpha as it was; for a colour,
        the picture on it, without alpha.
    """
    alpha = picture.alpha
    if alpha is None:
        return picture
    if setting == DROP:
        return replace(picture, alpha=None)
    if isinstance(alpha, Beside):
        return _applied_by_rows(picture, alpha, setting)
    pixels = picture.pixels if picture.pixels.flags.writeable else picture.pixels.copy()
    if setting == KEEP:
        spread(pixels, alpha[:])
        return replace(picture, window=ArrayWindow(pixels))
    lay_on(pixels, alpha[:], ImageColor.getrgb(setting)[:3])
    return replace(picture, window=ArrayWindow(pixels), alpha=None)


def _applied_by_rows(picture: Picture, alpha: Beside, setting: str) -> Picture:
    shape, dtype = picture.window.shape, picture.window.dtype
    if setting == KEEP:
        spread_out = Spread(shape, dtype, alpha.both)
        window = RowsWindow(shape, dtype, spread_out.rows) if spread_out.changes else picture.window
        return replace(picture, window=window)
    colour = ImageColor.getrgb(setting)[:3]

    def laid_on() -> Iterator[Pixels]:
        for band in alpha.both():
            pixels = band[..., :3].copy()
            lay_on(pixels, band[..., 3], colour)
            yield pixels

    return replace(picture, window=RowsWindow(shape, dtype, laid_on), alpha=None)


def resized(alpha: Plane, width: int, height: int, dtype: DTypeLike = np.uint8) -> PlaneRows:
    """Alpha (H, W), uint8 or uint16, at another size by bicubic interpolation, of such a type.

    What is opaque, or transparent, farther than a pixel inside of its area is so exactly; where
    alpha becomes smaller, farther than two pixels of the result. Rows are made when they are asked
    for.
    """
    made = np.dtype(dtype)
    return PlaneRows((height, width), made, lambda: _resized_rows(alpha, width, height, made))


def _resized_rows(
    alpha: Plane, width: int, height: int, dtype: np.dtype[Any]
) -> Iterator[NDArray[Any]]:
    old_height, old_width = alpha.shape
    white = np.iinfo(dtype).max
    factor = np.float32(white / np.iinfo(alpha.dtype).max)
    ratio = old_height / height
    reach = ceil(_REACH * max(1.0, ratio))
    step = max(1, int(min(_ROWS, _BAND_PIXELS // max(width, old_width)) / min(1.0, ratio)))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first = max(floor(top * ratio) - reach, 0)
        band = alpha[first : min(ceil(bottom * ratio) + reach, old_height)]
        if (band == band[0, 0]).all():  # most are opaque or transparent, and this is quick
            yield np.full((bottom - top, width), np.rint(band[0, 0] * factor), dtype)
            continue
        rows = Image.fromarray(band.astype(np.float32) * factor)
        # One direction after the other, or at corners two undershoots would make a speck.
        wide = Image.fromarray(_resized(rows, width, len(band), white))
        box = (0, top * ratio - first, width, min(bottom * ratio - first, len(band)))
        yield np.rint(_resized(wide, width, bottom - top, white, box)).astype(dtype)


def _resized(
    image: Image.Image,
    width: int,
    height: int,
    white: int,
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[np.float32]:
    done = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box))
    return np.clip(done, np.float32(0), np.float32(white))
