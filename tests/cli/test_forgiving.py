"""Messages and results that cannot be written: the pictures are done all the same."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from edsr_cli.cli.forgiving import forgiving_stderr
from edsr_cli.cli.terminal import JsonLines, Terminal
from tests.cli.batches import paint
from tests.cli.conftest import finish, start

FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")


class Broken(io.StringIO):
    """A file that cannot be written to while it `fails`."""

    fails: BaseException | None = OSError(errno.ENOSPC, "No space left on device")

    def write(self, text: str) -> int:
        if self.fails is not None:
            raise self.fails
        return super().write(text)

    def flush(self) -> None:
        if self.fails is not None:
            raise self.fails


@pytest.mark.parametrize(
    "fails",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        ValueError("I/O operation on closed file."),
    ],
)
def test_messages_that_cannot_be_written_are_lost_and_no_more(fails, monkeypatch):
    broken = Broken()
    broken.fails = fails
    monkeypatch.setattr("sys.stderr", broken)
    with forgiving_stderr():
        terminal = Terminal(verbosity=1)
        terminal.error("lost")
        with terminal.progress("lost", 4) as progress:
            progress(1, 2)
        sys.stderr.write("lost\n")
        sys.stderr.flush()
        broken.fails = None
        terminal.note("there is room again")
    assert broken.getvalue() == "there is room again\n"
    assert sys.stderr is broken
    broken.fails = fails
    with forgiving_stderr():
        Terminal().error("lost")
    sys.stderr.flush()  # as the interpreter does it in the end


def test_the_end_of_the_block_is_the_end_of_it(monkeypatch, capsys):
    before = sys.stderr
    with pytest.raises(KeyError), forgiving_stderr():
        sys.stderr.writelines(["one\n", "two\n"])
        assert sys.stderr.encoding and not sys.stderr.isatty()
        raise KeyError
    assert sys.stderr is before and capsys.readouterr().err == "one\ntwo\n"
    monkeypatch.setattr("sys.stderr", None)  # closed, or a program without a console
    with forgiving_stderr():
        Terminal().error("lost")
    assert sys.stderr is None


def test_a_character_that_cannot_be_shown_is_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(raw, "ascii", "strict"))
    with forgiving_stderr():
        sys.stderr.write("写真\n")
    assert raw.getvalue() == rb"\u5199\u771f" + b"\n"


@pytest.mark.parametrize("fails", [Broken.fails, BrokenPipeError(errno.EPIPE, "Broken pipe")])
def test_results_that_cannot_be_written_are_told_once(fails, monkeypatch, capsys):
    broken = Broken()
    broken.fails = fails
    monkeypatch.setattr("sys.stdout", broken)
    lines = JsonLines(Terminal())
    for _ in range(3):
        lines.write({"input": "a"})
    assert lines.failed
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("The pictures are done all the same.")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A bad picture and three good ones in `in`."""
    monkeypatch.chdir(tmp_path)
    paint("in/1.png", "in/2.png", "in/3.png")
    Path("in/0.png").write_bytes(b"nothing")
    return tmp_path


def deaf():
    """A pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "wb", buffering=0)


@needs_full
def test_nobody_hears_what_is_said(model, folder):
    """The exit code says what became of the pictures, and nothing of the messages."""
    with FULL.open("wb", buffering=0) as full, deaf() as pipe:
        processes = {
            "batch": start("batch", "in", "-m", model, "-j", "1", cwd=folder, stderr=full),
            "upscale": start(
                "upscale", "in/1.png", "-o", "out.png", "-m", model, cwd=folder, stderr=pipe
            ),
            "usage": start("nonsense", cwd=folder, stderr=full),
        }
    codes = {name: finish(process).code for name, process in processes.items()}
    assert codes == {"batch": 1, "upscale": 0, "usage": 2}
    assert sorted(path.name for path in Path("in_x4").glob("*.png")) == ["1.png", "2.png", "3.png"]
    assert Path("out.png").exists()
