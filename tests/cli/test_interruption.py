"""Signals that come while the program works."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from edsr_cli.cli import interruption
from edsr_cli.jobs import family
from tests.cli.conftest import finish, listing, start
from tests.conftest import REPOSITORY


@pytest.mark.skipif(os.name == "nt", reason="about signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_swallows_still_counts(upscale, photo, monkeypatch, number, code):
    load_network = family.load_network

    def swallow(*arguments, **options):
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), number)
            time.sleep(10)
        return load_network(*arguments, **options)

    monkeypatch.setattr(family, "load_network", swallow)
    run = upscale(photo)
    assert run.code == code
    assert len(run.lines) == 1 and "No output was left half-written." in run.err
    assert listing(Path()) == ["photo.png"]
    # The next run of the same process knows nothing of it.
    monkeypatch.setattr(family, "load_network", load_network)
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


def test_threads_that_cannot_be_started_are_one_line(edsr, monkeypatch):
    def work():
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("edsr_cli.cli.app.app", work)
    run = edsr()
    assert run.code == 1
    assert run.lines == [
        "error: The system does not let this program start another thread. Close other programs, "
        "raise the limit (ulimit -u), or let it use fewer at once."
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="about POSIX")
def test_nohup_is_respected(edsr, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "edsr_cli.cli.app.app", lambda: seen.append(signal.getsignal(signal.SIGHUP))
    )
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        edsr()
    finally:
        signal.signal(signal.SIGHUP, before)
    edsr()
    assert seen[0] is signal.SIG_IGN and callable(seen[1])


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


HOOK = """
import os, signal, sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Finder())
"""


@pytest.mark.skipif(os.name == "nt", reason="about signals of POSIX")
@pytest.mark.parametrize("module", ["edsr_cli.cli.app", "typer.core", "edsr_cli.cli.upscale"])
def test_a_signal_while_modules_are_loaded(photo, module):
    """In a process of its own, which gets it when it is about to import the module."""
    Path("hook").mkdir()
    Path("hook/sitecustomize.py").write_text(HOOK)
    path = os.pathsep.join(["hook", str(REPOSITORY)])
    environment = {"PYTHONPATH": path, "INTERRUPT_AT": module}
    run = finish(start("upscale", photo, env=environment, anew=True))
    assert run.code == 130
    assert run.lines == ["error: Interrupted. No output was left half-written."]
    assert sorted(path.name for path in Path().iterdir()) == ["hook", "photo.png"]
