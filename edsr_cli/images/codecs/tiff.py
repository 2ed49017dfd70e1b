"""TIFF files as pictures: the page is chosen, its pixels decoded here, its metadata by Pillow.

How a page is found and stored, and its pixels decoded, is in `tiff_pages`, `tiff_layout` and
`tiff_pixels`; how one is written, in `tiff_encoder` and `tiff_writing`.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from PIL import Image, TiffImagePlugin

from edsr_cli.images.bands import Wanted, band_rows, put_together
from edsr_cli.images.codecs import Codec, Encoder, Opened, segments
from edsr_cli.images.codecs.animation import SequenceEncoder
from edsr_cli.images.codecs.tiff_encoder import TiffEncoder, TiffPages
from edsr_cli.images.codecs.tiff_layout import Layout, read_layout, refused
from edsr_cli.images.codecs.tiff_pages import (
    Directory,
    FromPage,
    Pages,
    classic_copy,
    first_directory,
)
from edsr_cli.images.codecs.tiff_pixels import by_rows, is_damaged, read_rows
from edsr_cli.images.codecs.tiff_writing import DESCRIPTIVE_TAGS
from edsr_cli.images.colour import DAMAGED, Converted, samples_to_rgb, spaces, to_rgb
from edsr_cli.images.colour.spaces import INTEROP_INDEX, Stated, made
from edsr_cli.images.guard import only_the_first
from edsr_cli.images.metadata import C2PA, Found, exif_writing, iptc
from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.images.picture import OutputRequest, Picture, PictureInfo
from edsr_cli.images.source import kept_position, not_a_picture

_BIG = (b"II+\0", b"MM\0+")
# Beginnings of maker notes whose offsets do not depend on where in the file they lie. All others
# would be garbage elsewhere.
_MOVABLE_MAKER_NOTES = (
    b"Apple iOS\0", b"FUJIFILM", b"Nikon\0\2", b"OLYMPUS\0", b"OM SYSTEM\0", b"PENTAX \0",
)  # fmt: skip
# Beginnings of descriptions that programs write for programs: number and size of the old file's
# pages, micrometres that a pixel had. Readers go by them, and would read an output wrongly.
_OF_OLD_PIXELS = re.compile(
    r"\{\"(?:shape|axes)\"|shape=\(|ImageJ=|Aperio "
    r"|(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*>\s*)?<OME\b"
)
_DESCRIPTION, _IPTC, _PHOTOSHOP = 270, 33723, 34377
_KNOWN = {33432, 33550, 33723, 33922, 34264, 34377, 34665, 34675, 34735, 34736, 34737, 34853,
               37724, 40965, 42112, 50341, 52545, 32995, 32996, 32997, 32998,
               *range(40091, 40096)}  # fmt: skip


class Tiff(Codec):
    """See the module."""

    name = "TIFF"
    turned = True

    def open(self, file: BinaryIO, name: str, max_pixels: int, frame: int | None = None) -> Opened:
        pages, layout = _open(file, name, max_pixels, 1 if frame is None else frame)
        return _Opened(file, name, max_pixels, pages, layout, chosen=frame is not None)

    def orientation(self, image: Image.Image, file: BinaryIO | None = None) -> int:
        value = getattr(image, "tag_v2", {}).get(exif_data.ORIENTATION, 1)
        return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1

    def exif(self, image: Image.Image, notes: list[str]) -> bytes | None:
        return _exif(image, notes)

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        _find_texts(image, file, found)

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        """White point, primaries and transfer function."""
        if own is not None:
            return Stated(own)
        tags: Any = getattr(image, "tag_v2", {})
        white, primaries, transfer = (
            spaces.tag_numbers(tags.get(tag))
            for tag in (spaces.WHITE_POINT, spaces.PRIMARIES, spaces.TRANSFER)
        )
        return made(
            spaces.from_numbers(white, primaries, transfer), "its primaries and white point"
        )

    def load(self, image: Image.Image) -> None:
        """Load the pixels as they are stored, turned by the orientation in the tags alone.

        Where the tags have none, Pillow would go by the XMP, which it shall not.
        """
        xmp = image.info.pop("xmp", None)
        try:
            image.load()
        finally:
            if xmp is not None:
                image.info["xmp"] = xmp

    def create(self, file: BinaryIO, request: OutputRequest) -> Encoder:
        return TiffEncoder(file, request)

    def sequence(self, file: BinaryIO, frames: int, plays: int) -> SequenceEncoder:
        return TiffPages(file)


CODEC = Tiff()


class _Opened(Struct, frozen=True):
    file: BinaryIO
    name: str
    max_pixels: int
    pages: Pages
    layout: Layout
    chosen: bool

    def info(self) -> PictureInfo:
        layout = self.layout
        width, height = layout.width, layout.height
        if layout.orientation >= 5:
            width, height = height, width
        rows = by_rows(layout)
        return PictureInfo(
            width,
            height,
            layout.mode,
            "TIFF",
            layout.colour_bits,
            self.pages.count,
            streams=rows and layout.orientation == 1,
            # What is unpacked is there twice, for a moment.
            decoder_bytes=0
            if rows
            else layout.width * layout.height * layout.channels * -(-layout.bits // 8),
        )

    def read(self, wanted: Wanted) -> Picture:
        pages, layout = self.pages, self.layout
        if layout.method == segments.OLD_JPEG and not pages.for_pillow:
            raise refused(
                self.name, "it is compressed as JPEG of the old kind in a big-endian BigTIFF"
            )
        about = _for_pillow(self.file, pages)
        picture = _to_picture(_Header(about), about, self.file, pages.page, layout, wanted)
        notes = list(picture.notes)
        if pages.only_reduced:
            notes.append("the file calls this picture a reduced one, and holds no other")
        if pages.count > 1 and not self.chosen:
            notes.append(only_the_first(pages.count))
        if pages.holds_more:
            notes.append("left out: further pictures (SubIFDs)")
        return replace(picture, notes=tuple(notes))

    def read_frame(self, wanted: Wanted, number: int) -> Picture:
        self.pages.turn_to(number)
        layout = read_layout(self.pages.page, self.name, self.max_pixels)
        return replace(self, layout=layout, chosen=True).read(wanted)


def decode_frame(image: TiffImagePlugin.TiffImageFile, wanted: Wanted) -> Picture:
    """Decode the current frame of a TIFF that Pillow has opened but not loaded.

    Raises:
        PictureError: it cannot be read, or is too large.
        Exception: any, where it is damaged.
    """
    file = cast(BinaryIO, image.fp)
    order = "<" if image.tag_v2.prefix == b"II" else ">"
    file.seek(0)
    page = Directory(file, image.tag_v2.offset, order, big=file.read(4) in _BIG)
    layout = read_layout(page, wanted.name, wanted.max_pixels)
    return _to_picture(image, file, file, page, layout, wanted)


def _to_picture(
    image: Image.Image,
    about: BinaryIO,
    file: BinaryIO,
    page: Directory,
    layout: Layout,
    wanted: Wanted,
) -> Picture:
    """A page as a picture; `about` is a file of which it is the first page, with its metadata."""
    size, name = (layout.width, layout.height), wanted.name
    metadata, notes = CODEC.collect(image, layout.orientation, about, size)
    if layout.bits == 32:  # nothing tells what white is, and other programs disagree about it
        notes.append("its numbers of 32 bits are taken for 16 bits: 0 is black, 65535 is white")
    profile = metadata.icc_profile
    damaged = False
    if layout.method == segments.OLD_JPEG:
        CODEC.load(image)  # libtiff knows all the ways to store it wrongly, and turns it
        size = image.size
        whole = to_rgb(image, profile, 8, name, keep_alpha=True, keep_grey=wanted.grey)
        decoded = put_together(lambda: iter([whole]), size, 1, wanted)
    else:
        damaged = is_damaged(file, page, layout)
        rows = band_rows(layout.width, layout.bits) if wanted.streamed else layout.height

        def begin() -> Iterator[Converted]:
            for samples in read_rows(file, page, layout, name, rows):
                yield samples_to_rgb(samples, profile, name, keep_alpha=True, keep_grey=wanted.grey)

        decoded = put_together(begin, size, layout.orientation, wanted)
    picture = decoded.picture(metadata, notes, "TIFF", layout.colour_bits)
    return replace(picture, notes=(DAMAGED, *picture.notes)) if damaged else picture


def _open(file: BinaryIO, name: str, max_pixels: int, frame: int) -> tuple[Pages, Layout]:
    try:
        pages = Pages(file, name, frame)
        return pages, read_layout(pages.page, name, max_pixels)
    except (ValueError, struct.error, OverflowError) as error:
        raise not_a_picture(file, name) from error


def _for_pillow(file: BinaryIO, pages: Pages) -> BinaryIO:
    """The file, with the page where Pillow looks for it."""
    if not pages.for_pillow:
        return classic_copy(file, pages.page)
    start = file if pages.is_first else cast(BinaryIO, FromPage(file, pages.page))
    start.seek(0)
    return start


class _Header(TiffImagePlugin.TiffImageFile):
    """A TIFF file opened by Pillow for its metadata, also where Pillow cannot read its pixels."""

    def _setup(self) -> None:
        try:
            super()._setup()
            if self._mode:
                return
        except Exception:  # any, for what it does not know; we do, or have refused it
            pass
        self._mode, self._size, self.tile = "L", (1, 1), []
        profile = self.tag_v2.get(34675)
        if isinstance(profile, bytes):
            self.info["icc_profile"] = profile
        unit = {2: 1.0, 3: 2.54}.get(self.tag_v2.get(296, 2))
        with suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
            if unit:
                self.info["dpi"] = tuple(unit * self.tag_v2[tag] for tag in (282, 283))


def _exif(image: Image.Image, notes: list[str]) -> bytes | None:
    """EXIF data made of the tags of a TIFF file, which are its EXIF data and more."""
    source = image.getexif()
    exif = Image.Exif()
    exif.endian = source.endian
    for tag in DESCRIPTIVE_TAGS:
        if tag in source:
            exif[tag] = source[tag]
    if _OF_OLD_PIXELS.match(str(exif.get(_DESCRIPTION, ""))):
        del exif[_DESCRIPTION]
        notes.append("left out: a description of the old file's pixels (tifffile, ImageJ, OME)")
    found = len(exif) > 0
    for group in (exif_data.EXIF_IFD, exif_data.GPS_IFD):
        values = dict(source.get_ifd(group))
        values.pop(exif_data.INTEROP_IFD, None)  # an offset into the old file
        note = values.get(exif_data.MAKER_NOTE)
        if note and not (isinstance(note, bytes) and note.startswith(_MOVABLE_MAKER_NOTES)):
            del values[exif_data.MAKER_NOTE]
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


def _find_texts(image: Image.Image, file: BinaryIO | None, found: Found) -> None:
    tags: Any = getattr(image, "tag_v2", {})
    # Many writers call the bytes of IPTC numbers of 32 bits, of which Pillow gives the first.
    data = _stored(file, _IPTC) if file else b""
    if data[3:4] == b"\x1c":
        data = np.frombuffer(data[: len(data) // 4 * 4], "<u4").byteswap().tobytes()
    found.iptc = data if iptc.data_sets(data) else None
    if file:
        found.add_photoshop(iptc.photoshop_resources(_stored(file, _PHOTOSHOP)))
    if 37724 in tags:
        found.leave("its layers")
    if any(tag in tags for tag in (33550, 33922, 34264, 34735)):
        found.leave("its place on the globe (GeoTIFF)")
    if 42112 in tags:
        found.add("GDAL_METADATA", str(tags[42112]))
    if 52545 in tags:
        found.leave(C2PA)
    unknown = sorted(tag for tag in tags if tag >= 32768 and tag not in _KNOWN)
    if unknown:
        found.leave(f"its TIFF tags {', '.join(map(str, unknown[:20]))}")


def _stored(file: BinaryIO, tag: int) -> bytes:
    """The bytes of a tag in the first directory; nothing where it is missing or damaged."""
    with kept_position(file), suppress(ValueError, struct.error, OSError, OverflowError):
        return first_directory(file).raw(tag)
    return b""
