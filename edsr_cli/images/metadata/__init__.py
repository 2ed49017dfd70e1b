"""What a file says beside its pixels: EXIF, XMP, IPTC, texts; the same for all formats.

Here: what a codec finds, and what is made true of an upright picture.
"""

import math
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field
from PIL import Image

from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.images.metadata import exif_writing, iptc, xmp, xmp_extension
from edsr_cli.images.metadata.xmp_truth import Turn, upright
from edsr_cli.images.picture import Text

MAX_EXIF_BYTES = 2**24
"""Longest EXIF data that is kept: a PNG may state 2 GB, which would be copied many times."""

XMP_KEYWORD = "XML:com.adobe.xmp"
"""The keyword of the XMP data among the texts of PNG."""

C2PA = "content credentials (C2PA), which are signed for the old file"
MASTERING = "HDR mastering data"
"""Words for what several formats hold, and none keeps."""

_MAX_DPI = 65535.0  # JPEG has 16 bits for it
_MAX_TEXTS, _MAX_TEXT_BYTES = 10_000, 2**25
# Photoshop's image resources; 2000 to 2997 are paths.
_CAPTION, _COPYRIGHT_FLAG, _URL, _RESOLUTION = 1008, 1034, 1035, 1005
_EXIF_RESOURCE, _XMP_RESOURCE = 1058, 1060
# Also: the profile, the digest of IPTC, thumbnails, the version of the program.
_PHOTOSHOP_KEPT = {_CAPTION, _COPYRIGHT_FLAG, _URL, _RESOLUTION, _EXIF_RESOURCE, _XMP_RESOURCE,
                   iptc.IPTC_RESOURCE, 1039, 1061, 1033, 1036, 1057}  # fmt: skip


class Found(Struct):
    """What a file holds.

    Attributes:
        texts: texts and comments.
        iptc: IPTC-IIM data.
        exif, xmp: as stored, where Pillow does not find them.
        extended_xmp: the extensions of a JPEG's XMP, by their names.
        dpi: pixels per inch, where Pillow does not find them.
        notes: remarks on what cannot be kept.
    """

    texts: list[Text] = field(default_factory=list)
    iptc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    extended_xmp: dict[str, bytes] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)

    def add(self, keyword: str, value: str, language: str = "") -> None:
        """Take a text, unless there is none in it."""
        value = value.strip("\0")
        if value.strip():
            self.texts.append(Text(keyword, value, language))

    def leave(self, *words: str) -> None:
        """Remark on what is left out, once for each kind."""
        for word in dict.fromkeys(words):
            self.notes.append(f"left out: {word}")

    def add_bytes(self, keyword: str, value: bytes) -> None:
        """Take a text of unknown encoding."""
        self.add(keyword, decoded(value))

    def add_photoshop(self, parts: list[tuple[int, bytes]]) -> None:
        """Take what is in Photoshop's image resources, but for EXIF, XMP and resolution."""
        self.iptc = self.iptc or iptc.find(parts)
        for number, data in parts:
            if number == _URL:
                self.add_bytes("URL", data)
            elif number == _COPYRIGHT_FLAG and data[:1] not in (b"", b"\0"):
                self.add("CopyrightFlag", "True")
            elif number == _CAPTION and data[:1] and not self.iptc:
                self.add_bytes("Description", data[1 : 1 + data[0]])
        numbers = {number for number, _ in parts}
        if any(2000 <= number < 2998 for number in numbers):
            self.leave("its paths")
        if numbers - _PHOTOSHOP_KEPT - set(range(2000, 2998)):
            self.leave("Photoshop's settings for editing and printing")

    def bound(self) -> None:
        """Leave out texts that are beyond all measure."""
        size = sum(len(text.value) for text in self.texts)
        if len(self.texts) > _MAX_TEXTS or size > _MAX_TEXT_BYTES:
            self.texts.clear()
            self.notes.append("its texts are far more than is reasonable: dropped")


def decoded(data: bytes) -> str:
    """A text that is UTF-8, or else Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def exif_of(image: Image.Image) -> bytes | None:
    """The EXIF data that Pillow has found, as stored."""
    data = image.info.get("exif")
    if isinstance(data, bytes):
        return data
    # ImageMagick used to write EXIF data into PNG as text: a line with the name, one with the
    # number of bytes, then hexadecimal digits.
    text = image.info.get("Raw profile type exif")
    if isinstance(text, str):
        try:
            return bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            return b"?"  # there is something, but it is damaged
    return None


def orientation_of(exif: bytes | None) -> int:
    """The orientation that EXIF data as stored state, 1 to 8."""
    # It is one of the first things that are said.
    return exif_data.orientation(exif_data.strip_prefix(exif[:MAX_EXIF_BYTES])) if exif else 1


def upright_exif(
    find: Callable[[], bytes | None], turn: Turn, notes: list[str]
) -> tuple[bytes | None, bytes | None]:
    """EXIF data true of the upright picture, and as stored.

    Args:
        find: gives the data as stored; may raise anything where they are damaged.
        turn: how the picture is stored.
        notes: where remarks go.
    """
    try:
        stored = find()
        if not stored:
            return None, None
        if len(stored) > MAX_EXIF_BYTES:
            notes.append("its EXIF data is far larger than is reasonable and was dropped")
            return None, None
        stored = exif_data.strip_prefix(stored)
        exif = exif_data.clean(stored)
        if exif:  # what Pillow cannot read, it cannot write either
            Image.Exif().load(exif)
    except Exception:  # Pillow meets damaged EXIF data with all kinds
        notes.append("its EXIF data is damaged and was dropped")
        return None, None
    if not exif:
        return exif, stored
    try:
        return exif_writing.turned(exif, turn.orientation, turn.width, turn.height), stored
    except ValueError:
        notes.append("its EXIF data is damaged and was dropped")
        return None, stored


def upright_xmp(
    stored: bytes | None, extensions: dict[str, bytes], turn: Turn, notes: list[str]
) -> bytes | None:
    """The XMP data, whole and true of the upright picture."""
    if not stored:
        if extensions:
            notes.append("its extended XMP data belongs to nothing and was dropped")
        return None
    try:
        data, complete = xmp_extension.joined(xmp.to_utf8(stored), extensions)
    except ValueError:
        notes.append("its XMP data is damaged, or out of all proportion: dropped")
        return None
    if not complete:
        notes.append("its extended XMP data is damaged or missing: dropped")
    result, remarks = upright(data, turn)
    notes += remarks
    return result


def xmp_of(image: Image.Image) -> bytes | None:
    """The XMP data that Pillow has found, as stored."""
    for key in ("xmp", XMP_KEYWORD):
        value: Any = image.info.get(key)
        if isinstance(value, str):
            value = value.encode("utf-8", "replace")
        if isinstance(value, bytes) and value.strip(b"\0 "):
            return value
    return None


def usable_dpi(dpi: Any) -> tuple[float, float] | None:
    """A resolution in pixels per inch, if it is one."""
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # A TIFF without a resolution, or with a ratio only, comes as 1 x 1.
    if all(math.isfinite(value) and 1 < value <= _MAX_DPI for value in (x, y)):
        return x, y
    return None
