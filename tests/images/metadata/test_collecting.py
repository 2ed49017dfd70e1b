import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from edsr_cli.images import Metadata, decode
from edsr_cli.images.formats import codec_of
from edsr_cli.images.guard import limits
from edsr_cli.images.metadata import MAX_EXIF_BYTES
from tests.images import builders, rich

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" tiff:ImageWidth="640"/>'
    b"<exif:PixelYDimension>480</exif:PixelYDimension></x:xmpmeta>"
)
PICTURE = Image.fromarray(builders.gradient())


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def orientation(image: Image.Image, file: io.BytesIO | None = None) -> int:
    return codec_of(image).orientation(image, file)


def collect(
    image: Image.Image, turned: int = 1, file: io.BytesIO | None = None
) -> tuple[Metadata, list[str]]:
    return codec_of(image).collect(image, turned, file)


def text(**chunks: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in chunks.items():
        info.add_text(key.replace("_", " "), value)
    return info


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("value", [1, 3, 6, 8])
def test_orientation_of_every_format(form: str, value: int) -> None:
    exif = Image.Exif()
    exif[0x112] = value
    assert orientation(opened(builders.saved(PICTURE, form, exif=exif))) == value


def test_orientation_behind_the_pixels_of_a_png() -> None:
    data = builders.png(builders.gradient(), after=builders.chunk(b"eXIf", builders.exif()))
    file = io.BytesIO(data)
    image = Image.open(file)
    position = file.tell()
    assert orientation(image, file) == 6
    assert file.tell() == position


@pytest.mark.parametrize("place", ["before", "after"])
def test_exif_without_measure_is_dropped(place: str) -> None:
    """Its orientation holds all the same."""
    blob = builders.exif() + bytes(MAX_EXIF_BYTES)
    chunk = builders.chunk(b"eXIf", blob)
    data = builders.png(builders.gradient(), **{place: chunk})
    image = opened(data)
    assert orientation(image, io.BytesIO(data)) == 6
    image.load()
    found, notes = collect(image, 6, io.BytesIO(data))
    assert found.exif is None
    assert notes == ["its EXIF data is far larger than is reasonable and was dropped"]


def test_exif_written_as_text() -> None:
    blob = builders.exif()
    raw = f"\nexif\n{len(blob):8}\n{blob.hex()}\n"
    image = opened(builders.saved(PICTURE, "PNG", pnginfo=text(Raw_profile_type_exif=raw)))
    assert orientation(image) == 6
    image.load()
    found, notes = collect(image, 6)
    assert found.exif is not None and builders.MAKER_NOTE in found.exif and not notes


def test_an_orientation_in_the_xmp_alone_does_not_count() -> None:
    assert orientation(opened(builders.saved(PICTURE, "JPEG", xmp=XMP))) == 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_xmp_of_every_format(form: str) -> None:
    options: dict[str, Any] = {"xmp": XMP}
    if form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": chunks}
    image = opened(builders.saved(PICTURE, form, **options))
    image.load()
    assert collect(image)[0].xmp == XMP
    turned = collect(image, 6)[0].xmp
    assert turned is not None and b'tiff:Orientation="1"' in turned
    assert len(turned) == len(XMP)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_is_kept_where_it_lies(form: str) -> None:
    image = opened(builders.saved(PICTURE, form, exif=b"Exif\0\0" + builders.exif()))
    image.load()
    found = collect(image, 6)[0].exif
    assert found is not None and found[:4] == b"II*\0"
    assert found.find(builders.MAKER_NOTE) == builders.exif().find(builders.MAKER_NOTE)
    assert b"thumbnail" not in found


def test_damaged_exif_is_dropped_with_a_note() -> None:
    image = opened(builders.saved(PICTURE, "WEBP", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    image.load()
    with limits(1000):
        found, notes = collect(image)
    assert found.exif is None
    assert notes == ["its EXIF data is damaged and was dropped"]


def test_exif_of_a_tiff_is_its_descriptive_tags() -> None:
    exif = Image.Exif()
    exif[0x10F], exif[0x10E] = "Maker", "A description"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8769)[0xA005] = {1: "R98"}
    exif.get_ifd(0x8825)[1] = "N"
    image = opened(builders.saved(PICTURE, "TIFF", exif=exif.tobytes()))
    image.load()
    found = collect(image)[0].exif
    assert found is not None
    seen = Image.Exif()
    seen.load(found)
    assert set(seen) == {0x10E, 0x10F, 0x8769, 0x8825}  # no sizes, strips or compression
    assert seen.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert 0xA005 not in seen.get_ifd(0x8769)  # Pillow has written an offset to nowhere
    assert seen.get_ifd(0x8825)[1] == "N"


def test_a_plain_tiff_has_no_metadata() -> None:
    image = opened(builders.saved(PICTURE, "TIFF"))
    image.load()
    found, notes = collect(image)
    assert (found.exif, found.dpi, found.xmp, found.icc_profile, notes) == (
        None,
        None,
        None,
        None,
        [],
    )


@pytest.mark.parametrize(
    ("stored", "dpi"),
    [((300, 200), (300.0, 200.0)), ((72.5, 72.5), (72.5, 72.5)), ((0, 0), None), ((1, 1), None),
     ((float("nan"), 72), None), ((float("inf"), 72), None), ((1e9, 1e9), None), ((300,), None),
     ("text", None), (None, None), ((TiffImagePlugin.IFDRational(1, 0), 72), None)],
)  # fmt: skip
def test_resolution(stored: Any, dpi: tuple[float, float] | None) -> None:
    image = Image.fromarray(np.zeros((1, 1, 3), np.uint8))
    image.info["dpi"] = stored
    assert collect(image)[0].dpi == dpi


@pytest.mark.parametrize("turned", range(1, 9))
def test_the_resolution_of_a_turned_picture(turned: int) -> None:
    """From 5 on, rows and columns are exchanged."""
    image = Image.fromarray(np.zeros((1, 1, 3), np.uint8))
    image.info["dpi"] = (300, 200)
    assert collect(image, turned)[0].dpi == ((200, 300) if turned >= 5 else (300, 200))


@pytest.mark.parametrize("stated", [1, 6])
def test_an_orientation_where_viewers_do_not_look(stated: int) -> None:
    """In JPEG 2000 and PSD, nobody turns a picture by it; that it is gone is told."""
    blob = rich.exif(orientation=stated)
    for data in (
        rich.jp2(rich.box(b"uuid", b"JpgTiffExif->JP2", blob)),
        rich.psd(rich.resource(1058, blob)),
    ):
        picture = decode(data)
        assert picture.pixels.shape[:2] == (rich.HEIGHT, rich.WIDTH)
        assert picture.metadata.exif is not None
        told = [note for note in picture.notes if "orientation" in note]
        assert len(told) == (stated != 1)


def test_exif_beyond_reason_is_dropped() -> None:
    blob = rich.exif() + bytes(2**24)
    data = builders.png(builders.gradient(), before=builders.chunk(b"eXIf", blob))
    picture = decode(data)
    assert picture.metadata.exif is None
    assert "far larger than is reasonable" in picture.notes[0]
