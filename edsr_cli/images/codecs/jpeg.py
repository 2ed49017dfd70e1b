"""JPEG, also several pictures in a file (MPO).

What Pillow does not tell: comments, IPTC, extended XMP and profiles from the markers; how much was
lost; and whether the file is damaged inside, which its decoders make the best of without a word.

libjpeg goes on with what is left when the data of a picture makes no sense: colours shift, or the
rest is grey. It warns, but Pillow does not pass that on, so the data is read once more, at an
eighth of its size, by a library that does.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from msgspec.structs import replace
from PIL import (
    Image,
    JpegImagePlugin,  # noqa: F401 - importing a plugin registers its format
)

from edsr_cli.images.bands import band_rows
from edsr_cli.images.codecs import Codec, Encoder, Rows, jpeg_rows, vips
from edsr_cli.images.codecs.boxes import MAX_PART_BYTES
from edsr_cli.images.codecs.jpeg_tables import table_quality
from edsr_cli.images.codecs.jpeg_writing import JpegEncoder
from edsr_cli.images.colour.spaces import Stated
from edsr_cli.images.metadata import C2PA, Found, iptc, usable_dpi, xmp_extension
from edsr_cli.images.outputs import JPEG_XMP_BYTES
from edsr_cli.images.picture import Compression, Metadata, OutputRequest
from edsr_cli.images.source import kept_position
from edsr_cli.pixels.arrays import Pixels

JPEG_QUALITY = 95
"""Quality for JPEG, without chroma subsampling: higher values grow the file for no visible gain."""

_EXTENSION_BYTES = 65400  # of extended XMP in one marker of a JPEG
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _CENTIMETRE = 0x11A, 0x11B, 0x128, 3

# What other modules look after, and what is about how the old file stores pixels.
_KNOWN: dict[str, tuple[bytes, ...]] = {
    "APP0": (b"JFIF\0", b"JFXX\0"),
    "APP1": (b"Exif\0", _XMP, _EXTENDED_XMP),
    "APP2": (b"ICC_PROFILE\0", b"MPF\0"),
    "APP13": (b"Photoshop 3.0\0", b"Adobe_CM\0"),
    "APP14": (b"Adobe",),
}

_DAMAGE = "Corrupt JPEG data"  # how libjpeg's warnings begin that are about the data
_PROFILE = "ICC marker"  # damage of the profile, which is told elsewhere
_LEFT_AT_END = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_SCAN, _END = 0xDA, 0xD9
_END_MARKER = b"\xff\xd9"
_WITHOUT_LENGTH = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))
_BEHIND_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # within a scan's, 0xFF is followed by these


class Jpeg(Codec):
    """See the module."""

    name = "JPEG"

    def mended(self, file: BinaryIO, pixels: int) -> BinaryIO | None:
        with kept_position(file):
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - 2))
            if file.read() == _END_MARKER or size > _most_bytes(pixels):
                return None
            file.seek(0)
            data = file.read()
        if _end_of_picture(data) < len(data):
            return None
        whole = data + _END_MARKER
        return None if _first_warning(whole) else io.BytesIO(whole)

    def decoder_bytes(self, image: Image.Image, bits: int) -> int:
        """Pillow's pixels; of a progressive picture also 16 bits for each coefficient."""
        needed = super().decoder_bytes(image, bits)
        if "progressive" not in image.info:
            return needed
        layers: Any = image.layer  # type: ignore[attr-defined]  # (id, horizontal, vertical, table)
        largest = max(layer[1] * layer[2] for layer in layers)
        samples = sum(layer[1] * layer[2] for layer in layers) * image.width * image.height
        return needed + 2 * -(-samples // largest)

    def dpi(self, image: Image.Image) -> tuple[float, float] | None:
        # Pillow makes up 72 where a JPEG with EXIF data does not say.
        if image.info.get("jfif_unit") not in (1, 2):
            return _exif_dpi(image)
        by = 2.54 if image.info["jfif_unit"] == 2 else 1.0
        return usable_dpi(tuple(value * by for value in image.info.get("jfif_density", ())))

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        _find_texts(image, found)
        if file is not None and image.format == "JPEG" and _has_trailer(file):
            found.leave("data behind the picture")

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        return Stated(own) if own is not None else _pieced_profile(image)

    def compression(self, image: Image.Image, file: BinaryIO | None) -> Compression | None:
        layers: Any = image.layer  # type: ignore[attr-defined]  # (id, horizontal, vertical, table)
        table = image.quantization[layers[0][3]]  # type: ignore[attr-defined]
        subsampled = len(layers) >= 3 and any(
            layers[0][axis] > layer[axis] for layer in layers[1:3] for axis in (1, 2)
        )
        return Compression("JPEG", table_quality(table), subsampled)

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        """By restart markers, if those are close, or else by libvips; see `jpeg_rows` and `vips`.

        Of a progressive picture libjpeg keeps more in memory than all its pixels take.
        """
        if image.mode not in ("L", "RGB", "CMYK") or "progressive" in image.info:
            return None
        step = band_rows(image.width, 8)
        cut = jpeg_rows.read_intervals(file)
        whole = self.pixel_bytes * image.width * image.height
        if cut is not None and (cut.width, cut.height) == image.size and cut.bytes < whole:
            taken = 0 if cut.unit <= step else cut.bytes
            return Rows(lambda: jpeg_rows.decode_rows(file, cut, step), lambda: image, bytes=taken)
        if vips.library() is None:
            return None

        def begin() -> Iterator[Image.Image]:
            for band in vips.decode_rows(file, step):
                yield Image.fromarray(band[..., 0] if band.shape[2] == 1 else band, image.mode)

        return Rows(begin, lambda: image)

    def is_damaged(self, file: BinaryIO, pixels: int) -> bool:
        """Whether the data of the first picture in the file is damaged.

        Damage after which the data still makes sense as a picture of that size, if another one,
        cannot be seen: that is about a third of all.
        """
        cut = jpeg_rows.read_intervals(file)
        with kept_position(file):
            if cut is not None:  # one after the other, for the file may be large
                try:
                    parts = jpeg_rows.pieces(file, cut, band_rows(cut.width, 8))
                    return any(map(is_damaged_data, parts))
                except EOFError:  # which has an error of its own
                    return False
                except OSError:
                    return True
            file.seek(0)
            # What follows the picture, such as a film, may be long.
            return is_damaged_data(file.read(_most_bytes(pixels)))

    def create(self, file: BinaryIO, request: OutputRequest) -> Encoder:
        bare = replace(request, metadata=Metadata())

        def encode(pixels: Pixels, first: bool) -> bytes:
            content = io.BytesIO()
            self.save(pixels, content, request if first else bare)
            return content.getvalue()

        return JpegEncoder(file, request, encode)

    def pillow_options(self, request: OutputRequest) -> dict[str, Any]:
        return {
            "quality": request.options.quality or JPEG_QUALITY,
            "subsampling": request.options.subsampling,
            "extra": _markers(request.metadata),
            "comment": b"",
        }


CODEC = Jpeg()


def _most_bytes(pixels: int) -> int:
    """More than the file of any picture of so many pixels takes."""
    return 12 * pixels + 2**26


def is_damaged_data(data: bytes, tables: bytes = b"") -> bool:
    """Whether the data of the first picture in a JPEG stream is damaged; see `Jpeg.is_damaged`.

    Args:
        data: the stream.
        tables: a stream of nothing but tables that `data` relies on, as TIFF files have it.
    """
    if len(tables) > 4:  # one stream of both: without the end of the first, and the second's start
        data = tables[:-2] + data[2:]
    warning = _first_warning(data)
    left = _LEFT_AT_END.search(warning)
    if left:  # zeros only fill up
        body = data[: _end_of_picture(data)]
        return int(left[1]) > len(body) - len(body.rstrip(b"\0"))
    return warning.startswith(_DAMAGE) and _PROFILE not in warning


def _first_warning(data: bytes) -> str:
    """What libjpeg finds wrong with a picture first; nothing if all is well."""
    import simplejpeg  # type: ignore[import-untyped]  # here, because only a JPEG needs it

    try:
        space = simplejpeg.decode_jpeg_header(data)[2]
        # CMYK cannot become greyscale; all others can, which takes the least memory.
        space = "CMYK" if space in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, space, min_height=1, min_width=1, strict=True)
    except ValueError as error:
        return str(error)
    return ""


