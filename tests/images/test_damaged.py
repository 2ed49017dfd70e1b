"""Broken, odd and hostile files: one clear error or a picture, and silence on stderr."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, probe
from tests.images import builders

NOISE = np.random.default_rng(3).integers(0, 256, (40, 50, 3), np.uint8)
PICTURE = Image.fromarray(NOISE)
WHOLE = {
    form: builders.saved(PICTURE, form)
    for form in (
        "PNG",
        "JPEG",
        "WEBP",
        "AVIF",
        "TIFF",
        "BMP",
        "GIF",
        "JPEG2000",
        "PPM",
        "QOI",
        "SGI",
    )
}
LZW = builders.saved(PICTURE, "TIFF", compression="tiff_lzw")
DEFLATE = builders.saved(PICTURE, "TIFF", compression="tiff_adobe_deflate")


def damaged(data: bytes, places: range) -> bytes:
    changed = bytearray(data)
    for place in places:
        changed[place] ^= 0x55
    return bytes(changed)


def png_header(width: int, height: int, bits: int = 8, kind: int = 2) -> bytes:
    header = struct.pack(">LLBBBBB", width, height, bits, kind, 0, 0, 0)
    return builders.PNG_MAGIC + builders.chunk(b"IHDR", header)


ODD_BOMB = builders.chunk(b"iTXt", b"a\0\1\0\xff\0\0" + zlib.compress(bytes([65]) * 2**24, 9))
TEXT_BOMB = builders.chunk(b"zTXt", b"Comment\0\0" + builders.BOMB)
ICC_BOMB = builders.chunk(b"iCCP", b"icc\0\0" + builders.BOMB)

REFUSED = {
    **{f"cut {form}": (data[: len(data) * 2 // 3], "") for form, data in WHOLE.items()},
    **{f"first 20 bytes of {form}": (data[:20], "") for form, data in WHOLE.items()},
    "first 8 bytes of PNG": (WHOLE["PNG"][:8], "looks like PNG"),
    "cut LZW TIFF": (LZW[: len(LZW) // 2], ""),
    "damaged LZW TIFF": (damaged(LZW, range(300, 400)), ""),
    "damaged deflate TIFF": (damaged(DEFLATE, range(100, 140)), ""),
    "damaged PNG pixels": (damaged(WHOLE["PNG"], range(200, 230)), "damaged"),
    "damaged PNG checksum": (damaged(WHOLE["PNG"], range(29, 30)), ""),
    "no image data in PNG": (png_header(3, 3) + builders.chunk(b"IEND", b""), ""),
    "PNG of no width": (png_header(0, 3) + WHOLE["PNG"][33:], ""),
    "PNG bomb": (png_header(60_000, 60_000) + WHOLE["PNG"][33:], "--max-pixels"),
    "PNG of 2 billion by 2 billion": (png_header(2**31 - 1, 2**31 - 1) + WHOLE["PNG"][33:],
                                      "--max-pixels"),
    "PNG of unknown kind": (png_header(3, 3, 7, 9) + WHOLE["PNG"][33:], ""),
    "text bomb": (builders.png(NOISE, before=TEXT_BOMB), "unpacks"),
    "profile bomb": (builders.png(NOISE, before=ICC_BOMB), "unpacks"),
    "texts in no language": (builders.png(NOISE, before=6 * ODD_BOMB), "unpacks"),
    "text bomb behind the pixels": (builders.png(NOISE, after=TEXT_BOMB), "unpacks"),
    "floating-point TIFF": (builders.tiff(np.zeros((4, 4), np.float32)), "floating-point"),
    "32-bit TIFF": (builders.tiff(np.full((4, 4), 70_000, np.uint32)), "70000"),
    "double TIFF": (builders.tiff(np.zeros((4, 4), np.float64)), "floating-point"),
    "TIFF of no pages": (b"II*\0\0\0\0\0", ""),
    "TIFF with a directory outside": (b"II*\0\xff\xff\xff\x7f" + bytes(9), ""),
    "TIFF of no height": (builders.tiff(NOISE, 2, extra=[builders.entry("<", 257, 4, [0])]), ""),
    "TIFF bomb": (
        builders.tiff(NOISE, 2, extra=[builders.entry("<", 257, 4, [2**31])]), "--max-pixels",
    ),
    "BMP bomb": (b"BM" + bytes(12) + struct.pack("<LllHHL", 40, 2**20, 2**20, 1, 24, 0) + bytes(24),
                 "--max-pixels"),
    "PPM with words for numbers": (b"P6 two three 255\n" + bytes(18), ""),
    "PPM of no width": (b"P6 0 3 255\n", ""),
    "PFM": (b"Pf 1 1 -1.0\n" + bytes(4), "floating-point"),
    "GIF of no size": (b"GIF89a" + bytes(20), ""),
    "JPEG of markers only": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(9) + b"\xff\xd9", ""),
    "text": (b"These are words, not a picture.", "not a picture"),
    "zeros": (bytes(500), "not a picture"),
    "one byte": (b"\x89", "not a picture"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    "JPEG XL": (b"\xff\x0a\xfa\x7f\x90\x05", "JPEG XL"),
    "JPEG XL in a box": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    "PDF": (b"%PDF-1.7\n", "PDF files cannot be read"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "MP4": (b"\0\0\0\x20ftypisom\0\0\2\0", "video"),
    "OpenEXR": (b"v/1\x01\x02\0\0\0", "OpenEXR"),
    "AVI": (b"RIFF\x0c\0\0\0AVI LIST\0\0\0\0", "video or sound"),
    "WebP of nothing": (b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", ""),
    "AVIF of nothing": (b"\0\0\0\x0cftypavif", "looks like AVIF"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_one_line(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, words = REFUSED[name]
    path = tmp_path / "bad picture.png"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(PictureError) as caught:
            decode(source)
        text = str(caught.value)
        assert words in text and "\n" not in text and "object at 0x" not in text
        assert caught.value.hint
    with pytest.raises(PictureError, match=r"bad picture\.png: "):
        decode(path)
    captured = capfd.readouterr()
    assert captured.err == "" and captured.out == ""


ODD = {
    "grey JPEG with an RGB profile": builders.saved(PICTURE.convert("L"), "JPEG"),
    "progressive CMYK JPEG": builders.saved(PICTURE.convert("CMYK"), "JPEG", progressive=True),
    "multi-picture JPEG": builders.saved(PICTURE, "MPO", save_all=True, append_images=[PICTURE]),
    "interlaced palette of one colour": builders.saved(Image.new("P", (50, 40)), "PNG"),
    "profile of 2 MB in PNG": builders.saved(PICTURE, "PNG", icc_profile=bytes(2_000_000)),
    "PNG without an end": WHOLE["PNG"][:-12],
    "PNG with bytes behind": WHOLE["PNG"] + b"more" * 99,
    "BMP of 32 bits": builders.saved(PICTURE.convert("RGBA"), "BMP"),
    "top-down BMP": WHOLE["BMP"][:22] + struct.pack("<l", -40) + WHOLE["BMP"][26:],
    "EXIF that is nonsense": builders.saved(PICTURE, "WEBP", exif=b"nonsense"),
    "JPEG whose EXIF points outside": builders.saved(
        PICTURE, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\0\0"
    ),
    "TIFF with a negative resolution": builders.tiff(
        NOISE, 2, extra=[builders.entry("<", 282, 5, [], struct.pack("<LL", 1, 0))]
    ),
    "JPEG in TIFF": builders.saved(PICTURE, "TIFF", compression="jpeg"),
    "LZW TIFF": LZW,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_but_read(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    picture = decode(ODD[name])
    assert picture.pixels.shape == (40, 50, 3)
    assert (probe(ODD[name]).width, probe(ODD[name]).height) == (50, 40)
    assert capfd.readouterr().err == ""


SMALL = {
    form: builders.saved(Image.fromarray(NOISE[:8, :8]), form) for form in WHOLE if form != "AVIF"
} | {"deflate": builders.saved(Image.fromarray(NOISE[:8, :8]), "TIFF", compression="tiff_lzw")}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SMALL)), st.data())
def test_no_damage_does_more_than_raise_picture_error(form: str, data: st.DataObject) -> None:
    changed = bytearray(SMALL[form])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(changed[: data.draw(st.integers(1, len(changed)))])
    try:
        picture = decode(broken, max_pixels=10_000)
    except PictureError as error:
        assert "\n" not in str(error)
    else:
        height, width, channels = picture.pixels.shape
        assert height * width <= 10_000 and channels == 3
        assert picture.pixels.dtype in (np.uint8, np.uint16)
        info = probe(broken, max_pixels=10_000)
        assert (info.width, info.height) == (width, height)
