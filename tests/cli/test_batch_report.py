"""--report and --watch of `edsr batch`, as a user meets them."""

import base64
import io
import json
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import PIXELS, finish, listing, start
from tests.jobs.nearest import NAME, read_back, repeated


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a good and a bad picture in `in`."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    paint("in/good.png")
    Path("in/bad.jpg").write_bytes(b"nothing")
    return tmp_path


def paint(path):
    Image.fromarray(PIXELS).save(path)


def test_a_json_report(edsr, model, folder):
    run = edsr("batch", "in", "-m", model, "--report", "r.json")
    assert run.code == 1
    report = json.loads(Path("r.json").read_text())
    assert {Path(file["input"]).name: file["status"] for file in report["files"]} == {
        "bad.jpg": "failed", "good.png": "done",
    }  # fmt: skip
    assert report["settings"]["model"] == NAME and report["settings"]["scale"] == "x4"
    assert (report["inputs"], report["outputs"]) == (["in"], ["in_x4"])
    assert (report["summary"]["done"], report["summary"]["failed"]) == (1, 1)
    assert report["summary"]["stopped"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), {}),
        (
            ("--depth", "8", "--grey", "rgb", "--tiff", "tiled", "-f", "tiff", "--strip", "gps"),
            {"depth": "8", "grey": "rgb", "tiff": "tiled", "metadata left out": "gps"},
        ),
        (("--lossless", "--width", "40", "-x"), {"lossless": "yes"}),
    ],
)
def test_settings_that_are_no_defaults(edsr, model, folder, arguments, told):
    edsr("batch", "in", "-m", model, "--report", "r.json", *arguments)
    settings = json.loads(Path("r.json").read_text())["settings"]
    always = {"model", "weights", "scale", "restoring", "self-ensemble", "device", "precision",
              "format", "alpha"}  # fmt: skip
    assert {name: value for name, value in settings.items() if name not in always} == told
    assert always <= set(settings) and settings["self-ensemble"] == ("no", "yes")["-x" in arguments]


def test_a_page(edsr, model, folder):
    assert edsr("batch", "in", "-m", model, "--report", "r.html").code == 1
    html = Path("r.html").read_text("utf-8")
    assert html.count("data:image/webp") == 4 and "in/bad.jpg" in html and NAME in html
    assert listing(folder) == sorted(
        ["in", "in/bad.jpg", "in/good.png", "in_x4", "in_x4/.edsr-manifest.jsonl",
         "in_x4/.edsr-manifest.lock", "in_x4/good.png", "r.html"]
    )  # fmt: skip