def _end_of_picture(data: bytes) -> int:
    """Where the end marker of the first picture is; the end of the data where there is none."""
    place = 2
    while 0 <= place < len(data) - 3:
        marker = data[place + 1]
        if data[place] != 0xFF:  # libjpeg skips what is between segments
            place = data.find(b"\xff", place)
        elif marker == _END:
            return place
        elif marker == 0xFF:
            place += 1
        elif marker in _WITHOUT_LENGTH:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            if marker == _SCAN:
                found = _BEHIND_DATA.search(data, place)
                place = found.start() if found else len(data)
    return len(data) - 2 if data.endswith(_END_MARKER) else len(data)


def _find_texts(image: Image.Image, found: Found) -> None:
    photoshop, left, markers = [], [], []
    pieces: dict[str, dict[int, bytes]] = {}
    for name, data in getattr(image, "applist", ()):
        if name == "COM":
            found.add_bytes("Comment", data)
        elif name == "APP13" and data.startswith(b"Photoshop 3.0\0"):
            photoshop.append(data[14:])
        elif name == "APP1" and data.startswith(_EXTENDED_XMP) and len(data) > 75:
            key = data[35:67].decode("ascii", "replace")
            (place,) = struct.unpack_from(">L", data, 71)
            pieces.setdefault(key, {})[place] = data[75:]
        elif name == "APP11" and b"jumb" in data[:40] and b"c2pa" in data[:200]:
            left.append(C2PA)
        elif name == "APP2" and data.startswith(b"urn:iso:std:iso:ts:21496:-1\0"):
            left.append("a gain map (HDR)")
        elif name.startswith("APP") and not data.startswith(_KNOWN.get(name, ())):
            letters = re.match(rb"[\x20-\x7e]{0,20}", data)
            markers.append(f"{name} {(letters[0] if letters else b'').decode()}".rstrip())
    for key, parts in pieces.items():
        whole = b"".join(part for place, part in sorted(parts.items()))
        if len(whole) <= MAX_PART_BYTES:
            found.extended_xmp[key.upper()] = whole
    if markers:
        left.append(f"its markers {', '.join(list(dict.fromkeys(markers))[:12])}")
    found.leave(*left)
    # A resource may go on in the next marker.
    found.add_photoshop(iptc.photoshop_resources(b"".join(photoshop)))


