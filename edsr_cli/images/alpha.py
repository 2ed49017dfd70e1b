"""Transparency: dropped, kept beside the colours, or laid on a colour. It never reaches a network.

What is kept is enlarged by interpolation. The colours under transparent pixels, which nobody has
seen and which are black in most files, would shine into the visible ones when they are upscaled,
as a dark fringe; so those around are spread over them first.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from edsr_cli.errors import UsageError
from edsr_cli.images.formats import FORMATS, OutputFormat
from edsr_cli.images.picture import Picture
from edsr_cli.pixels.arrays import Pixels

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
_NEAR = 8  # pixels around the visible ones that take the colours of their neighbours
_REACH = 3  # LR rows that interpolation looks at on either side, and one to spare
_VISIBLE = 16  # a difference of 1/16 of the full range is seen


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


def check_format(setting: str, output_format: OutputFormat) -> None:
    """Refuse to keep alpha in a format that has no place for it.

    Raises:
        UsageError: that is what is asked for.
    """
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
        picture: as `edsr_cli.images.decode` gives it; its pixels may be changed.
        setting: see `alpha_setting`.

    Returns:
        For "keep", the colours spread over what is transparent, and alpha as it was; for a colour,
        the picture on it, without alpha.
    """
    if picture.alpha is None:
        return picture
    if setting == DROP:
        return replace(picture, alpha=None)
    pixels = picture.pixels if picture.pixels.flags.writeable else picture.pixels.copy()
    if setting == KEEP:
        spread(pixels, picture.alpha)
        return replace(picture, pixels=pixels)
    lay_on(pixels, picture.alpha, ImageColor.getrgb(setting)[:3])
    return replace(picture, pixels=pixels, alpha=None)


