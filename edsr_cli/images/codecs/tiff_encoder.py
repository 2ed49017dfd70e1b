"""A TIFF writer: by rows, of 8 and 16 bits, in strips or tiles, also with smaller copies.

Pillow's cannot both compress and keep EXIF data, cannot compress beyond 4 GiB, and holds a second
copy of the picture.
"""

import struct
import zlib
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from edsr_cli.errors import PictureError
from edsr_cli.images.codecs.rows import RowEncoder, Seekable, Strip
from edsr_cli.images.codecs.tiff_writing import CLASSIC_LIMIT, Frame, FrameLayout
from edsr_cli.images.picture import OutputRequest
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.resize import halved
from edsr_cli.pixels.windows import Region

TIMELESS = "TIFF cannot hold how long frames are shown: dropped"
"""The remark on an animation whose frames become pages."""

TILE = 256
"""Rows and columns of a tile, as most programs write them."""

# With higher levels of deflate, time grows far faster than files shrink. Of 16 bits, half are noise
# in which nothing is found again: to look for nothing but runs takes a quarter of the time, for as
# few bytes.
_LEVELS = {8: (4, zlib.Z_DEFAULT_STRATEGY), 16: (1, zlib.Z_RLE)}
_STRIP_BYTES = 2**18


class TiffEncoder(RowEncoder):
    """A TIFF that is being written, compressed with deflate after horizontal differencing.

    Args:
        file: where to write, from its current position; a pipe is written to at the end.
        request: see `RowEncoder`.
        before: the page in front of it in the file, if there is one, whose `finish_page` was
            called.

    Raises:
        ValueError: the EXIF data is damaged.
    """

    def __init__(
        self, file: BinaryIO, request: OutputRequest, before: "TiffEncoder | None" = None
    ) -> None:
        height, width, colours = request.shape
        channels, bits = colours + (request.alpha is not None), request.bits
        row_bytes, kind = width * channels * bits // 8, request.options.tiff
        rows = TILE if kind != "strips" else max(1, min(height, _STRIP_BYTES // row_bytes))
        self._layouts = _layouts(request.shape, channels, bits, rows, kind)
        most = _most_bytes(self._layouts)
        self._end = 0  # offset of what comes next; 0 before anything is written
        if before is None:
            self._target, self._begin = Seekable(file), 0
            self._frame = Frame(request.metadata, self._layouts, most)
        else:
            self._target, self._begin = before._target, before._end + before._end % 2
            self._frame = Frame(
                request.metadata, self._layouts, most, behind=before._frame, place=self._begin
            )
            before._link_to(self._begin)
        super().__init__(request, strip_rows=rows, stored=f"{self._frame.order}u{bits // 8}")
        self._bits, self._level = bits, _LEVELS[bits]
        self._places = [(array("Q"), array("Q")) for _ in self._layouts]
        # Rows of smaller copies that do not fill tiles yet.
        self._smaller: list[Strip] = [
            np.empty((0, layout.width, channels), self.dtype) for layout in self._layouts[1:]
        ]

    def finish(self) -> tuple[str, ...]:
        notes = self.finish_page()
        self._target.close()
        return notes

    def finish_page(self) -> tuple[str, ...]:
        """As `finish`, but others may follow it in the file."""
        super().finish()
        target = self._target
        target.file.seek(target.start + self._begin)
        target.file.write(self._frame.header(self._places))
        return self._frame.notes

    def _link_to(self, place: int) -> None:
        """Say where the next page is, and go there."""
        target, frame = self._target, self._frame
        if not frame.big and place >= CLASSIC_LIMIT:
            raise PictureError(
                "its pages take more than 4 GiB.", "Write them to several files, with --frame."
            )
        target.file.seek(target.start + frame.link)
        target.file.write(struct.pack(frame.order + ("Q" if frame.big else "L"), place))
        target.file.seek(target.start + place)

    def abandon(self) -> None:
        super().abandon()
        self._target.abandon()

    def _jobs(self, strip: Strip, above: Strip, top: int) -> Iterator[Callable[[], Any]]:
        if self._layouts[0].columns is None:
            yield from super()._jobs(strip, above, top)
            return
        yield from self._level_jobs(0, strip, last=top + len(strip) == self.shape[0])

    def _level_jobs(self, level: int, strip: Strip, last: bool) -> Iterator[Callable[[], Any]]:
        """The tiles of a row of them, and what becomes complete with it in smaller copies."""
        for left in range(0, strip.shape[1], TILE):
            yield partial(self._tile, level, strip[:, left : left + TILE])
        if level + 1 == len(self._layouts):
            return
        held = np.concatenate((self._smaller[level], halved(strip)))
        self._smaller[level] = held[:0]
        if len(held) < TILE and not last:
            self._smaller[level] = held
        else:
            yield from self._level_jobs(level + 1, held, last)

    def _compressed(self, strip: Strip, above: Strip, top: int) -> tuple[int, bytes]:
        return 0, self._packed(strip)

    def _tile(self, level: int, pixels: Strip) -> tuple[int, bytes]:
        return level, self._packed(_filled(pixels))

    def _packed(self, rows: Strip) -> bytes:
        """Rows of a strip or a tile, compressed."""
        differences = rows.astype(self.dtype)
        differences[:, 1:] -= rows[:, :-1]  # modulo 256 or 65536, as the format has it
        data = differences.astype(self._stored, copy=False)
        level, strategy = self._level
        deflate = zlib.compressobj(level, memLevel=zlib.DEF_MEM_LEVEL + 1, strategy=strategy)
        return deflate.compress(data.data) + deflate.flush()

    def _put(self, compressed: tuple[int, bytes]) -> None:
        level, data = compressed
        if not self._end:
            self._target.file.write(bytes(self._frame.first - self._begin))
            self._end = self._frame.first
        self._target.file.write(data)
        offsets, lengths = self._places[level]
        offsets.append(self._end)
        lengths.append(len(data))
        self._end += len(data)


class TiffPages:
    """A `SequenceEncoder` of pages, each with a size, a depth and metadata of its own.

    Args:
        file: where to write, from its current position; a pipe is written to at the end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._page: TiffEncoder | None = None
        self._notes: dict[str, None] = {}

    def add(self, pixels: Pixels, request: OutputRequest, milliseconds: float | None) -> None:
        """Write the next page; TIFF has no durations."""
        self._page = page = TiffEncoder(self._file, request, self._page)
        page.write(Region(0, pixels.shape[0], 0, pixels.shape[1]), pixels)
        self._notes |= dict.fromkeys(page.finish_page())
        if milliseconds is not None:
            self._notes[TIMELESS] = None

    def finish(self) -> tuple[str, ...]:
        """Hand over what was kept; remarks on what was not."""
        assert self._page is not None, "nothing was written"
        self._page._target.close()
        return tuple(self._notes)

    def abandon(self) -> None:
        """Let go of what is held."""
        if self._page is not None:
            self._page.abandon()


def _layouts(
    shape: tuple[int, int, int], channels: int, bits: int, rows: int, kind: str
) -> list[FrameLayout]:
    """That of the picture, and of copies of half its size each until one fits into a tile."""
    height, width, colours = shape
    columns = None if kind == "strips" else TILE
    alpha = channels > colours
    layouts = [FrameLayout(width, height, channels, bits, alpha, rows, columns)]
    while kind == "pyramid" and max(height, width) > TILE:
        height, width = -(-height // 2), -(-width // 2)
        layouts.append(
            FrameLayout(width, height, channels, bits, alpha, rows, columns, reduced=True)
        )
    return layouts


def _most_bytes(layouts: list[FrameLayout]) -> int:
    """What all pixels take at most: where deflate finds nothing it adds 5 bytes in 16 KiB."""
    raw = sum(
        layout.pieces * layout.rows * (layout.columns or layout.width)
        * layout.channels * layout.bits // 8
        for layout in layouts
    )  # fmt: skip
    return raw + raw // 2048 + 64 * sum(layout.pieces for layout in layouts)


def _filled(tile: Strip) -> Strip:
    """A tile at the right or the bottom edge, filled up with its last pixels."""
    rows, columns = tile.shape[:2]
    return np.pad(tile, ((0, TILE - rows), (0, TILE - columns), (0, 0)), "edge")
