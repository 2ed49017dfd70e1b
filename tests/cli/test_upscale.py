"""`edsr upscale` in this process: what it writes, says and refuses."""

import contextlib
import io
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edsr_cli import __version__
from edsr_cli.checkpoints import loader
from edsr_cli.cli import interruption
from edsr_cli.inference import Upscaler
from tests.cli.conftest import PIXELS, listing
from tests.jobs.nearest import NAME, read_back, repeated, save_nearest


@pytest.fixture
def upscale(edsr, model, photo):
    """Run `edsr upscale` with the network that repeats pixels, beside `photo`."""

    def run(*arguments, **options):
        return edsr("upscale", "-m", model, "-d", "cpu", *arguments, **options)

    return run


@pytest.fixture
def no_work(monkeypatch):
    """Make it an error to start any work."""
    monkeypatch.setattr(Upscaler, "upscale", None)


def records(run):
    return [json.loads(line) for line in run.out.splitlines()]


def usage(run, *words):
    """Check that a command line was refused: code 2, nothing on stdout, no traceback."""
    assert run.code == 2 and run.out == b"", run
    text = re.sub(r"[│\s]+", " ", run.err)
    assert all(word in text for word in words), run.err
    assert "Traceback" not in run.err


# What it does.


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
    assert {key: value for key, value in done.items() if key not in ("seconds", "plan")} == {
        "input": "photo.png",
        "output": "photo_x4.png",
        "status": "done",
        "model": NAME,
        "device": "cpu",
        "precision": done["precision"],
        "input_size": [9, 6],
        "output_size": [36, 24],
        "notes": [],
        "error": None,
    }
    for name, failure in zip(("empty", "missing"), failures, strict=True):
        assert failure["status"] == "failed" and failure["output_size"] is None
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


def test_a_dry_run(upscale, photo, no_work):
    run = upscale(photo, "-n", "-o", "new/", "-t", "4")
    assert run.code == 0 and run.out == b""
    [line] = run.lines
    for words in ("photo.png -> new/photo_x4.png", "9 x 6 -> 36 x 24", f"{NAME} on cpu in ",
                  "3 panel(s) of 4 columns", "MB", "GMAC"):  # fmt: skip
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
    Path("photo_x4.png").touch()
    assert upscale(photo, "-n").code == 1
    assert upscale(photo, "-n", "--overwrite").code == 0
    assert listing(Path()) == ["photo.png", "photo_x4.png"]


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
    assert "clear.png: alpha channel dropped" in normal.lines
    verbose = upscale(photo, "clear.png", "bad.png", "--overwrite", "-v")
    assert set(normal.lines[-2:]) < set(verbose.lines)
    assert sum(f"{NAME} on cpu in " in line for line in verbose.lines) == 2
    # Only here, what Pillow had to say; not where nothing is behind the error.
    assert "Traceback" in verbose.err and "Traceback" not in normal.err
    assert "Traceback" not in upscale(photo, "-v").err
    assert upscale(photo, "--overwrite", "-q").err == ""


@pytest.mark.parametrize(
    "arguments",
    [["-t", "1"], ["-t", "7"], ["-t", "none"], ["-t", "100000000000000"], ["--max-memory", "300k"]],
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
        "clear.png: alpha channel dropped",
        "clear.png: its ICC profile is damaged and was dropped",
    ]


