"""`edsr batch` when it is interrupted, in this process and as one of its own."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from edsr_cli.cli import interruption
from edsr_cli.cli.terminal import Terminal
from edsr_cli.inference import Upscaler
from tests.cli.batches import OURS, paint, rows
from tests.cli.conftest import DEADLINE, PIXELS, finish, records, start
from tests.jobs.nearest import read_back, repeated

posix = pytest.mark.skipif(os.name == "nt", reason="about POSIX")


@pytest.fixture
def slow(monkeypatch):
    """Make the network take its time, and call something when it is at work on the third."""
    upscale, calls, actions = Upscaler.upscale_into, [], []

    def take_time(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            for action in actions:
                action()
        time.sleep(0.05)
        return upscale(*arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", take_time)
    return actions


@posix
@pytest.mark.parametrize(
    ("number", "code", "how"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
)
def test_the_first_signal_lets_it_finish_what_is_at_work(
    batch, slow, monkeypatch, number, code, how
):
    paint(*(f"in/{i}.png" for i in range(9)))
    note, said = Terminal.note, threading.Event()

    def overhear(terminal, message):
        note(terminal, message)
        if message.startswith("Finishing"):
            said.set()

    monkeypatch.setattr(Terminal, "note", overhear)
    slow.append(lambda: os.kill(os.getpid(), number))
    slow.append(lambda: said.wait(60))  # there may be nothing left to finish otherwise
    run = batch("in", "--json")
    assert run.code == code
    done = [record["output"] for record in records(run)]
    assert 3 <= len(done) < 9 and all(record["status"] == "done" for record in records(run))
    assert sorted(done) == sorted(str(path) for path in Path("in_x4").glob("*.png"))
    assert "Finishing the pictures that are at work. Ctrl-C again stops at once." in run.lines
    assert "Some pictures are left. To do the rest, run the same command again." in run.lines
    assert run.lines[-1] == f"error: {how}. No output was left half-written."
    slow.clear()
    again = batch("in")
    assert again.code == 0
    assert rows(again)["skipped"].startswith(f"{len(done)} ")
    assert rows(again)["done"].startswith(f"{9 - len(done)} ")


@posix
def test_the_second_signal_stops_at_once(batch, monkeypatch):
    """In the middle of a picture, which is not written."""
    paint(*(f"in/{i}.png" for i in range(6)))
    upscale, calls = Upscaler.upscale_into, []

    def endless(*arguments, progress, **options):
        calls.append(1)
        if len(calls) == 3:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.3)
            for _ in range(1000):  # strips
                progress(0, 1)
                time.sleep(0.01)
        return upscale(*arguments, progress=progress, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", endless)
    run = batch("in", "--json")
    assert run.code == 130
    assert run.lines[-1] == "error: Interrupted. No output was left half-written."
    assert len(list(Path("in_x4").glob("*.png"))) == 2
    assert not list(Path("in_x4").glob("*.tmp"))
    assert "run the same command" not in run.err


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_that_comes_with_the_last_words_changes_nothing(batch, slow, monkeypatch, number, code):
    paint(*(f"in/{i}.png" for i in range(9)))
    slow.append(lambda: os.kill(os.getpid(), number))
    say = Terminal.error

    def say_late(terminal, message):
        os.kill(os.getpid(), number)
        say(terminal, message)

    monkeypatch.setattr(Terminal, "error", say_late)
    run = batch("in")
    assert run.code == code
    assert "No output was left half-written." in run.lines[-1]


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
        deadline = time.monotonic() + DEADLINE
        while not self._is_writing(out) or not self._is_caught_writing(out):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        for number in self.numbers:
            self.process.send_signal(number)
            time.sleep(0.3)
        self.run = finish(self.process)
        self.left = sorted(path.name for path in out.iterdir())

    def _is_writing(self, out):
        """Whether one picture is complete and another is being written."""
        return bool(list(out.glob("*.png")) and list(out.glob("*.tmp")))

    def _is_caught_writing(self, out):
        """The same for a process to be killed, which is halted so that it stays true until then."""
        if signal.SIGKILL not in self.numbers:
            return True
        self.process.send_signal(signal.SIGSTOP)
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)
        if self._is_writing(out):
            return True
        self.process.send_signal(signal.SIGCONT)
        return False


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, model):
    """All cases at once, since most of their time goes into imports."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "large").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    for i in range(COUNT):
        Image.fromarray(pixels).save(folder / "large" / f"{i:02}.png", compress_level=1)
    cases = {
        "once": [signal.SIGINT],
        "twice": [signal.SIGINT, signal.SIGINT],
        "terminated": [signal.SIGTERM, signal.SIGTERM],
        "killed": [signal.SIGKILL],
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
    pixels = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
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
    assert case.run.lines[-1] == f"error: {how}. No output was left half-written."
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
    assert sum("The pictures are done all the same." in line for line in run.lines) == 1
    assert len(list(tmp_path.glob("in_x4/*.png"))) == 5
    assert not list(tmp_path.rglob("*.tmp"))
