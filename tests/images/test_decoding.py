import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

from edsr_cli.errors import PictureError
from edsr_cli.images import Metadata, PictureInfo, decode, from_pil, probe, to_pil
from edsr_cli.images.alpha import UNCOVERED
from edsr_cli.images.colour import icc, spaces
from edsr_cli.images.metadata import exif as exif_data
from tests.images import builders

RGB = builders.gradient()
PICTURE = Image.fromarray(RGB)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM", "QOI", "SGI", "PCX", "TGA", "GIF"])
def test_lossless_files_are_exact(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{form.lower()}"
    image = PICTURE.quantize(8) if form == "GIF" else PICTURE
    path.write_bytes(builders.saved(image, form))
    picture = decode(path)
    assert picture.pixels.dtype == np.uint8 and picture.source_format == form
    assert (picture.pixels == np.asarray(image.convert("RGB"))).all()
    assert picture.notes == ()


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_lossy_files_are_close(form: str) -> None:
    data = builders.saved(Image.new("RGB", (20, 12), (200, 100, 50)), form)
    pixels = decode(data).pixels.astype(int)
    assert pixels.shape == (12, 20, 3)
    assert np.abs(pixels - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_pictures_are_turned_upright(form: str, value: int) -> None:
    exif = Image.Exif()
    exif[0x112] = value
    options = {"lossless": True} if form == "WEBP" else {}
    data = builders.saved(PICTURE, form, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    picture, info = decode(data), probe(data)
    assert (picture.pixels == expected).all() and picture.pixels.flags.c_contiguous
    assert (info.height, info.width) == picture.pixels.shape[:2]
    assert picture.metadata.exif is None or b"\x12\x01" not in picture.metadata.exif
    assert from_pil(Image.open(io.BytesIO(data))).pixels.shape == picture.pixels.shape


def test_exif_behind_the_pixels_turns_them_too() -> None:
    data = builders.png(RGB, after=builders.chunk(b"eXIf", builders.exif()))
    picture = decode(data)
    assert picture.pixels.shape == (20, 12, 3)
    assert (probe(data).width, probe(data).height) == (12, 20)
    assert picture.metadata.exif is not None and builders.MAKER_NOTE in picture.metadata.exif


def test_an_orientation_in_the_xmp_is_reset_with_that_of_the_exif() -> None:
    blob = b"Exif\0\0" + builders.exif()
    picture = decode(builders.saved(PICTURE, "JPEG", exif=blob, xmp=XMP))
    assert picture.pixels.shape[:2] == (20, 12)
    assert picture.metadata.xmp == XMP.replace(b"6", b"1")


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_an_orientation_in_the_xmp_alone_turns_nothing(form: str) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700] = XMP
    options = {"xmp": XMP} if form == "JPEG" else {"tiffinfo": tags}
    data = builders.saved(PICTURE, form, **options)
    picture = decode(data)
    assert picture.pixels.shape[:2] == (12, 20) == (probe(data).height, probe(data).width)
    assert picture.metadata.xmp == XMP


def test_depth_that_pillow_drops_is_remarked() -> None:
    header = struct.pack(">HBBHHHHLL", 474, 0, 2, 3, 3, 2, 3, 0, 255)
    picture = decode(header.ljust(512, b"\0") + bytes(36))  # SGI
    assert picture.pixels.dtype == np.uint8
    assert picture.notes == ("16-bit colours read as 8-bit",)


def test_grey_of_16_bits_needs_no_remark() -> None:
    grey = (np.arange(240, dtype=np.uint16) * 273).reshape(12, 20)
    for data in (
        builders.png(grey[..., None], builders.GREY),
        builders.tiff(grey),
        b"P5 20 12 65535\n" + grey.astype(">u2").tobytes(),
        builders.saved(Image.fromarray(grey), "JPEG2000"),
    ):
        picture = decode(data)
        assert picture.notes == () and picture.pixels.dtype == np.uint16
        assert (picture.pixels == grey[..., None]).all()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_several_frames_the_first_is_used(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), (80 * i, 0, 0)) for i in range(3)]
    data = builders.saved(frames[0], form, save_all=True, append_images=frames[1:])
    picture = decode(data)
    assert picture.pixels.max() <= 4
    assert "only the first of 3 frames or pages is used; --frame takes another" in picture.notes
    assert probe(data).frames == 3


