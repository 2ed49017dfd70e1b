"""All formats: which codec is for what, and which format an output gets.

What is said here is known without the codecs. Each of them, with the parts of Pillow that it takes,
is imported when a picture comes that begins like its own, or is to be written, so that a PNG costs
nobody the time to load all the others. These are loaded together where a beginning tells nothing.
"""

from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from PIL import Image, UnidentifiedImageError

from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.images.outputs import AVIF, BMP, GIF, JPEG, JXL, PNG, TIFF, WEBP
from edsr_cli.images.picture import OutputFormat

if TYPE_CHECKING:
    from edsr_cli.images.codecs import Codec


class Format(NamedTuple):
    """A format, and where its codec is.

    Attributes:
        name: what Pillow calls it.
        codec: the codec's name in a module of `codecs`, `module:name`.
        suffixes: endings of the names of its files, lower case, all that Pillow knows.
        begins: how its files begin, where that is the same for all; others may begin so, too, but
            none of a format before it in the list.
        output: how pictures are written in it; None where they are not.
        opens: whether its codec opens files, not Pillow.
        only_by_name: whether nothing but the ending of its name tells that a file is of it.
        also: what else Pillow calls its pictures.
        needs: packages that it takes, by what is imported of them.
    """

    name: str
    codec: str
    suffixes: tuple[str, ...]
    begins: tuple[bytes, ...] = ()
    output: OutputFormat | None = None
    opens: bool = False
    only_by_name: bool = False
    also: str = ""
    needs: tuple[str, ...] = ()


_ALL = (
    Format("PNG", "png:CODEC", (".png", ".apng"), (b"\x89PNG\r\n\x1a\n",), PNG),
    Format(
        "JPEG",
        "jpeg:CODEC",
        (".jpg", ".jpeg", ".jfif", ".jpe", ".mpo"),
        (b"\xff\xd8\xff",),
        JPEG,
        also="MPO",  # of several pictures
    ),
    Format("WEBP", "webp:CODEC", (".webp",), (b"RIFF",), WEBP),
    Format(
        "TIFF",
        "tiff:CODEC",
        (".tif", ".tiff"),
        (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        TIFF,
        opens=True,
    ),
    Format("AVIF", "avif:CODEC", (".avif", ".avifs"), output=AVIF),
    Format(
        "JPEG2000",
        "jpeg2000:CODEC",
        (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
        (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ),
    Format("PSD", "psd:CODEC", (".psd",), (b"8BPS",), opens=True),
    Format(
        "HEIF",
        "heif:CODEC",
        (".heic", ".heics", ".heif", ".heifs", ".hif"),
        needs=("pillow_heif",),
    ),
    Format("BMP", "simple:BMP", (".bmp",), (b"BM",), BMP),
    Format("GIF", "simple:GIF", (".gif",), (b"GIF87a", b"GIF89a"), GIF),
    Format(
        "PPM",
        "simple:PNM",
        (".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
        (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf"),
    ),
    Format("QOI", "simple:QOI", (".qoi",), (b"qoif",)),
    Format("SGI", "simple:SGI", (".bw", ".rgb", ".rgba", ".sgi"), (b"\x01\xda",)),
    Format("TGA", "simple:TGA", (".tga",), only_by_name=True),
    Format("PCX", "simple:PCX", (".pcx",), only_by_name=True),
    Format(
        "JPEGXL",
        "jxl:CODEC",
        (".jxl",),
        (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
        JXL,
        also="JXL",  # by pillow-jxl-plugin
        needs=("OpenImageIO", "brotli"),
    ),
)

READABLE = tuple(each for each in _ALL if all(find_spec(name) for name in each.needs))
"""Formats that are read here, if the packages that they need work. All are raster pictures: EPS and
WMF, which Pillow hands to other programs, are not among them."""

FORMATS = tuple(each.output for each in READABLE if each.output is not None)
"""All output formats that can be written here, the one to recommend first."""

READ_SUFFIXES = frozenset(suffix for each in READABLE for suffix in each.suffixes)
"""Endings, lower case, of the names of files that can be read, if they are what they are called."""

MAGIC_BYTES = 16
"""How many bytes a format is told by."""


@cache
def codec_named(place: str) -> "Codec":
    """A codec by its `Format.codec`; its module is imported, and Pillow knows the format then."""
    module, _, name = place.partition(":")
    codec: Codec = getattr(import_module(f"edsr_cli.images.codecs.{module}"), name)
    return codec


def tell_pillow() -> None:
    """Have Pillow open all formats that are read here."""
    _known_to_pillow(all_formats=True)


def codec_of(image: Image.Image) -> "Codec":
    """The codec for an image that Pillow has opened, whatever it is."""
    from edsr_cli.images.codecs import Codec

    known = (each for each in READABLE if image.format and image.format in (each.name, each.also))
    found = next(known, None)
    return Codec() if found is None else codec_named(found.codec)


def codec_for(output_format: OutputFormat) -> "Codec":
    """The codec that writes a format."""
    return codec_named(next(each.codec for each in READABLE if each.output == output_format))


def codec_that_opens(start: bytes) -> "Codec | None":
    """The codec that opens files which begin so, where Pillow does not."""
    found = _beginning(start)
    return codec_named(found.codec) if found is not None and found.opens else None


def open_image(file: BinaryIO, suffix: str = "", *, all_formats: bool = False) -> Image.Image:
    """Have Pillow open a file, as one of the formats that are read, by what is in it.

    Args:
        file: the file, seekable.
        suffix: the ending of its name, lower case, for formats that only that tells; or empty.
        all_formats: whether also as those whose codecs open files better than Pillow.

    Raises:
        UnidentifiedImageError: it is none of them.
        Exception: any, where it is damaged.
    """
    file.seek(0)
    found = _beginning(file.read(MAGIC_BYTES))
    if found is not None and (all_formats or not found.opens):
        codec_named(found.codec)
        with suppress(UnidentifiedImageError):  # another format may begin so, too
            if found.name in Image.OPEN:
                return Image.open(file, formats=[found.name])
    return Image.open(file, formats=_known_to_pillow(suffix, all_formats=all_formats))


def begins_like_a_picture(start: bytes) -> bool:
    """Whether a file that begins with these `MAGIC_BYTES` bytes may be of a format that is read."""
    found = _beginning(start)
    if found is not None:
        codec_named(found.codec)
        if found.opens or _accepted(found.name, start):
            return True
    return any(_accepted(name, start) for name in _known_to_pillow())


def _accepted(name: str, start: bytes) -> bool:
    """Whether Pillow would try to open a file that begins so as a format that it knows."""
    check = Image.OPEN[name][1]
    return check is None or bool(check(start))


def _beginning(start: bytes) -> Format | None:
    """The format of files that begin so."""
    return next((each for each in READABLE if start.startswith(each.begins)), None)


def _known_to_pillow(suffix: str = "", *, all_formats: bool = False) -> list[str]:
    """The names of the formats that Pillow opens, those that only a suffix tells at the end."""
    formats = [
        each for each in READABLE if (all_formats or not each.opens) and not each.only_by_name
    ]
    formats += [each for each in READABLE if each.only_by_name and suffix in each.suffixes]
    for each in formats:
        codec_named(each.codec)
    return [each.name for each in formats if each.name in Image.OPEN]


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
