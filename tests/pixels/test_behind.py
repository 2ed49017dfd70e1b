"""Rows that are written in another thread."""

import threading

import numpy as np
import pytest

from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.behind import Behind
from edsr_cli.pixels.windows import Region

ROWS = [(Region(top, top + 1, 0, 4), np.full((1, 4, 3), top, np.uint8)) for top in range(5)]


class Rows:
    """A window that wants its rows once each, from the top."""

    shape, dtype, order = (5, 4, 3), np.dtype(np.uint8), "rows"

    def __init__(self) -> None:
        self.tops: list[int] = []

    def write(self, region: Region, pixels: Pixels) -> None:
        assert (pixels == region.top).all()
        self.tops.append(region.top)


def test_rows_come_in_their_order() -> None:
    window = Rows()
    with Behind(window) as behind:
        for region, pixels in ROWS:
            behind.write(region, pixels)
    assert window.tops == [0, 1, 2, 3, 4]


def test_what_fails_there_is_raised_here() -> None:
    with pytest.raises(AssertionError), Behind(Rows()) as behind:
        behind.write(Region(3, 4, 0, 4), ROWS[0][1])


@pytest.mark.parametrize("missing", [1, 3, 9])
def test_every_row_is_written_once_where_there_is_no_thread_for_a_while(
    monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    start, left = threading.Thread.start, [missing]

    def reluctant(thread: threading.Thread) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", reluctant)
    window = Rows()
    with Behind(window) as behind:
        for region, pixels in ROWS:
            behind.write(region, pixels)
    assert window.tops == [0, 1, 2, 3, 4]