# What it refuses.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["INPUT"]),
        (["photo.png", "--nonsense"], ["--nonsense"]),
        (["photo.png", "-s", "5"], ["--scale"]),
        (["photo.png", "-s", "1"], ["--scale"]),
        (["photo.png", "-t", "0"], ["--tile", "'0'", "auto"]),
        (["photo.png", "-t", "9" * 5000], ["--tile", "auto"]),
        (["photo.png", "--max-memory", "5X"], ["--max-memory", "'5X'", "800M"]),
        (["photo.png", "--max-memory", "9" * 400 + "T"], ["--max-memory", "800M"]),
        (["photo.png", "--max-pixels", "many"], ["--max-pixels", "'many'", "500M"]),
        (["photo.png", "--precision", "fp8"], ["--precision", "fp8", "bf16"]),
        (["photo.png", "--precision", "fp16"], ["fp16", "--precision auto"]),
        (["photo.png", "-d", "toaster"], ["'toaster'", "cuda"]),
        (["photo.png", "-f", "gif"], ["'gif'", ".png"]),
        (["photo.png", "-o", "b.gif"], ["b.gif", ".png"]),
        (["photo.png", "-o", "b.png", "-f", "jpeg"], ["b.png", "JPEG"]),
        (["photo.png", "-q", "-v"], ["-q and -v"]),
        (["photo.png", "-o", "-", "--json"], ["--json", "standard output", "-o"]),
        (["-", "--json"], ["--json", "standard output", "-o"]),
        (["photo.png", "photo.png"], ["photo.png and photo.png", "photo_x4.png"]),
        (["photo.png", "sub/../photo.jpg"], ["photo.png and sub/../photo.jpg", "photo_x4.png"]),
        (["photo.png", "-o", "photo.png"], ["photo.png is an input"]),
        (["photo.png", "-o", "photo.png", "--overwrite"], ["photo.png is an input"]),
        (["photo.png", "b.png", "-o", "c.png"], ["2 pictures", "c.png"]),
        (["photo.png", "-", "-o", "-"], ["one picture, not 2"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_wrong_usage_is_refused_before_any_work(upscale, no_work, arguments, words):
    before = Path("photo.png").read_bytes()
    usage(upscale(*arguments), *words)
    assert listing(Path()) == ["photo.png"] and Path("photo.png").read_bytes() == before


def test_a_picture_is_not_written_to_a_terminal(upscale, photo, monkeypatch):
    # The fixture puts sys.stdout back, so its class is what can be changed.
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    usage(upscale(photo, "-o", "-"), "terminal", "-o")


def test_unknown_models_and_bad_weights(edsr, photo, model, tmp_path, no_work):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model.read_bytes()[:-9])
    (tmp_path / "words.pt").write_text("words")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "folder.pt").mkdir()
    for name, words in {
        "nonsense": ["'nonsense'", "edsr-free"],
        "missing.pt": ["missing.pt"],
        "damaged.safetensors": ["damaged.safetensors"],
        "words.pt": ["words.pt"],
        "empty.pth": ["empty.pth"],
        "folder.pt": ["folder.pt"],
        "photo.png": ["photo.png", ".safetensors"],
        "two\nlines": [r"two\nlines"],
    }.items():
        run = edsr("upscale", photo, "-m", name)
        assert run.code == 3 and run.out == b"", run
        assert len(run.lines) == 1 and all(word in run.err for word in words), run.err
    run = edsr("upscale", photo, "-m", model, "-s", 2)
    assert run.code == 3 and "x4" in run.err and "x2" in run.err
    assert not Path("photo_x4.png").exists()


def test_weights_of_the_official_layout(edsr, photo):
    """The bundled weights as the authors would have stored them give the same picture."""
    torch.save(loader.load_network("edsr-free", 2).network.state_dict(), "edsr_baseline_x2.pt")
    assert edsr("upscale", photo, "-m", "edsr_baseline_x2.pt", "-o", "a.png").code == 0
    assert edsr("upscale", photo, "-s", 2, "-o", "b.png", "-v").code == 0
    assert np.array_equal(read_back(Path("a.png")), read_back(Path("b.png")))
    assert read_back(Path("a.png")).size == (18, 12)


def test_bundled_weights_that_are_damaged(edsr, photo, model, tmp_path, monkeypatch):
    from edsr_cli.checkpoints import bundled, registry

    folder = tmp_path / "weights"
    folder.mkdir()
    for path in bundled.weights_folder().iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    registry.rows()
    monkeypatch.setattr(bundled, "weights_folder", lambda: folder)
    (folder / "edsr-free-x4.safetensors").write_bytes(b"cut")
    run = edsr("upscale", photo)
    assert run.code == 3 and len(run.lines) == 1 and "Reinstall" in run.err
    assert edsr("upscale", photo, "-s", 3).code == 0


