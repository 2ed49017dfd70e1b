"""`edsr upscale` in this process: what it writes and says."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.cli.terminal import Terminal
from edsr_cli.images.alpha import UNCOVERED, WAYS_OUT
from tests.cli.conftest import PIXELS, listing, records
from tests.jobs.nearest import NAME, read_back, repeated, save_nearest


def test_one_picture(upscale, photo):
    run = upscale(photo)
    assert run.code == 0 and run.out == b""
    assert re.fullmatch(
        r"photo\.png -> photo_x4\.png: 9 x 6 -> 36 x 24 in [0-9.]+ s \([0-9.]+ Mpixel/s\)\n",
        run.err,
    )
    assert listing(Path()) == ["photo.png", "photo_x4.png"]
    image = read_back(Path("photo_x4.png"))
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert np.array_equal(np.asarray(image), repeated(PIXELS))


@pytest.mark.parametrize(
    ("arguments", "output", "form"),
    [
        (["-f", "jpeg"], "photo_x4.jpg", "JPEG"),
        (["-f", "WEBP"], "photo_x4.webp", "WEBP"),
        (["-f", ".tiff"], "photo_x4.tif", "TIFF"),
        (["-f", "avif"], "photo_x4.avif", "AVIF"),
        (["-f", "bmp"], "photo_x4.bmp", "BMP"),
        (["-o", "b.jpeg"], "b.jpeg", "JPEG"),
        (["-o", "b.TIF"], "b.TIF", "TIFF"),
        (["-o", "b.data", "-f", "png"], "b.data", "PNG"),
        (["-o", "new/"], "new/photo_x4.png", "PNG"),
        (["-o", "new.d/", "-f", "webp"], "new.d/photo_x4.webp", "WEBP"),
        (["-o", "a/b/c.png"], "a/b/c.png", "PNG"),
        (["-o", "."], "photo_x4.png", "PNG"),
    ],
)
def test_outputs_and_formats(upscale, photo, arguments, output, form):
    assert upscale(photo, *arguments).code == 0
    assert output in listing(Path())
    image = read_back(Path(output))
    assert (image.format, image.mode, image.size) == (form, "RGB", (36, 24))
    if form not in ("JPEG", "AVIF"):
        assert np.array_equal(np.asarray(image), repeated(PIXELS))


@pytest.mark.parametrize("scale", [2, 3])
def test_other_scales(edsr, photo, tmp_path, scale):
    model = save_nearest(tmp_path / "nearest.safetensors", scale)
    # The scale of a file is its own, asked for or not.
    assert edsr("upscale", photo, "-m", model).code == 0
    assert edsr("upscale", photo, "-m", model, "-s", scale, "-o", "again.png").code == 0
    for name in (f"photo_x{scale}.png", "again.png"):
        assert np.array_equal(np.asarray(read_back(Path(name))), repeated(PIXELS, scale))


def test_the_ensemble_of_a_network_that_is_its_own_mirror_changes_nothing(upscale, photo):
    run = upscale(photo, "-x", "--precision", "fp32", "-v")
    assert run.code == 0
    assert np.array_equal(np.asarray(read_back(Path("photo_x4.png"))), repeated(PIXELS))


def test_names_of_all_kinds(upscale, photo):
    names = ["-dash.png", "Grüße 写真.png", "two\nlines.png", "\x1b[31mred.png", "not \udcff UTF-8"]
    for name in names:
        Path(name).write_bytes(photo.read_bytes())
    run = upscale("-o", "out", "--json", "--", *names)
    assert run.code == 0, run.err
    assert len(listing(Path("out"))) == len(names)
    assert len(run.lines) == len(names) and all(line.isprintable() for line in run.lines)
    assert [record["input"] for record in records(run)] == names
    assert all(Path(record["output"]).is_file() for record in records(run))


def test_standard_input_and_output(upscale, photo):
    data = photo.read_bytes()
    for arguments in (["-"], ["-", "-o", "-"], [photo, "-o", "-"]):
        run = upscale(*arguments, stdin=data)
        assert run.code == 0 and len(run.lines) == 1
        assert np.array_equal(np.asarray(read_back(io.BytesIO(run.out))), repeated(PIXELS))
        assert run.out.endswith(b"IEND\xaeB`\x82")  # and nothing behind the picture
    for form in ("jpeg", "webp", "tiff", "avif", "bmp"):
        run = upscale("-", "-f", form, stdin=data)
        assert read_back(io.BytesIO(run.out)).format == form.upper()
    assert listing(Path()) == ["photo.png"]
    assert upscale("-", "-o", "a.png", stdin=data).code == 0
    assert upscale("-", photo, "-o", "new", stdin=data).code == 0
    assert listing(Path("new")) == ["photo_x4.png", "stdin_x4.png"]


def test_a_file_called_dash(upscale, photo):
    photo.rename("-")
    assert upscale("./-").code == 0
    assert read_back(Path("-_x4.png")).size == (36, 24)


def test_json(upscale, photo):
    Path("empty.png").touch()
    run = upscale(photo, "empty.png", "missing.png", "--json")
    assert run.code == 1
    done, *failures = records(run)
    assert done["seconds"] > 0 and done["plan"]["panels"] == 1
    assert set(done["stages"]) == {"decode", "upscale", "encode"} and done["ended"] > 0
    measured = ("seconds", "plan", "stages", "ended")
    assert {key: value for key, value in done.items() if key not in measured} == {
        "input": "photo.png",
        "output": "photo_x4.png",
        "status": "done",
        "kind": None,
        "reason": None,
        "error": None,
        "model": NAME,
        "device": "cpu",
        "precision": done["precision"],
        "input_size": [9, 6],
        "output_size": [36, 24],
        "input_bytes": photo.stat().st_size,
        "output_bytes": Path("photo_x4.png").stat().st_size,
        "restore": None,
        "restore_reason": None,
        "notes": [],
    }
    for name, failure in zip(("empty", "missing"), failures, strict=True):
        assert failure["status"] == "failed" and failure["output_size"] is None
        assert failure["error"] == failure["reason"] and "plan" not in failure
        assert failure["error"].startswith(f"{name}.png: ")
    # The same goes to people, on stderr.
    assert [line.split(":")[0] for line in run.lines] == ["photo.png -> photo_x4.png"] + [
        "error"
    ] * 3
    assert run.lines[-1] == "error: 2 of 3 pictures failed."


def test_a_failure_does_not_end_the_others(upscale, photo):
    Path("a.png").write_bytes(b"words")
    Path("z.png").write_bytes(photo.read_bytes())
    run = upscale("a.png", photo, "z.png")
    assert run.code == 1
    assert listing(Path()) == ["a.png", "photo.png", "photo_x4.png", "z.png", "z_x4.png"]


def test_a_dry_run(upscale, photo, no_work, monkeypatch):
    monkeypatch.setattr("edsr_cli.jobs.estimates.speed_of", lambda *_: 1e9)
    run = upscale(photo, "-n", "-o", "new/", "-t", "4")
    assert run.code == 0 and run.out == b""
    [line] = run.lines
    for words in ("photo.png -> new/photo_x4.png", "9 x 6 -> 36 x 24", f"{NAME} on cpu in ",
                  "3 panel(s) of 4 columns", "GMAC", "memory: pictures 1 MB, network ",
                  "the network takes less than 1 s"):  # fmt: skip
        assert words in line
    assert listing(Path()) == ["photo.png"]
    # A picture that is wider than high is streamed from left to right.
    [line] = upscale(photo, "-n").lines
    assert "1 panel(s) of 6 rows, 1 strip(s) of 9 columns" in line
    [record] = records(upscale(photo, "-n", "--json"))
    assert record["status"] == "planned" and record["plan"]["memory_bytes"] > 0
    assert upscale("-", "-n", "--json", "-o", "-", stdin=photo.read_bytes()).code == 0
    # What would fail is said.
    assert upscale("missing.png", "-n").code == 1
    # An output that exists already is said, and in nobody's way.
    Path("photo_x4.png").touch()
    run = upscale(photo, "-n")
    assert run.code == 0 and len(run.lines) == 2
    assert "photo_x4.png exists already; to replace it, add --overwrite" in run.lines[0]
    run = upscale(photo, "-n", "--overwrite")
    assert run.code == 0 and "photo_x4.png exists already, and would be replaced" in run.lines[0]
    run = upscale(photo, photo, "-n", "-o", "-")
    assert run.code == 2
    assert listing(Path()) == ["photo.png", "photo_x4.png"]


def test_a_dry_run_tells_all_memory_and_the_time(upscale, photo, monkeypatch, tmp_path):
    monkeypatch.setattr("edsr_cli.jobs.estimates.speed_of", lambda *_: 2e6)
    Image.new("RGB", (500, 200)).save("large.png")
    plans = {}
    for form in ("png", "webp", "avif", "tiff"):
        [record] = records(upscale("large.png", "-n", "--json", "-f", form))
        plans[form] = record["plan"]
    assert plans["png"]["picture_bytes"] == 500 * 200 * 3 * (1 + 16)
    assert plans["png"]["encoder_bytes"] == plans["tiff"]["encoder_bytes"] == 0
    assert plans["webp"]["encoder_bytes"] == 500 * 200 * 16 * 35
    assert plans["png"]["weight_bytes"] > 0
    work = plans["png"]["multiply_adds"] / 2e6
    assert work <= plans["png"]["seconds"] < 1.2 * work
    run = upscale("large.png", photo, "-n")
    assert run.code == 0 and len(run.lines) == 3
    assert "In all, the network takes about" in run.lines[-1]


def test_the_speed_is_measured_once_and_kept_in_the_cache_folder(upscale, photo, monkeypatch):
    monkeypatch.setenv("EDSR_CACHE", "cache")
    monkeypatch.setattr("edsr_cli.inference.calibration._OWN", 0)  # however busy the machine is
    assert "the network takes" in upscale(photo, "-n").err
    assert "cache/.edsr/speeds.json" in listing(Path())
    monkeypatch.setattr("edsr_cli.inference.calibration._measure", None)
    assert "the network takes" in upscale(photo, "-n").err


def test_existing_outputs(upscale, photo):
    output = Path("photo_x4.png")
    output.write_bytes(b"old")
    run = upscale(photo)
    assert run.code == 1
    assert run.lines == [
        "error: photo_x4.png: the file exists already. To replace it, add --overwrite."
    ]
    assert output.read_bytes() == b"old"
    assert upscale(photo, "--overwrite").code == 0
    assert read_back(output).size == (36, 24)


def test_quiet_and_verbose(upscale, photo):
    Image.new("RGBA", (3, 3)).save("clear.png")
    Path("bad.png").write_bytes(photo.read_bytes()[:60])
    quiet = upscale(photo, "clear.png", "bad.png", "-q")
    assert quiet.code == 1
    assert [line[:16] for line in quiet.lines] == ["error: bad.png: ", "error: 1 of 3 pi"]
    normal = upscale(photo, "clear.png", "bad.png", "--overwrite")
    assert len(normal.lines) == 5
    assert f"clear.png: {UNCOVERED}; {WAYS_OUT}" in normal.lines
    verbose = upscale(photo, "clear.png", "bad.png", "--overwrite", "-v")
    assert set(normal.lines[-2:]) < set(verbose.lines)
    assert sum(f"{NAME} on cpu in " in line for line in verbose.lines) == 2
    # Only here, what Pillow had to say; not where nothing is behind the error.
    assert "Traceback" in verbose.err and "Traceback" not in normal.err
    assert "Traceback" not in upscale(photo, "-v").err
    assert upscale(photo, "--overwrite", "-q").err == ""


@pytest.mark.parametrize(
    "arguments",
    [["-t", "1"], ["-t", "7"], ["-t", "none"], ["-t", "100000000000000"], ["--max-memory", "600k"]],
)
def test_memory_options_do_not_change_the_picture(upscale, photo, arguments):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 70, 3), np.uint8)
    Image.fromarray(pixels).save("large.png")
    run = upscale("large.png", "--precision", "fp32", *arguments)
    assert run.code == 0, run.err
    assert np.array_equal(np.asarray(read_back(Path("large_x4.png"))), repeated(pixels))


def test_notes_of_reading_and_writing(upscale, photo):
    Image.new("LA", (3, 3)).save("clear.png", icc_profile=b"nonsense")
    run = upscale("clear.png", "-f", "jpg")
    assert run.code == 0
    assert run.lines[:2] == [
        f"clear.png: {UNCOVERED}; {WAYS_OUT}",
        "clear.png: its ICC profile is damaged and was dropped",
    ]


def test_earlier_outputs_are_left_out(upscale, photo):
    assert upscale(photo).code == 0
    first = Path("photo_x4.png").read_bytes()
    run = upscale(photo, "photo_x4.png", "--overwrite")
    assert run.code == 0 and Path("photo_x4.png").read_bytes() == first
    assert listing(Path()) == ["photo.png", "photo_x4.png"]
    [line] = [line for line in run.lines if "Left out" in line]
    assert "photo_x4.png" in line
    # By itself it is an input like any other.
    assert upscale("photo_x4.png").code == 0 and Path("photo_x4_x4.png").exists()


def test_of_several_pictures_the_progress_tells_which(upscale, photo, monkeypatch):
    seen, progress = [], Terminal.progress
    monkeypatch.setattr(
        Terminal, "progress", lambda self, name, *by: seen.append(name) or progress(self, name, *by)
    )
    Path("b.png").write_bytes(photo.read_bytes())
    assert upscale(photo, "-o", "c.png").code == 0
    assert upscale(photo, "b.png", "folder*", "-o", "new").code == 1
    assert seen == ["photo.png", "1 of 2: photo.png", "2 of 2: b.png"]
