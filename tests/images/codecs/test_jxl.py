"""JPEG XL by OpenImageIO, where it is installed; imagecodecs has a libjxl of its own."""

import io
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.images import (
    FORMATS,
    READ_SUFFIXES,
    Metadata,
    OutputOptions,
    decode,
    encode,
    format_for,
    formats,
    from_pil,
    open_picture,
    outputs,
    probe,
    source,
)
from edsr_cli.images.codecs import jxl, oiio
from edsr_cli.images.codecs.boxes import boxes
from edsr_cli.images.codecs.jxl_header import JxlHeader, codestream, read_header
from edsr_cli.images.colour import spaces
from edsr_cli.images.guard import TooLargeError
from edsr_cli.images.provenance import provenance, stated_record
from edsr_cli.pixels.depth import full_range
from tests.images import builders

pytest.importorskip("OpenImageIO", reason="JPEG XL needs OpenImageIO")
brotli = pytest.importorskip("brotli", reason="JPEG XL needs brotli")
imagecodecs = pytest.importorskip("imagecodecs", reason="the second opinion on JPEG XL")

y, x = np.mgrid[:40, :64]
DEEP = np.stack([x * 1000, y * 1600, (x + y) * 600 + x % 7, 65535 - x * 900], -1).astype(np.uint16)
SHALLOW = (DEEP >> 8).astype(np.uint8)


def written(
    pixels: NDArray[Any],
    metadata: Metadata = Metadata(),  # noqa: B008 - frozen
    **options: Any,
) -> bytes:
    file = io.BytesIO()
    settings = OutputOptions(quality=options.pop("quality", None))
    assert encode(pixels, outputs.JXL, metadata, file, settings, **options) == ()
    return file.getvalue()


def boxed(*parts: tuple[bytes, bytes]) -> bytes:
    """A file of boxes."""
    start = [(b"JXL ", b"\r\n\x87\n"), (b"ftyp", b"jxl \0\0\0\0jxl ")]
    return b"".join(
        struct.pack(">L4s", 8 + len(data), name) + data for name, data in [*start, *parts]
    )


def with_header(data: bytes, wanted: JxlHeader) -> bytes:
    """A codestream with the one bit of its header flipped that makes it say something else."""
    for place in range(16, 400):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        try:
            if read_header(io.BytesIO(changed)) == wanted:
                return bytes(changed)
        except (EOFError, ValueError):
            continue
    raise AssertionError("no bit says that")


