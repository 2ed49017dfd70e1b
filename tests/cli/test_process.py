"""The command as a process of its own: signals, full disks, pipes, terminals.

Importing torch takes seconds, so each process here is made the most of.
"""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from edsr_cli import __version__
from edsr_cli.images import FORMATS, Metadata, outputs, write_picture
from tests.cli.conftest import DEADLINE, PIXELS, finish, listing, on_terminal, start
from tests.images import builders
from tests.jobs.nearest import read_back, repeated

posix = pytest.mark.skipif(os.name == "nt", reason="about POSIX")


def noise(height, width):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


HEAVY = """
import sys
from edsr_cli.cli import main
for arguments in (["--version"], ["--help"], ["upscale", "--help"], ["upscale", "a", "-q", "-v"],
                  ["upscale", "a", "--max-memory", "x"], ["upscale"], ["nonsense"]):
    sys.argv = ["edsr", *arguments]
    try:
        main()
    except SystemExit as end:
        print("code", end.code, file=sys.stderr)
print(sorted({"torch", "numpy", "PIL", "safetensors", "huggingface_hub"} & set(sys.modules)),
      file=sys.stderr)
"""


def test_help_and_usage_errors_do_not_wait_for_torch(repository):
    done = subprocess.run(
        [sys.executable, "-c", HEAVY], cwd=repository, capture_output=True, text=True, timeout=600
    )
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("code")] == [
        *["code 0"] * 3,
        *["code 2"] * 4,
    ]
    assert lines[-1] == "[]"
    assert done.stdout.startswith(f"edsr {__version__}\n")


NEEDLESS = {
    *("torch", "huggingface_hub", "matplotlib", "jinja2", "fsspec"),
    *("rich", "pydantic", "numpy.ma", "numpy.random"),
    *("http.client", "ssl", "email", "importlib.metadata"),
    *("edsr_cli.options.folders", "edsr_cli.checkpoints.store.fetching", "edsr_cli.report"),
}
"""What enlarging a picture without a terminal does not wait for: each takes 5 ms or far more."""


SEARCHES = """
import gc, sys
from edsr_cli.cli import main
searches = []
gc.callbacks.append(lambda phase, info: searches.append(phase))
try:
    main()
except SystemExit:
    pass
print(searches, gc.get_threshold()[0])
gc.collect()
print(gc.get_threshold()[0])
"""


def test_a_picture_waits_only_for_what_it_needs(photo, repository):
    script = f"{SEARCHES}\nprint(sorted({NEEDLESS!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script, "upscale", photo, "-d", "cpu", "--engine", "ncnn"],
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    # Garbage is not looked for among what is imported, but in what is made later.
    assert done.stdout == "[] 400000\n20000\n[]\n", done.stderr
    assert "9 x 6 -> 36 x 24" in done.stderr


# Stopped in the middle.


STOPS = {signal.SIGINT: (130, "Interrupted"), signal.SIGTERM: (143, "Terminated")}
if hasattr(signal, "SIGHUP"):
    STOPS[signal.SIGHUP] = (129, "The terminal was closed")

PROGRESS = re.compile(r"\S+: \d+ %, [0-9.]+ Mpixel/s, (\d+ min )?\d+ s left")


class Stopped:
    """Start a process, and send it a signal while it is at work."""

    def __init__(self, number, folder, arguments, stdin=None):
        self.number, self.folder, self.stdin = number, folder, stdin
        folder.mkdir()
        self.process = start("upscale", *arguments, cwd=folder)

    def stop_while_upscaling(self):
        # More than a pipe holds: when it is taken, torch is there, and work begins.
        self.process.stdin.write(self.stdin)
        self.process.stdin.close()
        self.process.stdin = None
        time.sleep(1)
        assert self.process.poll() is None
        self._stop()

    def stop_while_encoding(self):
        deadline = time.monotonic() + DEADLINE
        while not self._has_begun_to_write():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Halted, it stays there until the signal has come.
        self.process.send_signal(signal.SIGSTOP)
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)
        assert self._has_begun_to_write(), "it was done before it could be halted"
        self.process.send_signal(self.number)
        self.process.send_signal(signal.SIGCONT)
        self.run = finish(self.process)

    def _has_begun_to_write(self):
        # Before the work, an empty file is made and removed at once, to see whether that can be.
        with contextlib.suppress(FileNotFoundError):
            return any(path.stat().st_size for path in self.folder.glob(".edsr-*.tmp"))
        return False

    def _stop(self):
        self.process.send_signal(self.number)
        self.run = finish(self.process)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, model):
    """All cases at once, since most of their time goes into imports."""
    folder = tmp_path_factory.mktemp("stopped")
    large = builders.saved(Image.new("RGB", (700, 700), "teal"), "PPM")
    noise(500, 700).save(folder / "noise.png")
    # As small as can be, which takes a while: it is not over before it is noticed.
    slowly = ["../noise.png", "-o", "out.png", "--compression", "9", "-m", model]
    cases = {}
    try:
        for number in STOPS:
            if number in (signal.SIGINT, signal.SIGTERM):
                cases["upscaling", number] = Stopped(
                    number, folder / f"u{number}", ["-", "-o", "new/out.png"], large
                )
            cases["encoding", number] = Stopped(number, folder / f"e{number}", slowly)
        with ThreadPoolExecutor() as pool:
            ends = [
                pool.submit(getattr(case, f"stop_while_{when}"))
                for (when, _), case in cases.items()
            ]
        for end in ends:
            end.result()
        yield cases
    finally:
        for case in cases.values():
            case.process.kill()
            case.process.communicate()


