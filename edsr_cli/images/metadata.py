"""What a file says about its picture: collected from Pillow, made true of an upright picture."""

import math
import re
import struct
from typing import Any, BinaryIO

from PIL import Image

from edsr_cli.images import exif as exif_data
from edsr_cli.images.picture import Metadata
from edsr_cli.images.stated_colour import stated_colour

# The tags of a TIFF file that describe the picture rather than how it is stored: description, make,
# model, software, date, artist, computer, rating, copyright, and what Windows Explorer adds.
DESCRIPTIVE_TAGS = frozenset(
    (270, 271, 272, 305, 306, 315, 316, 0x4746, 0x4749, 33432, *range(0x9C9B, 0x9CA0))
)

_MAX_DPI = 65535.0  # JPEG has 16 bits for it


def stored_orientation(image: Image.Image, file: BinaryIO | None = None) -> int:
    """The EXIF orientation of a picture as stored, 1 to 8.

    An orientation that only the XMP states does not count: viewers pay no heed to it.

    Args:
        image: the image, opened but not loaded (Pillow forgets that of a TIFF when it loads it).
        file: the file of the image, if there is one; its position is kept.
    """
    if image.format == "TIFF":
        value = getattr(image, "tag_v2", {}).get(exif_data.ORIENTATION, 1)
        return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1
    data = _stored_exif(image)
    if data is None and image.format == "PNG" and file is not None:
        data = _late_png_exif(file)
    return exif_data.orientation(exif_data.strip_prefix(data)) if data else 1


def collect(
    image: Image.Image, orientation: int = 1, file: BinaryIO | None = None
) -> tuple[Metadata, list[str]]:
    """The metadata of a loaded image, and remarks on what had to be dropped.

    The ICC profile is as stated: whether it fits the pixels is for `colour` to decide.

    Args:
        image: the image, loaded.
        orientation: the EXIF orientation of the picture as stored, 1 to 8. The metadata become
            those of the upright picture.
        file: the file of the image, if there is one; its position is kept.

    Raises:
        PictureError: it states colours that Pillow reads wrongly.
    """
    notes: list[str] = []
    exif = stored = None
    try:
        stored = _tiff_exif(image) if image.format == "TIFF" else _stored_exif(image)
        if stored:
            stored = exif_data.strip_prefix(stored)
            exif = exif_data.clean(stored)
            if exif:  # what Pillow cannot read, it cannot write either
                Image.Exif().load(exif)
    except Exception:  # Pillow meets damaged EXIF data with all kinds
        exif = None
        notes.append("its EXIF data is damaged and was dropped")
    xmp = _stored_xmp(image)
    if xmp and orientation != 1:
        xmp = _set_xmp(xmp, "tiff:Orientation", 1)
    stated = stated_colour(image, file, stored if exif is not None else None)
    notes += stated.notes
    metadata = Metadata(stated.profile, exif, xmp, _stored_dpi(image), hdr=stated.hdr)
    return metadata, notes


def xmp_with_size(xmp: bytes, width: int, height: int) -> bytes:
    """Set every width and height that an XMP packet states, in pixels; none are added."""
    for prefix, names in (("tiff", ("ImageWidth", "ImageLength")),
                          ("exif", ("PixelXDimension", "PixelYDimension"))):  # fmt: skip
        for name, value in zip(names, (width, height), strict=True):
            xmp = _set_xmp(xmp, f"{prefix}:{name}", value)
    return xmp


def _set_xmp(xmp: bytes, name: str, value: int) -> bytes:
    """Set a number, written as an attribute or as an element, wherever the packet has it."""
    pattern = rf"""({name}\s*=\s*["']|<{name}>\s*)[0-9]+""".encode()
    return re.sub(pattern, lambda match: match[1] + str(value).encode(), xmp)


def _stored_exif(image: Image.Image) -> bytes | None:
    data = image.info.get("exif")
    if isinstance(data, bytes):
        return data
    # ImageMagick used to write EXIF data into PNG as text: a line with the name, one with the
    # number of bytes, then hexadecimal digits.
    text = image.info.get("Raw profile type exif")
    if isinstance(text, str):
        try:
            return bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            return b"?"  # there is something, but it is damaged
    return None


def _tiff_exif(image: Image.Image) -> bytes | None:
    """EXIF data made of the tags of a TIFF file, which are its EXIF data and more."""
    source = image.getexif()
    exif = Image.Exif()
    exif.endian = source.endian
    for tag in DESCRIPTIVE_TAGS:
        if tag in source:
            exif[tag] = source[tag]
    found = len(exif) > 0
    for group in (exif_data.EXIF_IFD, exif_data.GPS_IFD):
        values = dict(source.get_ifd(group))
        values.pop(exif_data.INTEROP_IFD, None)  # an offset into the old file
        if values:
            exif.get_ifd(group).update(values)
            found = True
    return exif.tobytes() if found else None


def _late_png_exif(file: BinaryIO) -> bytes | None:
    """The eXIf chunk of a PNG, also where it follows the pixels and Pillow has not seen it yet."""
    position = file.tell()
    try:
        file.seek(8)
        while len(header := file.read(8)) == 8:
            length, name = struct.unpack(">L4s", header)
            if name == b"eXIf":
                return file.read(length)
            if name == b"IEND":
                return None
            file.seek(length + 4, 1)
        return None
    finally:
        file.seek(position)


def _stored_xmp(image: Image.Image) -> bytes | None:
    for key in ("xmp", "XML:com.adobe.xmp"):
        value: Any = image.info.get(key)
        if isinstance(value, str):
            value = value.encode("utf-8", "replace")
        if isinstance(value, bytes) and (value := value.strip(b"\0 ")):
            return bytes(value)
    return None


def _stored_dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in image.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # A TIFF without a resolution, or with a ratio only, comes as 1 x 1.
    if all(math.isfinite(value) and 1 < value <= _MAX_DPI for value in (x, y)):
        return x, y
    return None