@pytest.mark.parametrize("samples", [SHALLOW, DEEP], ids=["8", "16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_without_loss(channels: int, samples: NDArray[Any]) -> None:
    pixels = np.ascontiguousarray(samples[..., :3])
    alpha = samples[..., 3] if channels == 4 else None
    if channels == 1:
        pixels = np.ascontiguousarray(np.repeat(samples[..., :1], 3, 2))
    data = written(pixels, alpha=alpha, grey=channels == 1)
    exact = samples[..., :channels].squeeze()
    assert (imagecodecs.jpegxl_decode(data) == exact).all()
    picture = decode(data, keep_alpha=True, keep_grey=True)
    assert picture.pixels.dtype == samples.dtype and (picture.pixels == pixels).all()
    assert picture.grey == (channels == 1) and picture.notes == ()
    assert (picture.alpha is None) if alpha is None else (picture.alpha == alpha).all()
    assert picture.metadata.icc_profile is None and probe(data).bits == 8 * samples.itemsize


def test_greyscale_with_alpha_becomes_rgb_with_its_own_profile() -> None:
    pixels = np.repeat(SHALLOW[..., :1], 3, 2)
    profile = spaces.ADOBE_RGB.profile()
    data = written(pixels, Metadata(icc_profile=profile), alpha=SHALLOW[..., 3], grey=True)
    assert (imagecodecs.jpegxl_decode(data)[..., :3] == pixels).all()
    assert decode(data).metadata.icc_profile == profile


@pytest.mark.parametrize("samples", [SHALLOW, DEEP], ids=["8", "16"])
def test_quality(samples: NDArray[Any]) -> None:
    pixels, profile = np.ascontiguousarray(samples[..., :3]), spaces.ADOBE_RGB.profile()
    small, large = (
        written(pixels, Metadata(icc_profile=profile), quality=quality) for quality in (50, 97)
    )
    assert len(small) < len(large) < len(written(pixels))
    picture = decode(large)
    step = np.iinfo(samples.dtype).max / 255
    assert picture.pixels.dtype == samples.dtype and picture.notes == ()
    error = np.abs(picture.pixels.astype(float) - pixels) / step
    assert 0 < error.mean() < 1.5
    # It is said in numbers, of which libjxl makes a profile of its own.
    assert b"Adobe98".hex() in (picture.metadata.icc_profile or b"").replace(b"\0", b"").hex()
    assert (decode(written(pixels, quality=100)).pixels == pixels).all()


def test_a_profile_that_the_decoder_does_not_apply() -> None:
    profile = spaces.ROMM_RGB.profile()
    for samples, notes in ((SHALLOW, (jxl._CLIPPED, jxl._DARK)), (DEEP, (jxl._CLIPPED,))):
        pixels = np.ascontiguousarray(samples[..., :3])
        picture = decode(written(pixels, Metadata(icc_profile=profile), quality=90))
        assert picture.notes == notes and picture.linear
        assert decode(written(pixels, Metadata(icc_profile=profile))).notes == ()


def test_dark_levels_of_greyscale_that_the_decoder_loses() -> None:
    metadata = Metadata(icc_profile=builders.grey_icc(builders.gamma_curve(2.2)))
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    lossy = decode(written(ramp, metadata, grey=True, quality=90), keep_grey=True)
    assert len(np.unique(lossy.pixels[:, :32])) < 8 and jxl._DARK in lossy.notes
    deep = decode(written(ramp * np.uint16(257), metadata, grey=True, quality=90), keep_grey=True)
    assert len(np.unique(deep.pixels[0, :32])) > 16 and jxl._DARK not in deep.notes
    plain = decode(written(ramp, grey=True, quality=90), keep_grey=True)
    assert len(np.unique(plain.pixels[0, :32])) > 16 and plain.notes == ()


@pytest.mark.parametrize("points", [(9, 16, 0, 1), (12, 18, 0, 1)])
def test_colours_beyond_white(points: tuple[int, int, int, int]) -> None:
    pixels = np.ascontiguousarray(DEEP[..., :3])
    picture = decode(written(pixels, Metadata(hdr=points)))
    assert picture.metadata.hdr == points and picture.metadata.icc_profile is None
    assert (picture.pixels == pixels).all()
    file = io.BytesIO()
    (note,) = encode(pixels, outputs.JXL, Metadata(hdr=(10, 16, 0, 1)), file)
    assert note == "JXL cannot state its HDR colours (10/16): dropped"


@pytest.mark.parametrize(("bits", "channels"), [(5, 3), (10, 3), (12, 4), (7, 1), (8, 2)])
def test_all_bits(bits: int, channels: int) -> None:
    values = np.ascontiguousarray(DEEP[..., :channels].squeeze() >> (16 - bits))
    data = imagecodecs.jpegxl_encode(
        values.astype(np.uint8) if bits <= 8 else values, lossless=True, bitspersample=bits
    )
    picture = decode(data, keep_alpha=True, keep_grey=True)
    exact = full_range(values.reshape(40, 64, channels), bits)
    assert probe(data).bits == bits and picture.pixels.dtype == exact.dtype
    colours = 1 if channels < 3 else 3
    close = np.abs(picture.pixels[..., :colours].astype(int) - exact[..., :colours])
    assert close.max() <= 1  # it rounds in floating-point numbers
    if channels > colours:
        assert picture.alpha is not None
        assert np.abs(picture.alpha.astype(int) - exact[..., colours]).max() <= 1


def test_colours_that_were_multiplied_by_alpha() -> None:
    samples = DEEP.copy()
    samples[..., 3] = np.where(x < 32, 32768, 65535)
    data = codestream(io.BytesIO(imagecodecs.jpegxl_encode(samples, lossless=True)))
    header = read_header(io.BytesIO(data))
    assert header == JxlHeader(64, 40, bits=16, extra=(0,), lossy=False)
    picture = decode(with_header(data, replace(header, associated=True)), keep_alpha=True)
    divided = np.minimum(samples[..., :3] * (65535 / samples[..., 3:]), 65535)
    assert np.abs(picture.pixels - divided).max() <= 0.5


@pytest.mark.parametrize("container", [False, True])
def test_the_header_of_any_size(container: bool) -> None:
    sizes = [(1, 1), (700, 513), (8, 256), (64, 80), (9216, 1)]
    sizes += [
        (60 * across // down, 60) for across, down in ((6, 5), (4, 3), (3, 2), (16, 9), (2, 1))
    ]
    for width, height in sizes:
        pixels = np.zeros((height, width, 3), np.uint8)
        data = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=1, usecontainer=container)
        info = probe(data)
        assert (info.width, info.height, info.mode) == (width, height, "RGB")
        assert decode(data).pixels.shape == pixels.shape


def test_turned_with_its_metadata() -> None:
    """A JPEG that was packed without loss, as most JPEG XL are; its EXIF data are compressed."""
    file = io.BytesIO()
    exif = b"Exif\0\0" + builders.exif(orientation=6, thumbnail=False)
    Image.fromarray(SHALLOW[..., :3]).save(file, "JPEG", quality=95, exif=exif)
    data, jpeg = imagecodecs.jpegxl_encode_jpeg(file.getvalue()), decode(file.getvalue())
    assert b"brob" in data
    with open_picture(data) as opened:
        info, picture = opened.info, opened.read()
    assert (info.format, info.width, info.height, info.streams) == ("JPEGXL", 40, 64, False)
    assert np.abs(picture.pixels.astype(int) - jpeg.pixels).max() <= 3
    assert picture.metadata.exif == jpeg.metadata.exif and picture.metadata.size == (40, 64)
    assert ".jxl" in READ_SUFFIXES and format_for(None, "jxl") in FORMATS


def test_our_own_record_is_found(tmp_path: Path) -> None:
    path, record = tmp_path / "a.jxl", provenance("test", 2)
    path.write_bytes(written(SHALLOW[..., :3].copy(), Metadata(software=record)))
    assert stated_record(path) == record


def test_an_image_that_pillow_has_opened() -> None:
    data = written(DEEP[..., :3].copy(), alpha=DEEP[..., 3])
    with Image.open(io.BytesIO(data)) as image:
        assert (from_pil(image).pixels == DEEP[..., :3]).all()
        image.load()
        assert image.mode == "RGBA" and (np.asarray(image) >> 7 == DEEP >> 15).all()


def test_metadata_that_are_packed_or_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jxl, "MAX_PART_BYTES", 2**16)
    stream = (b"jxlc", imagecodecs.jpegxl_encode(SHALLOW, lossless=True))
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    for parts, xmp, notes in (
        ([(b"xml ", packet)], packet, 0),
        ([(b"brob", b"xml " + brotli.compress(packet))], packet, 0),
        ([(b"brob", b"xml " + brotli.compress(packet)[:-4])], None, 1),
        ([(b"brob", b"xml " + brotli.compress(bytes(2**20)))], None, 1),
        ([(b"xml ", packet)] + [(b"brob", b"xml " + bytes(9))] * 9, packet, 0),
        ([(b"jumb", b"..c2pa.."), (b"jhgm", b"..."), (b"brob", b"x")], None, 2),
    ):
        picture = decode(boxed(*parts, stream), keep_alpha=True)
        assert (picture.metadata.xmp, len(picture.notes)) == (xmp, notes)
        assert (picture.pixels == SHALLOW[..., :3]).all()


def test_the_picture_in_parts() -> None:
    data = imagecodecs.jpegxl_encode(SHALLOW, lossless=True)
    parts = [data[:3], data[3:50], data[50:]]
    numbers = [b"\0\0\0\0", b"\0\0\0\1", b"\x80\0\0\2"]
    boxes_ = [(b"jxlp", number + part) for number, part in zip(numbers, parts, strict=True)]
    assert (decode(boxed(*boxes_)).pixels == SHALLOW[..., :3]).all()
    assert codestream(io.BytesIO(boxed(*boxes_))) == data
    with pytest.raises(PictureError, match=r"a\.jxl: the file is cut short"):
        decode(boxed(*boxes_[:2]), name="a.jxl")


def test_what_cannot_be_read_says_why() -> None:
    straight = codestream(io.BytesIO(imagecodecs.jpegxl_encode(DEEP, lossless=True)))
    header = read_header(io.BytesIO(straight))
    for data, words in (
        (imagecodecs.jpegxl_encode(np.stack([SHALLOW, SHALLOW])), "animated"),
        (imagecodecs.jpegxl_encode(DEEP.astype(np.float32) / 65535), "floating-point"),
        (with_header(straight, replace(header, extra=(1,))), "channels beside"),
    ):
        for function in (probe, decode):
            for frame in (None, 1, 2):
                with pytest.raises(PictureError, match=rf"^a\.jxl: .*{words}.*as djxl does"):
                    function(data, name="a.jxl", frame=frame)


def test_hostile_files() -> None:
    """Nothing is decoded before the header says that it is not too large; damage has its words."""
    with pytest.raises(TooLargeError, match="64 x 40"):
        probe(written(SHALLOW[..., :3].copy()), max_pixels=64 * 40 - 1)
    huge = b"\xff\x0a" + (0b0 | 3 << 1 | (2**30 - 1) << 3 | 1 << 33).to_bytes(5, "little")
    with pytest.raises(TooLargeError, match=f"{2**60:,} pixels"):
        probe(huge + bytes(20))
    data = written(SHALLOW[..., :3].copy(), Metadata(exif=builders.exif()))
    bare = codestream(io.BytesIO(data))
    place = len(data) - 40
    damaged = data[:place] + bytes(byte ^ 0x5A for byte in data[place:])
    words = "damaged|cut short|no pixels"
    for content in [
        *(data[:size] for size in range(12, len(data), 37)),
        damaged,
        bare[:-9],
        bare[:5],
    ]:
        with pytest.raises(PictureError, match=words):
            decode(content)


def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenImageIO does not say so: what it wrote is looked at."""
    whole = jxl._encoded

    def cut(*arguments: Any) -> Any:
        return io.BytesIO(whole(*arguments).read()[:-1])

    monkeypatch.setattr(jxl, "_encoded", cut)
    with pytest.raises(PictureError, match="cannot be written as JXL"):
        written(SHALLOW[..., :3].copy())


def test_it_is_said_how_to_read_and_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    for start in (b"\xff\x0a\0\0", b"\0\0\0\x0cJXL \r\n\x87\n"):
        error = source.not_a_picture(io.BytesIO(start), "a.jxl")
        assert "JPEG XL files" in str(error) and "edsr-cli[jxl]" in error.hint
    monkeypatch.setattr(formats, "FORMATS", tuple(each for each in FORMATS if each != outputs.JXL))
    for arguments in ((Path("a.jxl"), None), (None, "jxl"), (None, ".JXL")):
        with pytest.raises(UsageError, match=re.escape("edsr-cli[jxl]")):
            format_for(*arguments)


def test_a_library_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(SHALLOW[..., :3].copy())
    monkeypatch.setitem(sys.modules, "OpenImageIO", None)
    oiio.library.cache_clear()
    with pytest.raises(PictureError, match=r"^a\.jxl: this takes OpenImageIO"):
        decode(data, name="a.jxl")
    with pytest.raises(PictureError, match="this takes OpenImageIO"):
        written(SHALLOW[..., :3].copy())


def test_boxes_of_what_is_written() -> None:
    metadata = Metadata(exif=builders.exif(orientation=1), xmp=b"<x:xmpmeta/>")
    data = written(DEEP[..., :3].copy(), metadata)
    names = [box.name for box in boxes(io.BytesIO(data))]
    assert names == [b"JXL ", b"ftyp", b"jxll", b"Exif", b"xml ", b"jxlc"]
