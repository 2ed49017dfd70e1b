"""PNG.

What Pillow does not tell: the depth; chunks about colours and how they go together; texts, IPTC and
EXIF in the way of ImageMagick; EXIF behind the pixels.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from edsr_cli.images.bands import band_rows
from edsr_cli.images.codecs import Codec, Encoder, Rows, bits_in_header, png_rows
from edsr_cli.images.codecs.animation import SequenceEncoder
from edsr_cli.images.codecs.apng_writing import PngAnimation
from edsr_cli.images.codecs.boxes import MAX_PART_BYTES, MAX_PARTS
from edsr_cli.images.codecs.png_writing import SIGNATURE, Chunk, PngEncoder, write_chunk
from edsr_cli.images.codecs.raw_rows import band_of, tiles_of
from edsr_cli.images.colour import Samples, icc, spaces
from edsr_cli.images.colour.spaces import Stated, made, stated_points
from edsr_cli.images.guard import MAX_PNG_CHUNK_BYTES, unpacks_to_too_much
from edsr_cli.images.metadata import (
    C2PA,
    MASTERING,
    MAX_EXIF_BYTES,
    XMP_KEYWORD,
    Found,
    exif_of,
    iptc,
    orientation_of,
)
from edsr_cli.images.picture import Metadata, OutputRequest
from edsr_cli.images.source import kept_position

_LONG_TEXT = 1024  # characters from which on a text in a PNG is compressed, as the format advises
_MAX_TOTAL_BYTES = 2**27  # of chunks that are looked at

# Chunks that are about how the old file stores pixels, when it did so, or its animation; or that
# other modules look after.
_WITHOUT_LOSS = frozenset(
    (b"IHDR", b"PLTE", b"IEND", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"tIME", b"pHYs",
     b"acTL", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP",
     b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"iDOT", b"vpAg", b"orNT", b"CgBI")
)  # fmt: skip
_WORDS = {
    **dict.fromkeys((b"mDCV", b"mDCv", b"cLLI", b"cLLi"), MASTERING),
    b"caBX": C2PA,
    b"gdAT": "a gain map (HDR)",
    b"mkBF": "Fireworks' layers",
}


class Png(Codec):
    """See the module."""

    name = "PNG"

    def bits(self, image: Image.Image, file: BinaryIO) -> int:
        # IHDR: 8 bytes signature, 4 length, 4 name, 4 width, 4 height, then depth and colour type.
        # In a palette picture the depth is that of the indices; the colours always have 8 bits.
        return bits_in_header(file, lambda header: 8 if header[25] == 3 else header[24])

    def orientation(self, image: Image.Image, file: BinaryIO | None = None) -> int:
        data = exif_of(image)
        return orientation_of(_late_exif(file) if data is None and file is not None else data)

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        if file is not None:
            _find_texts(file, found)
            return
        for keyword, value in (getattr(image, "text", None) or {}).items():
            if not keyword.startswith("Raw profile type ") and keyword != XMP_KEYWORD:
                found.add(keyword, str(value))
        super().texts(image, file, found)

    def colour(self, image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
        return _stated(image, file, own)

    def rows(self, image: Image.Image, file: BinaryIO) -> Rows | None:
        header = png_rows.read_header(file)
        if header is None or not tiles_of(image) or (header.interlaced and header.bits < 8):
            return None
        exact = header.bits == 16 and header.colour_type != png_rows.GREY
        if header.interlaced and not exact:
            return None
        size = header.width, header.bits
        place = tiles_of(image)[0].offset

        def begin() -> Iterator[Image.Image | Samples]:
            for rows in png_rows.decode_rows(file, place, header, band_rows(*size)):
                yield _band(rows, header, image)

        about = partial(_without_pixels, file, header)
        return Rows(begin, about, exact, at_once=header.interlaced)

    def create(self, file: BinaryIO, request: OutputRequest) -> Encoder:
        level = request.options.compression
        # Without a level, zlib looks for nothing but runs of equal bytes: the filters of PNG have
        # taken out already what a photograph repeats. On photographs enlarged x4 files become as
        # small as with level 6, in less time than with level 1; see benchmarks/encoding.py.
        return PngEncoder(
            file,
            request,
            _chunks(request.metadata),
            level=1 if level is None else level,
            strategy=zlib.Z_RLE if level is None else zlib.Z_DEFAULT_STRATEGY,
        )

    def sequence(self, file: BinaryIO, frames: int, plays: int) -> SequenceEncoder:
        return PngAnimation(file, frames, plays, self.create)


CODEC = Png()


def _band(
    rows: NDArray[np.uint8], header: png_rows.Header, image: Image.Image
) -> Image.Image | Samples:
    """Rows of bytes as samples; those of a palette, or of fewer bits, as Pillow has them."""
    if header.bits >= 8 and header.colour_type != png_rows.PALETTE:
        clear = image.info.get("transparency")
        if isinstance(clear, tuple) and header.bits == 8 and max(clear) > 255:
            clear = tuple(value >> 8 for value in clear)
        return png_rows.to_samples(rows, header, clear if header.channels in (1, 3) else None)
    return band_of(image, rows.tobytes(), tiles_of(image)[0].args)


def _without_pixels(file: BinaryIO, header: png_rows.Header) -> Image.Image:
    """A PNG of one pixel with all other chunks of a file, some of which may follow the pixels."""
    pixel = zlib.compress(bytes(1 + header.row_bytes(1)))
    start = struct.pack(">LL5B", 1, 1, header.bits, header.colour_type, 0, 0, 0)
    chunks = [(b"IHDR", start)]
    chunks += [(name, data) for name, data in chunks_of(file) if name not in (b"IHDR", b"acTL")]
    # Where the pixels are does not matter, but a palette has to come before them.
    chunks += [(b"IDAT", pixel), (b"IEND", b"")]
    content = io.BytesIO()
    content.write(SIGNATURE)
    for name, data in chunks:
        write_chunk(content, name, data)
    content.seek(0)
    image = PngImagePlugin.PngImageFile(content)
    image.load()
    return image


def chunks_of(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Name and content of the chunks of a PNG, in order, without those of pixels."""
    found: list[tuple[bytes, bytes]] = []
    total = 0
    with kept_position(file):
        file.seek(8)
        while len(found) < MAX_PARTS and len(header := file.read(8)) == 8:
            length, name = struct.unpack(">L4s", header)
            total += 0 if name == b"IDAT" else length
            unwanted = name in (b"IDAT", b"fdAT", b"fcTL")
            if unwanted or length > MAX_PART_BYTES or total > _MAX_TOTAL_BYTES:
                file.seek(length + 4, 1)
                continue
            data = file.read(length)
            if name == b"IEND" or len(data) < length:
                break
            found.append((name, data))
            file.seek(4, 1)
    return found


