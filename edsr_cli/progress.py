"""How work in progress is shown, by whoever asked for it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Protocol

Report = Callable[[int, int | None], None]
"""To be called with how much is done, and how much there is; None if nobody knows."""

Called = Callable[[str, int, int], object]
"""What Python callers give: called with what is at work, what is done of it, and what there is."""


class Unit(StrEnum):
    """What is counted."""

    PIXELS = "pixels"
    BYTES = "bytes"
    PICTURES = "pictures"
    PARTS = "parts"  # of what says nothing by itself


class Progress(Protocol):
    """Shows how work goes on, one part of it at a time."""

    def __call__(
        self, name: str, factor: int = 1, unit: Unit = Unit.PIXELS
    ) -> AbstractContextManager[Report]:
        """A part of the work, which goes on in the block.

        Args:
            name: what is at work.
            factor: how much comes out for one that is counted, such as output pixels for each LR
                pixel.
            unit: what is counted.
        """


def calling(called: Called | None) -> Progress:
    """Tells a function how work goes on; None tells nobody."""

    @contextmanager
    def part(name: str, factor: int = 1, unit: Unit = Unit.PIXELS) -> Iterator[Report]:
        def report(done: int, total: int | None) -> None:
            if called is not None:
                called(name, done, total or 0)

        yield report

    return part
