"""Colours stated in every way that files have, compared with the true ones by LittleCMS."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from edsr_cli.errors import PictureError
from edsr_cli.images import FORMATS, Metadata, decode, encode, from_pil, outputs
from edsr_cli.images.codecs.gif_writing import REDUCED
from edsr_cli.images.colour import icc
from edsr_cli.images.colour import spaces as colour_spaces
from tests.images import builders

# All corners of the cube, greys, and colours in between.
_STEPS = np.array([0, 8, 40, 96, 160, 224, 255], np.uint8)
COLOURS = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), -1).reshape(7, 49, 3)
D65, BT709 = (0.3127, 0.3290), (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
BT2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046)
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ROMM = (0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def srgb_curve(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def camera_curve(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(v < 0.081243, v / 4.5, ((v + 0.099297) / 1.099297) ** (1 / 0.45))


def gamma(value: float) -> Curve:
    return lambda v: v**value


def lab(points: tuple[float, ...], curve: Curve, white: tuple[float, float] = D65) -> np.ndarray:
    """The true CIE Lab (D50) of `COLOURS`, by the book and not by our own code."""
    primaries = np.array([(x, y, 1 - x - y) for x, y in np.reshape(points, (3, 2))]).T
    light = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
    to_xyz = primaries * (np.linalg.inv(primaries) @ light)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367],
                         [0.0389, -0.0685, 1.0296]])  # fmt: skip
    d50 = np.array([0.9642, 1, 0.8249])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ light)) @ bradford
    xyz = curve(COLOURS / 255) @ (adapt @ to_xyz).T / d50
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]),
                     200 * (f[..., 1] - f[..., 2])], -1)  # fmt: skip


def shown(profile: bytes | None) -> np.ndarray:
    """The CIE Lab of `COLOURS` with a profile, by LittleCMS; it has 8 bits."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile or icc.srgb_profile())),
        ImageCms.createProfile("LAB"), "RGB", "LAB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.NOOPTIMIZE,
    )  # fmt: skip
    converted = ImageCms.applyTransform(Image.fromarray(COLOURS), transform)
    assert converted is not None
    values = np.asarray(converted).astype(np.int64)
    return np.dstack([values[..., 0] / 2.55, (values[..., 1:] ^ 128) - 128])


def difference(profile: bytes | None, true: np.ndarray) -> float:
    """The largest dE; what LittleCMS cannot tell in 8 bits is left out."""
    inside = (np.abs(true[..., 1:]) <= 127).all(-1)
    return float(np.linalg.norm(shown(profile) - true, axis=-1)[inside].max())


ROUNDING = 0.75  # half a step in each of the 8-bit L, a and b

# Name: (bytes of a file, primaries, curve, white).
CASES: dict[str, tuple[bytes, tuple[float, ...], Curve, tuple[float, float]]] = {}


def case(
    name: str,
    data: bytes,
    points: tuple[float, ...],
    curve: Curve,
    white: tuple[float, float] = D65,
) -> None:
    CASES[name] = (data, points, curve, white)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return builders.png(COLOURS, before=b"".join(builders.chunk(*item) for item in chunks))


def cicp(*values: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes((*values, 0, 1))


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">L", round(value * 100_000))


def chrm(points: tuple[float, ...], white: tuple[float, float] = D65) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8L", *(round(v * 100_000) for v in (*white, *points)))


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"name\0\0" + zlib.compress(profile)


def avif(primaries: int, transfer: int) -> bytes:
    data = bytearray(builders.saved(Image.fromarray(COLOURS), "AVIF", subsampling="4:4:4"))
    struct.pack_into(">2H", data, data.index(b"colrnclx") + 8, primaries, transfer)
    return bytes(data)


def bmp(
    kind: bytes, values: tuple[int, ...] = (0,) * 12, profile: bytes = b"", size: int = 124
) -> bytes:
    """A BMP with a header of version 4 or 5."""
    plain = builders.saved(Image.fromarray(COLOURS), "BMP")
    pixels = plain[54:]
    header = struct.pack("<L", size) + plain[18:54] + bytes(16) + kind[::-1]
    header += struct.pack("<12l", *values)
    if size == 124:
        place = size + len(pixels)
        header += struct.pack("<4L", 4, place if profile else 0, len(profile), 0)
    total = 14 + len(header) + len(pixels) + len(profile)
    return struct.pack("<2sL4xL", b"BM", total, 14 + size) + header + pixels + profile


