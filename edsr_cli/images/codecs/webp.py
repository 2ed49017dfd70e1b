"""WebP.

What Pillow does not tell: chunks that it does not know, and the quantisers of a lossy picture,
which are in the header of its VP8 frame (RFC 6386, sections 9, 19).
"""

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

from PIL import (
    Image,
    WebPImagePlugin,  # noqa: F401 - importing a plugin registers its format
)

from edsr_cli.images.codecs import Codec, beginning
from edsr_cli.images.codecs.animation import SequenceEncoder
from edsr_cli.images.codecs.boxes import MAX_PARTS
from edsr_cli.images.codecs.webp_writing import WebPAnimation
from edsr_cli.images.metadata import C2PA, Found
from edsr_cli.images.picture import Compression, OutputRequest
from edsr_cli.images.source import kept_position

# WebP is lossless because its lossy kind always halves the resolution of colour, which is what
# upscaling is to restore. Effort 20 with method 2: 0.19 s a megapixel and a quarter smaller than
# PNG; effort 80 with method 4 takes twice as long for nothing.
WEBP_EFFORT, WEBP_METHOD = 20, 2
"""Effort (0 to 100) and method (0 to 6) for lossless WebP."""

WEBP_LOSSY_METHOD = 4
"""libwebp's own, for lossy WebP."""

_KNOWN = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")
_START_CODE = b"\x9d\x01\x2a"
_EVEN = 128  # the probability of 0, in 256ths, of what is not worth modelling


class WebP(Codec):
    """See the module."""

    name = "WEBP"
    pixel_bytes = 17  # two canvases and a copy of the decoder's, and Pillow's

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        """Name chunks that are not known; all others hold pixels, profile, EXIF or XMP."""
        if file is None:
            super().texts(image, file, found)
            return
        words = {b"C2PA": C2PA}
        unknown = [name for name in _chunks(file) if name not in _KNOWN]
        found.leave(
            *(
                words.get(name, f"its WebP chunk {name.decode('ascii', 'replace')!r}")
                for name in unknown[:20]
            )
        )

    def compression(self, image: Image.Image, file: BinaryIO | None) -> Compression | None:
        indices = quantiser_indices(beginning(file)) if file is not None else []
        return Compression("WebP", webp_quality(indices), True) if indices else None

    def pillow_options(self, request: OutputRequest) -> dict[str, Any]:
        xmp, quality = request.metadata.xmp, request.options.quality
        settings: dict[str, Any] = {"xmp": xmp} if xmp else {}
        if quality is None:
            settings |= {"lossless": True, "quality": WEBP_EFFORT, "method": WEBP_METHOD}
        else:
            settings |= {"quality": quality, "method": WEBP_LOSSY_METHOD}
        # Colours under alpha may be needed by whoever scales the picture next.
        return settings if request.alpha is None else settings | {"exact": True}

    def sequence(self, file: BinaryIO, frames: int, plays: int) -> SequenceEncoder:
        return WebPAnimation(file, plays, self.save)


CODEC = WebP()


def _chunks(file: BinaryIO) -> list[bytes]:
    """The names of the chunks of a WebP."""
    found: list[bytes] = []
    with kept_position(file):
        file.seek(12)
        while len(found) < MAX_PARTS and len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sL", header)
            found.append(name)
            file.seek(size + size % 2, 1)
    return found


def webp_quality(indices: Iterable[int]) -> int:
    """What libwebp calls the quality that leads to these quantiser indices, 0 to 127."""
    values = list(indices)
    compression = 1 - sum(values) / len(values) / 127
    linear = compression**3  # see QualityToCompression in its quant_enc.c
    quality = linear * 1.5 if linear < 0.5 else (linear + 1) / 2
    return min(100, max(1, round(100 * quality)))


def quantiser_indices(content: bytes) -> list[int]:
    """The quantiser indices of a WebP file's segments, 0 (fine) to 127; empty if it has no VP8.

    Args:
        content: the beginning of the file.
    """
    frame = _vp8(content)
    if frame is None:
        return []
    bits = _Bits(frame)
    bits.number(2)  # colour space, clamping
    absolute, segments = False, [0]
    if bits.flag():  # segments
        has_map, has_data = bits.flag(), bits.flag()
        if has_data:
            absolute = bits.flag()
            segments = [bits.optional(7) or 0 for _ in range(4)]
            for _ in range(4):
                bits.optional(6)  # strengths of the loop filter
        if has_map:
            for _ in range(3):
                if bits.flag():
                    bits.number(8)
    bits.number(1 + 6 + 3)  # kind, level and sharpness of the loop filter
    if bits.flag() and bits.flag():  # changes to its level
        for _ in range(8):
            bits.optional(6)
    bits.number(2)  # partitions
    base = bits.number(7)
    values = segments if absolute else [base + change for change in segments]
    return [min(127, max(0, value)) for value in values]


def _vp8(content: bytes) -> bytes | None:
    """The first partition of the VP8 frame, or what there is of it."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    place = 12
    while place + 8 <= len(content):
        name, size = (
            content[place : place + 4],
            int.from_bytes(content[place + 4 : place + 8], "little"),
        )
        start = place + 8
        if name == b"ANMF":  # a frame of an animation has its chunks behind 16 bytes of its own
            place = start + 16
            continue
        if name == b"VP8 ":
            frame = content[start : start + size]
            is_key = len(frame) > 10 and not frame[0] & 1 and frame[3:6] == _START_CODE
            return frame[10:] if is_key else None
        place = start + size + (size & 1)
    return None


class _Bits:
    """The boolean decoder (RFC 6386, section 7)."""

    def __init__(self, content: bytes) -> None:
        self._content, self._next = content, 2
        self._value = int.from_bytes(content[:2].ljust(2, b"\0"), "big")
        self._range, self._count = 255, 0

    def flag(self, probability: int = _EVEN) -> bool:
        split = 1 + ((self._range - 1) * probability >> 8)
        found = self._value >= split << 8
        if found:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._range <<= 1
            self._value <<= 1
            self._count += 1
            if self._count == 8:
                self._count = 0
                if self._next < len(self._content):
                    self._value |= self._content[self._next]
                self._next += 1
        return found

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.flag()
        return value

    def optional(self, bits: int) -> int | None:
        """A number with a sign behind it, if a flag in front says that it is there."""
        if not self.flag():
            return None
        value = self.number(bits)
        return -value if self.flag() else value
