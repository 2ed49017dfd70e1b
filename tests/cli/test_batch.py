"""`edsr batch`: what it does, says and refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.folders.ledger import OutputFolder
from edsr_cli.folders.shards import WHOLE
from edsr_cli.inference import Upscaler
from edsr_cli.text import about
from tests.cli.batches import OURS, paint, rows
from tests.cli.conftest import listing, on_terminal, records, usage
from tests.jobs.nearest import NAME, read_back, repeated, save_nearest

posix = pytest.mark.skipif(os.name == "nt", reason="about POSIX")


# What it does.


def test_a_folder(batch):
    paint("in/a.png", "in/sub/b.bmp")
    Path("in/notes.txt").touch()
    run = batch("in")
    assert run.code == 0 and run.out == b""
    assert listing(Path("in_x4")) == sorted([*OURS, "a.png", "sub", str(Path("sub/b.png"))])
    for source, output in (("in/a.png", "in_x4/a.png"), ("in/sub/b.bmp", "in_x4/sub/b.png")):
        pixels = np.asarray(read_back(Path(source)))
        assert np.array_equal(np.asarray(read_back(Path(output))), repeated(pixels))
    assert rows(run)["done"].startswith("2  0.0 Mpixel, ")
    assert "The pictures are in in_x4." in run.lines
    assert rows(run)["failed"] == "0" and rows(run)["not taken"] == "1  1 not pictures"
    assert re.match(r"0:00:\d\d$", rows(run)["time"]) and "bottleneck" not in rows(run)
    again = batch("in")
    assert again.code == 0
    assert rows(again)["done"] == "0" and rows(again)["skipped"] == "2  2 up to date"


def test_all_frames(batch):
    """Of an animation; of a picture, which is one frame; and only once."""
    paint("in/a.png")
    paint("in/b.png")
    first, second = (Image.open(Path("in", name)).convert("P") for name in ("a.png", "b.png"))
    second.putpixel((0, 0), 0 if second.getpixel((0, 0)) else 1)
    first.save("in/c.gif", save_all=True, append_images=[second], duration=70)
    arguments = ("in", "-f", "gif", "--frames", "all", "--json")
    run = batch(*arguments)
    found = {Path(record["input"]).name: record for record in records(run)}
    assert run.code == 0 and found["c.gif"]["notes"][0] == "all 2 frames are made larger"
    assert "all" not in " ".join(found["a.png"]["notes"])
    with Image.open("in_x4/c.gif") as image:
        assert (image.n_frames, image.size, image.info["duration"]) == (2, (36, 24), 70)
    assert [record["status"] for record in records(batch(*arguments))] == ["skipped"] * 3


def test_failures_are_told_and_counted(batch):
    paint("in/a.png")
    for i in range(5):
        Path(f"in/bad{i}.png").write_bytes(b"no")
    Path("in/empty.png").touch()
    run = batch("in")
    assert run.code == 1
    errors = [line for line in run.lines if line.startswith("error: ")]
    assert len(errors) == 6 and any(
        line == f"error: {Path('in/empty.png')}: the file is empty. Copy or download it again."
        for line in errors
    )
    assert rows(run)["failed"] == "6"
    [reasons] = [line for line in run.lines if "damaged, or no picture" in line]
    assert re.search(r" 6  damaged, or no picture: (\S+, ){3}\.\.\.$", reasons)


def test_json(batch):
    paint("in/a.png")
    Path("in/bad.png").touch()
    run = batch("in", "--json")
    assert run.code == 1
    found = {Path(record["input"]).name: record for record in records(run)}
    done = found["a.png"]
    assert (done["status"], done["kind"], done["reason"]) == ("done", None, None)
    assert (done["model"], done["device"], done["output_size"]) == (NAME, "cpu", [36, 24])
    assert Path(done["output"]).stat().st_size == done["output_bytes"]
    assert set(done["stages"]) == {"decode", "upscale", "encode"}
    failed = found["bad.png"]
    assert (failed["status"], failed["kind"]) == ("failed", "unreadable")
    assert "the file is empty" in failed["reason"]
    again = records(batch("in", "--json", "-q"))
    assert {record["status"] for record in again} == {"skipped", "failed"}


@posix
def test_names_of_all_kinds(batch):
    names = ["-dash.png", "Grüße 写真.png", "two\nlines.png", "\x1b[31mred.png", "not \udcff.png"]
    paint(*(f"in/{name}" for name in names))
    Path("in/bad\n\udcfe.png").touch()
    run = batch("in", "--json", "-v")
    assert run.code == 1 and rows(run)["done"].startswith("5 ")
    assert {Path(record["input"]).name for record in records(run)} == {*names, "bad\n\udcfe.png"}
    assert all(Path(f"in_x4/{name}").is_file() for name in names)
    assert run.out.isascii() and all(line.isprintable() for line in run.lines)
    assert batch("in").code == 1


def test_quiet_and_verbose(batch):
    paint("in/a.png")
    Path("in/bad.png").touch()
    quiet = batch("in", "-q")
    assert [line.split(":")[0] for line in quiet.lines] == ["error"]
    loud = batch("in", "--overwrite", "-v")
    assert any(
        re.search(r"a\.png -> .*a\.png: 9 x 6 -> 36 x 24 on cpu", line) for line in loud.lines
    )
    assert re.match(
        r"(upscale|decode|encode); devices were busy [0-9.]+ %", rows(loud)["bottleneck"]
    )
    assert any("up to date" in line and "a.png: " in line for line in batch("in", "-v").lines)


def test_a_dry_run(batch, monkeypatch):
    paint("in/a.png", "in/b.png")
    Path("in/bad.png").touch()
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    monkeypatch.setattr("edsr_cli.jobs.estimates.speed_of", lambda *_: 10.0)
    run = batch("in", "-n", "--json")
    assert run.code == 1
    work = sum(each["plan"]["multiply_adds"] for each in records(run) if "plan" in each)
    assert f"In all, the network takes {about(work / 10)}." in run.lines
    assert rows(run)["to do"] == "2" and rows(run)["failed"] == "1"
    assert sorted(record["status"] for record in records(run)) == ["failed", "planned", "planned"]
    assert [Path(name).name for name in listing(Path())] == ["in", "a.png", "b.png", "bad.png"]


def test_where_and_what(batch):
    paint("in/a.png", "in/b.jpg", "in/sub/c.png", "more/d.png")
    assert batch("in", "-o", "new", "-f", "webp", "--no-recursive").code == 0
    assert listing(Path("new")) == sorted([*OURS, "a.webp", "b.webp"])
    assert batch("in", "more", "-o", "both", "--include", "*.PNG", "--exclude", "a.*").code == 0
    pictures = [name for name in listing(Path("both")) if name.endswith("png")]
    assert pictures == [str(Path("in/sub/c.png")), str(Path("more/d.png"))]
    assert batch("in", "more", "-q").code == 0
    assert Path("in_x4/sub/c.png").is_file() and Path("more_x4/d.png").is_file()


def test_the_scale_is_in_the_default_name(edsr, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint("in/a.png")
    model = save_nearest(tmp_path / "nearest.safetensors", 3)
    assert edsr("batch", "in", "-m", model).code == 0
    assert read_back(Path("in_x3/a.png")).size == (27, 18)


def test_options_that_change_pixels_and_those_that_do_not(batch):
    paint("in/a.png")
    assert batch("in").code == 0
    for same in (["--compression", "9"], ["-t", "5"], ["--max-memory", "1G"], ["-j", "1"],
                 ["--max-queue", "1M"], ["-d", "cpu,cpu"]):  # fmt: skip
        assert rows(batch("in", *same))["skipped"].startswith("1 "), same
    assert rows(batch("in", "-x"))["done"].startswith("1 ")
    assert rows(batch("in", "-x"))["skipped"].startswith("1 ")
    assert rows(batch("in", "-x", "--overwrite"))["done"].startswith("1 ")


def test_what_else_it_can_be_told(batch, monkeypatch):
    paint(*(f"in/{i}.png" for i in range(6)))
    run = batch(
        "in", "-d", "cpu, cpu", "-j", "2", "--max-queue", "10K",
        "--checksum", "--compression", "0", "--tile", "4", "--max-pixels", "54",
    )  # fmt: skip
    assert run.code == 0 and rows(run)["done"].startswith("6 ")
    [manifest] = Path("in_x4").glob(WHOLE.manifest)
    made = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert all(len(line["sha256"]) == 64 for line in made if line["event"] == "made")
    assert batch("in", "--max-pixels", "53", "--overwrite").code == 1


def test_fail_fast(batch):
    Path("in/0.png").touch()
    paint(*(f"in/{i}.png" for i in range(1, 9)))
    run = batch("in", "--fail-fast", "-j", "1")
    assert run.code == 1 and rows(run)["failed"] == "1"
    assert "run the same command again" in run.err


def test_compression_is_for_png(batch, edsr, model):
    paint("in/a.png")
    usage(batch("in", "-f", "jpeg", "--compression", "3"), "--compression is for PNG")
    usage(batch("in", "--compression", "10"), "'--compression'")
    usage(
        edsr("upscale", "in/a.png", "-m", model, "-f", "webp", "--compression", "3"),
        "--compression is for PNG",
    )
    sizes = []
    for level in (0, 9):
        run = edsr("upscale", "in/a.png", "-m", model, "--overwrite", "--compression", level)
        assert run.code == 0
        sizes.append(Path("in/a_x4.png").stat().st_size)
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("more", [[], ["-n"], ["-q"]])
def test_a_folder_of_pictures_that_cannot_be_read(batch, more):
    """It is told what was found, and is not called a success."""
    for name in ("a.JXR", "b.jxr", "c.cr2", "notes.txt", ".hidden.png"):
        Path("in", name).touch()
    run = batch("in", *more)
    assert run.code == 1
    assert run.lines[-1] == (
        "error: No picture could be taken: the 3 in in are of formats that cannot be read "
        "(.jxr, .cr2). Convert them to PNG or JPEG first."
    )
    if not more:
        assert "3 pictures of formats that cannot be read (.jxr, .cr2)" in rows(run)["not taken"]
    paint("in/good.png")
    mixed = batch("in", *more)
    assert mixed.code == 0 and "error" not in mixed.err


def test_a_folder_without_pictures(batch):
    Path("in/notes.txt").touch()
    run = batch("in")
    assert run.code == 0 and run.lines[-1] == "warning: There are no pictures to take in in."
    assert "The pictures are in" not in run.err
    paint("in/a.png")
    runs = [batch("in", "--shard", f"{number}/2") for number in (1, 2)]
    assert all(run.code == 0 for run in runs)
    empty = "warning: There are no pictures to take in in for shard {}/2."
    assert [run.lines[-1] == empty.format(n) for n, run in enumerate(runs, 1)].count(True) == 1


def test_where_the_pictures_are(batch):
    paint(*(f"{name}/a.png" for name in ("in", "b", "c", "d", "e")))
    run = batch("in", "b", "c", "d", "e")
    assert run.lines[-1] == "The pictures are in in_x4, b_x4, c_x4 and 2 more."
    run = batch("in", "b", "-o", "out")
    assert run.lines[-1] == f"The pictures are in {Path('out/in')}, {Path('out/b')}."
    assert batch("in", "-o", "out2").lines[-1] == "The pictures are in out2."
    assert batch("in", "-o", "out2").lines[-1] == "The pictures are in out2."  # nothing was left


# What it refuses.


def test_wrong_usage(batch):
    Path("file.png").touch()
    usage(batch("file.png"), "file.png: this is not a folder", "edsr upscale")
    usage(batch("missing"), "missing: there is no such folder")
    usage(batch("in", "-o", "in"), "lies in the output folder")
    usage(batch("in", "./in"), "would share")
    usage(batch("in", "--include", ""), "matches nothing")
    usage(batch("in", "-f", "pcx"), "no output format")
    usage(batch("in", "-d", "cpu,tpu", "--engine", "torch"), "There is no device 'tpu'")
    usage(batch("in", "-d", "cpu,", "--engine", "torch"), "There is no device ''")
    usage(batch("in", "-q", "-v"), "exclude each other")
    usage(batch("in", "-j", "0"), "-j")
    usage(batch(), "INPUT_DIR")
    assert listing(Path()) == ["file.png", "in"]
    assert batch("in", "-m", "missing").code == 3


def test_two_runs_in_one_folder(batch):
    paint("in/a.png")
    held = OutputFolder(Path("in_x4"))
    usage(batch("in"), "another run is at work in this output folder")
    held.close()
    assert batch("in").code == 0


def test_help_does_not_wait_for_torch(repository):
    script = """
