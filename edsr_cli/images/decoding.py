"""Pictures from files, from bytes and from Pillow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from PIL import Image, TiffImagePlugin

from edsr_cli.files.names import display_name
from edsr_cli.images.codecs import Opened
from edsr_cli.images.codecs.tiff import decode_frame
from edsr_cli.images.formats import codec_of, open_file
from edsr_cli.images.guard import check_pixels, guarded
from edsr_cli.images.picture import DEFAULT_MAX_PIXELS, Picture, PictureInfo
from edsr_cli.images.source import open_source


class OpenPicture:
    """A picture of which the header has been read; its file is open.

    Both `info` and `read` raise `PictureError` where the picture cannot be read, and nothing else.
    """

    def __init__(self, opened: Opened, name: str, max_pixels: int) -> None:
        self._opened, self._name, self._max_pixels = opened, name, max_pixels

    @cached_property
    def info(self) -> PictureInfo:
        """What the header says."""
        with guarded(self._name, self._max_pixels):
            return self._opened.info()

    def read(self, *, keep_alpha: bool = False) -> Picture:
        """The picture: its window, (H, W, 3), turned upright, and all that belongs to it.

        Of an animation or a document, it is the first frame.

        Args:
            keep_alpha: whether to give alpha, too, instead of a remark that it was dropped.
        """
        with guarded(self._name, self._max_pixels):
            return self._opened.read(keep_alpha)


@contextmanager
def open_picture(
    source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS, *, name: str | None = None
) -> Iterator[OpenPicture]:
    """Open a picture and read its header; its pixels are not decoded.

    Args:
        source: path of the file, or its content.
        max_pixels: the largest width times height that is accepted; larger pictures are refused
            before anything is decoded.
        name: what to call it in messages; by default the path, or "standard input".

    Raises:
        PictureError: it cannot be read as a picture, or is too large.
    """
    name = display_name(source, name)
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    with open_source(source, name) as file:
        with guarded(name, max_pixels):
            opened = open_file(file, suffix, name, max_pixels)
        yield OpenPicture(opened, name, max_pixels)


def probe(
    source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS, *, name: str | None = None
) -> PictureInfo:
    """What the header of a picture says; see `open_picture`."""
    with open_picture(source, max_pixels, name=name) as picture:
        return picture.info


def decode(
    source: Path | bytes,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    *,
    name: str | None = None,
    keep_alpha: bool = False,
) -> Picture:
    """Open a picture and read it; see `open_picture` and `OpenPicture.read`."""
    with open_picture(source, max_pixels, name=name) as picture:
        return picture.read(keep_alpha=keep_alpha)


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
        codec = codec_of(image)
        # A TIFF forgets its orientation when it is loaded, because it is turned then.
        picture = codec.to_picture(image, codec.orientation(image), 16, name, None, keep_alpha)
        return replace(picture, compression=codec.stated_compression(image, None))