def test_a_damaged_later_frame_does_not_matter() -> None:
    frames = [Image.effect_noise((60, 60), 50) for _ in range(3)]
    data = builders.saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    whole, cut = decode(data), decode(data[: len(data) * 2 // 3])
    assert (whole.pixels == cut.pixels).all()


def test_metadata_of_a_file() -> None:
    profile = icc.srgb_profile()
    data = builders.saved(PICTURE, "JPEG", dpi=(300, 300), icc_profile=profile)
    assert decode(data).metadata == Metadata(icc_profile=profile, dpi=(300.0, 300.0), size=(20, 12))


def test_a_profile_that_does_not_fit_is_not_kept() -> None:
    profile = builders.grey_icc(builders.gamma_curve(2.2))
    picture = decode(builders.saved(PICTURE.convert("L"), "PNG", icc_profile=profile))
    assert picture.metadata.icc_profile == icc.srgb_profile()
    broken = decode(builders.saved(PICTURE, "PNG", icc_profile=b"x" * 200))
    assert broken.metadata.icc_profile is None and len(broken.notes) == 1
    assert (broken.pixels == RGB).all()


def test_probe() -> None:
    assert probe(builders.png(RGB.astype(np.uint16))) == PictureInfo(
        20, 12, "RGB", "PNG", 16, 1, streams=True
    )
    assert probe(builders.saved(PICTURE, "WEBP")) == PictureInfo(
        20, 12, "RGB", "WEBP", 8, 1, decoder_bytes=17 * 20 * 12
    )
    whole = builders.saved(PICTURE, "TIFF", compression="tiff_lzw")  # in one strip
    assert probe(whole) == PictureInfo(20, 12, "RGB", "TIFF", 8, 1, decoder_bytes=3 * 20 * 12)
    rows = builders.saved(PICTURE, "TIFF", compression="tiff_lzw", tiffinfo={278: 3})
    assert probe(rows) == PictureInfo(20, 12, "RGB", "TIFF", 8, 1, streams=True)


def test_the_limit_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = builders.png(RGB, size=(50_000, 50_000))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda _: pytest.fail("decoded"))
    for function in (probe, decode):
        with pytest.raises(PictureError) as caught:
            function(data, name="bomb.png")
        assert caught.value.message.startswith("bomb.png: 2,500,000,000 pixels are more than")
        assert "--max-pixels" in caught.value.hint


def test_the_limit_can_be_raised_above_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert decode(builders.png(RGB)).pixels.shape == (12, 20, 3)
    assert Image.MAX_IMAGE_PIXELS == 50
    with pytest.raises(PictureError, match="239 pixels"):
        decode(builders.png(RGB), 239)
    decode(builders.png(RGB), 240)


def test_a_huge_tile_in_a_small_tiff_is_refused() -> None:
    tile = [builders.entry("<", 322, 4, [2**20]), builders.entry("<", 323, 4, [2**20])]
    tile += [builders.entry("<", 324, 4, [8]), builders.entry("<", 325, 4, [720])]
    with pytest.raises(PictureError, match="limit"):
        decode(builders.tiff(RGB, 2, extra=tile))


def test_pictures_of_pillow() -> None:
    image = PICTURE.convert("RGBA")
    image.putalpha(9)
    image.info["dpi"] = (72, 72)
    picture = from_pil(image)
    assert (picture.pixels == RGB).all() and picture.notes == (UNCOVERED,)
    assert picture.metadata.dpi == (72, 72) and picture.source_format == ""
    assert image.mode == "RGBA"  # left alone
    grey = Image.fromarray(np.array([[0, 65535]], np.uint16))
    assert from_pil(grey).pixels[0, 1].tolist() == [65535] * 3
    with pytest.raises(PictureError, match="no pixels"):
        from_pil(Image.new("RGB", (0, 3)))


def test_a_tiff_that_pillow_has_opened_is_decoded_as_a_file_is() -> None:
    deep = RGB.astype(np.uint16) * 250
    planes = [builders.entry("<", 284, 3, [2])]
    raw = np.moveaxis(deep, 2, 0).astype("<u2").tobytes()
    strips = [builders.entry("<", tag, 4, values) for tag, values in (
        (273, [8, 8 + 480, 8 + 960]), (279, [480] * 3))]  # fmt: skip
    data = builders.tiff(deep, 2, data=raw, extra=[*planes, *strips])
    image = Image.open(io.BytesIO(data))
    assert (from_pil(image).pixels == deep).all() and (decode(data).pixels == deep).all()
    frames = [Image.new("RGB", (8, 8), (80 * i, 0, 0)) for i in range(3)]
    data = builders.saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    image = Image.open(io.BytesIO(data))
    for number in (2, 0, 1):
        image.seek(number)
        assert (from_pil(image).pixels == (80 * number, 0, 0)).all()
        assert np.asarray(image.copy())[0, 0, 0] == 80 * number  # Pillow goes on as before


def test_what_pillow_fails_to_load_is_an_error_of_ours() -> None:
    image = Image.open(io.BytesIO(builders.png(RGB)[:-60]))
    with pytest.raises(PictureError, match="the given image"):
        from_pil(image)


def test_pillow_and_back() -> None:
    given = Metadata(
        icc.srgb_profile(), builders.exif(orientation=None, thumbnail=False), XMP, (72, 72)
    )
    image = to_pil(RGB, given)
    assert image.mode == "RGB" and image.getexif()[0x10F] == "Maker"
    back = from_pil(image)
    assert given.exif is not None  # it becomes true of these pixels
    expected = replace(given, exif=exif_data.with_size(given.exif, 20, 12), size=(20, 12))
    assert (back.pixels == RGB).all() and back.metadata == expected
    assert to_pil(RGB).info == {}
    assert to_pil(np.full((1, 1, 3), 65535, np.uint16)).getpixel((0, 0)) == (255, 255, 255)


def test_several_threads_with_limits_of_their_own() -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = builders.png(RGB)

    def work(limit: int) -> bool:
        try:
            return decode(data, limit).pixels.shape == (12, 20, 3)
        except PictureError:
            return False

    limits = [239, 240, 10, 1_000_000] * 25
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, limits)) == [limit >= 240 for limit in limits]
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.skipif(os.name == "nt", reason="the file would take 4 GiB of disk")
def test_a_directory_beyond_4_gib_is_found(tmp_path: Path) -> None:
    """Pillow cuts such offsets to 32 bits, and reads black."""
    strip = zlib.compress(RGB.tobytes())
    entries = [(256, 20), (257, 12), (258, 8), (259, 8), (262, 2), (273, 16), (277, 3)]
    entries.append((279, len(strip)))
    path = tmp_path / "big.tif"
    with path.open("wb") as big:  # a sparse file
        big.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**32) + strip)
        big.seek(2**32)
        big.write(struct.pack("<Q", len(entries)))
        for tag, value in entries:
            big.write(struct.pack("<HHQQ", tag, 4, 1, value))
        big.write(bytes(8))
    assert (probe(path).width, probe(path).height) == (20, 12)
    assert (decode(path).pixels == RGB).all()


