"""What a file says about its picture is in the output too, where the format can hold it."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.images import builders
from tests.jobs.nearest import read_back, repeated

PIXELS = builders.gradient(12, 20)
UPRIGHT = np.rot90(PIXELS, -1)  # what orientation 6 asks for
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'tiff:Orientation="6" exif:PixelXDimension="20" dc:creator="somebody" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
# Orientation, make, resolution unit; and in the part of the camera, when it was taken.
ORIENTATION, MAKE, CAMERA, TAKEN, WIDTH, XMP_TAG = 0x112, 0x10F, 0x8769, 0x9003, 0xA002, 700
SOFTWARE = 0x131


def source(form):
    """A picture with everything, lying on its side."""
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + builders.exif(orientation=6))
    if form == "TIFF":
        del exif[0x100]  # a stale width, which here would be that of the picture itself
        exif[XMP_TAG] = XMP  # Pillow heeds `xmp` in other formats only
    options = {"icc_profile": PROFILE, "exif": exif, "xmp": XMP}
    if form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options["pnginfo"] = chunks
    if form in ("PNG", "JPEG", "TIFF"):
        options["dpi"] = (300, 300)
    if form == "WEBP":
        options["lossless"] = True
    if form == "JPEG":
        options |= {"quality": 100, "subsampling": "4:4:4"}
    return builders.saved(Image.fromarray(PIXELS), form, **options)


def xmp_of(image):
    value = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return value.encode() if isinstance(value, str) else value


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".bmp"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_metadata_survives(edsr, model, tmp_path, monkeypatch, form, suffix):
    monkeypatch.chdir(tmp_path)
    Path("in").write_bytes(source(form))
    output = Path(f"out{suffix}")
    run = edsr("upscale", "in", "-m", model, "-o", output)
    assert run.code == 0, run.err
    image = read_back(output)

    # Upright, and the size says so.
    assert image.size == (48, 80)
    pixels = np.asarray(image).astype(int)
    lossy = form == "JPEG" or suffix in (".jpg", ".avif")
    assert np.abs(pixels - repeated(UPRIGHT)).mean() <= (4 if lossy else 0)

    if suffix == ".bmp":
        dropped = [line.split("hold the ")[1] for line in run.lines if "BMP cannot hold" in line]
        assert dropped == ["ICC profile: dropped", "EXIF data: dropped", "XMP data: dropped"]
    else:
        # Of a TIFF, only maker notes are lost: their offsets are those of the old file.
        assert [line for line in run.lines[:-1] if "maker notes cannot be moved" not in line] == []
        assert len(run.lines) == 1 + (form == "TIFF")
        assert image.info["icc_profile"] == PROFILE
        exif = image.getexif()
        assert exif.get(ORIENTATION, 1) == 1
        assert exif[MAKE] == "Maker"
        assert exif.get_ifd(CAMERA)[TAKEN] == "2020:01:02 03:04:05"
        assert exif.get_ifd(CAMERA)[WIDTH] == 48
        xmp = xmp_of(image)
        assert xmp is not None
        assert b'dc:creator="somebody"' in xmp
        assert b'tiff:Orientation="1"' in xmp and b'exif:PixelXDimension="48"' in xmp
        assert not re.search(rb"thumbnail", output.read_bytes())
    if suffix not in (".webp", ".avif") and form != "WEBP":
        assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-3)


def test_nothing_is_made_up(edsr, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("bare.png")
    for suffix in ("png", "jpg", "webp", "tif", "avif"):
        assert edsr("upscale", "bare.png", "-m", model, "-o", f"out.{suffix}").code == 0
        image = read_back(Path(f"out.{suffix}"))
        assert not {"icc_profile", "xmp", "XML:com.adobe.xmp", "comment"} & set(image.info)
        # Pillow makes up 72 dpi where a JPEG with EXIF data does not say; the file does not.
        assert image.info.get("dpi", (1, 1)) == (1, 1) or image.info.get("jfif_unit") == 0
        exif = dict(image.getexif())
        record = image.text.pop("Software") if suffix == "png" else exif.pop(SOFTWARE)
        assert re.fullmatch(r"edsr \d+\.\d+\.\d+, model \S+ x4", record)
        if suffix == "png":
            assert image.text == {}
        assert suffix == "tif" or not exif


def test_what_made_the_picture_is_told_again_and_again(edsr, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("0.png")
    files = ["0.png", "1.jpg", "2.png", "3.webp"]
    for before, after in pairwise(files):
        assert edsr("upscale", before, "-m", model, "-o", after).code == 0
    assert read_back(Path("3.webp")).getexif()[SOFTWARE].count("edsr ") == 3
    # Of the second, one is in its text, the other in its EXIF data.
    assert read_back(Path("2.png")).text["Software"].count("edsr ") == 1
    for again in ("b1.jpg", "b2.jpg"):
        assert edsr("upscale", "0.png", "-m", model, "-o", again).code == 0
        assert Path(again).read_bytes() == Path("1.jpg").read_bytes()
