"""What a file holds beside picture, profile, EXIF and XMP: texts, comments, IPTC, Photoshop's data.

    PNG        tEXt, zTXt, iTXt; "Raw profile type" texts as ImageMagick writes them
    JPEG       comments; IPTC in Photoshop's marker; extended XMP
    TIFF       IPTC (33723), or Photoshop's data (34377) with IPTC in it
    PSD        image resources: IPTC, EXIF, XMP, resolution, copyright notice, address
    JPEG 2000  UUID boxes: EXIF, XMP, IPTC; comments
    WebP, AVIF content credentials and gain maps, which are only named
    GIF        comments; XMP in an application extension
    TGA        author, comment, job and program of the extension area

What is none of these is named in a remark.
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from edsr_cli.images.codecs import boxes as containers
from edsr_cli.images.guard import MAX_PNG_CHUNK_BYTES
from edsr_cli.images.metadata import iptc
from edsr_cli.images.picture import Text

_MAX_TEXTS, _MAX_TEXT_BYTES = 10_000, 2**25
_XMP_KEYWORD = "XML:com.adobe.xmp"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"

# Chunks that are about how the old file stores pixels, when it did so, or its animation; or that
# other modules look after.
_PNG_WITHOUT_LOSS = frozenset(
    (b"IHDR", b"PLTE", b"IEND", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"tIME", b"pHYs",
     b"acTL", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP",
     b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"iDOT", b"vpAg", b"orNT", b"CgBI")
)  # fmt: skip
_C2PA = "content credentials (C2PA), which are signed for the old file"
_MASTERING = "HDR mastering data"
_PNG_WORDS = {
    **dict.fromkeys((b"mDCV", b"mDCv", b"cLLI", b"cLLi"), _MASTERING),
    b"caBX": _C2PA,
    b"gdAT": "a gain map (HDR)",
    b"mkBF": "Fireworks' layers",
}

# What other modules look after, and what is about how the old file stores pixels.
_JPEG_KNOWN: dict[str, tuple[bytes, ...]] = {
    "APP0": (b"JFIF\0", b"JFXX\0"),
    "APP1": (b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", _EXTENDED_XMP),
    "APP2": (b"ICC_PROFILE\0", b"MPF\0"),
    "APP13": (b"Photoshop 3.0\0", b"Adobe_CM\0"),
    "APP14": (b"Adobe",),
}

_IPTC, _PHOTOSHOP = 33723, 34377
_TIFF_KNOWN = {33432, 33550, 33723, 33922, 34264, 34377, 34665, 34675, 34735, 34736, 34737, 34853,
               37724, 40965, 42112, 50341, 52545, 32995, 32996, 32997, 32998,
               *range(40091, 40096)}  # fmt: skip

_UUID_EXIF = b"JpgTiffExif->JP2"
_UUID_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_UUID_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_UUID_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_WEBP_KNOWN = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")
_UUID_GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")

# Photoshop's image resources; 2000 to 2997 are paths.
_CAPTION, _COPYRIGHT_FLAG, _URL, _RESOLUTION = 1008, 1034, 1035, 1005
_EXIF_RESOURCE, _XMP_RESOURCE = 1058, 1060
# Also: the profile, the digest of IPTC, thumbnails, the version of the program.
_PHOTOSHOP_KEPT = {_CAPTION, _COPYRIGHT_FLAG, _URL, _RESOLUTION, _EXIF_RESOURCE, _XMP_RESOURCE,
                   iptc.IPTC_RESOURCE, 1039, 1061, 1033, 1036, 1057}  # fmt: skip


@dataclass
class Found:
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


def find(image: Image.Image, file: BinaryIO | None) -> Found:
    """Look for what a file holds.

    Args:
        image: the image, loaded.
        file: its file, if there is one; its position is kept.
    """
    found = Found()
    form = image.format or ""
    try:
        if form in ("JPEG", "MPO"):
            _jpeg(image, found)
            if file is not None and form == "JPEG" and _has_trailer(file):
                found.leave("data behind the picture")
        elif form == "TIFF":
            _tiff(image, file, found)
        elif file is not None and form in _READERS:
            _READERS[form](file, found)
        elif file is None:
            _from_info(image, found)
    except (struct.error, IndexError):
        found.notes.append("a part of its metadata is damaged and was dropped")
    _bound(found)
    return found


def _bound(found: Found) -> None:
    size = sum(len(text.value) for text in found.texts)
    if len(found.texts) > _MAX_TEXTS or size > _MAX_TEXT_BYTES:
        found.texts.clear()
        found.notes.append("its texts are far more than is reasonable: dropped")


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _png(file: BinaryIO, found: Found) -> None:
    unknown = []
    for name, data in containers.png_chunks(file):
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, text, language = _png_text(name, data)
            if keyword.startswith("Raw profile type "):
                _raw_profile(keyword[17:].strip().lower(), text, found)
            elif keyword != _XMP_KEYWORD:
                found.add(keyword or "Comment", text, language)
        elif name not in _PNG_WITHOUT_LOSS:
            kind = name.decode("ascii", "replace")
            unknown.append(_PNG_WORDS.get(name, f"its PNG chunk {kind!r}"))
    found.leave(*unknown[:20])


def _png_text(name: bytes, data: bytes) -> tuple[str, str, str]:
    """Keyword, text and language; no text where it is damaged."""
    word, _, rest = data.partition(b"\0")
    keyword, language = word.decode("latin-1"), b""
    try:
        if name == b"zTXt":
            return keyword, _inflated(rest[1:]).decode("latin-1"), ""
        if name == b"iTXt":
            packed = rest[:1] == b"\1"
            language, _, rest = rest[2:].partition(b"\0")
            text = rest.partition(b"\0")[2]
            text = _inflated(text) if packed else text
            return keyword, text.decode("utf-8", "replace"), language.decode("latin-1")
    except zlib.error:
        return keyword, "", ""
    return keyword, rest.decode("latin-1"), ""


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MAX_PNG_CHUNK_BYTES)


def _raw_profile(kind: str, text: str, found: Found) -> None:
    """A profile as hexadecimal digits behind a line with its name and one with its length."""
    try:
        data = bytes.fromhex("".join(text.strip().split("\n")[2:]))
    except ValueError:
        found.notes.append(f"its profile {kind[:40]!r} is damaged and was dropped")
        return
    if kind in ("iptc", "8bim"):
        found.iptc = iptc.find(containers.photoshop_resources(data)) or (
            data if iptc.data_sets(data) else None
        )
    elif kind == "xmp":
        found.xmp = data
    elif kind in ("exif", "app1"):  # Pillow finds the first; the second is the whole marker
        if data.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            found.xmp = data[29:]
        else:
            found.exif = data
    else:
        found.leave(f"its profile {kind[:40]!r}")


def _jpeg(image: Image.Image, found: Found) -> None:
    photoshop, left, markers = [], [], []
    pieces: dict[str, dict[int, bytes]] = {}
    for name, data in getattr(image, "applist", ()):
        if name == "COM":
            found.add("Comment", _decoded(data))
        elif name == "APP13" and data.startswith(b"Photoshop 3.0\0"):
            photoshop.append(data[14:])
        elif name == "APP1" and data.startswith(_EXTENDED_XMP) and len(data) > 75:
            key = data[35:67].decode("ascii", "replace")
            (place,) = struct.unpack_from(">L", data, 71)
            pieces.setdefault(key, {})[place] = data[75:]
        elif name == "APP11" and b"jumb" in data[:40] and b"c2pa" in data[:200]:
            left.append(_C2PA)
        elif name == "APP2" and data.startswith(b"urn:iso:std:iso:ts:21496:-1\0"):
            left.append("a gain map (HDR)")
        elif name.startswith("APP") and not data.startswith(_JPEG_KNOWN.get(name, ())):
            letters = re.match(rb"[\x20-\x7e]{0,20}", data)
            markers.append(f"{name} {(letters[0] if letters else b'').decode()}".rstrip())
    for key, parts in pieces.items():
        whole = b"".join(part for place, part in sorted(parts.items()))
        if len(whole) <= containers.MAX_PART_BYTES:
            found.extended_xmp[key.upper()] = whole
    if markers:
        left.append(f"its markers {', '.join(list(dict.fromkeys(markers))[:12])}")
    found.leave(*left)
    # A resource may go on in the next marker.
    _photoshop(containers.photoshop_resources(b"".join(photoshop)), found)


def _has_trailer(file: BinaryIO) -> bool:
    """Whether a JPEG does not end with its end marker, but for zeros: as videos are attached."""
    with containers.kept_position(file):
        end = file.seek(0, 2)
        file.seek(max(0, end - 4096))
        tail = file.read(4096).rstrip(b"\0\r\n")
    return bool(tail) and not tail.endswith(b"\xff\xd9")


def _photoshop(parts: list[tuple[int, bytes]], found: Found) -> None:
    found.iptc = found.iptc or iptc.find(parts)
    for number, data in parts:
        if number == _URL:
            found.add("URL", _decoded(data))
        elif number == _COPYRIGHT_FLAG and data[:1] not in (b"", b"\0"):
            found.add("CopyrightFlag", "True")
        elif number == _CAPTION and data[:1] and not found.iptc:
            found.add("Description", _decoded(data[1 : 1 + data[0]]))
    numbers = {number for number, _ in parts}
    if any(2000 <= number < 2998 for number in numbers):
        found.leave("its paths")
    if numbers - _PHOTOSHOP_KEPT - set(range(2000, 2998)):
        found.leave("Photoshop's settings for editing and printing")


def _tiff(image: Image.Image, file: BinaryIO | None, found: Found) -> None:
    tags: Any = getattr(image, "tag_v2", {})
    # Many writers call the bytes of IPTC numbers of 32 bits, of which Pillow gives the first.
    stored = containers.tiff_values(file, frozenset((_IPTC, _PHOTOSHOP))) if file else {}
    data = stored.get(_IPTC, b"")
    if data[3:4] == b"\x1c":
        data = np.frombuffer(data[: len(data) // 4 * 4], "<u4").byteswap().tobytes()
    found.iptc = data if iptc.data_sets(data) else None
    _photoshop(containers.photoshop_resources(stored.get(_PHOTOSHOP, b"")), found)
    if 37724 in tags:
        found.leave("its layers")
    if any(tag in tags for tag in (33550, 33922, 34264, 34735)):
        found.leave("its place on the globe (GeoTIFF)")
    if 42112 in tags:
        found.add("GDAL_METADATA", str(tags[42112]))
    if 52545 in tags:
        found.leave(_C2PA)
    unknown = sorted(tag for tag in tags if tag >= 32768 and tag not in _TIFF_KNOWN)
    if unknown:
        found.leave(f"its TIFF tags {', '.join(map(str, unknown[:20]))}")


def _psd(file: BinaryIO, found: Found) -> None:
    parts = containers.psd_resources(file)
    _photoshop(parts, found)
    values = dict(reversed(parts))
    found.exif, found.xmp = values.get(_EXIF_RESOURCE), values.get(_XMP_RESOURCE)
    if len(data := values.get(_RESOLUTION, b"")) >= 16:
        across, _, _, down = struct.unpack_from(">LHHL", data)
        found.dpi = (across / 65536, down / 65536)  # always per inch; the unit is for display


def _jpeg2000(file: BinaryIO, found: Found) -> None:
    words = []
    for box in containers.boxes(file):
        if box.name == b"uuid":
            data = box.read(file)
            kind, content = data[:16], data[16:]
            if kind == _UUID_XMP:
                found.xmp = content
            elif kind == _UUID_EXIF:
                found.exif = content
            elif kind == _UUID_IPTC:
                found.iptc = content if iptc.data_sets(content) else None
            else:
                words.append(
                    "its place on the globe (GeoJP2)" if kind == _UUID_GEO else "a UUID box"
                )
        elif box.name == b"xml ":
            found.add("XML", _decoded(box.read(file)))
        elif box.name == b"jumb":
            words.append(_C2PA if b"c2pa" in box.read(file)[:200] else "a JUMBF box")
        elif box.name == b"jp2c":
            _jpeg2000_comments(box, file, found)
    if not containers.boxes(file):  # a bare code stream
        _jpeg2000_comments(containers.Box(b"jp2c", 0, 65536), file, found)
    found.leave(*words)


def _jpeg2000_comments(box: containers.Box, file: BinaryIO, found: Found) -> None:
    """The comments in the header of a code stream."""
    end = min(box.end, box.start + 65536)
    data = containers.Box(box.name, box.start, end).read(file)
    place = 2
    while place + 4 <= len(data) and data[place : place + 2] not in (b"\xff\x90", b"\xff\xd9"):
        marker, size = struct.unpack_from(">HH", data, place)
        if size < 2:
            break
        if marker == 0xFF64 and data[place + 4 : place + 6] == b"\0\1":
            found.add("Comment", data[place + 6 : place + 2 + size].decode("latin-1"))
        place += 2 + size


def _webp(file: BinaryIO, found: Found) -> None:
    """Chunks that Pillow does not know; all that are known hold pixels, profile, EXIF or XMP."""
    names = [name for name in containers.riff_chunks(file) if name not in _WEBP_KNOWN]
    words = {b"C2PA": _C2PA}
    found.leave(
        *(
            words.get(name, f"its WebP chunk {name.decode('ascii', 'replace')!r}")
            for name in names[:20]
        )
    )


def _avif(file: BinaryIO, found: Found) -> None:
    for box in containers.boxes(file):
        if box.name == b"uuid" and containers.Box(b"", box.start, box.start + 16).read(file) == (
            _UUID_C2PA
        ):
            found.leave(_C2PA)
    properties = containers.find_boxes(file, b"meta", b"iprp", b"ipco", skip=4)
    inside = {part.name for box in properties[:1] for part in containers.boxes(file, box)}
    if inside & {b"mdcv", b"clli"}:
        found.leave(_MASTERING)
    for box in containers.find_boxes(file, b"meta", b"iinf", skip=4):
        if b"tmap" in box.read(file):  # the type of an item that is made of picture and gain map
            found.leave("a gain map (HDR)")


def _gif(file: BinaryIO, found: Found) -> None:
    for name, data in containers.gif_extensions(file):
        if name == b"comment":
            found.add("Comment", _decoded(data))
        elif name == b"XMP DataXMP":
            # Behind the packet are 258 bytes that lead any reader of blocks to its end.
            found.xmp = re.split(rb"\x01\xff\xfe\xfd", data)[0].rstrip(b"\x01")


def _tga(file: BinaryIO, found: Found) -> None:
    with containers.kept_position(file):
        end = file.seek(0, 2)
        file.seek(max(0, end - 26))
        footer = file.read(26)
        if footer[8:24] != b"TRUEVISION-XFILE":
            return
        (place,) = struct.unpack_from("<L", footer)
        if not place:
            return
        file.seek(place)
        area = file.read(495)
    for keyword, start, size in (("Author", 2, 41), ("Job", 379, 41), ("Software", 426, 41)):
        found.add(keyword, area[start : start + size].split(b"\0")[0].decode("latin-1"))
    lines = [area[43 + 81 * n : 124 + 81 * n].split(b"\0")[0].decode("latin-1") for n in range(4)]
    found.add("Comment", "\n".join(lines).strip())


def _from_info(image: Image.Image, found: Found) -> None:
    """What Pillow has kept of a picture whose file is gone."""
    texts = getattr(image, "text", None) if image.format == "PNG" else None
    for keyword, value in (texts or {}).items():
        if not keyword.startswith("Raw profile type ") and keyword != _XMP_KEYWORD:
            found.add(keyword, str(value))
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        found.add("Comment", _decoded(comment))


_READERS: dict[str, Callable[[BinaryIO, Found], None]] = {
    "PNG": _png,
    "PSD": _psd,
    "JPEG2000": _jpeg2000,
    "WEBP": _webp,
    "AVIF": _avif,
    "GIF": _gif,
    "TGA": _tga,
}