def test_linear_light_is_told_by_the_profile() -> None:
    def gamma(value: int) -> bytes:
        return builders.png(RGB, before=builders.chunk(b"gAMA", struct.pack(">L", value)))

    linear = spaces.LINEAR_SRGB.profile()
    photographic = builders.saved(Image.fromarray(RGB), "TIFF", icc_profile=linear)
    assert [decode(gamma(value)).linear for value in (100_000, 80_000, 45_455)] == [
        True,
        True,
        False,
    ]
    assert decode(photographic).linear
    for profile in (icc.srgb_profile(), spaces.ADOBE_RGB.profile(), spaces.ROMM_RGB.profile()):
        assert not decode(builders.saved(Image.fromarray(RGB), "PNG", icc_profile=profile)).linear
    assert not decode(builders.png(RGB)).linear
    hdr = builders.chunk(b"cICP", bytes([9, 16, 0, 1]))
    hdr += builders.chunk(b"iCCP", b"a\0\0" + zlib.compress(linear))
    assert not decode(builders.png(RGB, before=hdr)).linear


@pytest.mark.parametrize("colour_type", [builders.RGB, builders.RGBA, builders.GREY_ALPHA])
def test_all_bits_of_an_image_that_is_not_loaded(colour_type: int) -> None:
    channels = {builders.RGB: 3, builders.RGBA: 4, builders.GREY_ALPHA: 2}[colour_type]
    samples = np.arange(12 * 20 * channels, dtype=np.uint16).reshape(12, 20, channels) * 67
    data = builders.png(samples, colour_type, after=builders.chunk(b"tEXt", b"Title\0late"))
    with Image.open(io.BytesIO(data)) as image:
        picture, expected = from_pil(image, keep_alpha=True), decode(data, keep_alpha=True)
        assert (picture.pixels == expected.pixels).all() and picture.pixels.dtype == np.uint16
        if channels != 3:
            assert (picture.alpha == expected.alpha).all()
        assert picture.metadata.texts == expected.metadata.texts
        image.load()  # is possible still
        assert from_pil(image).pixels.dtype == np.uint8
