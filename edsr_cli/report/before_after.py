"""A picture before and after, side by side: the part where they differ most."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edsr_cli.images import DEFAULT_MAX_PIXELS, Metadata, Picture, decode, encode, to_pil
from edsr_cli.images.outputs import PNG
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.report.sheet import most_different, sheet

if TYPE_CHECKING:
    from edsr_cli.jobs.record import Record

_SIDE = 240  # of a part, in pixels of the output
_SEARCHED = 4_000  # pixels a side, in the middle, of a larger output
_NEAREST = 0  # Pillow's number for it


def before_after_png(record: "Record", frame: int | None = None) -> bytes | None:
    """The input's pixels, enlarged, and the output's, with labels, as PNG.

    Args:
        record: of a picture that was done, from file to file.
        frame: which frame of the input it was, from 1; None for the first.

    Returns:
        The file; None where the output is too large to be read again.

    Raises:
        PictureError: one of the files cannot be read any more.
    """
    assert record.output_size is not None
    width, height = record.output_size
    if width * height > DEFAULT_MAX_PIXELS:
        return None
    before, after = decode(Path(record.input), frame=frame), decode(Path(record.output))
    left, right = _middle(width)
    top, bottom = _middle(height)
    part = (left, top, right, bottom)
    versions = [
        _version("before", before, part, (width, height)),
        _version("after", after, part, (width, height)),
    ]
    compared = Comparison("", "", None, (right - left, bottom - top), 1, 0, versions)
    rows = [(compared, region) for region in most_different(compared, 1, side=_SIDE)]
    buffer = io.BytesIO()
    encode(sheet(rows, keep_profiles=False), PNG, Metadata(), buffer)
    return buffer.getvalue()


def _version(
    label: str, picture: Picture, part: tuple[int, int, int, int], size: tuple[int, int]
) -> Version:
    """A part of a picture that is enlarged to a size, pixel by pixel."""
    width, height = size
    wide, high = picture.window.shape[1] / width, picture.window.shape[0] / height
    left, top, right, bottom = part
    box = (left * wide, top * high, right * wide, bottom * high)
    enlarged = to_pil(to_uint8(picture.pixels)).resize(
        (right - left, bottom - top), _NEAREST, box=box
    )
    return Version(label, "file", np.asarray(enlarged), picture.metadata.icc_profile)


def _middle(length: int) -> tuple[int, int]:
    """Where the middle begins and ends."""
    shown = min(length, _SEARCHED)
    return (length - shown) // 2, (length + shown) // 2
