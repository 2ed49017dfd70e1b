"""A JPEG writer: by rows, strips that are encoded each for itself, joined by restart markers.

At a restart marker (ITU-T T.81, B.2.1, E.1.4) an encoder begins anew, as at the beginning. So the
data of a strip encoded as a picture of its own is what a whole picture has between two of them.
"""

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from numpy.typing import NDArray

from edsr_cli.images.codecs.rows import RowEncoder, Strip
from edsr_cli.images.picture import OutputRequest

_STRIP_PIXELS = 2**19
_MOST_UNITS = 65535  # blocks of all channels between two restart markers
_UNIT = 8  # pixels along a side of the smallest such unit; with subsampled chroma twice that
_STRIP_MULTIPLE = 2 * _UNIT
_START_OF_FRAME, _START_OF_SCAN = 0xC0, 0xDA
_END = b"\xff\xd9"

Encode = Callable[[NDArray[Any], bool], bytes]
"""Gives a baseline JPEG of pixels, (h, w, 3) or (h, w); the flag asks for metadata in it."""


class JpegEncoder(RowEncoder):
    """A baseline JPEG that is being written.

    Args:
        file: where to write, from its current position; a pipe will do.
        request: see `RowEncoder`.
        encode: encodes a strip, all with the same tables.
    """

    def __init__(self, file: BinaryIO, request: OutputRequest, encode: Encode) -> None:
        width = request.size[0]
        across = -(-width // _UNIT)
        rows = min(_STRIP_PIXELS // width, _MOST_UNITS // across * _UNIT)
        rows = max(_STRIP_MULTIPLE, rows // _STRIP_MULTIPLE * _STRIP_MULTIPLE)
        super().__init__(request, strip_rows=rows)
        self._file, self._encode, self._strips = file, encode, 0

    def finish(self) -> tuple[str, ...]:
        notes = super().finish()
        self._file.write(_END)
        return notes

    def _compressed(self, strip: Strip, above: Strip, top: int) -> tuple[bytes, bytes]:
        """The headers, for the first strip, and the data."""
        pixels = strip if self.shape[2] == 3 else strip[..., 0]
        content = self._encode(pixels, top == 0)
        headers, data = _apart(content)
        return (self._for_all(headers) if top == 0 else b""), data

    def _put(self, compressed: tuple[bytes, bytes]) -> None:
        headers, data = compressed
        marker = bytes((0xFF, 0xD0 + (self._strips - 1) % 8)) if self._strips else headers
        self._strips += 1
        self._file.write(marker)
        self._file.write(data)

    def _for_all(self, headers: bytes) -> bytes:
        """The headers of the first strip as those of the whole picture."""
        height, width, _ = self.shape
        if self.strip_rows == height:
            return headers
        frame = _segment(headers, _START_OF_FRAME)
        count = headers[frame + 9]
        sampling = [headers[frame + 11 + 3 * number] for number in range(count)]
        # A picture of one channel has units of one block, whatever its sampling says.
        across, down = (
            (max(s >> 4 for s in sampling), max(s & 15 for s in sampling)) if count > 1 else (1, 1)
        )
        units = -(-width // (_UNIT * across)) * (self.strip_rows // (_UNIT * down))
        scan = _segment(headers, _START_OF_SCAN)
        return (
            headers[: frame + 5]
            + struct.pack(">H", height)
            + headers[frame + 7 : scan]
            + struct.pack(">3H", 0xFFDD, 4, units)
            + headers[scan:]
        )


def _apart(content: bytes) -> tuple[bytes, bytes]:
    """The headers of a JPEG, and its data without the marker of its end."""
    scan = _segment(content, _START_OF_SCAN)
    (length,) = struct.unpack_from(">H", content, scan + 2)
    return content[: scan + 2 + length], content[scan + 2 + length : -2]


def _segment(content: bytes, marker: int) -> int:
    """Where the first segment of a kind begins, with 0xFF.

    Raises:
        ValueError: there is none.
    """
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        if content[place + 1] == marker:
            return place
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    raise ValueError(f"the JPEG encoder gave no segment {marker:#x}")
