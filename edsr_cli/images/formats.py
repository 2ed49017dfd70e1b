"""All formats: which codec is for what, and which format an output gets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.images.codecs import (
    Codec,
    Opened,
    boxes,
    jpeg,
    png,
    psd,
    simple,
    tiff,
    webp,
)
from edsr_cli.images.colour.conversion import DAMAGED
from edsr_cli.images.guard import check_pixels
from edsr_cli.images.picture import OutputFormat, Picture, PictureInfo
from edsr_cli.images.source import not_a_picture

_CODECS: tuple[Codec, ...] = (
    png.CODEC, jpeg.CODEC, webp.CODEC, tiff.CODEC, boxes.AVIF_CODEC, boxes.JPEG2000_CODEC,
    psd.CODEC, *simple.CODECS,
)  # fmt: skip
_BY_NAME = {name: codec for codec in _CODECS for name in codec.names}
_ANY = Codec()

PNG, JPEG, WEBP, TIFF, AVIF, BMP = (
    png.OUTPUT, jpeg.OUTPUT, webp.OUTPUT, tiff.OUTPUT, boxes.AVIF_OUTPUT, simple.BMP_OUTPUT,
)  # fmt: skip

FORMATS = tuple(codec.output for codec in _CODECS if codec.output is not None)
"""All output formats, the one to recommend first."""

READ_FORMATS = tuple(codec.names[0] for codec in _CODECS if not codec.suffixes)
"""Formats read by what is in the file, as Pillow calls them. All are raster pictures: EPS and WMF,
which Pillow hands to other programs, are not among them. "JPEG" includes multi-picture JPEG."""

_BY_SUFFIX = {suffix: codec.names[0] for codec in _CODECS for suffix in codec.suffixes}

READ_SUFFIXES = frozenset(
    suffix
    for suffix, name in Image.EXTENSION.items()
    if name in READ_FORMATS or _BY_SUFFIX.get(suffix) == name
) | {".mpo"}  # multi-picture JPEG
"""Endings, lower case, of the names of files that can be read, if they are what they are called."""

MAGIC_BYTES = 16
"""How many bytes a format is told by."""


def begins_like_a_picture(start: bytes) -> bool:
    """Whether a file that begins with these `MAGIC_BYTES` bytes may be of a format that is read."""
    checks = (Image.OPEN[name][1] for name in READ_FORMATS)
    return any(check is None or check(start) for check in checks)


def codec_of(image: Image.Image) -> Codec:
    """The codec for an image that Pillow has opened, whatever it is."""
    return _BY_NAME.get(image.format or "", _ANY)


def codec_for(output_format: OutputFormat) -> Codec:
    """The codec that writes a format."""
    return next(codec for codec in _CODECS if codec.output == output_format)


def open_file(file: BinaryIO, suffix: str, name: str, max_pixels: int) -> Opened:
    """Read the header of a file, by what is in it; see `decoding.open_picture`.

    Args:
        file: the file, seekable.
        suffix: the ending of its name, lower case, for formats that only that tells; or empty.
        name: what to call it in messages.
        max_pixels: the largest width times height that is accepted.

    Raises:
        PictureError: it is no picture, or is too large.
        Exception: any, where it is damaged.
    """
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    for codec in _CODECS:
        if start in codec.magic:
            return codec.open(file, name, max_pixels)
    named = (*READ_FORMATS, _BY_SUFFIX.get(suffix))
    formats = [form for form in named if form and not _BY_NAME[form].magic]

    def opened() -> Image.Image:
        try:
            image = Image.open(file, formats=formats)
        except UnidentifiedImageError as error:
            raise not_a_picture(file, name) from error
        check_pixels(name, *image.size, max_pixels)
        return image

    image = opened()
    return _PillowPicture(codec_of(image), image, opened, file, name)


class _PillowPicture:
    """A picture that Pillow decodes, and its codec explains.

    Args:
        codec: its codec.
        image: the picture, opened.
        again: opens it anew.
        file, name: its file, and what to call it in messages.
    """

    def __init__(
        self,
        codec: Codec,
        image: Image.Image,
        again: Callable[[], Image.Image],
        file: BinaryIO,
        name: str,
    ) -> None:
        self._codec, self._image, self._again = codec, image, again
        self._file, self._name, self._counted = file, name, False

    def info(self) -> PictureInfo:
        """What the header says."""
        codec, image = self._codec, self._image
        width, height = image.size
        if codec.orientation(image, self._file) >= 5:
            width, height = height, width
        bits = codec.bits(image, self._file)
        self._counted = True
        return PictureInfo(
            width, height, image.mode, image.format or "", bits, _count_frames(image)
        )

    def read(self, keep_alpha: bool) -> Picture:
        """The picture; of an animation or a document, the first frame."""
        if self._counted:  # which a damaged frame may have spoilt it for
            self._image = self._again()
        codec, image, file = self._codec, self._image, self._file
        orientation = codec.orientation(image, file)
        bits = codec.bits(image, file)
        compression = codec.stated_compression(image, file)
        picture = codec.to_picture(image, orientation, bits, self._name, file, keep_alpha)
        notes = list(picture.notes)
        height, width = picture.window.shape[:2]
        if codec.is_damaged(file, width * height):
            notes.insert(0, DAMAGED)
        # Counted last, when the pixels are ours: a frame that is damaged must not spoil the first.
        self._counted = True
        frames = _count_frames(image)
        if frames > 1:
            notes.append(f"only the first of {frames} frames or pages is used")
        return replace(picture, notes=tuple(notes), compression=compression)


def _count_frames(image: Image.Image) -> int:
    """Number of frames or pages; 1 where counting meets damage."""
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # any, as in decoding; the first frame is not concerned
        return 1


def format_for(path: Path | None, name: str | None = None) -> OutputFormat:
    """The format that a file name or the user asks for.

    Args:
        path: the file to write; None where there is none, as for standard output.
        name: the name of a format or one of its suffixes, in any case, with or without a dot; it
            decides where `path` says nothing.

    Raises:
        UsageError: there is no such format, none is asked for, or `path` and `name` disagree.
    """
    by_suffix = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}
    by_name = by_suffix | {f".{entry.name.lower()}": entry for entry in FORMATS}
    suffix = path.suffix.lower() if path is not None else ""
    choices = f"Choose one of {', '.join(by_suffix)}."
    if name is not None:
        chosen = by_name.get("." + name.lower().removeprefix("."))
        if chosen is None:
            raise UsageError(f"There is no output format {display_name(b'', name)!r}.", choices)
        if path is not None and by_suffix.get(suffix, chosen) != chosen:
            raise UsageError(
                f"its ending does not fit the format {chosen.name}.",
                f"Name it {chosen.suffixes[0]}, or leave out the format.",
                about=display_name(path),
            )
        return chosen
    if path is None:
        raise UsageError("An output without a file name needs a format.", choices)
    if suffix not in by_suffix:
        ending = f"the ending {display_name(b'', suffix)}" if suffix else "a name without ending"
        raise UsageError(f"no picture format has {ending}.", choices, about=display_name(path))
    return by_suffix[suffix]