def endpoints(points: tuple[float, ...], power: float) -> tuple[int, ...]:
    values = [c for x, y in np.reshape(points, (3, 2)) for c in (x, y, 1 - x - y)]
    return (*(round(v * 2**30) for v in values), *(round(power * 65536),) * 3)


def box(name: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">L4s", 8 + len(data), name) + data


def jp2(colour: bytes) -> bytes:
    """A JPEG 2000 file whose colour box is another."""
    data = builders.saved(Image.fromarray(COLOURS), "JPEG2000")
    start = data.index(b"colr") - 4
    end = start + struct.unpack_from(">L", data, start)[0]
    new = box(b"colr", colour)
    head = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">L", data, head)
    changed = bytearray(data[:start] + new + data[end:])
    struct.pack_into(">L", changed, head, size + len(new) - (end - start))
    return bytes(changed)


def exif_file(form: str, *, index: bytes = b"", space: int | None = None) -> bytes:
    entries = []
    if space is not None:
        entries.append(builders.entry("<", 0xA001, 3, [space]))
    start = 26
    if index:
        entries.append(builders.entry("<", 0xA005, 4, [0]))
        place = start + len(builders.directory("<", start, entries))
        entries[-1] = builders.entry("<", 0xA005, 4, [place])
    sub = builders.directory("<", start, entries)
    if index:
        inner = builders.entry("<", 1, 2, [], index + b"\0")
        sub += builders.directory("<", start + len(sub), [inner])
    first = builders.directory("<", 8, [builders.entry("<", 0x8769, 4, [start])])
    data = b"Exif\0\0II*\0\x08\0\0\0" + first + sub
    options = {"quality": 100, "subsampling": "4:4:4"} if form == "JPEG" else {}
    return builders.saved(Image.fromarray(COLOURS), form, exif=data, **options)


def tiff(points: tuple[float, ...] | None, power: float | None, count: int = 256) -> bytes:
    extra = []
    if points:
        for tag, values in ((318, D65), (319, points)):
            numbers = [n for v in values for n in (round(v * 10_000), 10_000)]
            extra.append(builders.entry("<", tag, 5, numbers))
    if power:
        curve = [round(65535 * (i / (count - 1)) ** power) for i in range(count)]
        extra.append(builders.entry("<", 301, 3, curve * 3))
    return builders.tiff(COLOURS, 2, extra=extra)


def tiff_r03() -> bytes:
    """A TIFF with an EXIF directory that points to one of interoperability."""

    def pointer(tag: int, place: int) -> list:  # type: ignore[type-arg]
        return builders.entry("<", tag, 4, [place])

    start = len(builders.tiff(COLOURS, 2, extra=[pointer(0x8769, 0)]))
    inner = start + len(builders.directory("<", start, [pointer(0xA005, 0)]))
    return (
        builders.tiff(COLOURS, 2, extra=[pointer(0x8769, start)])
        + builders.directory("<", start, [pointer(0xA005, inner)])
        + builders.directory("<", inner, [builders.entry("<", 1, 2, [], b"R03\0")])
    )


def gif(profile: bytes) -> bytes:
    data = builders.saved(Image.fromarray(COLOURS).quantize(256), "GIF")
    place = 13 + 3 * 256
    blocks = b"".join(
        bytes([len(part)]) + part
        for part in (profile[i : i + 255] for i in range(0, len(profile), 255))
    )
    return data[:place] + b"!\xff\x0bICCRGBG1012" + blocks + b"\0" + data[place:]


def qoi(linear: int) -> bytes:
    data = bytearray(builders.saved(Image.fromarray(COLOURS), "QOI"))
    data[13] = linear
    return bytes(data)