@posix
@pytest.mark.parametrize(
    ("when", "number", "code", "how"),
    [
        (when, number, *told)
        for number, told in STOPS.items()
        for when in ("upscaling", "encoding")
        if when == "encoding" or number in (signal.SIGINT, signal.SIGTERM)
    ],
)
def test_signals_leave_nothing_behind(stopped, when, number, code, how):
    case = stopped[when, number]
    assert case.run.code == code
    # On a busy machine, it takes long enough for lines about its progress.
    told = [line for line in case.run.lines if not PROGRESS.fullmatch(line)]
    assert told == [f"error: {how}. No output was left half-written."]
    assert case.run.out == b""
    assert listing(case.folder) == []


# Disks.


@posix
def test_a_file_that_may_not_grow(model, tmp_path):
    """A limit on the size of files, as a stand-in for a full disk that needs no rights."""
    import resource

    noise(60, 80).save(tmp_path / "large.png")
    Image.new("RGB", (60, 80)).save(tmp_path / "small.png")
    (tmp_path / "taken_x4.png").write_bytes(b"old")
    noise(60, 80).save(tmp_path / "taken.png")
    before = listing(tmp_path)
    names = ["large.png", "small.png", "taken.png"]
    process = start(
        "upscale", *names, "-m", model, "--overwrite",
        cwd=tmp_path, anew=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    run = finish(process)
    assert run.code == 1
    assert [line.split(":")[:2] for line in run.lines if line.startswith("error")] == [
        ["error", " large_x4.png"],
        ["error", " taken_x4.png"],
        ["error", " 2 of 3 pictures failed."],
    ]
    assert "larger than is allowed" in run.lines[0]
    assert listing(tmp_path) == sorted([*before, "small_x4.png"])
    assert (tmp_path / "taken_x4.png").read_bytes() == b"old"
    assert read_back(tmp_path / "small_x4.png").size == (240, 320)


@contextlib.contextmanager
def disk(folder, options):
    """A small disk of its own."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("only root can mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@posix
@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tif", "avif", "bmp"])
def test_a_full_disk(edsr, model, tmp_path, form):
    noise(60, 80).save(tmp_path / "large.png")
    with disk(tmp_path / "disk", "size=16k") as folder:
        output = folder / f"out.{form}"
        run = edsr("upscale", tmp_path / "large.png", "-m", model, "-o", output)
        assert run.code == 1
        assert run.lines == [
            f"error: {output}: it cannot be written: the disk is full. "
            "Make room, or write somewhere else."
        ]
        assert listing(folder) == []


@posix
def test_a_read_only_folder(edsr, model, tmp_path, monkeypatch):
    from edsr_cli.inference import Upscaler

    monkeypatch.setattr(Upscaler, "upscale_into", None)  # refused before any work
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    with disk(tmp_path / "disk", "ro,size=16k") as folder:
        for output in (folder, folder / "a.png", folder / "new" / "a.png"):
            run = edsr("upscale", tmp_path / "photo.png", "-m", model, "-o", output)
            name = output if output.suffix else output / "photo_x4.png"
            assert run.code == 1
            assert run.lines == [
                f"error: {name}: it cannot be written: the disk is read-only. "
                "Write it somewhere else."
            ]


@posix
def test_a_folder_without_permission(edsr, model, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    tmp_path.chmod(0o500)
    try:
        run = edsr("upscale", tmp_path / "photo.png", "-m", model)
        assert run.code == 1
        assert len(run.lines) == 1 and "photo_x4.png: " in run.err and "no permission" in run.err
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_a_file(edsr, model, tmp_path):
    """Needs no rights and no disks."""
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    before = listing(tmp_path)
    output = tmp_path / "photo.png" / "new" / "out.png"
    run = edsr("upscale", tmp_path / "photo.png", "-m", model, "-o", output)
    assert run.code == 1
    assert len(run.lines) == 1 and run.err.startswith(f"error: {output}: ")
    assert "not a folder" in run.err
    assert listing(tmp_path) == before


# Pipes and terminals.


@posix
def test_pipes(model, tmp_path):
    """From one to another; to one that nobody reads; to a full device; and with both closed."""
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    data = (tmp_path / "photo.png").read_bytes()
    arguments = ["upscale", "-", "-m", model, "-q"]
    read, write = os.pipe()
    os.close(read)
    with Path("/dev/full").open("wb") as full:
        processes = {
            "good": start(*arguments, cwd=tmp_path, anew=True),
            "closed": start(*arguments, cwd=tmp_path, stdout=write, anew=True),
            "json": start("upscale", "photo.png", "--json", "-m", model, "-q", cwd=tmp_path,
                          stdout=full, anew=True),
        }  # fmt: skip
        processes["none"] = start(
            *arguments, cwd=tmp_path, command=["sh", "-c", '"$@" <&- >&-', "sh"]
        )
    os.close(write)
    runs = {name: finish(process, data) for name, process in processes.items()}
    good = runs.pop("good")
    assert (good.code, good.err) == (0, "")
    assert np.array_equal(np.asarray(read_back(io.BytesIO(good.out))), repeated(PIXELS))
    for name, words in {
        "closed": "standard output: whoever reads it has stopped before the end.",
        "json": "Standard output cannot be written to (No space left on device).",
        "none": "standard input: it is closed.",
    }.items():
        assert runs[name].code == 1, name
        [line] = runs[name].lines
        assert line.startswith(f"error: {words}")
    assert listing(tmp_path) == ["photo.png", "photo_x4.png"]


@posix
def test_a_terminal(tmp_path, model):
    """A bar is drawn on a terminal while the picture goes to standard output."""
    noise(300, 400).save(tmp_path / "photo.png")
    arguments = ("photo.png", "-o", "-", "-f", "bmp", "-m", model, "-v")
    run = on_terminal("upscale", *arguments, cwd=tmp_path)
    text = run.err
    assert run.code == 0, text
    assert read_back(io.BytesIO(run.out)).size == (1600, 1200)
    assert re.search(r"photo\.png.*100 %", text) and "Mpixel/s" in text
    assert 0 <= text.find("Starting") < text.find("photo.png")
    assert "photo.png -> -: 400 x 300 -> 1600 x 1200 in " in text
    assert "nearest on cpu in " in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][;m]", text)  # no colours


@posix
def test_a_whole_run_is_quiet_on_stderr_but_for_one_line(tmp_path):
    """With the bundled model, every option at its default, and all of Python's warnings on."""
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    warnings = {"PYTHONWARNINGS": "always"}
    run = finish(start("upscale", "photo.png", "--json", cwd=tmp_path, env=warnings, anew=True))
    assert run.code == 0
    [record] = [json.loads(line) for line in run.out.splitlines()]
    assert (record["model"], record["status"], record["output_size"]) == (
        "edsr-free", "done", [36, 24],
    )  # fmt: skip
    [line] = run.lines
    assert line.startswith("photo.png -> photo_x4.png: 9 x 6 -> 36 x 24 in ")


def test_so_is_one_with_jpeg_xl(tmp_path):
    """Whose library complains at the end of what nobody has collected."""
    if outputs.JXL not in FORMATS:
        pytest.skip("JPEG XL is not installed")
    write_picture(tmp_path / "a.jxl", PIXELS, outputs.JXL, Metadata())
    run = finish(start("upscale", "a.jxl", "-f", "same", cwd=tmp_path, anew=True))
    assert run.code == 0
    [line] = run.lines
    assert line.startswith("a.jxl -> a_x4.jxl: 9 x 6 -> 36 x 24 in ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_table_that_cannot_be_written_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        run = finish(start("models", stdout=full, anew=True))
    assert run.code == 1
    assert run.lines == ["error: Standard output cannot be written to (No space left on device)."]
