"""A TIFF writer: by rows, of 8 and 16 bits, in strips or tiles, also with smaller copies.

Pillow's cannot both compress and keep EXIF data, cannot compress beyond 4 GiB, and holds a second
copy of the picture.
"""

import zlib
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from edsr_cli.images.codecs.rows import RowEncoder, Seekable, Strip
from edsr_cli.images.codecs.tiff_writing import Frame, Layout
from edsr_cli.images.picture import Metadata
from edsr_cli.pixels.planes import Plane
from edsr_cli.pixels.resize import halved

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
        shape, bits, alpha, threads: see `RowEncoder`.
        metadata: what to put beside the pixels, as `fitting.fit` gives it.
        kind: see `OutputOptions.tiff`.

    Raises:
        ValueError: the EXIF data is damaged.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, int, int],
        bits: int,
        alpha: Plane | None,
        metadata: Metadata,
        *,
        kind: str,
        threads: int,
    ) -> None:
        height, width, colours = shape
        channels = colours + (alpha is not None)
        row_bytes = width * channels * bits // 8
        rows = TILE if kind != "strips" else max(1, min(height, _STRIP_BYTES // row_bytes))
        self._layouts = _layouts(shape, channels, bits, rows, kind)
        self._frame = Frame(metadata, self._layouts, _most_bytes(self._layouts))
        super().__init__(
            shape, bits, alpha, strip_rows=rows, threads=threads,
            stored=f"{self._frame.order}u{bits // 8}",
        )  # fmt: skip
        self._bits, self._level = bits, _LEVELS[bits]
        self._target = Seekable(file)
        self._end = 0  # offset of what comes next; 0 before anything is written
        self._places = [(array("Q"), array("Q")) for _ in self._layouts]
        # Rows of smaller copies that do not fill tiles yet.
        self._smaller: list[Strip] = [
            np.empty((0, layout.width, channels), self.dtype) for layout in self._layouts[1:]
        ]

    def finish(self) -> tuple[str, ...]:
        super().finish()
        target = self._target
        target.file.seek(target.start)
        target.file.write(self._frame.header(self._places))
        target.close()
        return self._frame.notes

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
            self._target.file.write(bytes(self._frame.first))
            self._end = self._frame.first
        self._target.file.write(data)
        offsets, lengths = self._places[level]
        offsets.append(self._end)
        lengths.append(len(data))
        self._end += len(data)


def _layouts(
    shape: tuple[int, int, int], channels: int, bits: int, rows: int, kind: str
) -> list[Layout]:
    """That of the picture, and of copies of half its size each until one fits into a tile."""
    height, width, colours = shape
    columns = None if kind == "strips" else TILE
    alpha = channels > colours
    layouts = [Layout(width, height, channels, bits, alpha, rows, columns)]
    while kind == "pyramid" and max(height, width) > TILE:
        height, width = -(-height // 2), -(-width // 2)
        layouts.append(Layout(width, height, channels, bits, alpha, rows, columns, reduced=True))
    return layouts


def _most_bytes(layouts: list[Layout]) -> int:
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
