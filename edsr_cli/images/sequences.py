"""Several pictures in a file: frames of an animation, or pages of a document."""

from typing import BinaryIO

import numpy as np
from msgspec.structs import replace

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.images.codecs.animation import SequenceEncoder
from edsr_cli.images.encoding import Closing, explained, fitted
from edsr_cli.images.formats import FORMATS, codec_for
from edsr_cli.images.guard import limits
from edsr_cli.images.picture import (
    DEFAULT_MAX_PIXELS,
    OutputFormat,
    OutputRequest,
    Picture,
    PictureInfo,
)
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import at_depth, spread_over
from edsr_cli.pixels.grey import joined


class SequenceWriter(Closing[SequenceEncoder]):
    """A file with several pictures that is being written.

    `add` and `close` raise `PictureError` where encoding fails, and `OSError` where the file cannot
    be written to.

    Attributes:
        notes: remarks for the user on what the format cannot hold, one line each; complete when it
            is closed.
    """

    def __init__(self, encoder: SequenceEncoder, output_format: OutputFormat) -> None:
        super().__init__(encoder)
        self.notes: tuple[str, ...] = ()
        self._size = (0, 0)  # of the last picture
        self._format = output_format

    def add(
        self, pixels: Pixels, request: OutputRequest, milliseconds: float | None = None
    ) -> None:
        """Write the next picture.

        Args:
            pixels: shape (H, W, 3), uint8 or uint16.
            request: what is wanted, see `create_picture`; of an animation the same for all frames.
            milliseconds: see `Picture.milliseconds`.

        Raises:
            PictureError: the format cannot hold such a picture.
        """
        request, notes = fitted(self._format, request)
        self._remark(notes)
        self._size = request.size
        pixels = at_depth(pixels, request.bits)
        if request.alpha is not None:
            request = replace(request, alpha=spread_over(request.alpha[:], pixels.dtype))
        with explained(*request.size, self._format), limits(DEFAULT_MAX_PIXELS):
            self._encoder.add(joined(pixels) if request.grey else pixels, request, milliseconds)

    def close(self) -> None:
        """Write what is left to be written; the file is neither flushed nor closed."""
        with explained(*self._size, self._format):
            self._remark(self._encoder.finish())

    def _remark(self, notes: tuple[str, ...]) -> None:
        """Say everything once, however many pictures it is true of."""
        self.notes = tuple(dict.fromkeys(self.notes + notes))


def create_sequence(
    file: BinaryIO, output_format: OutputFormat, frames: int, plays: int = 0
) -> SequenceWriter:
    """Begin to write several pictures to a binary file; memory follows the largest of them.

    Args:
        file: where to write; a pipe will do. It is neither flushed nor closed.
        output_format: the format to write, which can hold them; see `check_holds`.
        frames: how many will be added.
        plays: see `PictureInfo.plays`.
    """
    return SequenceWriter(codec_for(output_format).sequence(file, frames, plays), output_format)


def check_several(output_format: OutputFormat) -> None:
    """Refuse a format that holds one picture.

    Raises:
        UsageError: it does.
    """
    if output_format.holds == "one":
        able = [entry.name for entry in FORMATS if entry.holds != "one"]
        raise UsageError(
            f"{output_format.name} holds one picture, and --frames all asks for all of a file's.",
            f"Write {', '.join(able[:-1])} or {able[-1]}, or choose one with --frame.",
        )


def holds_all(animated: bool, output_format: OutputFormat) -> bool:
    """Whether a format holds several frames of an animation, or else pages, in one file."""
    return output_format.holds == "pages" or (animated and output_format.holds == "animation")


def check_holds(info: PictureInfo, output_format: OutputFormat) -> None:
    """Refuse to write several pictures as one, or the pages of a document as an animation.

    Raises:
        PictureError: that is what is asked for.
    """
    count = len(info.all_frames)
    if count > 1 and not holds_all(info.animated, output_format):
        what = "frames" if info.animated else "pages"
        raise PictureError(
            f"{output_format.name} cannot hold its {count} {what}.",
            "Write them as TIFF, or choose one with --frame.",
        )


def opaque_beside(picture: Picture) -> Picture:
    """A frame with alpha, as all of an animation have it where one may."""
    if picture.alpha is not None:
        return picture
    height, width = picture.window.shape[:2]
    white = np.iinfo(picture.window.dtype).max
    return replace(picture, alpha=np.full((height, width), white, picture.window.dtype))
