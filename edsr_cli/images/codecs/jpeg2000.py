"""JPEG 2000.

What Pillow does not tell: the depth, colours that are no profile, and most metadata.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import (
    Image,
    Jpeg2KImagePlugin,  # noqa: F401 - importing a plugin registers its format
)

from edsr_cli.errors import PictureError
from edsr_cli.images.codecs import Codec, Rows, beginning, bits_in_header, oiio
from edsr_cli.images.codecs.boxes import Box, boxes, find_boxes
from edsr_cli.images.colour import Samples, spaces
from edsr_cli.images.colour.spaces import Stated, made, stated_points
from edsr_cli.images.metadata import C2PA, Found, iptc
from edsr_cli.pixels.depth import full_range

_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC and SIZ
_SRGB = 16  # the number of a colour space
_UUID_EXIF = b"JpgTiffExif->JP2"
_UUID_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_UUID_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_UUID_GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")


class Jpeg2000(Codec):
    """See the module."""

    name = "JPEG2000"
    pixel_bytes = 17  # OpenJPEG has 32 bits a sample

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        return bits_in_header(file, _jpeg2000_bits)

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        """Colours of more than 8 bits come from OpenImageIO, all of them.

        Pillow rounds them to 8 bits without a limit, so that white becomes black.

        Raises:
            PictureError: they are such, and it is not installed, or they are of a rare kind.
        """
        bits = self.bits(image, file)
        if bits <= 8 or image.mode.startswith("I"):
            return super().rows(image, file)
        if not _is_plain(image, file):
            raise PictureError(
                f"its {bits}-bit colours are stored in a rare way, which cannot be read.",
                "Convert it to PNG or TIFF first.",
            )
        if not oiio.available():
            raise PictureError(
                f"{bits}-bit colours of JPEG 2000 cannot be read without OpenImageIO.",
                'Install it (pip install "edsr-cli[jxl]"), or convert it to PNG or TIFF first.',
            )

        def begin() -> Iterator[Samples]:
            file.seek(0)
            content = file.read()
            pixels, _ = oiio.read(content, ".j2k" if content.startswith(_CODESTREAM) else ".jp2")
            if pixels.shape != (image.height, image.width, len(image.getbands())):
                raise ValueError("the picture is not what its header says")
            values = full_range(pixels >> (16 - bits), bits)
            alpha = values[..., 3] if image.mode == "RGBA" else None
            yield Samples("RGB", values[..., :3], alpha, bits)

        return Rows(begin, lambda: image, exact=True, at_once=True)

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        if file is None:
            super().texts(image, file, found)
        else:
            _find_in_jpeg2000(file, found)

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        return Stated(own) if file is None else _jpeg2000_colour(file, own)


CODEC = Jpeg2000()


def _jpeg2000_bits(header: bytes) -> int:
    depths = _components(header)[::3]
    return max((depth & 0x7F) + 1 for depth in depths) if depths else 8


def _components(header: bytes) -> bytes:
    """Three bytes for each component: depth less one and a sign bit, steps across and down."""
    start = header.find(_CODESTREAM)
    if start < 0:
        return b""
    # SIZ: length and capabilities (2 bytes each), eight sizes (4 each), number of components (2).
    (components,) = struct.unpack_from(">H", header, start + 40)
    return header[start + 42 : start + 42 + 3 * components]


def _is_plain(image: Image.Image, file: BinaryIO) -> bool:
    """Whether components are RGB, and maybe alpha, all of one depth and size."""
    try:
        parts, space = _components(beginning(file)), _enumerated_space(file)
    except (IndexError, struct.error):
        return False
    alike = parts[:1] + b"\1\1"
    return (
        image.mode in ("RGB", "RGBA")
        and parts == alike * len(image.getbands())
        and parts[0] < 16
        and space in (None, _SRGB)
        and not find_boxes(file, b"jp2h", b"pclr")
    )


def _enumerated_space(file: BinaryIO) -> int | None:
    """The number of the colour space; None where none is numbered."""
    for box in find_boxes(file, b"jp2h", b"colr"):
        data = box.read(file)
        if data[0] == 1:
            (space,) = struct.unpack_from(">L", data, 3)
            return int(space)
    return None


def _find_in_jpeg2000(file: BinaryIO, found: Found) -> None:
    words = []
    for box in boxes(file):
        if box.name == b"uuid":
            data = box.read(file)
            kind, content = data[:16], data[16:]
            if kind == _UUID_XMP:
                found.xmp = content
            elif kind == _UUID_EXIF:
                found.exif = content
            elif kind == _UUID_IPTC:
                found.iptc = content if iptc.data_sets(content) else None
            else:
                words.append(
                    "its place on the globe (GeoJP2)" if kind == _UUID_GEO else "a UUID box"
                )
        elif box.name == b"xml ":
            found.add_bytes("XML", box.read(file))
        elif box.name == b"jumb":
            words.append(C2PA if b"c2pa" in box.read(file)[:200] else "a JUMBF box")
        elif box.name == b"jp2c":
            _jpeg2000_comments(box, file, found)
    if not boxes(file):  # a bare code stream
        _jpeg2000_comments(Box(b"jp2c", 0, 65536), file, found)
    found.leave(*words)


def _jpeg2000_comments(box: Box, file: BinaryIO, found: Found) -> None:
    """The comments in the header of a code stream."""
    end = min(box.end, box.start + 65536)
    data = Box(box.name, box.start, end).read(file)
    place = 2
    while place + 4 <= len(data) and data[place : place + 2] not in (b"\xff\x90", b"\xff\xd9"):
        marker, size = struct.unpack_from(">HH", data, place)
        if size < 2:
            break
        if marker == 0xFF64 and data[place + 4 : place + 6] == b"\0\1":
            found.add("Comment", data[place + 6 : place + 2 + size].decode("latin-1"))
        place += 2 + size


def _jpeg2000_colour(file: BinaryIO, own: bytes | None) -> Stated:
    """A profile, or an enumerated colour space."""
    for box in find_boxes(file, b"jp2h", b"colr"):
        data = box.read(file)
        method = data[0]
        if method in (2, 3):
            return Stated(data[3:])
        if method == 5 and len(data) >= 10:
            primaries, transfer, matrix, full = struct.unpack_from(">3HB", data, 3)
            return stated_points((primaries, transfer, matrix, full >> 7), own, "colour box")
        if method != 1:
            continue
        (space,) = struct.unpack_from(">L", data, 3)
        if space in (14, 19):
            raise PictureError(
                "its colours are CIE Lab or CIE Jab in JPEG 2000, which cannot be read.",
                "Convert it to PNG first.",
            )
        if space == 21:
            return made(spaces.ROMM_RGB, "its colours")
        if space in (0, 12, 16, 17, 18):
            return Stated(own)
        return Stated(own, notes=(f"its JPEG 2000 colour space {space} was read as sRGB",))
    return Stated(own)
