"""`edsr batch`: in this process, and as one of its own for signals and terminals."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.cli import interruption
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.batch.output import LOCK, OutputFolder
from edsr_cli.jobs.batch.scanning import MANIFEST
from tests.cli.conftest import PIXELS, finish, listing, start
from tests.jobs.nearest import NAME, read_back, repeated, save_nearest

posix = pytest.mark.skipif(os.name == "nt", reason="about POSIX")

OURS = [MANIFEST, LOCK]


@pytest.fixture
def batch(edsr, model, tmp_path, monkeypatch):
    """Run `edsr batch` with the network that repeats pixels, beside the folder `in`."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()

    def run(*arguments, **options):
        return edsr("batch", "-m", model, "-d", "cpu", *arguments, **options)

    return run


def paint(*names, seed=0):
    for number, name in enumerate(names):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed + number)
        Image.fromarray(rng.integers(0, 256, PIXELS.shape, np.uint8)).save(path)


def records(run):
    return [json.loads(line) for line in run.out.splitlines()]


def usage(run, *words):
    """Check that a command line was refused before anything was done."""
    assert run.code == 2 and run.out == b"", run
    text = re.sub(r"[│\s]+", " ", run.err)
    assert all(word in text for word in words), run.err
    assert "Traceback" not in run.err


def rows(run):
    """The final table: the number and the remark by label."""
    found = {}
    for line in run.lines:
        match = re.match(r"(done|to do|skipped|failed|not taken|time|bottleneck) +(.*)", line)
        if match:
            found[match[1]] = match[2].strip()
    return found


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
    assert rows(run)["failed"] == "0" and rows(run)["not taken"] == "1  1 not pictures"
    assert re.match(r"0:00:\d\d$", rows(run)["time"]) and "bottleneck" not in rows(run)
    again = batch("in")
    assert again.code == 0
    assert rows(again)["done"] == "0" and rows(again)["skipped"] == "2  2 up to date"


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
    monkeypatch.setattr(Upscaler, "upscale", None)
    run = batch("in", "-n", "--json")
    assert run.code == 1
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
                 ["--max-queue", "1M"], ["--batch-size", "2"], ["-d", "cpu,cpu"]):  # fmt: skip
        assert rows(batch("in", *same))["skipped"].startswith("1 "), same
    assert rows(batch("in", "-x"))["done"].startswith("1 ")
    assert rows(batch("in", "-x"))["skipped"].startswith("1 ")
    assert rows(batch("in", "-x", "--overwrite"))["done"].startswith("1 ")


def test_what_else_it_can_be_told(batch, monkeypatch):
    paint(*(f"in/{i}.png" for i in range(6)))
    run = batch(
        "in", "-d", "cpu, cpu", "-j", "2", "--batch-size", "3", "--max-queue", "10K",
        "--checksum", "--compression", "0", "--tile", "4", "--max-pixels", "54",
    )  # fmt: skip
    assert run.code == 0 and rows(run)["done"].startswith("6 ")
    [manifest] = Path("in_x4").glob(MANIFEST)
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


# What it refuses.


def test_wrong_usage(batch):
    Path("file.png").touch()
    usage(batch("file.png"), "file.png: this is not a folder", "edsr upscale")
    usage(batch("missing"), "missing: there is no such folder")
    usage(batch("in", "-o", "in"), "lies in the output folder")
    usage(batch("in", "./in"), "would share")
    usage(batch("in", "--include", ""), "matches nothing")
    usage(batch("in", "-f", "gif"), "no output format")
    usage(batch("in", "-d", "cpu,tpu"), "There is no device 'tpu'")
    usage(batch("in", "-d", "cpu,"), "There is no device ''")
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
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.splitlines()[-1] == "[]"
    for option in ("--recursive", "--include", "--workers", "--resume", "--fail-fast", "--json"):
        assert option in done.stdout


# Stopped.


@pytest.fixture
def slow(monkeypatch):
    """Make the network take its time, and call something when it is at work on the third."""
    upscale, calls, actions = Upscaler.upscale, [], []

    def take_time(*arguments):
        calls.append(1)
        if len(calls) == 3:
            for action in actions:
                action()
        time.sleep(0.05)
        return upscale(*arguments)

    monkeypatch.setattr(Upscaler, "upscale", take_time)
    return actions


@posix
@pytest.mark.parametrize(
    ("number", "code", "how"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
)
def test_the_first_signal_lets_it_finish_what_is_at_work(batch, slow, number, code, how):
    paint(*(f"in/{i}.png" for i in range(9)))
    slow.append(lambda: os.kill(os.getpid(), number))
    run = batch("in", "--json")
    assert run.code == code
    done = [record["output"] for record in records(run)]
    assert 3 <= len(done) < 9 and all(record["status"] == "done" for record in records(run))
    assert sorted(done) == sorted(str(path) for path in Path("in_x4").glob("*.png"))
    assert "Finishing the pictures that are at work. Ctrl-C again stops at once." in run.lines
    assert "Some pictures are left. To do the rest, run the same command again." in run.lines
    assert run.lines[-1] == f"error: {how}. Nothing half-written was left behind."
    slow.clear()
    again = batch("in")
    assert again.code == 0
    assert rows(again)["skipped"].startswith(f"{len(done)} ")
    assert rows(again)["done"].startswith(f"{9 - len(done)} ")


@posix
def test_the_second_signal_stops_at_once(batch, monkeypatch):
    """In the middle of a picture, which is not written."""
    paint(*(f"in/{i}.png" for i in range(6)))
    upscale, calls = Upscaler.upscale, []

    def endless(upscaler, pixels, ensemble, tile, dtype, progress):
        calls.append(1)
        if len(calls) == 3:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.3)
            for _ in range(1000):  # strips
                progress(0, 1)
                time.sleep(0.01)
        return upscale(upscaler, pixels, ensemble, tile, dtype, progress)

    monkeypatch.setattr(Upscaler, "upscale", endless)
    run = batch("in", "--json")
    assert run.code == 130
    assert run.lines[-1] == "error: Interrupted. Nothing half-written was left behind."
    assert len(list(Path("in_x4").glob("*.png"))) == 2
    assert not list(Path("in_x4").glob("*.tmp"))
    assert "run the same command" not in run.err