def tga(above: int, below: int) -> bytes:
    data = builders.saved(Image.fromarray(COLOURS), "TGA")
    data = data[:-26] if data.endswith(b"TRUEVISION-XFILE.\0") else data
    area = struct.pack("<H", 495) + bytes(476) + struct.pack("<2H", above, below) + bytes(13)
    return data + area + struct.pack("<2L", len(data), 0) + b"TRUEVISION-XFILE.\0"


P3_PROFILE = colour_spaces.ColourSpace(
    "P3", ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), D65, (colour_spaces.SRGB_CURVE,) * 3
).profile()
LINEAR = gamma(1.0)

case("png cICP P3", png(cicp(12, 13)), P3, srgb_curve)
case("png cICP BT.2020", png(cicp(9, 14)), BT2020, camera_curve)
case("png cICP BT.2020, linear", png(cicp(9, 8)), BT2020, LINEAR)
case("png cICP sRGB", png(cicp(1, 13)), BT709, srgb_curve)
case("png cICP DCI", png(cicp(11, 17)), P3, gamma(2.6), (0.314, 0.351))
case("png gAMA 1.8", png(gama(1 / 1.8)), BT709, gamma(1.8))
case("png gAMA 2.2", png(gama(0.45455)), BT709, gamma(1 / 0.45455))
case("png gAMA linear", png(gama(1)), BT709, LINEAR)
case("png gAMA, cHRM Adobe", png(gama(1 / 2.19921875), chrm(ADOBE)), ADOBE, gamma(2.19921875))
case("png cHRM alone", png(chrm(P3)), P3, srgb_curve)
case("png sRGB", png((b"sRGB", b"\0")), BT709, srgb_curve)
case("png iCCP", png(iccp(P3_PROFILE)), P3, srgb_curve)
# Each of these overrides what is behind it (PNG 3rd edition, 11.3.2).
FOUR = [cicp(9, 14), iccp(P3_PROFILE), (b"sRGB", b"\0"), gama(1 / 1.8)]
for _first, _truth in enumerate(((BT2020, camera_curve), (P3, srgb_curve), (BT709, srgb_curve))):
    case(f"png priority {_first}", png(*FOUR[_first:][::-1]), *_truth)
case("avif nclx P3", avif(12, 13), P3, srgb_curve)
case("avif nclx BT.2020", avif(9, 14), BT2020, camera_curve)
case("avif nclx gamma 2.8", avif(1, 5), BT709, gamma(2.8))
case("avif nclx P3, curve unspecified", avif(12, 2), P3, srgb_curve)
case("avif nclx sRGB", avif(1, 13), BT709, srgb_curve)
case("jp2 profile", jp2(b"\2\0\0" + P3_PROFILE), P3, srgb_curve)
case("jp2 any profile", jp2(b"\3\0\0" + P3_PROFILE), P3, srgb_curve)
case("jp2 ROMM", jp2(b"\1\0\0" + struct.pack(">L", 21)), ROMM,
     lambda v: np.where(v < 16 * 0.001953, v / 16, v**1.8), (0.3457, 0.3585))  # fmt: skip
case("jp2 code points", jp2(b"\5\0\0" + struct.pack(">3HB", 12, 13, 0, 128)), P3, srgb_curve)
case("jp2 sRGB", jp2(b"\1\0\0" + struct.pack(">L", 16)), BT709, srgb_curve)
case("bmp 5 profile", bmp(b"MBED", profile=P3_PROFILE), P3, srgb_curve)
case("bmp 5 calibrated", bmp(b"\0\0\0\0", endpoints(ADOBE, 1.8)), ADOBE, gamma(1.8))
case("bmp 4 calibrated", bmp(b"\0\0\0\0", endpoints(P3, 1.0), size=108), P3, LINEAR)
case("bmp 4 sRGB", bmp(b"sRGB", size=108), BT709, srgb_curve)
case("bmp 4 nothing", bmp(b"\0\0\0\0", size=108), BT709, srgb_curve)
case("jpeg EXIF R03", exif_file("JPEG", index=b"R03", space=0xFFFF), ADOBE, gamma(563 / 256))
case("jpeg EXIF colour space 2", exif_file("JPEG", space=2), ADOBE, gamma(563 / 256))
case("jpeg EXIF R98", exif_file("JPEG", index=b"R98", space=1), BT709, srgb_curve)
case("webp EXIF R03", exif_file("WEBP", index=b"R03"), ADOBE, gamma(563 / 256))
case("png EXIF R03", exif_file("PNG", index=b"R03"), ADOBE, gamma(563 / 256))
case("tiff EXIF R03", tiff_r03(), ADOBE, gamma(563 / 256))
case("tiff primaries", tiff(P3, None), P3, gamma(2.2))
case("tiff primaries, curve", tiff(BT2020, 1.8), BT2020, gamma(1.8))
case("tiff curve", tiff(None, 1.0), BT709, LINEAR)
case("tiff long curve", tiff(None, 1.8, 65536), BT709, gamma(1.8))
case("gif profile", gif(P3_PROFILE), P3, srgb_curve)
case("qoi linear", qoi(1), BT709, LINEAR)
case("qoi sRGB", qoi(0), BT709, srgb_curve)
case("tga gamma", tga(18, 10), BT709, gamma(1.8))


