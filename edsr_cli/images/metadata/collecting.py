"""What a file says about its picture: collected from Pillow, made true of an upright picture."""

import math
import struct
from typing import Any, BinaryIO

from PIL import Image

from edsr_cli.images.codecs.png import stated_colour
from edsr_cli.images.colour.stated import INTEROP_INDEX
from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.images.metadata import exif_writing, xmp
from edsr_cli.images.metadata import found as texts
from edsr_cli.images.metadata.xmp_truth import Turn, upright
from edsr_cli.images.picture import Metadata

# The tags of a TIFF file that describe the picture rather than how it is stored: programs, names of
# document and page, description, make, model, date, artist, computer, rating, copyright, print
# image matching, and what Windows Explorer adds.
DESCRIPTIVE_TAGS = frozenset(
    (
        11,
        269,
        270,
        271,
        272,
        285,
        305,
        306,
        315,
        316,
        0x4746,
        0x4749,
        33432,
        50341,
        *range(0x9C9B, 0x9CA0),
    )
)

_MAKER_NOTE = 0x927C
# Beginnings of maker notes whose offsets do not depend on where in the file they lie. All others
# would be garbage elsewhere.
_MOVABLE_MAKER_NOTES = (
    b"Apple iOS\0", b"FUJIFILM", b"Nikon\0\2", b"OLYMPUS\0", b"OM SYSTEM\0", b"PENTAX \0",
)  # fmt: skip
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _CENTIMETRE = 0x11A, 0x11B, 0x128, 3
_MAX_DPI = 65535.0  # JPEG has 16 bits for it
_MAX_EXIF_BYTES = 2**24  # JPEG holds 64 KB; a PNG may state 2 GB, which would be copied many times


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
    # The orientation is one of the first things that are said.
    return exif_data.orientation(exif_data.strip_prefix(data[:_MAX_EXIF_BYTES])) if data else 1


