"""How work is going: a bar on a terminal, a line now and then elsewhere."""

import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edsr_cli.progress import Unit
from edsr_cli.text import duration, one_line

# What of rich is for bars is imported when one is drawn.
if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

    from edsr_cli.cli.terminal import Terminal

PLAIN_INTERVAL = 10.0  # seconds between lines where there is no terminal to draw on
_DRAWN = 0.1  # seconds between two drawings
_LATELY = 60.0  # seconds over which speed is measured
_WIDTH = 30  # columns of a bar


class Bar:
    """Something that goes on; use it as a context manager.

    Args:
        terminal: where to show it; nothing is shown with -q.
        name: what goes on; may be empty.
        interval: seconds between lines where no bar is drawn.
        drawn: whether a bar may be drawn.
    """

    def __init__(
        self,
        terminal: "Terminal",
        name: str = "",
        interval: float | None = None,
        *,
        drawn: bool = True,
    ) -> None:
        self._terminal, self._name = terminal, one_line(name)
        self._interval = PLAIN_INTERVAL if interval is None else interval
        self._shown, self._last = time.monotonic(), float("-inf")
        self._live: Live | None = None
        if drawn and terminal.can_draw:
            import rich.live

            # Standard output is left alone, since pictures and JSON may go there.
            self._live = rich.live.Live(
                console=terminal.console, transient=True, auto_refresh=False, redirect_stdout=False
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_drawn(self) -> bool:
        """Whether there is a bar; its beginning and end are worth showing, too."""
        return self._live is not None

    def close(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(
        self, done: float, total: float | None, words: str, *, aside: str = "", below: str = ""
    ) -> None:
        """Show how far it is.

        Args:
            done: how much is done.
            total: how much there is; None if nobody knows.
            words: the same in words, with the speed and the time left.
            aside: more words beside a bar.
            below: a line below a bar, or behind the words of a line.
        """
        now = time.monotonic()
        if self._live is not None:
            if now - self._last >= _DRAWN or done == total:
                self._last = now
                self._live.update(self._drawn(done, total, words + aside, below), refresh=True)
        elif now - self._shown >= self._interval:
            self._shown = now
            name = f"{self._name}: " if self._name else ""
            self._terminal.note(name + words + (f"; {below}" if below else ""))

    def _drawn(self, done: float, total: float | None, words: str, below: str) -> "Group":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total or 1, done if total else 0, width=_WIDTH, pulse=total is None)
        parts = [Text(self._name)] if self._name else []
        row.add_row(*parts, bar, Text(words))
        lines = [Text(below, style="dim", no_wrap=True, overflow="ellipsis")] if below else []
        return Group(row, *lines)


class Part:
    """Shows a part of some work on a bar: call it with what is done, and what there is.

    Args:
        bar: where to show it.
        factor, unit: see `edsr_cli.progress.Progress`.
    """

    def __init__(self, bar: Bar, factor: int, unit: Unit) -> None:
        self._bar, self._factor, self._unit = bar, factor, unit
        self._seen = deque([(time.monotonic(), 0)])  # when, and how much was done

    def __call__(self, done: int, total: int | None) -> None:
        """Show it."""
        speed = self._speed(done)
        left = f"{_in_words((total - done) / speed)} left" if total and speed else ""
        if self._unit is Unit.BYTES:
            share = f" of {total / 1e6:.1f}" if total else ""
            aside = f", {speed / 1e6:.1f} MB/s" + (f", {left}" if left else "")
            self._bar.show(done, total, f"{done / 1e6:.1f}{share} MB", aside=aside)
        elif total and (0 < done < total or self._bar.is_drawn):
            parts = [f"{100 * done / total:.0f} %"]
            if self._unit is Unit.PIXELS:
                parts.append(f"{speed * self._factor / 1e6:.2f} Mpixel/s")
            self._bar.show(done, total, ", ".join([*parts, left] if left else parts))

    def _speed(self, done: int) -> float:
        """How much is done in a second, of late: all before may have been of another kind.

        What an earlier run has finished, for one, is soon there.
        """
        now, seen = time.monotonic(), self._seen
        while len(seen) > 1 and seen[1][0] <= now - _LATELY:
            seen.popleft()
        begin, before = seen[0]
        if now - seen[-1][0] >= _LATELY / 60:
            seen.append((now, done))
        return max(0.0, done - before) / (now - begin) if now > begin else 0.0


def _in_words(seconds: float) -> str:
    """A time that is left."""
    return f"{seconds:.0f} s" if seconds < 60 else duration(seconds)
