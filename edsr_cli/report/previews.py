"""Small pictures of an even spread of what is done, made beside the work."""

import base64
import io
import logging
import math
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from msgspec import Struct

from edsr_cli.images import decode, to_pil
from edsr_cli.images.picture import Metadata
from edsr_cli.jobs.record import Record, Status
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.report.pictures import in_srgb

logger = logging.getLogger(__name__)

SIDE = 192
"""Longer side of a small picture, in pixels; on the page it gets half of them or more."""

MOST = 160
"""The number of pictures that a page has fewer of."""

_PIXELS = 64_000_000  # larger pictures are not decoded again for a preview
_BACKLOG = 8  # pictures that may wait; more are passed over, so that the run waits for none
_QUALITY = 70  # of WebP


class Preview(Struct, frozen=True):
    """A picture before and after, as data URIs.

    Attributes:
        record: what the picture is.
        before, after: the whole picture, small.
        detail_before, detail_after: a part of it, at the size of the output's pixels.
    """

    record: Record
    before: str
    after: str
    detail_before: str
    detail_after: str


class Previews:
    """Makes previews in a thread of its own, from the files that were read and written.

    Of the pictures done, every n-th is taken; n is doubled whenever there are `MOST` of them, and
    every second one dropped. What cannot be shown is left out.

    Args:
        frame: which frame of inputs is made larger, from 1; None for the first.
    """

    def __init__(self, frame: int | None = None) -> None:
        self._frame, self._every, self._done = frame, 1, 0
        self._made: list[tuple[int, Future[Preview | None]]] = []
        self._thread = ThreadPoolExecutor(1, "edsr-previews")

    def consider(self, record: Record) -> None:
        """Take a picture, or not."""
        if record.status is not Status.DONE:
            return
        number = self._done
        self._done += 1
        if number % self._every or self._backlog() >= _BACKLOG:
            return
        try:
            made = self._thread.submit(_try_preview, record, self._frame)
        except RuntimeError as error:  # the system has no thread for us
            logger.debug("No preview of %s: %s", record.output, error)
            return
        self._made.append((number, made))
        if len(self._made) == MOST:
            self._every *= 2
            for number, future in self._made:
                if number % self._every:
                    future.cancel()
            self._made = [made for made in self._made if made[0] % self._every == 0]

    def finish(self, wait: bool) -> list[Preview]:
        """All previews, in the order in which the pictures were done.

        Args:
            wait: whether to make those that are still waiting.
        """
        self._thread.shutdown(cancel_futures=not wait)
        futures = [future for _, future in self._made if not future.cancelled()]
        return [preview for future in futures if (preview := future.result()) is not None]

    def stop(self) -> None:
        """Make no more, and wait for the one at work."""
        self._thread.shutdown(cancel_futures=True)

    def _backlog(self) -> int:
        return sum(not future.done() for _, future in self._made[-_BACKLOG:])


def _try_preview(record: Record, frame: int | None) -> Preview | None:
    try:
        return make_preview(record, frame)
    except Exception as error:  # whatever has become of the files
        logger.debug("No preview of %s: %s", record.output, error)
        return None


def make_preview(record: Record, frame: int | None = None) -> Preview | None:
    """Make the preview of a picture that was done; None if it is too large for that.

    Args:
        record: what it is.
        frame: which frame of the input it was, from 1; None for the first.

    Raises:
        PictureError: one of the files cannot be read any more.
    """
    if record.output_pixels > _PIXELS:
        return None
    before = decode(Path(record.input), _PIXELS, frame=frame)
    after = decode(Path(record.output), _PIXELS)
    # Any factors, also such as make a picture smaller.
    down, across = (after.pixels.shape[axis] / before.pixels.shape[axis] for axis in (0, 1))
    height = min(math.ceil(SIDE / down), before.pixels.shape[0])
    width = min(math.ceil(SIDE / across), before.pixels.shape[1])
    top, left = busiest(before.pixels, height, width)
    crop = before.pixels[top : top + height, left : left + width]
    enlarged = after.pixels[
        round(top * down) : round((top + height) * down),
        round(left * across) : round((left + width) * across),
    ]
    return Preview(
        record,
        _small(before.pixels, before.metadata),
        _small(after.pixels, after.metadata),
        _small(crop, before.metadata),
        _small(enlarged, after.metadata),
    )


def busiest(pixels: Pixels, height: int, width: int) -> tuple[int, int]:
    """Top and left of the part of that size that has the most detail, of nine all over it.

    Args:
        pixels: (H, W, 3).
        height, width: of the part, at most H and W.
    """
    tops = {(pixels.shape[0] - height) * step // 2 for step in range(3)}
    lefts = {(pixels.shape[1] - width) * step // 2 for step in range(3)}

    def detail(place: tuple[int, int]) -> float:
        top, left = place
        part = pixels[top : top + height, left : left + width].astype(np.float32)
        return sum(float(np.abs(np.diff(part, axis=axis)).sum()) for axis in (0, 1))

    return max(((top, left) for top in sorted(tops) for left in sorted(lefts)), key=detail)


def _small(pixels: Pixels, metadata: Metadata) -> str:
    """A picture of at most `SIDE` pixels a side, as a data URI."""
    image = to_pil(pixels)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    in_srgb(image, metadata.icc_profile).save(buffer, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
