"""`edsr upscale --resume`, killed without warning and interrupted."""

import os
import signal
import time

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.cli.forks import Forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

DEADLINE = 120.0  # seconds for what takes a moment on a quiet machine


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    with Forks(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


class Job:
    """A picture to upscale in strips of a few rows, and the file that has to come out."""

    def __init__(self, folder, model, forks):
        self.folder, self.forks = folder, forks
        pixels = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "in.png")
        self.options = ["-m", model, "--max-memory", "8M", "--threads", "1"]
        forks.start("upscale", folder / "in.png", "-o", folder / "whole.png", *self.options)
        assert forks.wait()[0] == 0
        self.wanted = (folder / "whole.png").read_bytes()
        self.output, self.kept = folder / "out.png", folder / ".out.png.edsr-partial"

    def start(self):
        source = self.folder / "in.png"
        arguments = ["upscale", source, "-o", self.output, "--resume", *self.options]
        return self.forks.start(*arguments)

    def end(self, process, how, size):
        """End a run when so many bytes of rows are kept, if it does not come to an end before."""
        begin = time.monotonic()
        while not self.kept.exists() or self.kept.stat().st_size < size:
            if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
                break
            assert time.monotonic() < begin + DEADLINE
            time.sleep(0.001)
        os.kill(process, how)
        return self.forks.wait()


@pytest.fixture(scope="module")
def job(tmp_path_factory, model, forks):
    return Job(tmp_path_factory.mktemp("job"), model, forks)


def test_killed_again_and_again(job):
    """Each time it goes on, and in the end it is the file that would have been."""
    sizes = []
    for size in (1, 200_000, 400_000, 600_000):
        code, _ = job.end(job.start(), signal.SIGKILL, size)
        assert code == -signal.SIGKILL and not job.output.exists()
        sizes.append(job.kept.stat().st_size)
    assert sizes == sorted(sizes) and sizes[-1] >= 600_000
    job.start()
    code, messages = job.forks.wait()
    assert code == 0 and "going on behind" in messages
    assert job.output.read_bytes() == job.wanted
    # What was being written when it was killed has gone, too.
    names = sorted(path.name for path in job.folder.iterdir())
    assert names == ["in.png", "out.png", "whole.png"]
    job.output.unlink()


def test_interrupted(job):
    code, messages = job.end(job.start(), signal.SIGINT, 300_000)
    assert code == 130 and "--resume goes on behind them" in messages
    assert sorted(path.name for path in job.folder.iterdir()) == [
        job.kept.name, "in.png", "whole.png"
    ]  # fmt: skip
    job.start()
    assert job.forks.wait()[0] == 0
    assert job.output.read_bytes() == job.wanted and not job.kept.exists()
