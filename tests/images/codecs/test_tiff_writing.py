import io
import struct
from typing import BinaryIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from edsr_cli.images import Metadata, OutputOptions, OutputRequest, decode
from edsr_cli.images.codecs import tiff_writing as tiff
from edsr_cli.images.codecs.tiff import CODEC
from edsr_cli.images.colour import icc
from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.pixels.resize import halved
from edsr_cli.pixels.windows import Region
from tests.images import builders

FULL = Metadata(
    icc_profile=icc.srgb_profile(),
    exif=exif_data.clean(builders.exif()),
    xmp=b"<x/>",
    dpi=(300.0, 72.5),
)


def write(pixels: np.ndarray, metadata: Metadata, file: BinaryIO) -> tuple[str, ...]:  # type: ignore[type-arg]
    height, width = pixels.shape[:2]
    encoder = CODEC.create(file, OutputRequest((width, height), metadata))
    encoder.write(Region(0, height, 0, width), pixels)
    return encoder.finish()


def written(pixels: np.ndarray, metadata: Metadata) -> bytes:  # type: ignore[type-arg]
    file = io.BytesIO()
    write(pixels, metadata, file)
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
    notes = write(builders.gradient(), given, file)
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
    """What may come beyond the limit is a BigTIFF: all is known but how well it compresses."""
    pixels = np.random.default_rng(5).integers(0, 256, (100, 100, 3), np.uint8)
    size = len(written(pixels, FULL))
    for limit, version in ((size - 1, 43), (size + 10_000, 42)):
        monkeypatch.setattr(tiff, "CLASSIC_LIMIT", limit)
        assert written(pixels, FULL)[2] == version


@pytest.mark.parametrize(("rows", "big"), [(2**16 - 200, False), (2**16, True)])
def test_files_of_4_gib_are_big(rows: int, big: bool) -> None:
    layout = tiff.FrameLayout(2**14, rows, 4, 8, True, 4)
    frame = tiff.Frame(FULL, [layout], rows * 2**16)
    assert frame.big == big
    # Offsets behind the limit fit into what is written.
    places = [range(2**32 * big, 2**32 * big + layout.pieces), [2**16] * layout.pieces]
    header = frame.header([places])
    assert len(header) == frame.first
    with tifffile.TiffFile(io.BytesIO(header)) as file:
        assert file.is_bigtiff == big
        assert list(file.pages[0].dataoffsets) == list(places[0])


def test_a_file_that_has_begun_already() -> None:
    file = io.BytesIO()
    file.write(b"before")
    write(builders.gradient(), FULL, file)
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


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (256, 256), (257, 700), (601, 300)])
def test_tiles_and_smaller_copies(size: tuple[int, int], channels: int, bits: int) -> None:
    """As libtiff (in tifffile's codecs, and Pillow) reads them; each copy is half the one above."""
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(1).integers(0, 2**bits, (*size, channels), dtype)
    colours = pixels[..., : channels - (channels + 1) % 2]
    alpha = pixels[..., -1] if channels % 2 == 0 else None
    options = OutputOptions(tiff="pyramid", threads=2)
    request = OutputRequest(size[::-1], FULL, options, alpha, bits, grey=channels < 3)
    encoder = CODEC.create(file := io.BytesIO(), request)
    for top in range(0, size[0], 77):
        rows = colours[top : top + 77]
        encoder.write(Region(top, top + len(rows), 0, size[1]), rows)
    encoder.finish()
    file.seek(0)
    with tifffile.TiffFile(file) as read:
        assert read.pages[0].tags[34675].value == FULL.icc_profile
        expected = pixels
        for page in read.pages:
            assert page.is_tiled and page.tile[:2] == (256, 256)
            assert (page.asarray().reshape(expected.shape) == expected).all()
            assert page.is_reduced == (page.index > 0)
            last = expected.shape
            expected = halved(expected)
        assert max(last[:2]) <= 256


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_is_bytes_that_count_as_numbers(
    order: str, big: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Photoshop and ImageMagick have it, and exiftool expects; padded, in any byte order."""
    iptc = b"\x1c\x02\x50\x00\x05Hanna"
    if big:
        monkeypatch.setattr(tiff, "CLASSIC_LIMIT", 0)
    exif = exif_data.clean(builders.exif(order))
    data = written(np.zeros((3, 4, 3), np.uint8), Metadata(exif=exif, iptc=iptc))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.is_bigtiff is big
        tag = file.pages[0].tags[33723]  # type: ignore[union-attr]
        assert (tag.dtype.name, tag.count) == ("LONG", 3)
        assert data[tag.valueoffset :].startswith(iptc + b"\0\0")
    found = decode(data).metadata.iptc
    assert found is not None and found.rstrip(b"\0") == iptc
