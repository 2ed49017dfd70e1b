"""A BMP writer: by rows, from the top; in the file, they lie from the bottom."""

import struct
from typing import BinaryIO

import numpy as np

from edsr_cli.images.codecs.rows import RowEncoder, Seekable, Strip
from edsr_cli.images.picture import OutputRequest

_HEADERS_BYTES = 54
_GREYS = bytes(value for level in range(256) for value in (level, level, level, 0))  # a palette
_STRIP_BYTES = 2**19
_INCH = 0.0254  # in metres


class BmpEncoder(RowEncoder):
    """A BMP that is being written: of 24 bits a pixel, or of 8 and a palette of all greys.

    Args:
        file: where to write, from its current position; a pipe is written to at the end.
        request: see `RowEncoder`.
    """

    def __init__(self, file: BinaryIO, request: OutputRequest) -> None:
        width, height = request.size
        channels = request.shape[2]
        self._row_bytes = (channels * width + 3) // 4 * 4
        self._palette = _GREYS if channels == 1 else b""
        super().__init__(request, strip_rows=_STRIP_BYTES // self._row_bytes)
        self._target = Seekable(file)
        self._below = height  # rows that are to lie below those that are written
        size = height * self._row_bytes
        a_metre = (round(value / _INCH) for value in request.metadata.dpi or (0, 0))
        self._pixels_start = _HEADERS_BYTES + len(self._palette)
        self._headers = struct.pack(
            "<2s3L3L2H6L", b"BM", self._pixels_start + size, 0, self._pixels_start,
            40, width, height, 1, 8 * channels, 0, size, *a_metre, 0, 0,
        ) + self._palette  # fmt: skip

    def finish(self) -> tuple[str, ...]:
        notes = super().finish()
        self._target.file.seek(self._target.start)
        self._target.file.write(self._headers)
        self._target.close()
        return notes

    def abandon(self) -> None:
        super().abandon()
        self._target.abandon()

    def _compressed(self, strip: Strip, above: Strip, top: int) -> Strip:
        """Rows from the bottom, blue first, each filled up to a multiple of 4 bytes."""
        rows = np.zeros((len(strip), self._row_bytes), np.uint8)
        rows[:, : strip[0].size] = strip[::-1, :, ::-1].reshape(len(strip), -1)
        return rows

    def _put(self, compressed: Strip) -> None:
        self._below -= len(compressed)
        place = self._pixels_start + self._below * self._row_bytes
        self._target.file.seek(self._target.start + place)
        self._target.file.write(compressed.data)