@pytest.mark.parametrize("name", CASES)
def test_colours_are_the_true_ones(name: str, tmp_path: Path) -> None:
    data, points, curve, white = CASES[name]
    path = tmp_path / f"picture.{name.split()[0]}"
    path.write_bytes(data)
    picture = decode(path)
    true = lab(points, curve, white)
    assert difference(picture.metadata.icc_profile, true) < ROUNDING, picture.notes
    for output in FORMATS:  # and stay so
        if "ICC profile" in output.keeps:
            file = io.BytesIO()
            notes = encode(picture.pixels, output, picture.metadata, file)
            assert notes == () or output is outputs.GIF  # it has few colours, and no EXIF data
            assert difference(decode(file.getvalue()).metadata.icc_profile, true) < ROUNDING
    if picture.metadata.icc_profile:
        remarks = encode(picture.pixels, outputs.BMP, picture.metadata, io.BytesIO())
        assert "BMP cannot hold the ICC profile: dropped" in remarks


def test_the_measure_sees_a_wrong_space() -> None:
    assert difference(None, lab(BT709, srgb_curve)) < ROUNDING
    for points, curve in ((P3, srgb_curve), (BT709, gamma(1.8)), (BT709, LINEAR), (ADOBE, LINEAR)):
        assert difference(None, lab(points, curve)) > 4


EXACT = ("PNG", "AVIF", "JXL")  # which have code points


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_kept_in_the_format_s_own_way_or_remarked(transfer: int) -> None:
    for data in (png(cicp(9, transfer)), avif(9, transfer)):
        picture = decode(data)
        assert picture.metadata.hdr == (9, transfer, 0, 1)
        assert picture.metadata.icc_profile is None
        for output in FORMATS:
            file = io.BytesIO()
            notes = encode(picture.pixels, output, picture.metadata, file)
            if output.name in EXACT:
                back = decode(file.getvalue()).metadata.hdr
                assert notes == () and back == (9, transfer, 0, 1)
            else:
                [note] = (note for note in notes if note != REDUCED)
                assert "HDR" in note and output.name in note
    # A profile beside it is for readers without HDR; elsewhere it would override what is exact.
    both = decode(png(cicp(9, transfer), iccp(P3_PROFILE)))
    for output in (item for item in FORMATS if "ICC profile" in item.keeps):
        file = io.BytesIO()
        notes = [n for n in encode(both.pixels, output, both.metadata, file) if n != REDUCED]
        back = decode(file.getvalue()).metadata
        exact = output.name in EXACT
        assert (back.hdr is not None) == exact
        assert back.icc_profile == (None if output.name in ("AVIF", "JXL") else P3_PROFILE)
        assert [note for note in notes if "only its ICC profile" in note] == notes
        assert len(notes) == (not exact)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(cicp(99, 13)), "cICP 99/13 is unknown"),
        (png(gama(0)), "gAMA chunk makes no sense"),
        (png(chrm((0, 0, 0, 0, 0, 0))), "gAMA and cHRM chunks make no sense"),
        (png(chrm((0.3, 0.3, 0.3, 0.3, 0.3, 0.3))), "make no sense"),
        (png((b"cICP", bytes((12, 13, 0, 0)))), "video signal"),
        (avif(99, 13), "nclx 99/13 is unknown"),
        (avif(999, 16), "nclx 999/16 is unknown"),
        (bmp(b"LINK"), "in another file"),
        (bmp(b"\0\0\0\0", (1,) * 12), "make no sense"),
        (jp2(b"\1\0\0" + struct.pack(">L", 20)), "colour space 20 was read as sRGB"),
    ],
)
def test_what_cannot_be_used_is_remarked(data: bytes, words: str) -> None:
    assert [note for note in decode(data).notes if words in note]


