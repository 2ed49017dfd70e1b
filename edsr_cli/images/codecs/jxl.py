"""JPEG XL, where OpenImageIO and brotli are installed (`edsr-cli[jxl]`).

OpenImageIO decodes and encodes: 8 and 16 bits, greyscale, alpha, profiles. It decodes a picture
when it opens it; so the header is read here, and Pillow made to open a picture by that. Metadata
are boxes (ISO/IEC 18181-2), which are read and written here, too.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from edsr_cli.errors import PictureError
from edsr_cli.images.codecs import Codec, Rows, oiio
from edsr_cli.images.codecs.boxes import MAX_PART_BYTES, Box, boxes
from edsr_cli.images.codecs.jxl_header import (
    ALPHA,
    CONTAINER,
    SIGNATURE,
    codestream,
    read_header,
)
from edsr_cli.images.colour import Samples
from edsr_cli.images.colour.spaces import Stated, stated_points
from edsr_cli.images.metadata import C2PA, Found
from edsr_cli.images.outputs import JXL
from edsr_cli.images.picture import Metadata, OutputRequest
from edsr_cli.pixels.alpha import divide_by_alpha, opaque
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import to_8_bits

# Of the packages with wheels none gives frames with their durations: OpenImageIO 3.2.2 has the last
# frame, imagecodecs 2026.3.6 all without durations, pillow-jxl-plugin 1.3.8, pylibjxl 0.5 and
# pyjpegxl 0.3 one, and the libvips of pyvips-binary 8.18.7 no JPEG XL.

# Set5's butterfly enlarged x4, on the test machine, CPU time: without loss, effort 2 takes 0.14 s a
# megapixel, effort 3 three times that for files 13 % smaller (and larger ones of 16 bits), effort 7
# eighteen times for 23 %. With loss, effort 3 takes 0.09 s, effort 5 six times that for 18 %.
LOSSLESS_EFFORT, LOSSY_EFFORT = 2, 3
"""Efforts of libjxl, 1 to 9, without and with loss."""

_CLIPPED = "its ICC profile was not applied by the decoder: colours outside of sRGB are lost"
_DARK = "its decoder gives 8 bits of linear light, in which dark levels are lost"
_LINEAR = 8  # H.273's number of the transfer characteristics
_LOSSLESS = 100  # the quality that stands for it
_SRGB_POINTS = ((1, 13), (0, 13))  # of RGB, and of greyscale, which has no primaries
_RGB_POINTS = (1, 13, 0, 1)
_HDR_PRIMARIES = (1, 9, 11, 12)  # of H.273, that JPEG XL has by number
_METADATA = (b"Exif", b"xml ", b"jumb")
_FILE_TYPE = b"jxl \0\0\0\0jxl "
_EXIF_OFFSET = 4  # bytes in front of EXIF data that say where in them they begin


class JxlImage(ImageFile.ImageFile):
    """A JPEG XL as Pillow opens it: upright, its pixels in the file until it is loaded."""

    # Not "JXL", as pillow-jxl-plugin calls it, which decodes a picture to learn how large it is.
    format = "JPEGXL"
    format_description = "JPEG XL"

    def _open(self) -> None:
        file = cast(BinaryIO, self.fp)
        try:
            self.header = read_header(file)
        except ValueError as error:
            raise SyntaxError(str(error)) from error
        self._size = self.header.upright_size
        self._mode = ("L" if self.header.grey else "RGB") + ("A" if self.header.extra else "")
        self.tile = [ImageFile._Tile("jxl", (0, 0, *self.size), 0)]
        for name, data in _metadata_boxes(file):
            if name == b"Exif" and data:
                begin = _EXIF_OFFSET + int.from_bytes(data[:_EXIF_OFFSET], "big")
                self.info.setdefault("exif", data[begin:])
            elif name == b"xml " and data:
                self.info.setdefault("xmp", data)

    @property
    def n_frames(self) -> int:
        """One, since others are not decoded; it raises what `_check` raises."""
        _check(self)
        return 1

    def load(self) -> Any:
        """Decode the picture, to 8 bits a channel."""
        if self.tile:
            samples = decoded(self, cast(BinaryIO, self.fp))
            alpha = [] if samples.alpha is None else [samples.alpha]
            shown = to_8_bits(np.dstack([samples.colours, *alpha]))
            image = Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown)
            self.im, self.tile = image.im, []
        return super().load()


class Jxl(Codec):
    """See the module."""

    name = JxlImage.format
    pixel_bytes = 11

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        return image.header.bits if isinstance(image, JxlImage) else 8

    def orientation(self, image: Image.Image, file: BinaryIO | None = None) -> int:
        """Decoders turn it, and pay no heed to what its EXIF data say."""
        return 1

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        """Name what is not kept."""
        if file is None:
            super().texts(image, file, found)
            return
        parts = list(_metadata_boxes(file))
        if any(data is None for _, data in parts):
            found.notes.append("a part of its metadata is damaged and was dropped")
        for name, data in parts:
            if name == b"jumb":
                found.leave(C2PA if b"c2pa" in (data or b"")[:200] else "a JUMBF box")
        if any(box.name == b"jhgm" for box in boxes(file)):
            found.leave("a gain map (HDR)")

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        points = image.info.get("cicp")
        if points and tuple(points[:2]) in _SRGB_POINTS:
            return Stated(explicit=True)
        stated = stated_points(points, None, "colour encoding") if points else Stated()
        if stated.hdr:
            return stated
        return Stated(own, notes=tuple(_losses(image)), explicit=True)

    def collect(
        self,
        image: Image.Image,
        orientation: int = 1,
        file: BinaryIO | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Metadata, list[str]]:
        """Of a picture that was turned, metadata still speak of it as it is stored."""
        if isinstance(image, JxlImage):
            header = image.header
            orientation, size = header.orientation, (header.width, header.height)
        return super().collect(image, orientation, file, size)

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        """All rows at once, with all bits."""
        if not isinstance(image, JxlImage):
            return None
        _check(image)
        ready: list[Samples] = []

        def about() -> Image.Image:
            ready.append(decoded(image, file))  # which finds its colours, too
            return image

        def begin() -> Iterator[Samples]:
            yield ready.pop() if ready else decoded(image, file)

        return Rows(begin, about, exact=True, at_once=True)

    def encode(self, pixels: Pixels, file: BinaryIO, request: OutputRequest) -> tuple[str, ...]:
        metadata, points = request.metadata, request.metadata.hdr
        notes: tuple[str, ...] = ()
        if points and points[0] not in _HDR_PRIMARIES:
            notes = (f"JXL cannot state its HDR colours ({points[0]}/{points[1]}): dropped",)
        written = _encoded(pixels, request)
        parts = [(b"JXL ", CONTAINER[8:]), (b"ftyp", _FILE_TYPE)]
        parts += [(box.name, box.read(written)) for box in boxes(written) if box.name == b"jxll"]
        if metadata.exif:
            parts.append((b"Exif", bytes(_EXIF_OFFSET) + metadata.exif))
        if metadata.xmp:
            parts.append((b"xml ", metadata.xmp))
        for name, data in (*parts, (b"jxlc", codestream(written))):
            file.write(_box_header(name, len(data)))
            file.write(data)
        return notes


CODEC = Jxl()

Image.register_open(
    JxlImage.format, JxlImage, lambda start: start.startswith((SIGNATURE, CONTAINER))
)


def decoded(image: JxlImage, file: BinaryIO) -> Samples:
    """The pixels of a picture, which puts what they mean into its `info`.

    Raises:
        EOFError: the file is cut short.
        OSError, ValueError: it is damaged.
        PictureError: there is no room to decode it, or nothing to decode it with.
    """
    _check(image)
    header = image.header
    # Of the file, only what the header was read from: nothing else in it can be another picture.
    pixels, spec = oiio.read(codestream(file), JXL.suffixes[0])
    colours = 1 if header.grey else 3
    width, height = header.upright_size
    if pixels.shape != (height, width, colours + len(header.extra)):
        raise ValueError("the picture is not what its header says")
    profile, points = spec.getattribute("ICCProfile"), spec.getattribute("CICP")
    image.info |= {"icc_profile": None if profile is None else profile.tobytes(), "cicp": points}
    values, alpha = pixels[..., :colours], pixels[..., colours] if header.extra else None
    if alpha is not None and header.associated and not opaque(alpha):
        values = values.copy()
        divide_by_alpha(values, alpha)
    return Samples("GRAY" if header.grey else "RGB", values, alpha, header.bits)


def _losses(image: Image.Image) -> Iterator[str]:
    """Remarks where the decoder gave linear light for colours that were stored otherwise.

    It does for what is compressed with loss: for a profile that cannot be said in numbers, and for
    greyscale with any of its own.
    """
    header, points = getattr(image, "header", None), image.info.get("cicp")
    if not header or not points or not header.lossy or points[1] != _LINEAR:
        return
    if header.profile and not header.grey:
        yield _CLIPPED
    if (header.profile or header.grey) and header.bits <= 8:
        yield _DARK


def _check(image: JxlImage) -> None:
    """Refuse what OpenImageIO does not give as it is.

    Raises:
        PictureError: it does not.
    """
    header, hint = image.header, "Convert it to PNG first, as djxl does."
    if header.animated:
        raise PictureError(
            "it is an animated JPEG XL, of which the decoder gives the last frame only.",
            "Convert it to an animated PNG first, as djxl does (djxl FILE.jxl FILE.apng).",
        )
    if header.floating or header.bits > 16:
        numbers = "floating-point numbers" if header.floating else f"numbers of {header.bits} bits"
        raise PictureError(f"its pixels are {numbers}, which cannot be read.", hint)
    if header.extra not in ((), (ALPHA,)):
        raise PictureError("it has channels beside colours and alpha, which cannot be read.", hint)


def _encoded(pixels: Pixels, request: OutputRequest) -> BinaryIO:
    """A picture in boxes, without metadata.

    Raises:
        PictureError: there is no room to encode it, or nothing to encode it with.
        ValueError: it cannot be encoded.
    """
    metadata, quality = request.metadata, request.options.quality or _LOSSLESS
    attributes: dict[str, Any] = {
        "Compression": f"jpegxl:{quality}",
        "jpegxl:effort": LOSSLESS_EFFORT if quality == _LOSSLESS else LOSSY_EFFORT,
        "jpegxl:exif_box": 0,
        "jpegxl:xmp_box": 0,
    }
    if metadata.icc_profile:
        profile = np.frombuffer(metadata.icc_profile, np.uint8)
        attributes["ICCProfile"] = (f"uint8[{len(profile)}]", profile)
    elif not request.grey:
        attributes["CICP"] = ("int[4]", np.array(metadata.hdr or _RGB_POINTS, np.int32))
    values: NDArray[Any] = pixels
    if request.alpha is not None:
        values = np.dstack((values, request.alpha[:]))
    return io.BytesIO(oiio.write(values, JXL.suffixes[0], attributes))


def _metadata_boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes | None]]:
    """Name and content of the first box of each kind of metadata, unpacked.

    The content is None where it is damaged, or longer than metadata that make sense.
    """
    seen = set()
    for box in boxes(file):
        packed = box.name == b"brob"  # then its kind stands in front
        name, begin = box.name, box.start
        if packed:
            begin = min(box.start + 4, box.end)
            name = Box(b"", box.start, begin).read(file)
        if name not in _METADATA or name in seen:
            continue
        seen.add(name)  # others, however much they unpack to, are looked at by nobody
        if box.end - begin > MAX_PART_BYTES:
            yield name, None
            continue
        data = Box(name, begin, box.end).read(file)
        yield name, _unpacked(data) if packed else data


def _unpacked(data: bytes) -> bytes | None:
    """What was compressed with brotli; None where it is damaged or too long."""
    import brotli  # type: ignore[import-not-found,import-untyped,unused-ignore]

    unpacker = brotli.Decompressor()
    try:
        content: bytes = unpacker.process(data, output_buffer_limit=MAX_PART_BYTES)
    except brotli.error:
        return None
    return content if unpacker.is_finished() else None


def _box_header(name: bytes, size: int) -> bytes:
    """What stands in front of the content of a box of so many bytes."""
    if size + 8 < 2**32:
        return struct.pack(">L4s", size + 8, name)
    return struct.pack(">L4sQ", 1, name, size + 16)