import sys
from edsr_cli.cli import main
for arguments in (["batch", "--help"], ["batch"], ["batch", "x", "-q", "-v"]):
    sys.argv = ["edsr", *arguments]
    try:
        main()
    except SystemExit:
        pass
print(sorted({"torch", "numpy", "PIL"} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, timeout=600
    )
    assert done.stderr.splitlines()[-1] == "[]"
    for option in ("--recursive", "--include", "--workers", "--resume", "--fail-fast", "--json"):
        assert option in done.stdout


@posix
def test_a_terminal(tmp_path, model):
    """A bar, what is running, and failures above them."""
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    for i in range(6):
        Image.fromarray(pixels).save(tmp_path / "in" / f"{i}.png")
    (tmp_path / "in" / "bad.png").touch()
    run = on_terminal("batch", "in", "-m", model, cwd=tmp_path)
    text = run.err
    assert run.code == 1, text
    assert re.search(r"[1-6] of 7 pictures, 1 failed, [0-9.]+ Mpixel/s, 0:00:\d\d left", text)
    assert re.search(r"[0-5]\.png( \d+ %)?; \d+ read and waiting, \d+ waiting to be written", text)
    assert "error: in/bad.png: the file is empty." in text
    assert re.search(r"done +6 ", text) and re.search(r"failed +1", text)
