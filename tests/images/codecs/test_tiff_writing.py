import io
import struct

import numpy as np
import pytest
from PIL import Image

from edsr_cli.images import Metadata
from edsr_cli.images.codecs import tiff_writing as tiff
from edsr_cli.images.colour import icc
from edsr_cli.images.metadata import exif as exif_data
from tests.images import builders

FULL = Metadata(
    icc_profile=icc.srgb_profile(),
    exif=exif_data.clean(builders.exif()),
    xmp=b"<x/>",
    dpi=(300.0, 72.5),
)


def written(pixels: np.ndarray, metadata: Metadata) -> bytes:  # type: ignore[type-arg]
    file = io.BytesIO()
    tiff.write_tiff(pixels, metadata, file)
    return file.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (331, 977), (2, 100_000)])
def test_pixels_of_one_strip_and_of_many(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8)
    image = Image.open(io.BytesIO(written(pixels, Metadata())))
    assert image.mode == "RGB" and (np.asarray(image) == pixels).all()


def test_smooth_pictures_are_compressed() -> None:
    assert len(written(builders.gradient(200, 300), Metadata())) < 200 * 300 * 3 / 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_metadata(order: str, big: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if big:
        monkeypatch.setattr(tiff, "CLASSIC_LIMIT", 0)
    given = Metadata(FULL.icc_profile, exif_data.clean(builders.exif(order)), FULL.xmp, FULL.dpi)
    file = io.BytesIO()
    notes = tiff.write_tiff(builders.gradient(), given, file)
    data = file.getvalue()
    mark = "<" if big else order
    assert struct.unpack(mark + "2sH", data[:4]) == (
        b"II" if mark == "<" else b"MM",
        43 if big else 42,
    )
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (np.asarray(image) == builders.gradient()).all()
    assert image.info["icc_profile"] == FULL.icc_profile
    assert image.info["xmp"] == FULL.xmp
    assert image.info["dpi"] == FULL.dpi
    exif = image.getexif()
    assert exif[0x10F] == "Maker"
    assert exif[0x100] == 20  # the width of the file, not the one of the old EXIF data
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert given.exif is not None
    if big:
        assert 0x927C not in exif.get_ifd(0x8769)
        assert notes == ("BigTIFF cannot hold its maker notes: dropped",)
    else:
        assert exif.get_ifd(0x8769)[0x927C] == builders.MAKER_NOTE
        # They hold offsets from the beginning of the EXIF data, which is that of the file.
        assert data.index(builders.MAKER_NOTE) == given.exif.index(builders.MAKER_NOTE)
        assert notes == ()
    assert exif.get_ifd(0x8769)[0xA002] == 640


def test_the_limit_of_classic_files(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (100, 100, 3), np.uint8)
    size = len(written(pixels, FULL))
    for limit, version in ((size - 1, 43), (size, 42)):
        monkeypatch.setattr(tiff, "CLASSIC_LIMIT", limit)
        assert written(pixels, FULL)[2] == version


def test_a_file_that_has_begun_already() -> None:
    file = io.BytesIO()
    file.write(b"before")
    tiff.write_tiff(builders.gradient(), FULL, file)
    assert file.tell() == len(file.getvalue())
    image = Image.open(io.BytesIO(file.getvalue()[6:]))
    assert (np.asarray(image) == builders.gradient()).all()


def test_directories_and_values_begin_at_even_offsets() -> None:
    ends = set()
    for width in range(5, 20):
        data = written(builders.gradient(3, 4), Metadata(icc_profile=b"i" * 7, xmp=b"x" * width))
        (offset,) = struct.unpack("<L", data[4:8])
        assert offset % 2 == 0
        fields = exif_data.fields(data)  # a TIFF is what EXIF data is
        [xmp] = [field.value for field in fields if field.tag == 700]
        assert isinstance(xmp, bytes) and data.index(xmp) % 2 == 0
        ends.add(len(xmp) % 2)
    assert ends == {0, 1}


def test_offsets_beyond_4_gib() -> None:
    entries = tiff._picture_fields("<", 10, 10, 5, [2**33, 7], 16, big=True)
    [offsets] = [field for field in entries if field.tag == 273]
    assert isinstance(offsets.value, bytes) and offsets.count == 2
    assert struct.unpack("<2Q", offsets.value) == (16, 16 + 2**33)
