"""GIF, still and animated: each frame with the 256 colours that suit it best, or all greys.

Pillow makes the palette and the data of each frame, as a GIF of its own, from which they are taken.
"""

import io
import struct
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from edsr_cli.images.codecs.animation import AnimationEncoder, Channels, Part
from edsr_cli.images.picture import OutputRequest
from edsr_cli.pixels.windows import Region

REDUCED = "its colours were reduced to 256 a frame, all that GIF has"
"""The remark on a picture that has more."""

CUT_OUT = "GIF has no half-transparent pixels: each became opaque, or is not seen"
"""The remark on a picture that has some."""

_HEADER_BYTES = 13
_EXTENSION, _PICTURE = b"!", b","
_STAYS, _CLEARED = 1, 2  # what becomes of a frame when the next one comes
_UNIT = 10.0  # of durations, in milliseconds
_SHORTEST = 2  # units; what is shorter, browsers show for ten
_LONGEST, _MOST_PLAYS = 2**16 - 1, 2**16
_OPAQUE = 128  # alpha from which on a pixel is seen
_BLOCK_BYTES = 255


class _Still(NamedTuple):
    """What of a GIF of one frame goes into another.

    Attributes:
        flags: those of the picture, with its palette.
        palette: its colours, three bytes each.
        clear: the index of what is transparent; None for nothing.
        data: its pixels.
    """

    flags: int
    palette: bytes
    clear: int | None
    data: bytes


class GifAnimation(AnimationEncoder):
    """A GIF that is being written, of one frame or many.

    Where there is alpha all frames are whole, since what is seen cannot become transparent in part.

    Args:
        file: where to write; a pipe will do.
        plays: see `PictureInfo.plays`.
    """

    def __init__(self, file: BinaryIO, plays: int = 1) -> None:
        super().__init__()
        self._file, self._plays = file, plays
        self._notes: dict[str, None] = {}

    def _begin(self, request: OutputRequest) -> None:
        metadata, (width, height) = request.metadata, request.size
        self._file.write(struct.pack("<6s2H3B", b"GIF89a", width, height, 0x70, 0, 0))
        if self._plays != 1:
            more = 0 if self._plays == 0 else min(self._plays, _MOST_PLAYS) - 1
            self._file.write(b"!\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, more, 0))
        if metadata.icc_profile:
            self._file.write(b"!\xff\x0bICCRGBG1012" + _blocks(metadata.icc_profile))
        if metadata.xmp:
            # Readers of blocks take what follows it as lengths, each of which leads to the end.
            trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
            self._file.write(b"!\xff\x0bXMP DataXMP" + metadata.xmp + trailer)
        for text in metadata.texts:
            self._file.write(b"!\xfe" + _blocks(text.value.encode("utf-8", "replace")))

    def _add(self, part: Part, request: OutputRequest, milliseconds: float) -> None:
        region, still = part.region, self._encoded(part)
        shown = self._units(milliseconds, _UNIT)
        if milliseconds % _UNIT:  # else the file that it comes from has it so
            shown = max(shown, _SHORTEST)
        disposal = _STAYS if part.alpha is None else _CLEARED
        flags = disposal << 2 | (still.clear is not None)
        self._file.write(
            struct.pack("<4BHBB", 0x21, 0xF9, 4, flags, min(shown, _LONGEST), still.clear or 0, 0)
        )
        size = (region.right - region.left, region.bottom - region.top)
        self._file.write(struct.pack("<B4HB", 0x2C, region.left, region.top, *size, still.flags))
        self._file.write(still.palette)
        self._file.write(still.data)

    def _region(self, before: Channels, after: Channels) -> Region:
        if after.shape[2] in (1, 3):
            return super()._region(before, after)
        return Region(0, after.shape[0], 0, after.shape[1])

    def _encoded(self, part: Part) -> _Still:
        if part.colours.shape[2] == 1:
            return _still(Image.fromarray(part.colours[..., 0]))
        image, count, reduced = quantised(part)
        if reduced:
            self._notes[REDUCED] = None
        if part.alpha is None:
            return _still(image)
        if ((part.alpha > 0) & (part.alpha < 255)).any():
            self._notes[CUT_OUT] = None
        clear = Image.fromarray(((part.alpha < _OPAQUE) * 255).astype(np.uint8))
        image.putpalette([*(image.getpalette() or [])[: 3 * count], 0, 0, 0])
        image.paste(count, (0, 0), clear)
        return _still(image, transparency=count)

    def finish(self) -> tuple[str, ...]:
        self._file.write(b";")
        return tuple(self._notes)


def _still(image: Image.Image, **options: Any) -> _Still:
    """An image with a palette, or in greyscale, as a GIF has it."""
    content = io.BytesIO()
    image.save(content, "GIF", optimize=False, interlace=0, **options)
    return _taken_apart(content.getvalue())


def quantised(part: Part) -> tuple[Image.Image, int, bool]:
    """A frame in 256 colours, or 255 beside transparency.

    Its colours are kept where there are no more. Else an octree finds 256, and errors are diffused:
    in photographs, seen from where single pixels blur, that is as good as median cut with k-means
    or better, in a hundredth of its time; without diffusion it is 4 to 7 dB worse.

    Returns:
        The image; the number of colours in its palette; and whether it had more.
    """
    image = seen = Image.fromarray(part.colours)
    most = 256
    if part.alpha is not None:
        most = 255
        opaque = part.colours[part.alpha >= _OPAQUE]
        seen = Image.fromarray(opaque[None]) if len(opaque) else image.crop((0, 0, 1, 1))
    few = seen.getcolors(most)
    if few:
        palette = seen.quantize(len(few), Image.Quantize.MEDIANCUT)
        return image.quantize(palette=palette, dither=Image.Dither.NONE), len(few), False
    palette = seen.quantize(most, Image.Quantize.FASTOCTREE)
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG), most, True


def _taken_apart(content: bytes) -> _Still:
    """A GIF of one frame, as Pillow writes it."""
    depth = content[10] & 7
    place = _HEADER_BYTES + (3 << (depth + 1))
    palette, clear = content[_HEADER_BYTES:place], None
    while content[place : place + 1] == _EXTENSION:
        if content[place + 1] == 0xF9 and content[place + 3] & 1:
            clear = content[place + 6]
        place += 2
        while content[place]:
            place += 1 + content[place]
        place += 1
    if content[place : place + 1] != _PICTURE or content[place + 9] & 0x80:
        raise ValueError("Pillow has written a GIF of another kind")
    return _Still(0x80 | depth, palette, clear, content[place + 10 : -1])


def _blocks(data: bytes) -> bytes:
    """Data cut into blocks, each behind its length, up to an empty one."""
    pieces = (data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES))
    return b"".join(bytes((len(piece),)) + piece for piece in pieces) + b"\0"