def collect(
    image: Image.Image,
    orientation: int = 1,
    file: BinaryIO | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[Metadata, list[str]]:
    """The metadata of a loaded image, and remarks on what had to be dropped.

    The ICC profile is as stated: whether it fits the pixels is for `colour` to decide.

    Args:
        image: the image, opened.
        orientation: the EXIF orientation of the picture as stored, 1 to 8. The metadata become
            those of the upright picture.
        file: the file of the image, if there is one; its position is kept.
        size: width and height of the picture as stored; None for those of the image.

    Raises:
        PictureError: it states colours that Pillow reads wrongly.
    """
    found = texts.find(image, file)
    notes = found.notes
    exif, stored = _exif(image, found.exif, notes)
    width, height = size or _stored_size(image, orientation)
    if exif:
        exif = _turned_exif(exif, Turn(orientation, width, height), notes)
    packet = _stored_xmp(image) or found.xmp
    stated = stated_colour(image, file, stored)
    dpi = _stored_dpi(image) or _usable(found.dpi)
    metadata = Metadata(
        icc_profile=stated.profile,
        exif=exif,
        xmp=_upright_xmp(packet, found.extended_xmp, Turn(orientation, width, height), notes),
        dpi=dpi[::-1] if dpi and orientation >= 5 else dpi,
        texts=tuple(found.texts),
        iptc=found.iptc,
        hdr=stated.hdr,
    )
    return metadata, notes + list(stated.notes)


def _exif(
    image: Image.Image, found: bytes | None, notes: list[str]
) -> tuple[bytes | None, bytes | None]:
    """EXIF data without what is not true of the output, and as stored."""
    try:
        stored = _tiff_exif(image, notes) if image.format == "TIFF" else _stored_exif(image)
        if not stored and found and exif_data.orientation(exif_data.strip_prefix(found)) != 1:
            notes.append(f"the orientation in the EXIF data of a {image.format} was not heeded")
        stored = stored or found
        if not stored:
            return None, None
        if len(stored) > _MAX_EXIF_BYTES:
            notes.append("its EXIF data is far larger than is reasonable and was dropped")
            return None, None
        stored = exif_data.strip_prefix(stored)
        exif = exif_data.clean(stored)
        if exif:  # what Pillow cannot read, it cannot write either
            Image.Exif().load(exif)
        return exif, stored
    except Exception:  # Pillow meets damaged EXIF data with all kinds
        notes.append("its EXIF data is damaged and was dropped")
        return None, None


def _stored_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """Width and height of the picture as stored; Pillow has turned a TIFF already."""
    if image.format == "TIFF" and orientation >= 5:
        return image.height, image.width
    return image.width, image.height


def _turned_exif(exif: bytes, turn: Turn, notes: list[str]) -> bytes | None:
    try:
        return exif_writing.turned(exif, turn.orientation, turn.width, turn.height)
    except ValueError:
        notes.append("its EXIF data is damaged and was dropped")
        return None


def _upright_xmp(
    stored: bytes | None, extensions: dict[str, bytes], turn: Turn, notes: list[str]
) -> bytes | None:
    """The XMP data, whole and true of the upright picture."""
    if not stored:
        if extensions:
            notes.append("its extended XMP data belongs to nothing and was dropped")
        return None
    try:
        data, complete = xmp.joined(xmp.to_utf8(stored), extensions)
    except ValueError:
        notes.append("its XMP data is damaged, or out of all proportion: dropped")
        return None
    if not complete:
        notes.append("its extended XMP data is damaged or missing: dropped")
    result, remarks = upright(data, turn)
    notes += remarks
    return result


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


def _tiff_exif(image: Image.Image, notes: list[str]) -> bytes | None:
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
        note = values.get(_MAKER_NOTE)
        if note and not (isinstance(note, bytes) and note.startswith(_MOVABLE_MAKER_NOTES)):
            del values[_MAKER_NOTE]
            notes.append("its maker notes cannot be moved to another file: dropped")
        if values:
            exif.get_ifd(group).update(values)
            found = True
    index = source.get_ifd(exif_data.INTEROP_IFD).get(INTEROP_INDEX)
    if isinstance(index, str) and index.isascii():
        writer = exif_writing.ExifWriter(exif_data.strip_prefix(exif.tobytes()) if found else None)
        value = index.strip("\0").encode() + b"\0"
        writer.put(exif_data.INTEROP_IFD, INTEROP_INDEX, exif_writing.ASCII, value)
        return bytes(writer.data)
    return exif.tobytes() if found else None


def _late_png_exif(file: BinaryIO) -> bytes | None:
    """The eXIf chunk of a PNG, also where it follows the pixels and Pillow has not seen it yet."""
    position = file.tell()
    try:
        file.seek(8)
        while len(header := file.read(8)) == 8:
            length, name = struct.unpack(">L4s", header)
            if name == b"eXIf":
                return file.read(min(length, _MAX_EXIF_BYTES))
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
        if isinstance(value, bytes) and value.strip(b"\0 "):
            return value
    return None


def _stored_dpi(image: Image.Image) -> tuple[float, float] | None:
    if image.format in ("JPEG", "MPO"):
        # Pillow makes up 72 where a JPEG with EXIF data does not say.
        if image.info.get("jfif_unit") not in (1, 2):
            return _exif_dpi(image)
        by = 2.54 if image.info["jfif_unit"] == 2 else 1.0
        return _usable(tuple(value * by for value in image.info.get("jfif_density", ())))
    return _usable(image.info.get("dpi", ()))


def _exif_dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution that the EXIF data of a JPEG states."""
    try:
        exif = image.getexif()
    except Exception:  # Pillow meets damaged EXIF data with all kinds
        return None
    by = 2.54 if exif.get(_RESOLUTION_UNIT) == _CENTIMETRE else 1.0
    values = exif.get(_X_RESOLUTION), exif.get(_Y_RESOLUTION)
    try:
        return _usable(tuple(float(value) * by for value in values))  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _usable(dpi: Any) -> tuple[float, float] | None:
    """A resolution, if it is one."""
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # A TIFF without a resolution, or with a ratio only, comes as 1 x 1.
    if all(math.isfinite(value) and 1 < value <= _MAX_DPI for value in (x, y)):
        return x, y
    return None
