"""What a file says about its colours, in whatever way its format has, as an ICC profile.

Profiles that Pillow finds are taken as they are. All else becomes a profile that says the same;
what no profile can say, the transfer functions of HDR, is kept as the code points of H.273.

    PNG        cICP, iCCP, sRGB, gAMA and cHRM, the first of them (PNG 3rd edition, 11.3.2)
    JPEG       ICC profile; EXIF
    WebP       ICC profile; EXIF
    AVIF       ICC profile; nclx; EXIF
    TIFF       ICC profile; white point, primaries and transfer function; EXIF
    JPEG 2000  ICC profile or enumerated colour space
    BMP        the header's endpoints and gamma, or the profile behind the pixels
    GIF        ICC profile in an application extension
    PSD        ICC profile
    QOI        linear or not
    TGA        gamma

EXIF says it by the interoperability index R03 or the unofficial colour space 2, both of which are
Adobe RGB, or by white point, primaries and gamma. What only XMP states does not count: no viewer
pays heed to it.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import nclx
from edsr_cli.images.codecs import boxes as containers
from edsr_cli.images.colour import icc
from edsr_cli.images.colour import spaces as colour_spaces
from edsr_cli.images.colour import stated as colour_numbers
from edsr_cli.images.colour.spaces import ColourSpace
from edsr_cli.images.guard import MAX_PNG_CHUNK_BYTES
from edsr_cli.images.nclx import CodePoints


@dataclass(frozen=True)
class Stated:
    """What a file states about its colours.

    Attributes:
        profile: an ICC profile, its own or one that says the same as it does; None for sRGB, or
            where it does not say.
        hdr: code points of a space that no profile can describe: its transfer is PQ or HLG.
        notes: remarks on what could not be used.
    """

    profile: bytes | None = None
    hdr: CodePoints | None = None
    notes: tuple[str, ...] = ()


def stated_colour(image: Image.Image, file: BinaryIO | None, exif: bytes | None) -> Stated:
    """What the file of an image says about its colours.

    Args:
        image: the image, opened; its `info` has the profile that Pillow found.
        file: the file it was opened from, if there is one; its position is kept.
        exif: its EXIF data, if any.

    Raises:
        PictureError: it states colours that Pillow reads wrongly.
    """
    found = image.info.get("icc_profile")
    own = found if isinstance(found, bytes) and found else None
    if image.mode in ("CMYK", "LAB"):  # what follows is about RGB
        return Stated(own)
    form = image.format or ""
    try:
        if form in _READERS:
            stated = _READERS[form](image, file, own)
        elif form in _FILE_READERS and file is not None:
            stated = _FILE_READERS[form](file, own)
        else:
            stated = Stated(own)
    except (struct.error, IndexError):  # cut short: as if it did not say
        stated = Stated(own)
    if stated.profile is None and stated.hdr is None and exif and not _is_explicit(image, file):
        try:
            space = colour_numbers.from_exif(exif)
            return replace(stated, profile=space.profile() if space else None)
        except ValueError:
            return stated  # what it says makes no sense
    return stated


def _is_explicit(image: Image.Image, file: BinaryIO | None) -> bool:
    """Whether the format itself has said "sRGB", so that EXIF has no say."""
    return image.format == "AVIF" and file is not None and nclx.code_points(file) is not None


def _made(space: ColourSpace | None, what: str) -> Stated:
    """A profile for a colour space, or a remark where it makes none."""
    try:
        return Stated(space.profile() if space else None)
    except ValueError:
        return Stated(notes=(f"{what} make no sense: dropped",))


def _from_code_points(points: CodePoints, own: bytes | None, what: str) -> Stated:
    primaries, transfer = points[:2]
    if transfer in (colour_spaces.PQ, colour_spaces.HLG) and primaries < 256:
        return Stated(own, (primaries, transfer, 0, 1))  # of pixels that are RGB in full range
    try:
        space = colour_spaces.from_code_points(primaries, transfer)
    except ValueError:
        return Stated(own, notes=(f"its {what} {primaries}/{transfer} is unknown: dropped",))
    return Stated(space.profile() if space else None)


def _png(image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
    chunks = _png_statements(image, file)
    notes: tuple[str, ...] = ()
    if own is None and b"iCCP" in chunks:  # behind the pixels, where it should not be
        own = _inflated(chunks[b"iCCP"])
        notes = () if own else ("its ICC profile is damaged and was dropped",)
    if len(data := chunks.get(b"cICP", b"")) == 4:
        stated = _from_code_points((data[0], data[1], data[2], data[3]), own, "cICP")
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
        for name, data in containers.png_chunks(file):
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
            curve = colour_spaces.gamma_curve(100_000 / value if value else 0)
        except ValueError:
            return Stated(notes=("its gAMA chunk makes no sense: dropped",))
        options["curves"] = (curve,) * 3
        words.append(f"gamma {100_000 / value:.4g}")
    if len(data := chunks.get(b"cHRM", b"")) == 32:
        white, *points = colour_numbers.pairs(
            [value / 100_000 for value in struct.unpack(">8L", data)]
        )
        options |= {"primaries": points, "white": white}
        words.append("primaries of cHRM")
    if not options:
        return Stated()
    return _made(colour_spaces.srgb_with(", ".join(words), **options), "its gAMA and cHRM chunks")


def _inflated(data: bytes) -> bytes | None:
    _, _, compressed = data.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(compressed[1:], MAX_PNG_CHUNK_BYTES) or None
    except zlib.error:
        return None


def _jpeg(image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
    """A profile whose pieces are not where or what Pillow expects."""
    if own is not None:
        return Stated(own)
    pieces: dict[int, bytes] = {}
    count = 0
    for name, data in getattr(image, "applist", ()):
        if name == "APP2" and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
            pieces.setdefault(data[12], data[14:])
            count = max(count, data[13])
    if not pieces:
        return Stated()
    profile = b"".join(data for _, data in sorted(pieces.items()))
    # The numbers of the pieces are wrong in some files; the profile says how long it is.
    if len(profile) >= 128 and struct.unpack_from(">L", profile)[0] == len(profile):
        return Stated(profile)
    return Stated(notes=("its ICC profile is incomplete and was dropped",))


def _avif(file: BinaryIO, own: bytes | None) -> Stated:
    if own is not None:  # it overrides nclx
        return Stated(own)
    points = nclx.code_points(file)
    return _from_code_points(points, None, "nclx") if points else Stated()


def _jpeg2000(file: BinaryIO, own: bytes | None) -> Stated:
    for box in containers.find_boxes(file, b"jp2h", b"colr"):
        data = box.read(file)
        method = data[0]
        if method in (2, 3):
            return Stated(data[3:])
        if method == 5 and len(data) >= 10:
            primaries, transfer, matrix, full = struct.unpack_from(">3HB", data, 3)
            return _from_code_points((primaries, transfer, matrix, full >> 7), own, "colour box")
        if method != 1:
            continue
        (space,) = struct.unpack_from(">L", data, 3)
        if space in (14, 19):
            raise PictureError(
                "its colours are CIE Lab or CIE Jab in JPEG 2000, which cannot be read.",
                "Convert it to PNG first.",
            )
        if space == 21:
            return _made(colour_spaces.ROMM_RGB, "its colours")
        if space in (0, 12, 16, 17, 18):
            return Stated(own)
        return Stated(own, notes=(f"its JPEG 2000 colour space {space} was read as sRGB",))
    return Stated(own)


def _bmp(file: BinaryIO, own: bytes | None) -> Stated:
    """The colour space in the headers of version 4 and 5 (BITMAPV4HEADER, BITMAPV5HEADER)."""
    with containers.kept_position(file):
        file.seek(14)
        header = file.read(124)
        (size,) = struct.unpack_from("<L", header)
        if size not in (108, 124):
            return Stated(own)
        kind = header[56:60][::-1]
        if kind == b"sRGB":
            return Stated(icc.srgb_profile())
        if kind == b"MBED" and size == 124:
            place, length = struct.unpack_from("<2L", header, 112)
            file.seek(14 + place)
            data = file.read(min(length, containers.MAX_PART_BYTES))
            return (
                Stated(data)
                if len(data) == length and data
                else Stated(notes=("its ICC profile is damaged and was dropped",))
            )
        if kind == b"LINK":
            return Stated(notes=("its colour profile is in another file: not read",))
    if kind != b"\0\0\0\0":
        return Stated()
    values = np.array(struct.unpack_from("<9l", header, 60)).reshape(3, 3) / 2**30
    gammas = [value / 65536 for value in struct.unpack_from("<3L", header, 96)]
    if not values.any():  # the usual way to say nothing
        return Stated()
    return _made(_calibrated(values, gammas), "its endpoints and gamma")


def _calibrated(endpoints: Any, gammas: Sequence[float]) -> ColourSpace | None:
    """Of endpoints, a row for each primary: chromaticities, or XYZ that add up to white."""
    sums = endpoints.sum(axis=1)
    options: dict[str, Any] = {}
    if (np.abs(sums) > 1e-6).all():
        options["primaries"] = list(zip(*(endpoints[:, :2].T / sums).tolist(), strict=True))
        if np.abs(sums - 1).max() > 0.01:
            light = endpoints.sum(axis=0)
            options["white"] = tuple(light[:2] / light.sum())
    else:
        options["primaries"] = [(0.0, 0.0)] * 3  # which makes no sense
    try:
        if all(gammas):
            options["curves"] = tuple(colour_spaces.gamma_curve(gamma) for gamma in gammas)
    except ValueError:
        options["primaries"] = [(0.0, 0.0)] * 3
    return colour_spaces.srgb_with("calibrated RGB", **options)


def _tiff(image: Image.Image, file: BinaryIO | None, own: bytes | None) -> Stated:
    if own is not None:
        return Stated(own)
    tags: Any = getattr(image, "tag_v2", {})
    white, primaries, transfer = (
        colour_numbers.tag_numbers(tags.get(tag))
        for tag in (colour_numbers.WHITE_POINT, colour_numbers.PRIMARIES, colour_numbers.TRANSFER)
    )
    return _made(
        colour_numbers.from_numbers(white, primaries, transfer), "its primaries and white point"
    )


def _gif(file: BinaryIO, own: bytes | None) -> Stated:
    for name, data in containers.gif_extensions(file):
        if name == b"ICCRGBG1012" and data:
            return Stated(data)
    return Stated(own)


def _qoi(file: BinaryIO, own: bytes | None) -> Stated:
    with containers.kept_position(file):
        file.seek(13)
        linear = file.read(1) == b"\1"
    return _made(colour_spaces.LINEAR_SRGB, "its colours") if linear else Stated()


def _tga(file: BinaryIO, own: bytes | None) -> Stated:
    """The gamma in the extension area of a TGA 2.0."""
    with containers.kept_position(file):
        end = file.seek(0, 2)
        file.seek(max(0, end - 26))
        footer = file.read(26)
        if footer[8:24] != b"TRUEVISION-XFILE":
            return Stated()
        (place,) = struct.unpack_from("<L", footer)
        if not place:
            return Stated()
        file.seek(place)
        area = file.read(495)
    above, below = struct.unpack_from("<2H", area, 478)
    if not above or not below or above == below:  # below 0: not used; 1: no correction
        return Stated()
    try:
        curve = colour_spaces.gamma_curve(above / below)
    except ValueError:
        return Stated(notes=("its gamma makes no sense: dropped",))
    return _made(colour_spaces.srgb_with(f"gamma {above / below:.4g}", (curve,) * 3), "its gamma")


_READERS: dict[str, Callable[[Image.Image, BinaryIO | None, bytes | None], Stated]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "MPO": _jpeg,
    "TIFF": _tiff,
}
_FILE_READERS: dict[str, Callable[[BinaryIO, bytes | None], Stated]] = {
    "AVIF": _avif,
    "JPEG2000": _jpeg2000,
    "BMP": _bmp,
    "GIF": _gif,
    "QOI": _qoi,
    "TGA": _tga,
}
