"""Memory of `edsr batch` does not depend on the number of pictures. Real processes, on Linux."""

import json
import os
import statistics
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import start

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads memory from /proc"
)


def paint(folder, count, height, width):
    """Files of noise; most are links to others, which is quicker and needs less room."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:04}.png"
        if number < 10:
            pixels = noise.integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(path, compress_level=1)
        else:
            os.link(folder / f"{number % 10:04}.png", path)
    return folder


class Measured:
    """A whole run over a folder, and what it needed."""

    def __init__(self, folder, *options):
        self.process = start(
            "batch", folder, "-o", f"{folder}_out", "--json", "-q", *options, anew=True
        )
        self.peak, self.now, self.course = 0, 0, []
        sampler = threading.Thread(target=self._sample)
        sampler.start()
        for line in self.process.stdout:
            assert json.loads(line)["status"] == "done"
            self.course.append(self.now)
        sampler.join()
        _, messages = self.process.communicate()
        assert (self.process.returncode, messages) == (0, b"")

    def _sample(self):
        """The system knows about the memory of a process, and its peak, while it is there."""
        status = Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            values = dict(line.split(":", 1) for line in status.read_text().splitlines())
            if "VmRSS" in values:  # else it has just ended
                peak, now = (int(values[name].split()[0]) for name in ("VmHWM", "VmRSS"))
                self.peak, self.now = 1024 * peak, 1024 * now
            time.sleep(0.02)


@pytest.mark.slow
def test_500_pictures_need_as_much_as_100(tmp_path, model):
    """20 are too few for all threads to have had their largest moment at once: a tenth less."""
    peaks = {}
    for count in (100, 500):
        run = Measured(paint(tmp_path / f"{count}", count, 180, 240), "-m", model)
        assert len(run.course) == count
        peaks[count] = run.peak
    assert abs(peaks[500] - peaks[100]) <= 0.1 * peaks[100]


@pytest.mark.slow
def test_a_soak_does_not_grow(tmp_path, model):
    """Of 2,400 pictures the last 600 need no more than the second 600."""
    folder = paint(tmp_path / "in", 2400, 30, 40)
    run = Measured(folder, "-m", model, "--report", tmp_path / "report.html")
    quarters = [run.course[start : start + 600] for start in range(0, 2400, 600)]
    medians = [statistics.median(quarter) for quarter in quarters]
    assert medians[3] <= 1.02 * medians[1]
    assert max(quarters[3]) <= 1.02 * max(quarters[1])
