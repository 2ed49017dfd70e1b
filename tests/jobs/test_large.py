"""Large pictures go from file to file by rows, and come out as they do from memory."""

import errno
import tracemalloc
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from edsr_cli.errors import Kind
from edsr_cli.files import atomic
from edsr_cli.images import bands, decode
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import writing
from edsr_cli.jobs.naming import assign_outputs
from edsr_cli.jobs.record import Status
from tests.jobs.conftest import Job, by_rows, listing
from tests.jobs.nearest import by_factor, nearest_weights

HEIGHT, WIDTH = 70, 45


@pytest.fixture
def large(monkeypatch):
    by_rows(monkeypatch)


def scene(dtype=np.uint8):
    full = np.iinfo(dtype).max
    return np.random.default_rng(3).integers(0, full + 1, (HEIGHT, WIDTH, 3), dtype)


def linear_profile():
    """A profile of linear light, as raw converters write it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    for entry in range(132, 132 + 12 * count, 12):
        if profile[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            place = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            profile[entry + 8 : entry + 12] = (12).to_bytes(4, "big")
            profile[place : place + 12] = b"curv" + bytes(4) + bytes(4)
    return bytes(profile)


def png(path):
    Image.fromarray(scene()).save(path, dpi=(300, 300))


def png16(path):
    path.write_bytes(imagecodecs.png_encode(scene(np.uint16)))


def grey(path):
    Image.fromarray(scene()[..., 0]).save(path)


def palette(path):
    Image.fromarray(scene()).quantize(60).save(path)


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene()).save(path, exif=exif)


def with_alpha(dtype=np.uint8):
    """Nothing can be seen of the upper half, but for a corner."""
    alpha = np.random.default_rng(4).integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH, 1), dtype)
    alpha[: HEIGHT // 2, 5:] = 0
    return np.dstack([scene(dtype), alpha])


def transparent(path):
    Image.fromarray(with_alpha()).save(path)


def transparent16(path):
    tifffile.imwrite(
        path, with_alpha(np.uint16), rowsperstrip=7, photometric="rgb", extrasamples=["unassalpha"]
    )


def jpeg(path):
    Image.fromarray(scene()).save(path, quality=90, restart_marker_rows=1, subsampling="4:4:4")


def progressive(path):
    Image.fromarray(scene()).save(path, quality=90, progressive=True)


def tiff(path):
    tifffile.imwrite(path, scene(np.uint16), rowsperstrip=7, photometric="rgb", compression="zlib")


def tiles(path):
    tifffile.imwrite(path, scene(), tile=(16, 16), photometric="rgb")


def linear(path):
    tifffile.imwrite(path, scene(np.uint16), photometric="rgb", iccprofile=linear_profile())


def bmp(path):
    Image.fromarray(scene()).save(path)


SOURCES = {
    "png": png,
    "png16.png": png16,
    "grey.png": grey,
    "palette.png": palette,
    "turned.png": turned,
    "transparent.png": transparent,
    "transparent.tif": transparent16,
    "jpg": jpeg,
    "progressive.jpg": progressive,
    "tif": tiff,
    "tiles.tif": tiles,
    "linear.tif": linear,
    "bmp": bmp,
}


@pytest.fixture(scope="session")
def twice():
    return Upscaler(nearest_weights(2), 2, "cpu", "fp32")


def made(upscaler, source, destination, **options):
    [task] = assign_outputs([str(source)], str(destination), by_factor(2), None)
    return Job(task, upscaler, **options).run()


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp"])
def test_every_input_in_every_way(twice, tmp_path, request, kind, ending):
    source = tmp_path / f"a.{kind}"
    SOURCES[kind](source)
    alpha = "keep" if kind.startswith("transparent") and ending != "jpg" else "white"
    wanted = made(twice, source, tmp_path / f"whole.{ending}", alpha=alpha)
    request.getfixturevalue("large")
    found = made(twice, source, tmp_path / f"rows.{ending}", alpha=alpha)
    assert found.status is wanted.status is Status.DONE, found.reason or wanted.reason
    assert (found.notes, found.output_size) == (wanted.notes, wanted.output_size)
    assert found.output_bytes == wanted.output_bytes
    ours, theirs = (tmp_path / f"{name}.{ending}" for name in ("rows", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert len(listing(tmp_path)) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 1.5},
        {"scale": 4},
        {"scale": 0.4},
        {"scale": 1},
        {"width": 77},
        {"tile": 16},
        {"tile": 16, "scale": 1.7},
        {"ensemble": True},
        {"depth": "8", "scale": 3.3},
    ],
    ids=str,
)
def test_sizes_panels_and_the_ensemble(twice, tmp_path, request, options):
    source = tmp_path / "a.tif"
    tiff(source)
    wanted = made(twice, source, tmp_path / "whole.png", **options)
    request.getfixturevalue("large")
    found = made(twice, source, tmp_path / "rows.png", **options)
    assert found.status is wanted.status is Status.DONE, found.reason or wanted.reason
    assert (tmp_path / "rows.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


@pytest.mark.parametrize("alpha", ["keep", "drop", "#ff8000"])
@pytest.mark.parametrize("options", [{"tile": 16}, {"scale": 1.7}, {"scale": 0.4}], ids=str)
def test_transparency_in_every_way(twice, tmp_path, request, alpha, options):
    source = tmp_path / "a.png"
    transparent(source)
    wanted = made(twice, source, tmp_path / "whole.tif", alpha=alpha, **options)
    request.getfixturevalue("large")
    found = made(twice, source, tmp_path / "rows.tif", alpha=alpha, **options)
    assert found.status is wanted.status is Status.DONE, found.reason or wanted.reason
    assert found.notes == wanted.notes
    assert (tmp_path / "rows.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_linear_light_comes_back_as_it_was(twice, tmp_path, large):
    """The network that repeats pixels changes none of them, whatever curve it sees them through."""
    linear(tmp_path / "a.tif")
    assert made(twice, tmp_path / "a.tif", tmp_path / "b.tif").status is Status.DONE
    wanted = scene(np.uint16).repeat(2, 0).repeat(2, 1)
    found = decode(tmp_path / "b.tif").pixels
    assert np.abs(found.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("cut", [0.5, 0.9])
@pytest.mark.parametrize("kind", ["png", "tif", "jpg", "bmp", "progressive.jpg"])
def test_damage_that_is_met_on_the_way_leaves_nothing(twice, tmp_path, large, kind, cut):
    source = tmp_path / f"a.{kind}"
    SOURCES[kind](source)
    source.write_bytes(source.read_bytes()[: int(cut * source.stat().st_size)])
    record = made(twice, source, tmp_path / "b.png")
    assert record.status is Status.FAILED and record.kind is Kind.UNREADABLE
    assert str(source) in record.reason and listing(tmp_path) == [source.name]


def test_a_disk_that_fills_up(twice, tmp_path, large, monkeypatch):
    png(tmp_path / "a.png")
    write = atomic.io.BufferedWriter.write

    class Full(atomic.io.BufferedWriter):
        def write(self, data):
            if self.tell() > 2000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(self, data)

    monkeypatch.setattr(atomic.io, "BufferedWriter", Full)
    record = made(twice, tmp_path / "a.png", tmp_path / "b.png")
    assert record.status is Status.FAILED and listing(tmp_path) == ["a.png"]
    assert "No space left" in record.reason


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_nothing(twice, tmp_path, large, stop):
    png(tmp_path / "a.png")
    [task] = assign_outputs([str(tmp_path / "a.png")], str(tmp_path / "b.png"), by_factor(2), None)

    def progress(done, total):
        if done > total // 3:
            raise stop

    with pytest.raises(stop):
        Job(task, twice, tile=16).run(progress)
    assert listing(tmp_path) == ["a.png"]


@pytest.mark.parametrize("mode", [pytest.param("RGB", marks=pytest.mark.slow), "RGBA"])
def test_memory_follows_the_width_alone(twice, tmp_path, monkeypatch, mode):
    """Of a picture six times as high the network's rows take no more, and pixels are not kept."""
    monkeypatch.setattr(bands, "_BAND_BYTES", 1 << 16)
    monkeypatch.setattr(bands, "_SMALL", 0)
    # How many strips wait to be compressed shall not depend on what else the machine does.
    monkeypatch.setattr(writing.processors, "asked", lambda: 1)
    peaks = []
    for height in (2000, 12000):
        source = tmp_path / f"{height}.png"
        picture = Image.new(mode, (64, height), "teal")
        if mode == "RGBA":
            picture.putpixel((3, height - 3), (0, 0, 0, 0))
        picture.save(source)
        tracemalloc.start()
        output = tmp_path / f"{height}x2.png"
        record = made(twice, source, output, max_memory=2_000_000, alpha="keep")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert record.status is Status.DONE, record.reason
    # What depends on when threads run is a fifth; alpha alone, if it were kept, half.
    assert peaks[1] < 1.35 * peaks[0]


def test_the_plan_tells_of_scratch_files(twice, tmp_path, large):
    for kind, options, scratch in (
        ("png", {}, 0),
        ("progressive.jpg", {}, 3 * HEIGHT * WIDTH),
        ("png", {"tile": 16}, 12 * HEIGHT * WIDTH),
    ):
        source = Path(tmp_path / f"a.{kind}")
        SOURCES[kind](source)
        [task] = assign_outputs([str(source)], str(tmp_path / "b.png"), by_factor(2), None)
        plan = Job(task, twice, **options).plan().plan
        assert plan["scratch_bytes"] == scratch
