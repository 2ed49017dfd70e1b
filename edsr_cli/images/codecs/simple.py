"""Formats of which little is to be known: BMP, GIF, PPM and its kin, QOI, SGI, TGA, PCX."""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,  # noqa: F401 - importing a plugin registers its format
    GifImagePlugin,  # noqa: F401
    Image,
    PcxImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    QoiImagePlugin,  # noqa: F401
    SgiImagePlugin,  # noqa: F401
    TgaImagePlugin,  # noqa: F401
)

from edsr_cli.images.bands import band_rows
from edsr_cli.images.codecs import Codec, Encoder, Rows, bits_in_header
from edsr_cli.images.codecs.animation import SequenceEncoder
from edsr_cli.images.codecs.bmp_writing import BmpEncoder
from edsr_cli.images.codecs.boxes import MAX_PART_BYTES, MAX_PARTS
from edsr_cli.images.codecs.gif_writing import GifAnimation
from edsr_cli.images.codecs.raw_rows import tiles_of
from edsr_cli.images.colour import Samples, icc, spaces
from edsr_cli.images.colour.spaces import ColourSpace, Stated, made
from edsr_cli.images.metadata import Found
from edsr_cli.images.picture import OutputRequest
from edsr_cli.images.source import kept_position
from edsr_cli.pixels.arrays import Pixels

# A number of at most nine digits, behind any blanks and comments. What `*+` has taken it never
# gives back: trying every way to divide what is between two numbers would take for ever.
_PNM_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*+([0-9]{1,9})(?![0-9])")


class Bmp(Codec):
    """BMP, whose headers of version 4 and 5 state colours."""

    name = "BMP"

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        return Stated(own) if file is None else _bmp_colour(file, own)

    def create(self, file: BinaryIO, request: OutputRequest) -> Encoder:
        return BmpEncoder(file, request)


class Gif(Codec):
    """GIF: comments, and XMP and profile in extensions of applications."""

    name = "GIF"

    def encode(self, pixels: Pixels, file: BinaryIO, request: OutputRequest) -> tuple[str, ...]:
        encoder = GifAnimation(file)
        encoder.add(pixels, request, None)
        return encoder.finish()

    def sequence(self, file: BinaryIO, frames: int, plays: int) -> SequenceEncoder:
        return GifAnimation(file, plays)

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        if file is None:
            super().texts(image, file, found)
            return
        for name, data in _gif_extensions(file):
            if name == b"comment":
                found.add_bytes("Comment", data)
            elif name == b"XMP DataXMP":
                # Behind the packet are 258 bytes that lead any reader of blocks to its end.
                found.xmp = re.split(rb"\x01\xff\xfe\xfd", data)[0].rstrip(b"\x01")

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        for name, data in _gif_extensions(file) if file is not None else ():
            if name == b"ICCRGBG1012" and data:
                return Stated(data)
        return Stated(own)


class Tga(Codec):
    """TGA 2.0, whose extension area has texts and a gamma."""

    name = "TGA"

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        if file is None:
            super().texts(image, file, found)
            return
        area = _tga_area(file)
        if area is None:
            return
        for keyword, start, size in (("Author", 2, 41), ("Job", 379, 41), ("Software", 426, 41)):
            found.add(keyword, _latin(area[start : start + size]))
        lines = [_latin(area[43 + 81 * n : 124 + 81 * n]) for n in range(4)]
        found.add("Comment", "\n".join(lines).strip())

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        if file is None:
            return Stated(own)
        area = _tga_area(file)
        if area is None:
            return Stated()
        above, below = struct.unpack_from("<2H", area, 478)
        if not above or not below or above == below:  # below 0: not used; 1: no correction
            return Stated()
        try:
            curve = spaces.gamma_curve(above / below)
        except ValueError:
            return Stated(notes=("its gamma makes no sense: dropped",))
        return made(spaces.srgb_with(f"gamma {above / below:.4g}", (curve,) * 3), "its gamma")


class Qoi(Codec):
    """QOI, which says whether its colours are linear."""

    name = "QOI"

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        if file is None:
            return Stated(own)
        with kept_position(file):
            file.seek(13)
            linear = file.read(1) == b"\1"
        return made(spaces.LINEAR_SRGB, "its colours") if linear else Stated()


class Pnm(Codec):
    """PPM, PGM and PBM."""

    name = "PPM"

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        return bits_in_header(file, _pnm_bits)

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        """All that is not text; what has another white than 255 is not left to Pillow."""
        tiles = tiles_of(image)
        if len(tiles) != 1 or tiles[0].codec_name != "ppm" or image.mode not in ("L", "RGB", "I"):
            return super().rows(image, file)
        white = tiles[0].args[-1]

        def begin() -> Iterator[Samples]:
            return _pnm_rows(file, tiles[0].offset, image, white)

        return Rows(begin, lambda: image, exact=True)


class Sgi(Codec):
    """SGI."""

    name = "SGI"

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        return bits_in_header(file, lambda header: 8 * header[3])


class Pcx(Codec):
    """PCX."""

    name = "PCX"


BMP, GIF, PNM, QOI, SGI, TGA, PCX = Bmp(), Gif(), Pnm(), Qoi(), Sgi(), Tga(), Pcx()


