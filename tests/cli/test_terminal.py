import contextlib
import errno
import io
import json
import logging
import os
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import EdsrError
from edsr_cli.text import one_line

NASTY = {
    "two\nlines": r"two\nlines",
    "back\rward": r"back\rward",
    "\x1b[31mred\x1b[0m": r"\x1b[31mred\x1b[0m",
    "bell\a and null\0": r"bell\x07 and null\x00",
    "not \udcff UTF-8": r"not \udcff UTF-8",
    "turned \u202e round": r"turned \u202e round",
    "line\u2028end\x85": r"line\u2028end\x85",
    "[bold]no markup[/bold] :smile:": "[bold]no markup[/bold] :smile:",
    "Grüße 写真 😀": "Grüße 写真 😀",
    r"C:\new\table": r"C:\new\table",
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


class PseudoTerminal:
    """Standard error as a terminal; `text` is what came out, once it is closed."""

    def __init__(self, monkeypatch):
        self._master, slave = os.openpty()
        self._file = os.fdopen(slave, "w", encoding="utf-8", errors="backslashreplace")
        self._read = b""
        self._reader = threading.Thread(target=self._collect)
        self._reader.start()
        monkeypatch.setattr("sys.stderr", self._file)

    def _collect(self):
        with contextlib.suppress(OSError):  # Linux says EIO when the other end is closed
            while data := os.read(self._master, 65536):
                self._read += data

    @property
    def text(self):
        self._file.close()
        self._reader.join(10)
        os.close(self._master)
        return self._read.decode()


@pytest.fixture
def tty(monkeypatch):
    if not hasattr(os, "openpty"):
        pytest.skip("needs pseudo-terminals")
    return lambda: PseudoTerminal(monkeypatch)


@pytest.mark.parametrize(("text", "shown"), NASTY.items())
def test_every_message_is_one_printable_line(capsys, text, shown):
    terminal = Terminal(verbosity=1)
    for say, label in (
        (terminal.error, "error: "),
        (terminal.warning, "warning: "),
        (terminal.note, ""),
        (terminal.detail, ""),
    ):
        say(text)
        captured = capsys.readouterr()
        assert captured.err == f"{label}{shown}\n" and captured.out == ""


def test_long_lines_are_not_wrapped(capsys):
    Terminal().note("word " * 100 + "end")
    assert capsys.readouterr().err == "word " * 100 + "end\n"


@given(st.text(st.characters()))
def test_one_line(text):
    shown = one_line(text)
    assert shown.isprintable()
    shown.encode()
    assert one_line(shown) == shown
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("verbosity", "wanted"),
    [
        (-1, ["error: e"]),
        (0, ["error: e", "warning: w", "n"]),
        (1, ["error: e", "warning: w", "n", "d"]),
    ],
)
def test_verbosity(capsys, verbosity, wanted):
    terminal = Terminal(verbosity)
    terminal.error("e")
    terminal.warning("w")
    terminal.note("n")
    terminal.detail("d")
    assert capsys.readouterr().err.splitlines() == wanted


def test_messages_on_an_ascii_terminal(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(raw, "ascii", "backslashreplace"))
    terminal = Terminal()
    terminal.error("写真.png: no")
    with terminal.progress("写真.png", 16) as progress:
        progress(1, 2)
    terminal.console.file.flush()
    assert raw.getvalue() == rb"error: \u5199\u771f.png: no" + b"\n"


def test_colours_only_where_they_are_wanted(tty, monkeypatch, capsys):
    pseudo = tty()
    Terminal().error("red")
    assert re.search(r"\x1b\[[0-9;]*31m", text := pseudo.text), text
    monkeypatch.setenv("NO_COLOR", "1")
    pseudo = tty()
    Terminal().error("plain")
    Terminal().warning("plain")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", pseudo.text)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    pseudo = tty()
    Terminal().error("plain")
    with Terminal().progress("name", 4) as progress:
        progress(1, 2)
    assert pseudo.text == "error: plain\r\n"


