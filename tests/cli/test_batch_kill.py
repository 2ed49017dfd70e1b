"""`edsr batch`, killed without warning again and again."""

import io
import os
import random
import signal
import time

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import finish, start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals")

DEADLINE = 120.0  # seconds for what takes a moment on a quiet machine


class Job:
    """Pictures to upscale, the outputs that they must get, and the work on them.

    Args:
        folder: where to work.
        model: weights.
        pictures: how many.
        redo: whether all is done before, from other pictures of the same names.
    """

    def __init__(self, folder, model, pictures, redo):
        self.pictures = pictures
        self.source, self.output = folder / "in", folder / "out"
        self.options = ["-m", model, "-j", "2", "--max-queue", "40M"]
        self.allowed = {}  # contents that outputs may have, by name
        if redo:
            self._paint(seed=1)
            self._run_through(self.output)
            self._allow(self.output)
        self._paint(seed=2)
        self._run_through(folder / "reference")
        self.wanted = self._allow(folder / "reference")

    def _paint(self, seed):
        """Noise takes long to compress, so that a kill meets every stage."""
        noise = np.random.default_rng(seed)
        for number in range(self.pictures):
            path = self.source / f"{number % 3}" / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shape = (110 + number, 160 - number, 3)
            Image.fromarray(noise.integers(0, 256, shape, np.uint8)).save(path)

    def _run_through(self, output):
        run = finish(start("batch", self.source, "-o", output, *self.options))
        assert run.code == 0, run.err

    def _allow(self, folder):
        contents = self.contents(folder)
        for name, data in contents.items():
            self.allowed.setdefault(name, []).append(data)
        return contents

    @staticmethod
    def contents(folder):
        """All files but the manifest, its lock and temporary files, by name."""
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".edsr-")
        }

    def temporary(self):
        """Temporary files."""
        return list(self.output.rglob(".edsr-*.tmp"))

    def finished(self):
        """The number of outputs that are as they are to be; quick."""
        return sum(
            1 for name in self.wanted
            if (path := self.output / name).exists() and path.stat().st_mtime_ns > self.begun
        )  # fmt: skip

    def kill(self, when, delay):
        """Start, and kill in a situation; whether it was alive until then."""
        self.begun = time.time_ns()
        process = start("batch", self.source, "-o", self.output, *self.options)
        deadline = time.monotonic() + DEADLINE
        while not when(self) and time.monotonic() < deadline:
            if process.poll() is not None:
                break  # it has ended already
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        run = finish(process)
        assert run.code in (-signal.SIGKILL, 0), run.err
        return run.code == -signal.SIGKILL

    def check(self):
        """Whatever has its name is complete."""
        contents = self.contents(self.output)
        for name, data in contents.items():
            assert data in self.allowed[name], name
            with Image.open(io.BytesIO(data)) as image:
                image.load()
        return contents

    def end(self):
        """Let it run through, and see that it is as if it had never been killed."""
        complete = {
            name: (self.output / name).stat().st_mtime_ns
            for name, data in self.check().items()
            if data == self.wanted[name]
        }
        self._run_through(self.output)
        for name, modified in complete.items():  # that was not done again
            assert (self.output / name).stat().st_mtime_ns == modified
        assert self.check() == self.wanted
        assert self.temporary() == []
        own = sorted(path.name for path in self.output.rglob(".*"))
        assert own == [".edsr-manifest.jsonl", ".edsr-manifest.lock"]


# Situations to kill in: (what to wait for, longest further delay in seconds).
SITUATIONS = (
    (lambda job: True, 0.3),  # while it loads, reads the manifest, or begins
    (lambda job: job.temporary(), 0.005),  # in the middle of writing
    (lambda job: job.finished() >= 1, 0.003),  # when a file has just appeared
    (lambda job: job.finished() >= 2, 0.05),  # anywhere
)


@pytest.mark.parametrize(
    ("kills", "redo"),
    [
        (4, True),
        pytest.param(24, False, marks=pytest.mark.slow),
        pytest.param(24, True, marks=pytest.mark.slow),
    ],
    ids=["4-replacing", "24-new", "24-replacing"],
)
def test_killed_and_resumed_it_ends_as_if_nothing_had_happened(tmp_path, model, kills, redo):
    job = Job(tmp_path, model, 8 + 2 * kills, redo)
    chance = random.Random(kills)
    killed, torn, before = 0, 0, {}
    for number in range(kills):
        when, delay = SITUATIONS[number % len(SITUATIONS)]
        killed += job.kill(when, chance.uniform(0, delay))
        torn += bool(job.temporary())
        contents = job.check()
        # What was done stays done: new contents never become old ones again, or nothing.
        for name, data in before.items():
            assert contents[name] in (data, job.wanted[name])
        before = contents
    assert killed == kills  # it was never through before
    if kills > 20:
        assert torn  # and was met in the middle of writing, of the six times that was tried
    job.end()