def _pnm_rows(file: BinaryIO, place: int, image: Image.Image, white: int) -> Iterator[Samples]:
    """Numbers from 0 to `white` as samples; larger ones count as white."""
    dtype, full = (np.dtype(">u2"), 65535) if white > 255 else (np.dtype(np.uint8), 255)
    levels = np.minimum(np.arange(full + 1, dtype=np.uint64), white)
    table = ((levels * full + white // 2) // white).astype(dtype.newbyteorder("="))
    channels = 3 if image.mode == "RGB" else 1
    row = image.width * channels
    step = band_rows(image.width, white.bit_length())
    for top in range(0, image.height, step):
        count = min(step, image.height - top)
        file.seek(place + top * row * dtype.itemsize)
        data = file.read(count * row * dtype.itemsize)
        if len(data) < count * row * dtype.itemsize:
            raise EOFError("the rows end too early")
        colours = table[np.frombuffer(data, dtype)].reshape(count, image.width, channels)
        bits = white.bit_length()
        yield Samples("RGB" if channels == 3 else "GRAY", colours, None, bits)


def _pnm_bits(header: bytes) -> int:
    if header[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 1 if header[:2] in (b"P1", b"P4") else 8
    position = 2
    values = []
    for _ in range(3):  # width, height, the value of white
        match = _PNM_NUMBER.match(header, position)
        if match is None:
            return 8
        values.append(int(match[1]))
        position = match.end()
    return values[2].bit_length()


def _bmp_colour(file: BinaryIO, own: bytes | None) -> Stated:
    """The colour space in the headers of version 4 and 5 (BITMAPV4HEADER, BITMAPV5HEADER)."""
    with kept_position(file):
        file.seek(14)
        header = file.read(124)
        (size,) = struct.unpack_from("<L", header)
        if size not in (108, 124):
            return Stated(own)
        kind = header[56:60][::-1]
        if kind == b"sRGB":
            return Stated(icc.srgb_profile())
        if kind == b"MBED" and size == 124:
            place, length = struct.unpack_from("<2L", header, 112)
            file.seek(14 + place)
            data = file.read(min(length, MAX_PART_BYTES))
            return (
                Stated(data)
                if len(data) == length and data
                else Stated(notes=("its ICC profile is damaged and was dropped",))
            )
        if kind == b"LINK":
            return Stated(notes=("its colour profile is in another file: not read",))
    if kind != b"\0\0\0\0":
        return Stated()
    values = np.array(struct.unpack_from("<9l", header, 60)).reshape(3, 3) / 2**30
    gammas = [value / 65536 for value in struct.unpack_from("<3L", header, 96)]
    if not values.any():  # the usual way to say nothing
        return Stated()
    return made(_calibrated(values, gammas), "its endpoints and gamma")


def _calibrated(endpoints: Any, gammas: Sequence[float]) -> ColourSpace | None:
    """Of endpoints, a row for each primary: chromaticities, or XYZ that add up to white."""
    sums = endpoints.sum(axis=1)
    options: dict[str, Any] = {}
    if (np.abs(sums) > 1e-6).all():
        options["primaries"] = list(zip(*(endpoints[:, :2].T / sums).tolist(), strict=True))
        if np.abs(sums - 1).max() > 0.01:
            light = endpoints.sum(axis=0)
            options["white"] = tuple(light[:2] / light.sum())
    else:
        options["primaries"] = [(0.0, 0.0)] * 3  # which makes no sense
    try:
        if all(gammas):
            options["curves"] = tuple(spaces.gamma_curve(gamma) for gamma in gammas)
    except ValueError:
        options["primaries"] = [(0.0, 0.0)] * 3
    return spaces.srgb_with("calibrated RGB", **options)


def _gif_extensions(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Name and content of a GIF's extensions: b"comment", or the 11 letters of an application.

    The name "XMP DataXMP" comes with its packet as it is, which is not cut into blocks.
    """
    found: list[tuple[bytes, bytes]] = []
    with kept_position(file):
        file.seek(0)
        header = file.read(13)
        if len(header) < 13:
            return found
        if header[10] & 0x80:
            file.seek(3 << ((header[10] & 7) + 1), 1)
        for _ in range(MAX_PARTS):
            kind = file.read(1)
            if kind == b"!":
                label = file.read(1)
                name = _block(file) if label == b"\xff" else b""
                data = _blocks(file, raw=name == b"XMP DataXMP")
                if label == b"\xfe":
                    found.append((b"comment", data))
                elif label == b"\xff" and name:
                    found.append((name, data))
            elif kind == b",":
                place = file.read(9)
                if len(place) == 9 and place[8] & 0x80:
                    file.seek(3 << ((place[8] & 7) + 1), 1)
                file.seek(1, 1)
                _blocks(file, raw=False)
            else:
                break
    return found


def _block(file: BinaryIO) -> bytes:
    size = file.read(1)
    return file.read(size[0]) if size else b""


def _blocks(file: BinaryIO, raw: bool) -> bytes:
    """The content of blocks up to the empty one; `raw` keeps the bytes that say their lengths."""
    parts, size = [], 0
    while block := _block(file):
        size += len(block)
        if size <= MAX_PART_BYTES:
            parts.append(bytes([len(block)]) + block if raw else block)
    return b"".join(parts)


def _tga_area(file: BinaryIO) -> bytes | None:
    """The extension area; None where there is none."""
    with kept_position(file):
        end = file.seek(0, 2)
        file.seek(max(0, end - 26))
        footer = file.read(26)
        if footer[8:24] != b"TRUEVISION-XFILE":
            return None
        (place,) = struct.unpack_from("<L", footer)
        if not place:
            return None
        file.seek(place)
        return file.read(495)


def _latin(data: bytes) -> str:
    return data.split(b"\0")[0].decode("latin-1")
