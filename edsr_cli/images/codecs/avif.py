"""AVIF (ISO/IEC 23008-12, AV1-ISOBMFF).

What Pillow does not tell: the depth, colours stated by numbers, greyscale, how much was lost.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from msgspec.structs import replace
from PIL import (
    AvifImagePlugin,  # noqa: F401 - importing a plugin registers its format
    Image,
)

from edsr_cli.images.codecs import Codec, Rows, beginning, bits_in_header, vips
from edsr_cli.images.codecs.av1 import base_q_index
from edsr_cli.images.codecs.boxes import Box, boxes, find_boxes
from edsr_cli.images.colour import Samples
from edsr_cli.images.colour.spaces import CodePoints, Stated, stated_points
from edsr_cli.images.metadata import C2PA, MASTERING, Found
from edsr_cli.images.picture import Compression, OutputRequest
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import full_range

# Speed 8 takes 0.04 to 0.09 s a megapixel, speed 6 five times that for files 10 % smaller.
AVIF_QUALITY, AVIF_SPEED = 90, 8
"""Quality (0 to 100) and speed (0 to 10) for AVIF, without chroma subsampling."""

_UUID_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


class Avif(Codec):
    """See the module."""

    name = "AVIF"
    pixel_bytes = 8

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        return bits_in_header(file, _avif_bits)

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        """Name what is not kept; Pillow finds all else."""
        if file is None:
            super().texts(image, file, found)
            return
        for box in boxes(file):
            kind = Box(b"", box.start, box.start + 16)
            if box.name == b"uuid" and kind.read(file) == _UUID_C2PA:
                found.leave(C2PA)
        properties = find_boxes(file, b"meta", b"iprp", b"ipco", skip=4)
        inside = {part.name for box in properties[:1] for part in boxes(file, box)}
        if inside & {b"mdcv", b"clli"}:
            found.leave(MASTERING)
        for box in find_boxes(file, b"meta", b"iinf", skip=4):
            # That is the type of an item which is made of picture and gain map.
            if b"tmap" in box.read(file):
                found.leave("a gain map (HDR)")

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        if own is not None or file is None:  # a profile overrides nclx
            return Stated(own)
        points = code_points(file)
        return replace(stated_points(points, None, "nclx"), explicit=True) if points else Stated()

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        """Of more than 8 bits libvips gives all; of what is turned only Pillow tells how.

        Greyscale is that, also where Pillow gives three channels for it.
        """
        bits = self.bits(image, file)
        if bits == 8 and image.mode in ("RGB", "RGBA") and _is_monochrome(file):
            return Rows(lambda: iter([_grey_samples(image)]), lambda: image, True, at_once=True)
        turned = self.orientation(image, file) != 1
        if bits == 8 or turned or image.mode not in ("RGB", "RGBA") or vips.library() is None:
            return None

        def begin() -> Iterator[Samples]:
            for band in vips.decode_rows(file, image.height):  # it has all of them anyway
                values = full_range(band >> (16 - bits), bits)
                alpha = values[..., 3] if values.shape[2] == 4 else None
                yield Samples("RGB", values[..., :3], alpha, bits)

        return Rows(begin, lambda: image, exact=True, at_once=True)

    def compression(self, image: Image.Image, file: BinaryIO | None) -> Compression | None:
        index = base_q_index(beginning(file)) if file is not None else None
        return Compression("AVIF", avif_quality(index)) if index else None  # 0 is lossless

    def pillow_options(self, request: OutputRequest) -> dict[str, Any]:
        xmp, options = request.metadata.xmp, request.options
        settings: dict[str, Any] = {"xmp": xmp} if xmp else {}
        quality = options.quality or AVIF_QUALITY
        subsampling = "4:0:0" if request.grey else options.subsampling
        settings |= {"quality": quality, "speed": AVIF_SPEED, "subsampling": subsampling}
        if request.alpha is not None:  # lossy, it would be neither opaque nor transparent anywhere
            settings |= {"codec": "aom", "advanced": {"alpha:lossless": "1"}}
        return settings

    def encode(self, pixels: Pixels, file: BinaryIO, request: OutputRequest) -> tuple[str, ...]:
        points = request.metadata.hdr
        if not points:
            return super().encode(pixels, file, request)
        content = io.BytesIO()
        self.save(pixels, content, request)
        file.write(_with_code_points(content.getvalue(), points))
        return ()


CODEC = Avif()


def _avif_bits(header: bytes) -> int:
    start = header.find(b"av1C")
    if start < 0:
        return 8
    flags = header[start + 6]  # tier, high_bitdepth, twelve_bit, monochrome, ...
    if not flags & 0x40:
        return 8
    return 12 if flags & 0x20 else 10


def avif_quality(index: int) -> int:
    """What libavif calls the quality that leads to a base_q_idx, 0 to 255."""
    return min(100, max(1, round(100 * (1 - index / 255))))


def _is_monochrome(file: BinaryIO) -> bool:
    """Whether an AVIF says that its picture, not only its alpha, has one channel."""
    try:
        return any(box.read(file)[2] & 0x10 for box in _primary_boxes(file, b"av1C"))
    except (struct.error, IndexError):
        return False


def _grey_samples(image: Image.Image) -> Samples:
    """The first of three equal channels, and alpha."""
    image.load()
    values = np.asarray(image)
    return Samples("GRAY", values[..., :1], values[..., 3] if values.shape[2] == 4 else None, 8)


def code_points(file: BinaryIO) -> CodePoints | None:
    """What the primary item of an AVIF states, in an nclx box.

    May raise `struct.error` and `IndexError` where the file is damaged.
    """
    for box in _primary_boxes(file, b"colr"):
        data = box.read(file)
        if data[:4] == b"nclx" and len(data) >= 11:
            primaries, transfer, matrix, full = struct.unpack_from(">3HB", data, 4)
            return primaries, transfer, matrix, full >> 7
    return None


def _primary_boxes(file: BinaryIO, name: bytes) -> list[Box]:
    """The properties of some name of the primary item; of all items where it is not known."""
    properties = find_boxes(file, b"meta", b"iprp", b"ipco", skip=4)
    if not properties:
        return []
    wanted = _primary_properties(file)
    return [
        box
        for index, box in enumerate(boxes(file, properties[0]), 1)
        if box.name == name and (wanted is None or index in wanted)
    ]


def _primary_properties(file: BinaryIO) -> set[int] | None:
    """The numbers of the properties of the primary item; None where the file does not say."""
    items = find_boxes(file, b"meta", b"pitm", skip=4)
    maps = find_boxes(file, b"meta", b"iprp", b"ipma", skip=4)
    if not items or not maps:
        return None
    data = items[0].read(file)
    (item,) = struct.unpack_from(">H" if data[0] == 0 else ">L", data, 4)
    data = maps[0].read(file)
    version, wide = data[0], data[3] & 1
    (entries,) = struct.unpack_from(">L", data, 4)
    place = 8
    for _ in range(min(entries, len(data))):
        (number,) = struct.unpack_from(">H" if version == 0 else ">L", data, place)
        place += 2 if version == 0 else 4
        amount = data[place]
        layout, mask = (">H", 0x7FFF) if wide else (">B", 0x7F)
        size = struct.calcsize(layout)
        if number == item:
            found = struct.iter_unpack(layout, data[place + 1 : place + 1 + amount * size])
            return {value & mask for (value,) in found}
        place += 1 + amount * size
    return None


def _with_code_points(avif: bytes, points: tuple[int, int, int, int]) -> bytes:
    """An AVIF with other primaries and transfer characteristics, which Pillow cannot set."""
    place = avif.index(b"colrnclx") + 8
    return avif[:place] + struct.pack(">2H", *points[:2]) + avif[place + 4 :]
