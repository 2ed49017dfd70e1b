"""`edsr upscale --resume`, killed without warning and interrupted."""

import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import finish, start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals")

DEADLINE = 120.0  # seconds for what takes a moment on a quiet machine


class Job:
    """A picture to upscale in strips of a few rows, and the file that has to come out."""

    def __init__(self, folder, model):
        self.folder = folder
        pixels = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "in.png")
        self.options = ["-m", model, "--max-memory", "8M", "--threads", "1"]
        arguments = ["upscale", folder / "in.png", "-o", folder / "whole.png", *self.options]
        assert finish(start(*arguments)).code == 0
        self.wanted = (folder / "whole.png").read_bytes()
        self.output, self.kept = folder / "out.png", folder / ".out.png.edsr-partial"

    def start(self):
        source = self.folder / "in.png"
        arguments = ["upscale", source, "-o", self.output, "--resume", *self.options]
        return start(*arguments)

    def end(self, process, how, size):
        """End a run when so many bytes of rows are kept, if it does not come to an end before."""
        begin = time.monotonic()
        while not self.kept.exists() or self.kept.stat().st_size < size:
            if process.poll() is not None:
                break
            assert time.monotonic() < begin + DEADLINE
            time.sleep(0.001)
        process.send_signal(how)
        return finish(process)


@pytest.fixture(scope="module")
def job(tmp_path_factory, model):
    return Job(tmp_path_factory.mktemp("job"), model)


def test_killed_again_and_again(job):
    """Each time it goes on, and in the end it is the file that would have been."""
    sizes = []
    for size in (1, 200_000, 400_000, 600_000):
        run = job.end(job.start(), signal.SIGKILL, size)
        assert run.code == -signal.SIGKILL and not job.output.exists()
        sizes.append(job.kept.stat().st_size)
    assert sizes == sorted(sizes) and sizes[-1] >= 600_000
    run = finish(job.start())
    assert run.code == 0 and "going on behind" in run.err
    assert job.output.read_bytes() == job.wanted
    # What was being written when it was killed has gone, too.
    names = sorted(path.name for path in job.folder.iterdir())
    assert names == ["in.png", "out.png", "whole.png"]
    job.output.unlink()


def test_interrupted(job):
    run = job.end(job.start(), signal.SIGINT, 300_000)
    assert run.code == 130 and "--resume goes on behind them" in run.err
    assert sorted(path.name for path in job.folder.iterdir()) == [
        job.kept.name, "in.png", "whole.png"
    ]  # fmt: skip
    assert finish(job.start()).code == 0
    assert job.output.read_bytes() == job.wanted and not job.kept.exists()


def test_begun_anew_in_memory(job):
    """A picture that goes by rows only for --resume leaves nothing behind without it."""
    job.output.unlink(missing_ok=True)
    assert job.end(job.start(), signal.SIGKILL, 200_000).code == -signal.SIGKILL
    model = job.options[:2]
    run = finish(start("upscale", job.folder / "in.png", "-o", job.output, *model))
    assert run.code == 0 and "begun anew, although an earlier run has finished rows" in run.err
    names = sorted(path.name for path in job.folder.iterdir())
    assert names == ["in.png", "out.png", "whole.png"]
    job.output.unlink()