def uncovers(pixels: Pixels, alpha: NDArray[Any]) -> bool:
    """Whether pixels (H, W, 3) look different without their alpha (H, W) than on white."""
    white = int(np.iinfo(pixels.dtype).max)
    for top in range(0, len(pixels), _ROWS):
        hidden = white - alpha[top : top + _ROWS].astype(np.int64)
        darkest = pixels[top : top + _ROWS].min(axis=2).astype(np.int64)
        if ((white - darkest) * hidden > white * white // _VISIBLE).any():
            return True
    return False


def lay_on(pixels: Pixels, alpha: NDArray[Any], colour: tuple[int, ...]) -> None:
    """Lay pixels (H, W, 3) with alpha (H, W) of their type on a colour of 8 bits, in place."""
    white = np.uint64(np.iinfo(pixels.dtype).max)
    ground = np.array(colour, np.uint64) * (white // np.uint64(255))
    for top in range(0, len(pixels), _ROWS):
        rows = pixels[top : top + _ROWS]
        by = alpha[top : top + _ROWS, :, None].astype(np.uint64)
        rows[...] = (rows * by + ground * (white - by) + white // np.uint64(2)) // white


def spread(pixels: Pixels, alpha: NDArray[Any]) -> None:
    """Give pixels (H, W, 3) where alpha (H, W) rounds to 0 the colours of those around, in place.

    Near the visible ones each takes the mean of its neighbours, one ring after the other; what is
    farther away takes means of larger and larger squares. A picture of which nothing is visible
    stays as it is.
    """
    # What will not be seen with 8 bits says nothing of colours either.
    known = alpha > np.iinfo(alpha.dtype).max // 510
    if known.all() or not known.any():
        return
    for _ in range(_NEAR):
        ring = _grown(known) & ~known
        if not ring.any():
            return
        _take_means(pixels, known, ring)
        known |= ring
    _fill(pixels, known)


def enlarged(alpha: NDArray[Any], scale: int) -> NDArray[np.uint8]:
    """Alpha (H, W), uint8 or uint16, enlarged by bicubic interpolation, as uint8.

    What is opaque, or transparent, farther than a pixel inside of its area is so exactly.
    """
    height, width = alpha.shape
    factor = np.float32(255 / np.iinfo(alpha.dtype).max)
    result = np.empty((height * scale, width * scale), np.uint8)
    step = max(1, min(_ROWS, _BAND_PIXELS // width))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, last = max(top - _REACH, 0), min(bottom + _REACH, height)
        band = alpha[first:last]
        if (band == band[0, 0]).all():  # most are opaque or transparent, and this is quick
            result[top * scale : bottom * scale] = np.rint(band[0, 0] * factor)
            continue
        rows = Image.fromarray(band.astype(np.float32) * factor)
        # One direction after the other, or at corners two undershoots would make a speck.
        wide = _resized(rows, width * scale, last - first)
        large = _resized(Image.fromarray(wide), width * scale, (last - first) * scale)
        result[top * scale : bottom * scale] = np.rint(
            large[(top - first) * scale : (bottom - first) * scale]
        )
    return result


def _resized(image: Image.Image, width: int, height: int) -> NDArray[np.float32]:
    resized = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(resized, np.float32(0), np.float32(255))


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with the pixels that touch it, also at corners."""
    down = mask.copy()
    down[1:] |= mask[:-1]
    down[:-1] |= mask[1:]
    grown = down.copy()
    grown[:, 1:] |= down[:, :-1]
    grown[:, :-1] |= down[:, 1:]
    return grown


def _take_means(pixels: Pixels, known: NDArray[np.bool_], ring: NDArray[np.bool_]) -> None:
    """Give each pixel of a ring the mean of its known neighbours."""
    height, width = known.shape
    for top in range(0, height, _ROWS):
        rows, columns = np.nonzero(ring[top : top + _ROWS])
        rows += top
        total = np.zeros((len(rows), 3), np.float32)
        count = np.zeros((len(rows), 1), np.float32)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                # Beyond the border the pixel itself is met, which is not known.
                y, x = rows + down, columns + right
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                y, x = np.where(inside, y, rows), np.where(inside, x, columns)
                weight = known[y, x].astype(np.float32)[:, None]
                total += pixels[y, x] * weight
                count += weight
        pixels[rows, columns] = np.rint(total / count)


def _fill(pixels: Pixels, known: NDArray[np.bool_]) -> None:
    """Give unknown pixels the mean of the smallest square of 2, 4, 8, ... with known ones."""
    means, weights = _halved(pixels, known)
    levels = [(means, weights)]
    while not weights.all():
        means, weights = _halved(means, weights)
        levels.append((means, weights))
    for (finer, known_there), (coarser, _) in zip(levels[-2::-1], levels[:0:-1], strict=True):
        _copy_down(coarser, finer, known_there)
    for top in range(0, len(pixels), _ROWS):
        rows = slice(top, top + _ROWS)
        part = levels[0][0][top // 2 : (top + _ROWS) // 2]
        _copy_down(part, pixels[rows], known[rows])


def _halved(
    values: NDArray[Any], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Means of the known ones in squares of 2 x 2, and where there are any."""
    height, width = (-(-side // 2) for side in known.shape)
    total = np.zeros((height, width, 3), np.float32)
    count = np.zeros((height, width), np.uint8)
    for down in (0, 1):
        for right in (0, 1):
            part, mask = values[down::2, right::2], known[down::2, right::2]
            there = (slice(mask.shape[0]), slice(mask.shape[1]))
            np.add(total[there], part, out=total[there], where=mask[..., None])
            count[there] += mask
    total /= np.maximum(count, 1)[..., None]
    return total, count > 0


def _copy_down(coarser: NDArray[np.float32], finer: NDArray[Any], known: NDArray[np.bool_]) -> None:
    """Put the means of squares where nothing is known in the next finer level."""
    for down in (0, 1):
        for right in (0, 1):
            part, mask = finer[down::2, right::2], known[down::2, right::2]
            source = coarser[: mask.shape[0], : mask.shape[1]]
            if part.dtype != np.float32:
                source = np.rint(source).astype(part.dtype)
            np.copyto(part, source, where=~mask[..., None])
