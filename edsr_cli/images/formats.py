"""All formats: which codec is for what, and which format an output gets."""

from pathlib import Path

from PIL import Image

from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.images.codecs import (
    Codec,
    avif,
    heif,
    jpeg,
    jpeg2000,
    jxl,
    png,
    psd,
    simple,
    tiff,
    webp,
)
from edsr_cli.images.picture import OutputFormat

CODECS: tuple[Codec, ...] = (
    png.CODEC, jpeg.CODEC, webp.CODEC, tiff.CODEC, avif.CODEC, jpeg2000.CODEC,
    psd.CODEC, *heif.CODECS, *simple.CODECS, *jxl.CODECS,
)  # fmt: skip
_BY_NAME = {name: codec for codec in CODECS for name in codec.names}
_ANY = Codec()

PNG, JPEG, WEBP, TIFF, AVIF, BMP, GIF, JXL = (
    png.OUTPUT, jpeg.OUTPUT, webp.OUTPUT, tiff.OUTPUT, avif.OUTPUT, simple.BMP_OUTPUT,
    simple.GIF_OUTPUT, jxl.OUTPUT,
)  # fmt: skip

FORMATS = tuple(codec.output for codec in CODECS if codec.output is not None)
"""All output formats that can be written here, the one to recommend first."""

READ_FORMATS = tuple(codec.names[0] for codec in CODECS if not codec.suffixes)
"""Formats read by what is in the file, as Pillow calls them. All are raster pictures: EPS and WMF,
which Pillow hands to other programs, are not among them. "JPEG" includes multi-picture JPEG."""

NAME_BY_SUFFIX = {suffix: codec.names[0] for codec in CODECS for suffix in codec.suffixes}
"""Formats read only where the name of a file ends so, as Pillow calls them."""

READ_SUFFIXES = frozenset(
    suffix
    for suffix, name in Image.EXTENSION.items()
    if name in READ_FORMATS or NAME_BY_SUFFIX.get(suffix) == name
).union(
    [".mpo"],  # multi-picture JPEG
    *(each.suffixes for each in FORMATS),  # all that is written is read, whoever else reads it
)
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
    return next(codec for codec in CODECS if codec.output == output_format)


def format_for(path: Path | None, name: str | None = None) -> OutputFormat:
    """The format that a file name or the user asks for.

    Args:
        path: the file to write; None where there is none, as for standard output.
        name: the name of a format or one of its suffixes, in any case, with or without a dot; it
            decides where `path` says nothing.

    Raises:
        UsageError: there is no such format, none is asked for, it is not installed, or `path` and
            `name` disagree.
    """
    by_suffix = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}
    by_name = by_suffix | {f".{entry.name.lower()}": entry for entry in FORMATS}
    suffix = path.suffix.lower() if path is not None else ""
    _check_installed(suffix if name is None else "." + name.lower().removeprefix("."))
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


def _check_installed(suffix: str) -> None:
    """Refuse an optional format that is not there.

    Raises:
        UsageError: what writes it is not installed.
    """
    if suffix in JXL.suffixes and JXL not in FORMATS:
        raise UsageError(
            "JPEG XL cannot be written without OpenImageIO.",
            'Install it (pip install "edsr-cli[jxl]"), or choose another format.',
        )
