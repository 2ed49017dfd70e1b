"""Metadata left out, or set, because the user says so."""

import re
import struct
from collections.abc import Callable
from fractions import Fraction

from msgspec.structs import replace

from edsr_cli.images.metadata import xmp
from edsr_cli.images.metadata.exif import SHORT, without_gps
from edsr_cli.images.metadata.exif_writing import FIRST, RATIONAL, ExifWriter
from edsr_cli.images.picture import Metadata

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _INCH = 0x11A, 0x11B, 0x128, 2
# As EXIF's properties in XMP are called, those of drones, and texts that ImageMagick makes of EXIF.
_GPS = re.compile(r"(?:.*:)?gps", re.IGNORECASE)


def stripped(metadata: Metadata, what: str) -> Metadata:
    """Metadata without some.

    Args:
        metadata: those of a picture.
        what: "none"; "gps" for where it was taken, by EXIF's directory for that (whose bytes are
            erased) and by all names that begin with GPS in XMP and texts; EXIF or XMP data that
            cannot be read is left out whole, and so are maker notes, since nobody can tell what is
            in them. "all" for everything that colours do not need.
    """
    if what == "none":
        return metadata
    if what == "all":
        return Metadata(icc_profile=metadata.icc_profile, hdr=metadata.hdr, size=metadata.size)
    texts = tuple(text for text in metadata.texts if not _GPS.match(text.keyword))
    exif, packet = metadata.exif, metadata.xmp
    return replace(
        metadata,
        exif=_or_none(lambda: without_gps(exif)) if exif else None,
        xmp=_or_none(lambda: _without_gps(packet)) if packet else None,
        texts=texts,
    )


def with_resolution(metadata: Metadata, dpi: float, *, in_exif: bool) -> Metadata:
    """Metadata that state so many pixels per inch, wherever they state a resolution.

    Args:
        metadata: those of a picture.
        dpi: pixels per inch.
        in_exif: whether EXIF data are to be made for it, if there are none.
    """
    exif, packet = metadata.exif, metadata.xmp
    return replace(
        metadata,
        dpi=(dpi, dpi),
        # What is damaged is for `fitting` to drop, with a remark.
        exif=_or_none(lambda: _exif_with(exif, dpi)) or exif if exif or in_exif else None,
        xmp=_or_none(lambda: _xmp_with(packet, dpi)) or packet if packet else None,
    )


def _or_none(make: Callable[[], bytes]) -> bytes | None:
    """What is made of data; None where they are damaged."""
    try:
        return make()
    except (ValueError, struct.error):
        return None


def _without_gps(data: bytes) -> bytes:
    packet = xmp.parse(data)
    for node in packet.nodes:
        if node.path and _GPS.match(node.name[1]):
            packet.drop(node)
    return packet.result()


def _exif_with(exif: bytes | None, dpi: float) -> bytes:
    writer = ExifWriter(exif)
    ratio = Fraction(str(dpi)).limit_denominator(10_000)
    packed = struct.pack(writer.order + "2L", ratio.numerator, ratio.denominator)
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        writer.put(FIRST, tag, RATIONAL, packed)
    writer.put(FIRST, _RESOLUTION_UNIT, SHORT, struct.pack(writer.order + "H", _INCH))
    return bytes(writer.data)


def _xmp_with(data: bytes, dpi: float) -> bytes:
    packet = xmp.parse(data)
    ratio = Fraction(str(dpi)).limit_denominator(10_000)
    texts = {
        "XResolution": f"{ratio.numerator}/{ratio.denominator}",
        "YResolution": f"{ratio.numerator}/{ratio.denominator}",
        "ResolutionUnit": str(_INCH),
    }
    for name, text in texts.items():
        for node in packet.find((xmp.TIFF, name)):
            packet.set(node, text)
    return packet.result()
