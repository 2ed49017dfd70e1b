"""Animated PNG (PNG 3rd edition, 4.9): frames are what a PNG of their own would have as pixels."""

import io
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import BinaryIO

from msgspec.structs import replace

from edsr_cli.images.codecs.animation import AnimationEncoder, Part
from edsr_cli.images.codecs.png_writing import SIGNATURE, write_chunk
from edsr_cli.images.codecs.whole import Encoder
from edsr_cli.images.picture import Metadata, OutputRequest
from edsr_cli.pixels.windows import Region

_STAYS, _REPLACES = 0, 0  # what becomes of a frame, and of what it lies on
_MOST = 2**16 - 1  # numerator and denominator of a duration in seconds
_MOST_PLAYS = 2**31 - 1

Create = Callable[[BinaryIO, OutputRequest], Encoder]
"""Begins to write a still PNG."""


class PngAnimation(AnimationEncoder):
    """An animated PNG that is being written.

    Args:
        file: where to write; a pipe will do.
        frames: how many will come.
        plays: see `PictureInfo.plays`.
        create: encodes a frame.
    """

    def __init__(self, file: BinaryIO, frames: int, plays: int, create: Create) -> None:
        super().__init__()
        self._file, self._create = file, create
        self._about = struct.pack(">2L", frames, min(plays, _MOST_PLAYS))
        self._chunks = 0  # of frames, which are numbered
        self._first = True

    def _begin(self, request: OutputRequest) -> None:
        pass  # the first frame brings it

    def _add(self, part: Part, request: OutputRequest, milliseconds: float) -> None:
        region, content = part.region, io.BytesIO()
        size = (region.right - region.left, region.bottom - region.top)
        metadata = request.metadata if self._first else Metadata()
        still = replace(request, size=size, metadata=metadata, alpha=part.alpha)
        encoder = self._create(content, still)
        try:
            encoder.write(Region(0, size[1], 0, size[0]), part.colours)
            encoder.finish()
        finally:
            encoder.abandon()
        data = content.getvalue()
        if self._first:
            self._file.write(SIGNATURE)
            for name, piece in _chunks(data):
                if name not in (b"IDAT", b"IEND"):
                    self._write(name, piece)
                if name == b"IHDR":
                    self._write(b"acTL", self._about)
        # In one chunk, since some decoders take a second for that of another frame.
        pixels = b"".join(piece for name, piece in _chunks(data) if name == b"IDAT")
        place = (*size, region.left, region.top, *_seconds(milliseconds), _STAYS, _REPLACES)
        self._numbered(b"fcTL", struct.pack(">4L2H2B", *place))
        if self._first:
            self._write(b"IDAT", pixels)
        else:
            self._numbered(b"fdAT", pixels)
        self._first = False

    def finish(self) -> tuple[str, ...]:
        self._write(b"IEND", b"")
        return ()

    def _numbered(self, name: bytes, data: bytes) -> None:
        self._write(name, struct.pack(">L", self._chunks) + data)
        self._chunks += 1

    def _write(self, name: bytes, data: bytes) -> None:
        write_chunk(self._file, name, data)


def _seconds(milliseconds: float) -> tuple[int, int]:
    """A duration as numerator and denominator, 16 bits each; at most 18 hours."""
    shown = Fraction(milliseconds / 1000).limit_denominator(1000)
    if shown.numerator > _MOST:
        return min(round(milliseconds / 1000), _MOST), 1
    return shown.numerator, shown.denominator


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(content):
        size, name = struct.unpack_from(">L4s", content, place)
        yield name, content[place + 8 : place + 8 + size]
        place += 12 + size