def _find_texts(file: BinaryIO, found: Found) -> None:
    """Look for texts.

    Raises:
        PictureError: they take too much. Pillow keeps no count of those that it passes over.
    """
    unknown, size = [], 0
    for name, data in chunks_of(file):
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, text, language = _text_of(name, data)
            size += len(text)
            if size > PngImagePlugin.MAX_TEXT_MEMORY:
                raise unpacks_to_too_much()
            if keyword.startswith("Raw profile type "):
                _take_profile(keyword[17:].strip().lower(), text, found)
            elif keyword != XMP_KEYWORD:
                found.add(keyword or "Comment", text, language)
        elif name not in _WITHOUT_LOSS:
            kind = name.decode("ascii", "replace")
            unknown.append(_WORDS.get(name, f"its PNG chunk {kind!r}"))
    found.leave(*unknown[:20])


def _text_of(name: bytes, data: bytes) -> tuple[str, str, str]:
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


def _take_profile(kind: str, text: str, found: Found) -> None:
    """A profile as hexadecimal digits behind a line with its name and one with its length."""
    try:
        data = bytes.fromhex("".join(text.strip().split("\n")[2:]))
    except ValueError:
        found.notes.append(f"its profile {kind[:40]!r} is damaged and was dropped")
        return
    if kind in ("iptc", "8bim"):
        found.iptc = iptc.find(iptc.photoshop_resources(data)) or (
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


def _late_exif(file: BinaryIO) -> bytes | None:
    """The eXIf chunk, also where it follows the pixels and Pillow has not seen it yet."""
    position = file.tell()
    try:
        file.seek(8)
        while len(header := file.read(8)) == 8:
            length, name = struct.unpack(">L4s", header)
            if name == b"eXIf":
                return file.read(min(length, MAX_EXIF_BYTES))
            if name == b"IEND":
                return None
            file.seek(length + 4, 1)
        return None
    finally:
        file.seek(position)


def _stated(image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
    """The first of cICP, iCCP, sRGB, gAMA and cHRM (PNG 3rd edition, 11.3.2)."""
    chunks = _png_statements(image, file)
    notes: tuple[str, ...] = ()
    if own is None and b"iCCP" in chunks:  # behind the pixels, where it should not be
        own = _profile(chunks[b"iCCP"])
        notes = () if own else ("its ICC profile is damaged and was dropped",)
    if len(data := chunks.get(b"cICP", b"")) == 4:
        stated = stated_points((data[0], data[1], data[2], data[3]), own, "cICP")
        if not stated.notes:
            if data[2] != 0 or data[3] == 0:
                notes += ("its cICP chunk states a video signal, which was read as RGB",)
            if stated.hdr is None and stated.profile is None:
                stated = Stated(icc.srgb_profile())
            return replace(stated, notes=notes)
        notes += stated.notes
    if own is not None:
        return Stated(own, notes=notes)
    if b"sRGB" in chunks:
        return Stated(icc.srgb_profile(), notes=notes)
    stated = _png_numbers(chunks)
    return replace(stated, notes=notes + stated.notes)


def _png_statements(image: Image.Image, file: BinaryIO | None) -> dict[bytes, bytes]:
    """The chunks of a PNG; without its file, those about colours that Pillow has kept."""
    chunks: dict[bytes, bytes] = {}
    if file is not None:
        for name, data in chunks_of(file):
            chunks.setdefault(name, data)
        return chunks
    info = image.info
    values: Any
    for name, values in ((b"gAMA", [info.get("gamma")]), (b"cHRM", info.get("chromaticity"))):
        if values and all(isinstance(value, float) and 0 <= value < 40_000 for value in values):
            numbers = [round(value * 100_000) for value in values]
            chunks[name] = struct.pack(f">{len(numbers)}L", *numbers)
    if "srgb" in info:
        chunks[b"sRGB"] = b"\0"
    return chunks


def _png_numbers(chunks: dict[bytes, bytes]) -> Stated:
    """What gAMA and cHRM say."""
    options: dict[str, Any] = {}
    words = []
    if len(data := chunks.get(b"gAMA", b"")) == 4:
        (value,) = struct.unpack(">L", data)
        try:
            curve = spaces.gamma_curve(100_000 / value if value else 0)
        except ValueError:
            return Stated(notes=("its gAMA chunk makes no sense: dropped",))
        options["curves"] = (curve,) * 3
        words.append(f"gamma {100_000 / value:.4g}")
    if len(data := chunks.get(b"cHRM", b"")) == 32:
        white, *points = spaces.pairs([value / 100_000 for value in struct.unpack(">8L", data)])
        options |= {"primaries": points, "white": white}
        words.append("primaries of cHRM")
    if not options:
        return Stated()
    return made(spaces.srgb_with(", ".join(words), **options), "its gAMA and cHRM chunks")


def _profile(data: bytes) -> bytes | None:
    _, _, compressed = data.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(compressed[1:], MAX_PNG_CHUNK_BYTES) or None
    except zlib.error:
        return None


def _chunks(metadata: Metadata) -> list[Chunk]:
    """What a PNG has in front of its pixels."""
    chunks: list[Chunk] = []
    if metadata.hdr:
        chunks.append((b"cICP", bytes(metadata.hdr)))
    if metadata.icc_profile:
        profile = zlib.compress(metadata.icc_profile)
        chunks.append((b"iCCP", b"ICC Profile\0\0" + profile))
    if metadata.dpi:
        a_metre = (round(value / 0.0254) for value in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">2LB", *a_metre, 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(_text_chunk(XMP_KEYWORD, metadata.xmp.decode("utf-8", "replace"), xmp=True))
    return chunks + [
        _text_chunk(text.keyword, text.value, text.language) for text in metadata.texts
    ]


def _text_chunk(keyword: str, value: str, language: str = "", *, xmp: bool = False) -> Chunk:
    """A text in the oldest kind of chunk that holds it; long ones are compressed, but for XMP."""
    keyword = " ".join(keyword.encode("latin-1", "replace").decode("latin-1").split())
    keyword = "".join(c for c in keyword if c.isprintable())[:79].strip() or "Comment"
    word = keyword.encode("latin-1") + b"\0"
    value = value.replace("\0", "")
    long = len(value) > _LONG_TEXT and not xmp
    try:
        data = value.encode("latin-1")
        international = xmp or bool(language)
    except UnicodeEncodeError:
        international = True
    if international:
        data = value.encode("utf-8", "replace")
        spoken = language.encode("latin-1", "replace") + b"\0"
        data = zlib.compress(data) if long else data
        return b"iTXt", word + bytes((long, 0)) + spoken + b"\0" + data
    if long:
        return b"zTXt", word + b"\0" + zlib.compress(data)
    return b"tEXt", word + data
