"""Pictures from files, from bytes and from Pillow."""

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from edsr_cli.files.names import display_name
from edsr_cli.images.colour import DAMAGED, to_rgb
from edsr_cli.images.depth import bits_per_channel
from edsr_cli.images.fitting import MEMORY, fit
from edsr_cli.images.guard import FORMATS, FORMATS_BY_SUFFIX, check_pixels, guarded
from edsr_cli.images.jpeg_damage import is_damaged
from edsr_cli.images.metadata import collect, stored_orientation
from edsr_cli.images.picture import (
    DEFAULT_MAX_PIXELS,
    Metadata,
    Picture,
    PictureInfo,
)
from edsr_cli.images.psd import decode_psd, is_psd, probe_psd
from edsr_cli.images.quality import stated_compression
from edsr_cli.images.rounding import to_uint8
from edsr_cli.images.source import not_a_picture, open_source
from edsr_cli.images.tiff_reading import decode_frame, decode_tiff, is_tiff, probe_tiff
from edsr_cli.images.upright import load_as_stored, upright
from edsr_cli.pixels.arrays import Pixels

_JPEG = ("JPEG", "MPO")
_OURS = ("TIFF", "PSD")  # decoded in modules of their own


def probe(
    source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS, *, name: str | None = None
) -> PictureInfo:
    """Read the header of a picture; its pixels are not decoded.

    Args:
        source: path of the file, or its content.
        max_pixels: the largest width times height that is accepted.
        name: what to call it in messages; by default the path, or "standard input".

    Raises:
        PictureError: it cannot be read as a picture, or is too large.
    """
    name = display_name(source, name)
    with open_source(source, name) as file, guarded(name, max_pixels):
        if is_tiff(file):
            return probe_tiff(file, name, max_pixels)
        if is_psd(file):
            return probe_psd(file, name, max_pixels)
        image = _open(source, file, name, max_pixels)
        width, height = image.size
        if stored_orientation(image, file) >= 5:
            width, height = height, width
        return PictureInfo(
            width=width,
            height=height,
            mode=image.mode,
            format=image.format or "",
            bits=bits_per_channel(image, file),
            frames=_count_frames(image),
        )


def decode(
    source: Path | bytes,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    *,
    name: str | None = None,
    keep_alpha: bool = False,
) -> Picture:
    """Decode a picture to upright RGB pixels; of an animation or a document, the first frame.

    Args:
        source: path of the file, or its content.
        max_pixels: the largest width times height that is accepted; larger pictures are refused
            before anything is decoded.
        name: what to call it in messages; by default the path, or "standard input".
        keep_alpha: whether to give alpha, too, instead of a remark that it was dropped.

    Raises:
        PictureError: it cannot be read as a picture, or is too large.
    """
    name = display_name(source, name)
    with open_source(source, name) as file, guarded(name, max_pixels):
        if is_tiff(file):
            return decode_tiff(file, name, max_pixels, keep_alpha)
        if is_psd(file):
            return decode_psd(file, name, max_pixels, keep_alpha)
        image = _open(source, file, name, max_pixels)
        orientation = stored_orientation(image, file)
        bits = bits_per_channel(image, file)
        compression = stated_compression(image, file)
        picture = _to_picture(image, orientation, bits, name, file, keep_alpha)
        notes = list(picture.notes)
        height, width = picture.pixels.shape[:2]
        if image.format in _JPEG and is_damaged(file, width * height):
            notes.insert(0, DAMAGED)
        # Counted last, when the pixels are ours: a frame that is damaged must not spoil the first.
        frames = _count_frames(image)
        if frames > 1:
            notes.append(f"only the first of {frames} frames or pages is used")
        return replace(picture, notes=tuple(notes), compression=compression)


def from_pil(image: Image.Image, keep_alpha: bool = False) -> Picture:
    """Take a picture from Pillow, of any mode; it is turned upright where its EXIF data says so.

    The current frame is used. The image is loaded, or its file read, but otherwise left alone.

    Args:
        image: the image.
        keep_alpha: whether to give alpha, too, instead of a remark that it was dropped.

    Raises:
        PictureError: it has no pixels, or of a kind that cannot be converted.
    """
    name = "the given image"
    limit = max(DEFAULT_MAX_PIXELS, image.width * image.height)
    with guarded(name, limit):
        check_pixels(name, image.width, image.height, limit)
        if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tile and image.fp:
            return decode_frame(image, name, limit, keep_alpha)
        # A TIFF forgets its orientation when it is loaded, because it is turned then.
        picture = _to_picture(image, stored_orientation(image), 16, name, None, keep_alpha)
        return replace(picture, compression=stated_compression(image))


def to_pil(
    pixels: Pixels,
    metadata: Metadata = Metadata(),  # noqa: B008 - frozen
    alpha: NDArray[np.uint8] | None = None,
) -> Image.Image:
    """A Pillow image with pixels of shape (H, W, 3) and metadata in its `info`.

    Its mode is "RGB", or "RGBA" with alpha.

    Args:
        pixels: uint8 in 0..255, or uint16 in 0..65535, which is rounded to 8 bits.
        metadata: what to put into `info`, by Pillow's names, made true of these pixels. What has no
            name of its own there (texts, IPTC, the program) goes into EXIF and XMP.
        alpha: shape (H, W); None for none.
    """
    image = Image.fromarray(to_uint8(pixels))
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    metadata, _ = fit(metadata, MEMORY, image.width, image.height)
    values = {
        "icc_profile": metadata.icc_profile,
        "exif": b"Exif\0\0" + metadata.exif if metadata.exif else None,
        "xmp": metadata.xmp,
        "dpi": metadata.dpi,
    }
    image.info.update({key: value for key, value in values.items() if value is not None})
    return image


def _open(source: Path | bytes, file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    extra = FORMATS_BY_SUFFIX.get(suffix)
    formats = [form for form in (*FORMATS, extra) if form and form not in _OURS]
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError as error:
        raise not_a_picture(file, name) from error
    check_pixels(name, *image.size, max_pixels)
    return image


def _to_picture(
    image: Image.Image,
    orientation: int,
    bits: int,
    name: str,
    file: BinaryIO | None = None,
    keep_alpha: bool = False,
) -> Picture:
    if image.format == "TIFF":
        load_as_stored(image)
    else:
        image.load()
    check_pixels(name, *image.size, image.width * image.height)
    metadata, notes = collect(image, orientation, file)
    pixels, profile, colour_notes, alpha = to_rgb(
        image, metadata.icc_profile, bits, name, keep_alpha
    )
    notes = colour_notes + notes
    if file is not None and bits > 8 and pixels.dtype == np.uint8:
        notes.insert(0, f"{bits}-bit colours read as 8-bit")
    if image.format != "TIFF":
        pixels = upright(pixels, orientation)
        alpha = None if alpha is None else upright(alpha, orientation)
    height, width = pixels.shape[:2]
    metadata = replace(metadata, icc_profile=profile, size=(width, height))
    return Picture(pixels, metadata, tuple(notes), image.format or "", alpha=alpha)


def _count_frames(image: Image.Image) -> int:
    """Number of frames or pages; 1 where counting meets damage."""
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # any, as in decoding; the first frame is not concerned
        return 1