def test_lab_in_jpeg_2000_is_refused() -> None:
    with pytest.raises(PictureError, match="CIE Lab"):
        decode(jp2(b"\1\0\0" + struct.pack(">L", 14)))


def test_a_jpeg_profile_in_misnumbered_pieces() -> None:
    data = builders.saved(Image.fromarray(COLOURS), "JPEG", icc_profile=P3_PROFILE)
    place = data.index(b"ICC_PROFILE\0") + 12
    assert decode(data).metadata.icc_profile == P3_PROFILE
    for numbers in (b"\1\2", b"\0\0"):
        changed = data[:place] + numbers + data[place + 2 :]
        assert decode(changed).metadata.icc_profile == P3_PROFILE
    cut = builders.saved(Image.fromarray(COLOURS), "JPEG", icc_profile=P3_PROFILE + bytes(70_000))
    start = cut.index(b"ICC_PROFILE\0") - 4
    (size,) = struct.unpack_from(">H", cut, start + 2)
    [note] = decode(cut[:start] + cut[start + 2 + size :]).notes
    assert "ICC profile is incomplete" in note


def test_a_pil_image_without_its_file() -> None:
    image = Image.open(io.BytesIO(png(gama(1 / 1.8), chrm(P3))))
    assert difference(from_pil(image).metadata.icc_profile, lab(P3, gamma(1.8))) < ROUNDING


def test_grey_keeps_its_curve() -> None:
    grey = COLOURS[..., :1]
    data = builders.png(grey, builders.GREY, before=builders.chunk(*gama(1.0)))
    picture = decode(data)
    assert (picture.pixels == grey).all() and picture.notes == ()
    assert difference(picture.metadata.icc_profile, lab(BT709, LINEAR)) < ROUNDING


def test_profiles_are_always_the_same() -> None:
    space = colour_spaces.from_code_points(9, 14)
    assert space is not None
    profile = space.profile()
    assert profile == space.profile() and len(profile) < 600
    colorants = [
        struct.unpack(">3l", tag(profile, name)[8:20]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")
    ]
    assert np.abs(np.sum(colorants, axis=0) - [63190, 65536, 54061]).max() <= 2  # D50
    assert encode(COLOURS, outputs.PNG, Metadata(profile), io.BytesIO()) == ()


def tag(profile: bytes, wanted: bytes) -> bytes:
    (count,) = struct.unpack_from(">L", profile, 128)
    for place in range(132, 132 + 12 * count, 12):
        name, offset, size = struct.unpack_from(">4sLL", profile, place)
        if name == wanted:
            return profile[offset : offset + size]
    raise AssertionError(wanted)


@pytest.mark.parametrize("name", [name for name in CASES if "sRGB" not in name])
def test_no_cut_does_more_than_refuse(name: str, tmp_path: Path) -> None:
    data = CASES[name][0]
    path = tmp_path / f"picture.{name.split()[0]}"
    for end in range(20, len(data), max(1, len(data) // 6)):
        path.write_bytes(data[:end])
        try:
            decode(path)
        except PictureError:
            continue


def test_a_tga_without_an_extension_area_states_nothing(tmp_path: Path) -> None:
    """Its pixels are no gamma: Pillow writes a footer that points to no area."""
    data = builders.saved(Image.fromarray(np.full((20, 30, 3), (70, 80, 90), np.uint8)), "TGA")
    assert data.endswith(b"TRUEVISION-XFILE.\0")
    path = tmp_path / "picture.tga"
    path.write_bytes(data)
    assert decode(path).metadata.icc_profile is None