def test_what_was_lost_is_told_at_the_end_and_on_the_page(edsr, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    frames = [Image.new("RGB", (9, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save("in/a.gif", save_all=True, append_images=frames[1:], duration=50)
    for name in ("b", "c"):
        Image.fromarray(np.dstack([PIXELS, PIXELS[..., 0]])).save(f"in/{name}.png")
    run = edsr("batch", "in", "-m", model, "--report", "r.html")
    assert run.code == 0
    [begin] = [number for number, line in enumerate(run.lines) if line.startswith("remarks")]
    assert run.lines[begin].split()[1] == "3"
    first, second = run.lines[begin + 1 : begin + 3]
    assert first.split()[0] == "2" and "alpha" in first
    assert second.split()[0] == "1" and "only the first of … frames" in second
    html = Path("r.html").read_text("utf-8")
    assert "Remarks on 3 pictures" in html and "only the first of … frames" in html
    assert "only the first of 3 frames" in html  # beside the file


def test_pictures_on_the_page_are_of_the_frame_that_was_chosen(edsr, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    frames = [Image.new("RGB", (9, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save("in/a.gif", save_all=True, append_images=frames[1:])
    assert edsr("batch", "in", "-m", model, "--frame", "3", "--report", "r.html").code == 0
    found = re.findall(r"data:image/webp;base64,([\w+/=]+)", Path("r.html").read_text("utf-8"))
    assert len(found) == 4
    for picture in found:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            red, green, blue = image.convert("RGB").getpixel((4, 4))
        assert max(red, green) < 50 and blue > 200


@pytest.mark.parametrize("name", ["r.json", "r.html"])
def test_a_dry_run_writes_nothing(edsr, model, folder, name, monkeypatch):
    monkeypatch.setattr("edsr_cli.jobs.estimates.speed_of", lambda *_: 1e9)
    Path(name).write_text("a page of mine")
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    run = edsr("batch", "in", "-m", model, "-n", "--report", name)
    assert run.code == 1 and "A dry run writes no report." in run.lines
    assert "The pictures would go to in_x4." in run.lines
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))} == before


@pytest.mark.parametrize("name", ["r.json", "r.html"])
def test_only_a_report_is_replaced(edsr, model, folder, name):
    run = ("batch", "in", "-m", model, "--report", name)
    for foreign in ("a page of mine", '{"version": 5}', "<!doctype html>\n<title>Mine</title>\n"):
        Path(name).write_text(foreign)
        refused = edsr(*run)
        assert (
            refused.code == 2 and f"{name}: this file is not a report of edsr batch" in refused.err
        )
        assert Path(name).read_text() == foreign and not Path("in_x4").exists()
    assert edsr(*run, "--overwrite").code == 1
    first = Path(name).read_bytes()
    assert first != foreign.encode()
    assert edsr(*run).code == 1
    assert Path(name).read_bytes() != first
    Path(name).write_bytes(b"")  # as `mktemp` makes one
    assert edsr(*run).code == 1 and Path(name).stat().st_size


@pytest.mark.skipif(os.name == "nt", reason="about links and pipes")
def test_a_report_in_the_place_of_a_pipe_or_behind_a_link(edsr, model, folder):
    os.mkfifo("r.json")
    assert edsr("batch", "in", "-m", model, "--report", "r.json").code == 2
    Path("mine.txt").write_text("mine")
    Path("r.html").symlink_to("mine.txt")
    assert edsr("batch", "in", "-m", model, "--report", "r.html").code == 2
    assert Path("mine.txt").read_text() == "mine"


def test_a_file_that_appears_in_its_place_meanwhile_stays(edsr, model, folder, monkeypatch):
    from edsr_cli.inference import Upscaler

    upscale = Upscaler.upscale_into

    def meanwhile(*arguments, **options):
        Path("r.html").write_text("mine")
        return upscale(*arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", meanwhile)
    run = edsr("batch", "in", "-m", model, "--report", "r.html")
    assert run.code == 1 and "r.html: the file exists already" in run.lines[-1]
    assert Path("r.html").read_text() == "mine" and Path("in_x4/good.png").exists()


@pytest.mark.parametrize("name", ["r.txt", "nowhere/r.json"])
def test_a_report_that_cannot_be_is_refused_at_once(edsr, folder, name, monkeypatch):
    from edsr_cli.checkpoints import loader

    monkeypatch.setattr(loader, "load_network", None)  # before any work
    run = edsr("batch", "in", "--report", name)
    assert run.code == 2 and len(run.lines) == 1 and Path(name).parts[0] in run.err
    assert listing(folder) == ["in", "in/bad.jpg", "in/good.png"]


def test_a_report_that_cannot_be_written_in_the_end(edsr, model, folder, monkeypatch):
    from edsr_cli.report import report

    def gone(*arguments, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(report, "json_report", gone)
    run = edsr("batch", "in", "-m", model, "--report", "r.json", "--include", "good*")
    assert run.code == 1 and "r.json" in run.lines[-1]
    assert Path("in_x4/good.png").exists() and not Path("r.json").exists()


def test_watching_a_dry_run_makes_no_sense(edsr, folder):
    run = edsr("batch", "in", "--watch", "--dry-run")
    assert run.code == 2 and "--watch" in run.err


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
def test_watching(model, folder):
    """What is there, what arrives, what is changed; Ctrl-C ends it, and there is a report."""
    process = start(
        "batch", "in", "-m", model, "--watch", "--json", "--report", "r.json", cwd=folder
    )

    def until_done(name):
        record = json.loads(process.stdout.readline())
        while (Path(record["input"]).name, record["status"]) != (name, "done"):
            record = json.loads(process.stdout.readline())
        return Path(record["output"])

    try:
        assert until_done("good.png") == Path("in_x4/good.png")
        Path("in/new").mkdir()
        paint("in/new/late.png")
        output = until_done("late.png")
        assert output == Path("in_x4/new/late.png")
        assert np.array_equal(np.asarray(read_back(output)), repeated(PIXELS))
        changed = 255 - PIXELS
        Image.fromarray(changed).save("in/new/late.png")
        assert np.array_equal(np.asarray(read_back(until_done("late.png"))), repeated(changed))
        time.sleep(0.5)  # it is idle now
        process.send_signal(signal.SIGINT)
        run = finish(process)
    finally:
        process.kill()
        process.communicate()
    assert run.code == 130
    assert run.lines[0] == "Watching in, until Ctrl-C. The pictures go to in_x4."
    assert run.lines[-2:] == [
        "The pictures are in in_x4.",
        "Watching has ended; the same command goes on with what is new by then.",
    ]
    assert [
        line for line in run.lines if line.startswith("error: ") and "bad.jpg" not in line
    ] == []
    report = json.loads(Path("r.json").read_text())
    assert report["watching"] is True and report["summary"]["stopped"] == "interrupted"
    assert (report["summary"]["done"], report["summary"]["failed"]) == (3, 1)
    assert not [name for name in listing(folder) if name.endswith(".tmp")]
