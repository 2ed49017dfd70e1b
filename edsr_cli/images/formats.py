"""The formats that pictures are written in, and what each can hold."""

from dataclasses import dataclass
from pathlib import Path

from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.images.guard import TooLargeError

_ALL = frozenset(("ICC profile", "EXIF data", "XMP data", "resolution", "texts", "IPTC data"))
_PILLOW_SIDE = 2**29 - 2  # the widest image that Pillow can hold


@dataclass(frozen=True)
class OutputFormat:
    """A format to write pictures in.

    Attributes:
        name: what to call it, such as "PNG".
        suffixes: the endings of its file names, lower case, the usual one first.
        max_side: largest width and largest height in pixels.
        max_pixels: largest width times height in pixels, or None where only `max_side` counts.
        max_bytes: largest size in bytes of the rows without compression, each padded to a multiple
            of 4 bytes, or None where it does not matter.
        keeps: the kinds of metadata it can hold, in one way or another: "ICC profile", "EXIF data",
            "XMP data", "resolution", "texts" and "IPTC data".
        encoder_bytes: memory that writing takes for each pixel, beside the pixels themselves, as
            measured on photographs: Pillow's copy, and what the encoder needs.
        alpha: whether it can hold transparency that all programs read.
    """

    name: str
    suffixes: tuple[str, ...]
    max_side: int
    max_pixels: int | None = None
    max_bytes: int | None = None
    keeps: frozenset[str] = _ALL
    encoder_bytes: int = 4
    alpha: bool = True

    def can_hold(self, width: int, height: int) -> bool:
        """Whether a picture of such a size, in pixels, can be written and read again."""
        return self._exceeded(width, height) is None

    def check_size(self, width: int, height: int) -> None:
        """Refuse a size, in pixels, that the format cannot hold.

        Raises:
            TooLargeError: it cannot; the hint names the formats that can.
        """
        limit = self._exceeded(width, height)
        if limit is None:
            return
        others = [other.name for other in FORMATS if other.can_hold(width, height)]
        raise TooLargeError(
            f"{width} x {height} pixels do not fit into {self.name}, which holds at most {limit}.",
            f"Write it as {' or '.join(others)} instead." if others else "Make it smaller.",
        )

    def _exceeded(self, width: int, height: int) -> str | None:
        """The limit that a size exceeds, in words; None where it exceeds none."""
        if max(width, height) > self.max_side:
            return f"{self.max_side} pixels a side"
        if self.max_pixels is not None and width * height > self.max_pixels:
            return f"{self.max_pixels:,} pixels"
        if self.max_bytes is not None and (3 * width + 3) // 4 * 4 * height > self.max_bytes:
            return f"{self.max_bytes:,} bytes"
        return None


PNG = OutputFormat("PNG", (".png",), max_side=_PILLOW_SIDE)
# libjpeg stops at 65500, below the 65535 of the format.
JPEG = OutputFormat("JPEG", (".jpg", ".jpeg"), max_side=65_500, alpha=False)
WEBP = OutputFormat(
    "WebP", (".webp",), max_side=16_383, keeps=_ALL - {"resolution"}, encoder_bytes=35
)
# Offsets grow to 64 bits (BigTIFF) where a file passes 4 GiB, so only the sizes have a limit.
TIFF = OutputFormat("TIFF", (".tif", ".tiff"), max_side=2**32 - 1, encoder_bytes=1)
# libavif writes up to 65536 a side, but its decoder, which Pillow and browsers use, refuses more
# than 32768 a side and more than 16384 x 16384 in all.
AVIF = OutputFormat(
    "AVIF",
    (".avif",),
    max_side=32_768,
    max_pixels=2**28,
    keeps=_ALL - {"resolution"},
    encoder_bytes=42,
)
# The header, of 54 bytes, counts the bytes of the file in 32 bits.
BMP = OutputFormat(
    "BMP",
    (".bmp",),
    max_side=_PILLOW_SIDE,
    max_bytes=2**32 - 1 - 54,
    keeps=frozenset(("resolution",)),
    alpha=False,
)

FORMATS = (PNG, JPEG, WEBP, TIFF, AVIF, BMP)
"""All output formats, the one to recommend first."""


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
