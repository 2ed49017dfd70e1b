"""A sheet of parts: a row for each part, a column for each version, labels above."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edsr_cli.images import Metadata, to_pil, write_picture
from edsr_cli.images.lettering import lettering
from edsr_cli.images.outputs import PNG
from edsr_cli.pixels.windows import Region
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.report.pictures import in_srgb

CHOSEN = 3
"""Parts that are taken of a picture where nobody says which."""

CHOSEN_SIDE = 96
"""Their sides in pixels; less in a picture that is smaller."""

_CELL = 240  # pixels that a part should be wide and high at least, by whole factors
_GAP, _LINE = 8, 24  # between cells, and for a line of text
_BAND_ROWS = 256  # rows whose differences are in memory


def write_sheet(path: Path, comparisons: Sequence[Comparison], *, overwrite: bool) -> None:
    """Write a sheet as PNG.

    Args:
        path: the file.
        comparisons: those of which parts were asked for are shown whole, of the others `CHOSEN`
            parts. All have as many versions.
        overwrite: whether a file of that name may be replaced.

    Raises:
        PictureError: it cannot be written, or is too large.
    """
    rows = [
        (comparison, region)
        for comparison in comparisons
        for region in ([_whole(comparison)] if comparison.crop else most_different(comparison))
    ]
    profiles = {each.profile for comparison in comparisons for each in comparison.versions}
    profile = profiles.pop() if len(profiles) == 1 else None
    pixels = sheet(rows, keep_profiles=not profiles)
    write_picture(path, pixels, PNG, Metadata(icc_profile=profile), overwrite)


def most_different(
    comparison: Comparison, count: int = CHOSEN, side: int = CHOSEN_SIDE
) -> list[Region]:
    """Parts of a picture in which the versions differ most, the most different one first.

    How much a pixel differs is the range of its values over all versions, a reference included,
    summed over the channels. Parts do not overlap; fewer are found where they have no place.

    Args:
        comparison: the picture.
        count: how many at most.
        side: their width and height in pixels; less in a picture that is smaller.
    """
    width, height = comparison.size
    side_x, side_y = min(side, width), min(side, height)
    sums = _box_sums(_ranges(comparison), side_y, side_x)
    found: list[Region] = []
    for _ in range(count):
        top, left = map(int, np.unravel_index(np.argmax(sums), sums.shape))
        if found and sums[top, left] <= 0:
            break
        found.append(Region(top, top + side_y, left, left + side_x))
        above, before = max(0, top - side_y + 1), max(0, left - side_x + 1)
        sums[above : top + side_y, before : left + side_x] = -1
    return found


def sheet(rows: Sequence[tuple[Comparison, Region]], *, keep_profiles: bool) -> NDArray[np.uint8]:
    """The pixels of a sheet, (H, W, 3), dark letters on white.

    Args:
        rows: a picture and the part of it, which is enlarged by a whole factor if it is small.
        keep_profiles: whether pixels stay as they are; if not, they are converted to sRGB.
    """
    cells = [
        [_cell(comparison, version, region, keep_profiles) for version in comparison.versions]
        for comparison, region in rows
    ]
    width = max(cell.shape[1] for row in cells for cell in row)
    columns = len(cells[0])
    named = len({comparison.input for comparison, _ in rows}) > 1
    lines: list[NDArray[np.uint8]] = []
    above: list[list[str]] = []
    for (comparison, _), row in zip(rows, cells, strict=True):
        heads = _heads(comparison, named=named)
        if heads != above:
            lines += [_blank(_GAP, columns, width), *(_line(h, columns, width) for h in heads)]
            above = heads
        height = max(cell.shape[0] for cell in row)
        line = _blank(height + _GAP, columns, width)
        for column, cell in enumerate(row):
            left = _GAP + column * (width + _GAP) + (width - cell.shape[1]) // 2
            line[: cell.shape[0], left : left + cell.shape[1]] = cell
        lines.append(line)
    return np.concatenate(lines)


def _heads(comparison: Comparison, *, named: bool) -> list[list[str]]:
    """What the picture is called, if it must be said; labels of the versions, and figures."""
    heads = [[Path(comparison.input).name]] if named else []
    heads.append([each.label for each in comparison.versions])
    if any(each.scores for each in comparison.versions):
        heads.append([_figures(each) for each in comparison.versions])
    return heads


def _line(texts: Sequence[str], columns: int, width: int) -> NDArray[np.uint8]:
    """A line of text for each column, or one over all of them."""
    line = _blank(_LINE, columns, width)
    widest = width if len(texts) > 1 else line.shape[1] - 2 * _GAP
    for column, text in enumerate(texts):
        letters = lettering(text, _LINE, widest)
        left = _GAP + column * (width + _GAP)
        line[:, left : left + letters.shape[1]] = 255 - letters[..., None]
    return line


def _figures(version: Version) -> str:
    if not version.scores:
        return ""
    psnr, ssim = version.scores.get("psnr_y"), version.scores.get("ssim_y")
    return ("∞" if psnr is None else f"{psnr:.2f} dB") + ("" if ssim is None else f" / {ssim:.4f}")


def _blank(height: int, columns: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, _GAP + columns * (width + _GAP), 3), 255, np.uint8)


def _cell(
    comparison: Comparison, version: Version, region: Region, keep_profile: bool
) -> NDArray[np.uint8]:
    height, width = region.bottom - region.top, region.right - region.left
    part = version.part(comparison.size, region.top, region.left, height, width)
    if version.profile is not None and not keep_profile:
        part = np.asarray(in_srgb(to_pil(part), version.profile))
    factor = max(1, round(_CELL / max(height, width)))
    return part.repeat(factor, 0).repeat(factor, 1)


def _whole(comparison: Comparison) -> Region:
    width, height = comparison.size
    return Region(0, height, 0, width)


def _ranges(comparison: Comparison) -> NDArray[np.uint16]:
    """How much versions differ, (H, W)."""
    width, height = comparison.size
    ranges = np.empty((height, width), np.uint16)
    for top in range(0, height, _BAND_ROWS):
        rows = min(_BAND_ROWS, height - top)
        parts = [each.part(comparison.size, top, 0, rows, width) for each in comparison.versions]
        least, most = np.minimum.reduce(parts), np.maximum.reduce(parts)
        ranges[top : top + rows] = (most - least).sum(axis=2, dtype=np.uint16)
    return ranges


def _box_sums(values: NDArray[np.uint16], height: int, width: int) -> NDArray[np.int64]:
    """Sums over all boxes of a size: (H, W) -> (H - height + 1, W - width + 1)."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.int64)
    np.cumsum(np.cumsum(values, 0, dtype=np.int64), 1, out=table[1:, 1:])
    rows = table[height:] - table[:-height]
    return rows[:, width:] - rows[:, :-width]