def test_too_little_memory(upscale, photo):
    run = upscale(photo, "--max-memory", "1")
    assert run.code == 4
    assert len(run.lines) == 1 and run.err.startswith("error: photo.png: ")
    assert "--max-memory" in run.err
    # Together with another kind of failure it is just a failure.
    assert upscale(photo, "missing.png", "--max-memory", "1").code == 1
    assert listing(Path()) == ["photo.png"]


@pytest.mark.parametrize(
    ("form", "width"), [("jpeg", 16_400), ("webp", 4096), ("avif", 8200), ("jpg", 20_000)]
)
def test_sizes_beyond_a_format_are_refused_before_any_work(upscale, photo, no_work, form, width):
    Image.new("RGB", (width, 1)).save("wide.png")
    run = upscale("wide.png", "-f", form)
    assert run.code == 1
    [line] = run.lines
    assert line.startswith(f"error: wide.png: {4 * width} x 4 pixels do not fit into ")
    assert "Write it as PNG" in line
    assert listing(Path()) == ["photo.png", "wide.png"]


def test_a_wide_picture(upscale, photo):
    Image.new("RGB", (17_000, 1), "teal").save("wide.png")
    assert upscale("wide.png").code == 0
    assert read_back(Path("wide_x4.png")).size == (68_000, 4)


def test_pixel_limits(upscale, photo):
    run = upscale(photo, "--max-pixels", "53")
    assert run.code == 1 and "--max-pixels" in run.err and "photo.png" in run.err
    assert upscale(photo, "--max-pixels", "54").code == 0
    assert upscale(photo, "--max-pixels", "1K", "--overwrite").code == 0


# The program itself.


def test_version_and_help(edsr):
    run = edsr("--version")
    assert (run.code, run.out, run.err) == (0, f"edsr {__version__}\n".encode(), "")
    for arguments in (["--help"], ["-h"], ["upscale", "--help"], ["upscale", "-h"]):
        run = edsr(*arguments)
        assert run.code == 0 and run.err == "" and b"Usage" in run.out
    assert b"INPUT......" not in run.out
    for option in ("--output", "--scale", "--model", "--ensemble", "--tile", "--max-memory",
                   "--device", "--precision", "--format", "--overwrite", "--dry-run", "--json",
                   "--quiet", "--verbose", "--max-pixels"):  # fmt: skip
        assert option.encode() in run.out
    assert edsr("nonsense").code == 2
    assert edsr().code == 2


def test_the_help_states_the_true_limits(edsr):
    from edsr_cli.images import DEFAULT_MAX_PIXELS

    text = re.sub(r"[│\s]+", " ", edsr("upscale", "--help").out.decode())
    assert f"Default: {DEFAULT_MAX_PIXELS // 10**6}M" in text


@pytest.mark.skipif(os.name == "nt", reason="about signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_swallows_still_counts(upscale, photo, monkeypatch, number, code):
    load_network = loader.load_network

    def swallow(*arguments):
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), number)
            time.sleep(10)
        return load_network(*arguments)

    monkeypatch.setattr(loader, "load_network", swallow)
    run = upscale(photo)
    assert run.code == code
    assert len(run.lines) == 1 and "Nothing half-written was left behind." in run.err
    assert listing(Path()) == ["photo.png"]
    # The next run of the same process knows nothing of it.
    monkeypatch.setattr(loader, "load_network", load_network)
    assert upscale(photo).code == 0


@pytest.mark.skipif(os.name == "nt", reason="about signals of POSIX")
def test_a_signal_can_be_made_to_wait(edsr, monkeypatch):
    done = []

    def work():
        with interruption.held():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            done.append("held")
        done.append("not reached")

    monkeypatch.setattr("edsr_cli.cli.app.app", work)
    run = edsr()
    assert run.code == 130 and "Interrupted" in run.err
    assert done == ["held"]


def test_signals_that_are_ignored_stay_so(edsr, monkeypatch):
    """As with `nohup`, or for a job in the background of a script."""
    seen = []
    monkeypatch.setattr(
        "edsr_cli.cli.app.app", lambda: seen.append(signal.getsignal(signal.SIGINT))
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        edsr()
    finally:
        signal.signal(signal.SIGINT, before)
    edsr()
    assert seen[0] is signal.SIG_IGN and callable(seen[1])