def _has_trailer(file: BinaryIO) -> bool:
    """Whether a JPEG does not end with its end marker, but for zeros: as videos are attached."""
    with kept_position(file):
        end = file.seek(0, 2)
        file.seek(max(0, end - 4096))
        tail = file.read(4096).rstrip(b"\0\r\n")
    return bool(tail) and not tail.endswith(b"\xff\xd9")


def _pieced_profile(image: Image.Image) -> Stated:
    """A profile whose pieces are not where or what Pillow expects."""
    pieces: dict[int, bytes] = {}
    count = 0
    for name, data in getattr(image, "applist", ()):
        if name == "APP2" and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
            pieces.setdefault(data[12], data[14:])
            count = max(count, data[13])
    if not pieces:
        return Stated()
    profile = b"".join(data for _, data in sorted(pieces.items()))
    # The numbers of the pieces are wrong in some files; the profile says how long it is.
    if len(profile) >= 128 and struct.unpack_from(">L", profile)[0] == len(profile):
        return Stated(profile)
    return Stated(notes=("its ICC profile is incomplete and was dropped",))


def _exif_dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution that the EXIF data of a JPEG states."""
    try:
        exif = image.getexif()
    except Exception:  # Pillow meets damaged EXIF data with all kinds
        return None
    by = 2.54 if exif.get(_RESOLUTION_UNIT) == _CENTIMETRE else 1.0
    values = exif.get(_X_RESOLUTION), exif.get(_Y_RESOLUTION)
    try:
        return usable_dpi(tuple(float(value) * by for value in values))  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _markers(metadata: Metadata) -> bytes:
    """The markers for XMP, IPTC and comments."""
    markers = []
    if metadata.xmp:
        main, extension = metadata.xmp, b""
        if len(main) > JPEG_XMP_BYTES:
            main, extension = xmp_extension.split(main, JPEG_XMP_BYTES) or (main, b"")
        markers.append((0xE1, _XMP + main))
        name = xmp_extension.digest(extension).encode()
        for start in range(0, len(extension), _EXTENSION_BYTES):
            head = _EXTENDED_XMP + name
            head += struct.pack(">2L", len(extension), start)
            markers.append((0xE1, head + extension[start : start + _EXTENSION_BYTES]))
    if metadata.iptc:
        markers.append((0xED, b"Photoshop 3.0\0" + iptc.resources(metadata.iptc)))
    markers += [(0xFE, text.value.encode("utf-8", "replace")) for text in metadata.texts]
    return b"".join(struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in markers)
