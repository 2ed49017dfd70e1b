"""Pictures from files, from bytes and from Pillow."""

from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from edsr_cli.errors import PictureError
from edsr_cli.images.colour import to_rgb
from edsr_cli.images.depth import bits_per_channel
from edsr_cli.images.fitting import MEMORY, fit
from edsr_cli.images.guard import FORMATS, FORMATS_BY_SUFFIX, check_pixels, guarded
from edsr_cli.images.metadata import collect, stored_orientation
from edsr_cli.images.picture import (
    DEFAULT_MAX_PIXELS,
    Metadata,
    Picture,
    PictureInfo,
    Pixels,
)
from edsr_cli.images.rounding import to_uint8
from edsr_cli.images.source import display_name, not_a_picture, open_source

_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags


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
        image = _open(source, file, name, max_pixels)
        width, height = image.size
        # Pillow gives the size of a TIFF already turned.
        if image.format != "TIFF" and stored_orientation(image, file) >= 5:
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
    source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS, *, name: str | None = None
) -> Picture:
    """Decode a picture to upright RGB pixels; of an animation or a document, the first frame.

    Args:
        source: path of the file, or its content.
        max_pixels: the largest width times height that is accepted; larger pictures are refused
            before anything is decoded.
        name: what to call it in messages; by default the path, or "standard input".

    Raises:
        PictureError: it cannot be read as a picture, or is too large.
    """
    name = display_name(source, name)
    with open_source(source, name) as file, guarded(name, max_pixels):
        image = _open(source, file, name, max_pixels)
        orientation = stored_orientation(image, file)
        bits = bits_per_channel(image, file)
        picture = _to_picture(image, orientation, bits, name, file)
        # Counted last, when the pixels are ours: a frame that is damaged must not spoil the first.
        frames = _count_frames(image)
        if frames > 1:
            remark = f"only the first of {frames} frames or pages is used"
            picture = Picture(
                picture.pixels, picture.metadata, (*picture.notes, remark), picture.source_format
            )
        return picture


def from_pil(image: Image.Image) -> Picture:
    """Take a picture from Pillow, of any mode; it is turned upright where its EXIF data says so.

    The current frame is used. The image is loaded, but otherwise left alone.

    Raises:
        PictureError: it has no pixels, or of a kind that cannot be converted.
    """
    name = "the given image"
    limit = max(DEFAULT_MAX_PIXELS, image.width * image.height)
    with guarded(name, limit):
        check_pixels(name, image.width, image.height, limit)
        # A TIFF forgets its orientation when it is loaded, because it is turned then.
        return _to_picture(image, stored_orientation(image), 16, name)


def to_pil(pixels: Pixels, metadata: Metadata = Metadata()) -> Image.Image:  # noqa: B008 - frozen
    """A Pillow image of mode "RGB" with pixels of shape (H, W, 3) and metadata in its `info`.

    Args:
        pixels: uint8 in 0..255, or uint16 in 0..65535, which is rounded to 8 bits.
        metadata: what to put into `info`, by Pillow's names, made true of these pixels. What has no
            name of its own there (texts, IPTC, the program) goes into EXIF and XMP.
    """
    image = Image.fromarray(to_uint8(pixels))
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
    formats = (*FORMATS, extra) if extra else FORMATS
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError as error:
        raise not_a_picture(file, name) from error
    check_pixels(name, *image.size, max_pixels)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile is decoded whole, however small the picture is.
        width, length = (int(image.tag_v2.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        check_pixels(name, max(1, width), max(1, length), max_pixels)
        _check_directory(image, name)
    return image


def _check_directory(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Refuse a TIFF that Pillow would read as black: it cuts offsets of directories to 32 bits."""
    for codec, _, _, arguments in image.tile:
        if codec == "libtiff" and isinstance(arguments, tuple) and arguments[-1] >= 2**32:
            raise PictureError(
                f"{name}: its directory lies beyond 4 GiB, where it cannot be read.",
                "Convert it to PNG first.",
            )


def _to_picture(
    image: Image.Image, orientation: int, bits: int, name: str, file: BinaryIO | None = None
) -> Picture:
    if image.format == "TIFF":
        # Pillow turns it by its tag on loading, or else by its XMP, which it shall not.
        xmp = image.info.pop("xmp", None)
        try:
            image.load()
        finally:
            if xmp is not None:
                image.info["xmp"] = xmp
    else:
        image.load()
    check_pixels(name, *image.size, image.width * image.height)
    metadata, notes = collect(image, orientation, file)
    pixels, profile, colour_notes = to_rgb(image, metadata.icc_profile, bits, name)
    notes = colour_notes + notes
    if file is not None and bits > 8 and pixels.dtype == np.uint8:
        notes.insert(0, f"{bits}-bit colours read as 8-bit")
    if image.format != "TIFF":
        pixels = _upright(pixels, orientation)
    height, width = pixels.shape[:2]
    metadata = replace(metadata, icc_profile=profile, size=(width, height))
    return Picture(pixels, metadata, tuple(notes), image.format or "")


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn pixels of shape (H, W, 3) as an EXIF orientation from 1 to 8 asks for."""
    view: NDArray[Any] = pixels
    if orientation >= 5:  # rows and columns are exchanged, before anything is flipped
        view = view.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        view = view[:, ::-1]
    if orientation in (3, 4, 7, 8):
        view = view[::-1]
    return np.ascontiguousarray(view)


def _count_frames(image: Image.Image) -> int:
    """Number of frames or pages; 1 where counting meets damage."""
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # any, as in decoding; the first frame is not concerned
        return 1
