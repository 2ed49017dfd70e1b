"""TIFF files as pictures: the page is chosen, its pixels decoded here, its metadata by Pillow."""

import struct
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, cast

import numpy as np
from PIL import Image, TiffImagePlugin

from edsr_cli.images.codecs import segments
from edsr_cli.images.codecs.tiff_layout import Layout, read_layout, refused
from edsr_cli.images.codecs.tiff_pages import Directory, FromPage, Pages, classic_copy
from edsr_cli.images.codecs.tiff_pixels import read_pixels
from edsr_cli.images.colour.conversion import Converted, samples_to_rgb, to_rgb
from edsr_cli.images.metadata.collecting import collect
from edsr_cli.images.picture import Picture, PictureInfo
from edsr_cli.images.source import not_a_picture
from edsr_cli.images.upright import load_as_stored
from edsr_cli.pixels.arrays import upright

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_tiff(file: BinaryIO) -> bool:
    """Whether a file begins as a TIFF does; its position is set to the start."""
    file.seek(0)
    magic = file.read(4)
    file.seek(0)
    return magic in _MAGIC


def probe_tiff(file: BinaryIO, name: str, max_pixels: int) -> PictureInfo:
    """Read how a page is stored, as `edsr_cli.images.probe` does.

    Raises:
        PictureError: it cannot be read, or is too large.
    """
    pages, layout = _open(file, name, max_pixels)
    width, height = layout.width, layout.height
    if layout.orientation >= 5:
        width, height = height, width
    return PictureInfo(width, height, layout.mode, "TIFF", layout.colour_bits, pages.count)


def decode_tiff(file: BinaryIO, name: str, max_pixels: int, keep_alpha: bool = False) -> Picture:
    """Decode the picture of a TIFF file to upright RGB pixels, as `edsr_cli.images.decode` does.

    Raises:
        PictureError: it cannot be read, or is too large.
        Exception: any, where it is damaged.
    """
    pages, layout = _open(file, name, max_pixels)
    if layout.method == segments.OLD_JPEG and not pages.for_pillow:
        raise refused(name, "it is compressed as JPEG of the old kind in a big-endian BigTIFF")
    image = _Header(_for_pillow(file, pages))
    picture = _to_picture(image, file, pages.page, layout, name, keep_alpha)
    notes = list(picture.notes)
    if pages.only_reduced:
        notes.append("the file calls this picture a reduced one, and holds no other")
    if pages.count > 1:
        notes.append(f"only the first of {pages.count} frames or pages is used")
    if pages.holds_more:
        notes.append("left out: further pictures (SubIFDs)")
    return replace(picture, notes=tuple(notes))


def decode_frame(
    image: TiffImagePlugin.TiffImageFile, name: str, max_pixels: int, keep_alpha: bool = False
) -> Picture:
    """Decode the current frame of a TIFF that Pillow has opened but not loaded.

    Raises:
        PictureError: it cannot be read, or is too large.
        Exception: any, where it is damaged.
    """
    file = cast(BinaryIO, image.fp)
    order = "<" if image.tag_v2.prefix == b"II" else ">"
    file.seek(0)
    page = Directory(file, image.tag_v2.offset, order, big=file.read(4) in _MAGIC[2:])
    layout = read_layout(page, name, max_pixels)
    return _to_picture(image, file, page, layout, name, keep_alpha)


def _to_picture(
    image: Image.Image,
    file: BinaryIO,
    page: Directory,
    layout: Layout,
    name: str,
    keep_alpha: bool,
) -> Picture:
    size = (layout.width, layout.height)
    metadata, notes = collect(image, layout.orientation, file, size)
    if layout.method == segments.OLD_JPEG:
        pixels, profile, more, alpha = _by_libtiff(image, metadata.icc_profile, name, keep_alpha)
    else:
        samples = read_pixels(file, page, layout, name)
        pixels, profile, more, alpha = samples_to_rgb(
            samples, metadata.icc_profile, name, keep_alpha
        )
        pixels = upright(pixels, layout.orientation)
        alpha = None if alpha is None else upright(alpha, layout.orientation)
    if layout.colour_bits > 8 and pixels.dtype == np.uint8:
        more.insert(0, f"{layout.colour_bits}-bit colours read as 8-bit")
    height, width = pixels.shape[:2]
    metadata = replace(metadata, icc_profile=profile, size=(width, height))
    return Picture(pixels, metadata, tuple(more + notes), "TIFF", alpha=alpha)


def _open(file: BinaryIO, name: str, max_pixels: int) -> tuple[Pages, Layout]:
    try:
        pages = Pages(file, name)
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


def _by_libtiff(
    image: Image.Image, profile: bytes | None, name: str, keep_alpha: bool
) -> Converted:
    """JPEG of the old kind, of which libtiff knows all the ways to store it wrongly."""
    load_as_stored(image)
    return to_rgb(image, profile, 8, name, keep_alpha)


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