def test_signals_are_what_they_were_behind_it(batch):
    assert batch("in").code == 0
    assert interruption._Watch.first is None


COUNT = 12


class Stopped:
    """A process at work on large pictures, and what signals do to it."""

    def __init__(self, folder, model, numbers):
        self.folder, self.numbers = folder, numbers
        folder.mkdir()
        self.process = start("batch", "../large", "-m", model, "-o", "out", "-j", "1", cwd=folder)

    def stop(self):
        out = self.folder / "out"
        deadline = time.monotonic() + 120
        while not list(out.glob("*.png")) or not list(out.glob("*.tmp")):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        for number in self.numbers:
            self.process.send_signal(number)
            time.sleep(0.3)
        self.run = finish(self.process)
        self.left = sorted(path.name for path in out.iterdir())


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, model):
    """All cases at once, since most of their time goes into imports."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "large").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    for i in range(COUNT):
        Image.fromarray(pixels).save(folder / "large" / f"{i:02}.png", compress_level=1)
    cases = {
        "once": [signal.SIGINT],
        "twice": [signal.SIGINT, signal.SIGINT],
        "terminated": [signal.SIGTERM, signal.SIGTERM],
        "killed": [signal.SIGKILL] if os.name != "nt" else [],
    }
    found = {}
    try:
        for name, numbers in cases.items():
            found[name] = Stopped(folder / name, model, numbers)
        with ThreadPoolExecutor() as pool:
            for end in [pool.submit(case.stop) for case in found.values()]:
                end.result()
        yield found
    finally:
        for case in found.values():
            case.process.kill()
            case.process.communicate()


def complete(case):
    """Check that every output is whole; gives their number."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    outputs = list((case.folder / "out").glob("*.png"))
    for output in outputs:
        assert np.array_equal(np.asarray(read_back(output)), repeated(pixels))
    return len(outputs)


@posix
@pytest.mark.parametrize(
    ("name", "code", "how"),
    [
        ("once", 130, "Interrupted"),
        ("twice", 130, "Interrupted"),
        ("terminated", 143, "Terminated"),
    ],
)
def test_signals(stopped, name, code, how):
    case = stopped[name]
    assert case.run.code == code
    assert case.run.lines[-1] == f"error: {how}. Nothing half-written was left behind."
    assert not [left for left in case.left if left.endswith(".tmp")]
    assert 1 <= complete(case) < COUNT
    if name == "once":
        assert "run the same command again" in case.run.err
        assert rows(case.run)["done"].startswith(f"{complete(case)} ")


@posix
def test_after_a_kill_it_goes_on(stopped, edsr, model, monkeypatch):
    case = stopped["killed"]
    assert case.run.code == -signal.SIGKILL
    assert [left for left in case.left if left.endswith(".tmp")]
    before = complete(case)
    monkeypatch.chdir(case.folder)
    run = edsr("batch", "../large", "-m", model, "-o", "out")
    assert run.code == 0
    skipped = int(rows(run)["skipped"].split()[0])
    assert skipped == before
    assert complete(case) == COUNT
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(
        [*OURS, *(f"{i:02}.png" for i in range(COUNT))]
    )


@posix
def test_a_reader_who_has_heard_enough(model, tmp_path):
    Path(tmp_path / "in").mkdir()
    for i in range(5):
        Image.fromarray(PIXELS).save(tmp_path / "in" / f"{i}.png")
    read, write = os.pipe()
    os.close(read)
    process = start("batch", "in", "--json", "-m", model, cwd=tmp_path, stdout=write)
    os.close(write)
    run = finish(process)
    assert run.code == 1 and "Traceback" not in run.err
    assert not list(tmp_path.rglob("*.tmp"))


@posix
def test_a_terminal(tmp_path, model):
    """A bar, what is running, and failures above them."""
    import pty

    master, slave = pty.openpty()
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    for i in range(6):
        Image.fromarray(pixels).save(tmp_path / "in" / f"{i}.png")
    (tmp_path / "in" / "bad.png").touch()
    process = start(
        "batch", "in", "-m", model,
        cwd=tmp_path,
        stderr=slave,
        env={"TERM": "xterm-256color", "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(slave)
    shown = b""

    def collect():
        nonlocal shown
        with contextlib.suppress(OSError):
            while piece := os.read(master, 65536):
                shown += piece

    reader = threading.Thread(target=collect)
    reader.start()
    run = finish(process)
    reader.join(20)
    os.close(master)
    text = shown.decode()
    assert run.code == 1, text
    assert re.search(r"[1-6] of 7 pictures, 1 failed, [0-9.]+ Mpixel/s, 0:00:\d\d left", text)
    assert re.search(r"[0-5]\.png( \d+ %)?; \d+ read and waiting, \d+ waiting to be written", text)
    assert "error: in/bad.png: the file is empty." in text
    assert re.search(r"done +6 ", text) and re.search(r"failed +1", text)
