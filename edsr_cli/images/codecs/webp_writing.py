"""Animated WebP: a RIFF file whose frames (ANMF) hold what a still WebP does."""

import io
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from msgspec.structs import replace

from edsr_cli.errors import PictureError
from edsr_cli.images.codecs.animation import AnimationEncoder, Part
from edsr_cli.images.codecs.rows import Seekable
from edsr_cli.images.picture import Metadata, OutputRequest
from edsr_cli.pixels.arrays import Pixels

_ANIMATION, _XMP, _EXIF, _ALPHA, _ICC = 2, 4, 8, 16, 32  # flags of VP8X
_REPLACE = 2  # a frame lies on nothing, and stays
_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")
_LONGEST = 2**24 - 1  # milliseconds
_MOST_PLAYS = 2**16 - 1
_MOST_BYTES = 2**32 - 1  # behind the first 8

Save = Callable[[Pixels, BinaryIO, OutputRequest], None]
"""Writes a still WebP."""


class WebPAnimation(AnimationEncoder):
    """An animated WebP that is being written.

    Args:
        file: where to write, from its current position; a pipe is written to at the end.
        plays: see `PictureInfo.plays`.
        save: encodes a frame.
    """

    step = 2

    def __init__(self, file: BinaryIO, plays: int, save: Save) -> None:
        super().__init__()
        self._target = Seekable(file)
        self._plays, self._save = min(plays, _MOST_PLAYS), save
        self._flags, self._behind = _ANIMATION, b""

    def _begin(self, request: OutputRequest) -> None:
        metadata, (width, height) = request.metadata, request.size
        self._size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        profile = b""
        if metadata.icc_profile:
            self._flags |= _ICC
            profile = _chunk(b"ICCP", metadata.icc_profile)
        if metadata.exif:
            self._flags |= _EXIF
            self._behind += _chunk(b"EXIF", metadata.exif)
        if metadata.xmp:
            self._flags |= _XMP
            self._behind += _chunk(b"XMP ", metadata.xmp)
        background = bytes(4)
        self._target.file.write(self._header(0) + profile)
        self._target.file.write(_chunk(b"ANIM", background + struct.pack("<H", self._plays)))

    def _add(self, part: Part, request: OutputRequest, milliseconds: float) -> None:
        region, content = part.region, io.BytesIO()
        size = (region.right - region.left, region.bottom - region.top)
        still = replace(request, size=size, metadata=Metadata(), alpha=part.alpha)
        self._save(part.colours, content, still)
        if part.alpha is not None:
            self._flags |= _ALPHA
        numbers = (
            region.left // 2, region.top // 2, size[0] - 1, size[1] - 1,
            min(self._units(milliseconds, 1.0), _LONGEST),
        )  # fmt: skip
        about = b"".join(number.to_bytes(3, "little") for number in numbers)
        pixels = b"".join(
            _chunk(name, data) for name, data in chunks(content.getvalue()) if name in _PIXELS
        )
        self._target.file.write(_chunk(b"ANMF", about + bytes((_REPLACE,)) + pixels))

    def finish(self) -> tuple[str, ...]:
        """Write what stands behind the frames, and what is known only now."""
        file, start = self._target.file, self._target.start
        file.write(self._behind)
        size = file.tell() - start - 8
        if size > _MOST_BYTES:
            raise PictureError(
                "its frames take more than 4 GiB, which is all that WebP can hold.",
                "Write it as PNG instead.",
            )
        file.seek(start)
        file.write(self._header(size))
        self._target.close()
        return ()

    def abandon(self) -> None:
        super().abandon()
        self._target.abandon()

    def _header(self, size: int) -> bytes:
        """The beginning of a file of so many bytes, less 8."""
        extended = _chunk(b"VP8X", struct.pack("<L", self._flags) + self._size)
        return struct.pack("<4sL4s", b"RIFF", size, b"WEBP") + extended


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the chunks of a WebP that is not damaged."""
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sL", content, place)
        yield name, content[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sL", name, len(data)) + data + bytes(len(data) % 2)
