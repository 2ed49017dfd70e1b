"""How far work is, in words."""

import pytest

from edsr_cli.cli import progress
from edsr_cli.cli.progress import Part
from edsr_cli.progress import Unit


class Bar:
    is_drawn = True

    def show(self, done, total, words, *, aside="", below=""):
        self.words = words + aside


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_speed_is_that_of_late(clock):
    """An earlier run has done a half, which is passed over in ten seconds; the rest takes hours."""
    bar = Bar()
    part = Part(bar, 4, Unit.PIXELS)
    total = 200_000_000
    for second in range(1, 11):
        clock.now += 1
        part(10_000_000 * second, total)
    assert bar.words == "50 %, 40.00 Mpixel/s, 10 s left"
    done = total // 2
    for _ in range(200):
        clock.now += 1
        done += 10_000
        part(done, total)
    assert bar.words == "51 %, 0.04 Mpixel/s, 2 h 43 min left"


def test_bytes_and_a_beginning_in_no_time(clock):
    bar = Bar()
    part = Part(bar, 1, Unit.BYTES)
    part(0, 50_000_000)
    assert bar.words == "0.0 of 50.0 MB, 0.0 MB/s"
    clock.now += 2
    part(10_000_000, 50_000_000)
    assert bar.words == "10.0 of 50.0 MB, 5.0 MB/s, 8 s left"
