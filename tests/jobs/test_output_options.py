"""Quality, chroma, metadata and times of outputs, from file to file."""

import os

import numpy as np
import pytest
from PIL import Image

from edsr_cli.api.checks import check_format
from edsr_cli.api.upscale import _check as refuse
from edsr_cli.errors import ExitCode, Kind, UsageError
from edsr_cli.images import FORMATS, format_for
from edsr_cli.images.metadata.exif_writing import ExifWriter
from edsr_cli.jobs.naming import assign_outputs
from edsr_cli.options.pictures import Outputs, UpscaleOptions
from tests.images import rich
from tests.jobs.nearest import by_factor, read_back


@pytest.fixture
def made(job, tmp_path):
    """Upscale a photograph of some size to a file; gives its path."""
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    pixels = np.stack([x * 6, y * 8, (x * y) % 256], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")

    def make(name, source=tmp_path / "in.png", **options):
        record = job(source, tmp_path / name, overwrite=True, **options).run()
        assert record.reason is None
        return tmp_path / name

    return make


def test_quality(made):
    """Of JPEG as its tables say; of all as sizes do."""
    tables = read_back(made("a.jpg", quality=75)).quantization
    assert tables[0][0] == 8  # 16 in the standard's table, halved
    for form in ("jpg", "avif", "webp"):
        sizes = [made(f"a.{form}", quality=quality).stat().st_size for quality in (10, 50, 98)]
        assert sizes == sorted(set(sizes))
    usual = read_back(made("b.jpg")).quantization
    assert usual == read_back(made("c.jpg", quality=95)).quantization


def test_webp_is_lossless_but_for_a_quality(made):
    plain = np.asarray(read_back(made("a.png")))
    assert (np.asarray(read_back(made("a.webp"))) == plain).all()
    assert (np.asarray(read_back(made("a.webp", lossless=True))) == plain).all()
    lossy = made("b.webp", quality=50)
    assert b"VP8 " in lossy.read_bytes() and (np.asarray(read_back(lossy)) != plain).any()


def test_chroma(made):
    for chroma, sampling in ((None, 1), ("444", 1), ("420", 2)):
        layers = read_back(made("a.jpg", chroma=chroma)).layer
        assert layers[0][1:3] == (sampling, sampling)
    full, quarter = (made(f"{c}.avif", chroma=c).read_bytes() for c in ("444", "420"))
    assert subsampling(full) == (0, 0) and subsampling(quarter) == (1, 1)


def subsampling(avif):
    """Chroma subsampling, x and y, as the box "av1C" says (AV1-ISOBMFF, section 2.3.3)."""
    flags = avif[avif.index(b"av1C") + 6]
    return flags >> 3 & 1, flags >> 2 & 1


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_formats_refuse_what_they_cannot(entry):
    able = {
        "JPEG": {"quality", "chroma"}, "AVIF": {"quality", "chroma"},
        "WebP": {"quality", "lossless"}, "PNG": {"compression", "lossless"},
        "TIFF": {"lossless"}, "BMP": {"lossless"}, "GIF": set(),
        "JXL": {"quality", "lossless"},
    }[entry.name]  # fmt: skip
    values = {"quality": 80, "chroma": "420", "lossless": True, "compression": 3}
    for name, value in values.items():
        options = Outputs(**{name: value})
        if name in able:
            check_format(options, entry)
            continue
        with pytest.raises(UsageError, match=f"--{name}.*{entry.name}"):
            check_format(options, entry)


@pytest.mark.parametrize("same", ["same", "Same", "SAME"])
def test_what_the_format_of_one_input_cannot_is_said_for_the_others(same):
    inputs = ["a.png", "b.jpg"]
    tasks = assign_outputs(inputs, None, by_factor(), same)
    refuse(UpscaleOptions(inputs, format=same, quality=90), tasks)
    with pytest.raises(UsageError, match="--quality is for"):
        refuse(UpscaleOptions(inputs, quality=90), tasks)


@pytest.mark.parametrize("promise", [{"lossless": True}, {"depth": "16"}], ids=str)
def test_what_every_output_is_to_have_fails_inputs_whose_format_cannot(job, tmp_path, promise):
    png, jpeg = tmp_path / "in.png", tmp_path / "in.jpg"
    for path in (png, jpeg):
        Image.new("RGB", (9, 7), "teal").save(path)
    assert job(png, form="same", **promise).run().reason is None
    refused = job(jpeg, form="same", **promise)
    for record in (refused.run(), refused.plan()):
        assert record.kind is Kind.OUTPUT and record.exit_code is ExitCode.SOME_FAILED
        assert record.reason.startswith(f"{jpeg}: ") and f"--{next(iter(promise))}" in record.reason
    assert not list(tmp_path.glob("in_x4.jpg"))


def test_quality_and_lossless_exclude_each_other():
    with pytest.raises(UsageError, match="--quality and --lossless exclude each other"):
        UpscaleOptions("a.png", quality=80, lossless=True)
    for wrong in ({"quality": 0}, {"quality": 101}, {"chroma": "422"}, {"strip": "exif"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Outputs(**wrong)


def test_metadata_are_left_out_as_asked(made, tmp_path):
    source = tmp_path / "in.jpg"
    icc = rich.PROFILE
    Image.open(tmp_path / "in.png").save(
        source, exif=b"Exif\0\0" + rich.exif(), icc_profile=icc, comment=b"hello"
    )
    kept = read_back(made("none.jpg", source)).getexif()
    assert kept.get_ifd(0x8825) and kept[0x10F] == "Canon"
    found = made("gps.jpg", source, strip="gps")
    assert not read_back(found).getexif().get_ifd(0x8825)
    assert read_back(found).getexif()[0x10F] == "Canon" and b"2020:02:03" not in found.read_bytes()
    for form in ("jpg", "png", "tif", "webp", "avif"):
        image = read_back(made(f"all.{form}", source, strip="all"))
        assert image.info["icc_profile"] == icc
        own = dict(image.getexif()) if form != "tif" else {}
        assert not own and "comment" not in image.info and "Software" not in image.info


def test_prints_state_their_resolution(made, tmp_path):
    for form in ("png", "jpg", "tif", "bmp"):
        image = read_back(made(f"a.{form}", scale=None, print="3x2cm", dpi=150))
        assert image.size == (157, 118)
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.02)
    for form in ("webp", "avif"):
        exif = read_back(made(f"a.{form}", print="3x2cm", strip="all")).info["exif"]
        assert ExifWriter(exif.removeprefix(b"Exif\0\0")).get(0, 0x11A)[1] == b"\x2c\1\0\0\1\0\0\0"
    assert read_back(made("b.jpg", dpi=600)).info["dpi"] == (600, 600)
    assert "dpi" not in read_back(made("c.png")).info


def test_what_is_said_in_pixels_is_true_of_an_exact_size(made, tmp_path):
    source = tmp_path / "in.jpg"
    Image.open(tmp_path / "in.png").save(source, exif=b"Exif\0\0" + rich.exif())
    ifd = read_back(made("a.jpg", source, width=100)).getexif().get_ifd(0x8769)
    assert (ifd[0xA002], ifd[0xA003]) == (100, 75)
    assert ifd[0x9214] == (10, 15, 8, 12)  # 4, 6, 3, 5 times 2.5
    assert float(ifd[0xA20E]) == pytest.approx(1234.5 * 2.5)


def test_times_are_kept(made, tmp_path):
    source = tmp_path / "in.png"
    os.utime(source, ns=(10**18, 1_234_567_890_123_456_700))
    written = made("a.png", source, keep_times=True)
    assert written.stat().st_mtime_ns // 10**9 == 1_234_567_890
    assert made("b.png", source).stat().st_mtime_ns // 10**9 != 1_234_567_890
    assert format_for(written).name == "PNG"
