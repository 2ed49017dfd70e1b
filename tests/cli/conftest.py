"""The command, run as a user runs it."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edsr_cli.cli import main
from edsr_cli.cli.interruption import SIGNALS
from edsr_cli.inference import Upscaler
from tests import forking
from tests.conftest import REPOSITORY
from tests.jobs.conftest import one_thread as one_thread
from tests.jobs.nearest import save_nearest

DEADLINE = 600.0
"""Seconds after which a process is taken to hang."""

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
"""What is in the picture `photo`."""


@dataclass
class Run:
    """What a command did: its exit code, and what it wrote."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


@pytest.fixture
def edsr(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Callable[..., Run]:
    """Run the command in this process; what C libraries write is caught too."""

    def run(*arguments: object, stdin: bytes = b"") -> Run:
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        capfdbinary.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["edsr", *map(str, arguments)])
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr("sys.stdout", sys.stdout)  # to be put back should it be taken away
            patch.setenv("COLUMNS", "200")
            try:
                with pytest.raises(SystemExit) as caught:
                    main()
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        captured = capfdbinary.readouterr()
        return Run(int(caught.value.code or 0), captured.out, captured.err.decode())

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the network that repeats every pixel 4 x 4 times."""
    return save_nearest(tmp_path_factory.mktemp("model") / "nearest.safetensors")


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small picture, in the current folder, where there is nothing else."""
    monkeypatch.chdir(tmp_path)
    path = Path("photo.png")
    Image.fromarray(PIXELS).save(path)
    return path


def start(
    *arguments: object,
    env: dict[str, str] | None = None,
    command: Sequence[str] = (),
    anew: bool = False,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start the command as a process of its own, with pipes where nothing else is asked for.

    Args:
        arguments: those of `edsr`.
        env: what to add to the environment.
        command: what to start it with, such as a shell.
        anew: start Python too; else see `tests.forking`.
        options: of `subprocess.Popen`.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    unusual = ("FORCE_COLOR", "NO_COLOR", "PYTHONUNBUFFERED", "PYTHONWARNINGS")
    environment = {key: value for key, value in os.environ.items() if key not in unusual}
    environment |= {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    kind = subprocess.Popen if anew or command else forking.Popen
    return kind(
        [*command, sys.executable, "-m", "edsr_cli", *map(str, arguments)],
        **(pipes | {"env": environment | (env or {})} | options),
    )


def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Run:
    """Wait for the end of a process; it is given far more time than it needs on a busy machine."""
    out, err = process.communicate(stdin, timeout=DEADLINE)
    return Run(process.returncode, out or b"", (err or b"").decode())


def on_terminal(*arguments: object, cwd: Path, env: dict[str, str] | None = None) -> Run:
    """Run the command with a terminal as its standard error; what is shown there is `err`."""
    import pty  # not on Windows

    master, slave = pty.openpty()
    environment = {"TERM": "xterm-256color", "NO_COLOR": "1"} | (env or {})
    process = start(*arguments, cwd=cwd, stderr=slave, env=environment)
    os.close(slave)
    shown = b""

    def collect() -> None:
        nonlocal shown
        with contextlib.suppress(OSError):
            while piece := os.read(master, 65536):
                shown += piece

    reader = threading.Thread(target=collect)
    reader.start()
    run = finish(process)
    reader.join(20)
    os.close(master)
    return Run(run.code, run.out, shown.decode())


def listing(folder: Path) -> list[str]:
    """The names of everything in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def records(run: Run) -> list[dict[str, Any]]:
    """The JSON objects on stdout."""
    return [json.loads(line) for line in run.out.splitlines()]


def usage(run: Run, *words: str) -> None:
    """Check that a command line was refused: code 2, nothing on stdout, no traceback."""
    assert run.code == 2 and run.out == b"", run
    text = re.sub(r"[│\s]+", " ", run.err)
    assert all(word in text for word in words), run.err
    assert "Traceback" not in run.err


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it an error to start any work."""
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    monkeypatch.setattr(Upscaler, "upscale_into", None)


@pytest.fixture
def upscale(edsr: Callable[..., Run], model: Path, photo: Path) -> Callable[..., Run]:
    """Run `edsr upscale` with the network that repeats pixels, beside `photo`."""

    def run(*arguments: object, **options: bytes) -> Run:
        return edsr("upscale", "-m", model, "-d", "cpu", *arguments, **options)

    return run


@pytest.fixture
def batch(
    edsr: Callable[..., Run], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Run `edsr batch` with the network that repeats pixels, beside the folder `in`."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()

    def run(*arguments: object, **options: bytes) -> Run:
        return edsr("batch", "-m", model, "-d", "cpu", *arguments, **options)

    return run