@pytest.mark.parametrize("no_colour", [False, True])
def test_progress_on_a_terminal(tty, monkeypatch, no_colour):
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    pseudo = tty()
    terminal = Terminal()
    with terminal.progress("na\nme [bold]", 16) as progress:
        for done in range(0, 101, 10):
            progress(done, 100)
        terminal.warning("in between")
    terminal.note("after")
    text = pseudo.text
    assert r"na\nme [bold]" in text
    assert "100 %" in text and "Mpixel/s" in text
    assert "warning:" in text and "in between" in text
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9][;m]", text)) != no_colour
    # The bar is gone at the end: its line is erased, and the cursor is back.
    assert text.rstrip().endswith("after")
    assert "\x1b[2K" in text.split("in between")[-1]
    assert text.count("\x1b[?25h") == text.count("\x1b[?25l") > 0


def test_the_bar_goes_when_work_is_interrupted(tty):
    pseudo = tty()
    with pytest.raises(KeyboardInterrupt), Terminal().progress("name", 16) as progress:
        progress(1, 2)
        raise KeyboardInterrupt
    assert pseudo.text.endswith("\x1b[2K")


def test_standard_output_is_left_alone_while_there_is_a_bar(tty, capsys):
    pseudo = tty()
    with Terminal().progress("name", 16) as progress:
        progress(1, 2)
        print("data")  # noqa: T201
    assert "data" not in pseudo.text
    assert capsys.readouterr().out == "data\n"


def test_a_quiet_run_has_no_progress(tty):
    pseudo = tty()
    with Terminal(-1).progress("name", 16) as progress:
        progress(1, 2)
    assert pseudo.text == ""


def test_progress_elsewhere_is_a_line_now_and_then(monkeypatch, capsys):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Terminal().progress("na\nme", 16) as progress:
        for done in range(0, 1_000_001, 50_000):
            progress(done, 1_000_000)
            now += 1.5
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        r"na\nme: 35 %, 0.53 Mpixel/s, 20 s left",
        r"na\nme: 70 %, 0.53 Mpixel/s, 9 s left",
    ]


def test_short_work_has_no_progress_lines(capsys):
    with Terminal().progress("name", 16) as progress:
        progress(0, 2)
        progress(2, 2)
    assert capsys.readouterr().err == ""


def test_json_is_one_ascii_line_on_standard_output(capsys):
    values = {"input": "two\nlines \udcff 写真", "size": (1, 2), "error": None}
    Terminal().json(values)
    captured = capsys.readouterr()
    assert captured.out.isascii() and captured.out.count("\n") == 1 and captured.err == ""
    assert json.loads(captured.out) == values | {"size": [1, 2]}


def test_json_that_cannot_be_written_is_an_error(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    with pytest.raises(EdsrError, match=r"cannot be written to \(No space left on device\)\."):
        Terminal().json({})


@pytest.mark.parametrize(("verbosity", "details"), [(-1, False), (0, False), (1, True)])
def test_what_the_package_logs_is_shown(capsys, caplog, verbosity, details):
    logger = logging.getLogger("edsr_cli.some.module")
    with Terminal(verbosity).log():
        logger.warning("memory\nran out")
        logger.info("getting on")
        try:
            raise ValueError("reason")
        except ValueError:
            logger.debug("detail", exc_info=True)
    logger.warning("after")
    lines = capsys.readouterr().err.splitlines()
    assert (r"warning: memory\nran out" in lines) == (verbosity >= 0)
    assert ("getting on" in lines) == (verbosity >= 0)
    assert ("detail" in lines) == details
    assert ("ValueError: reason" in lines) == details
    # Afterwards logging is as it was before.
    assert not any("after" in line for line in lines)
    assert caplog.messages == ["after"]
    assert logging.getLogger("edsr_cli").level == logging.NOTSET
