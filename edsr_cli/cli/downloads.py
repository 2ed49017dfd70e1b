"""The progress of a download: a bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from edsr_cli.cli.terminal import Terminal
from edsr_cli.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edsr_cli.checkpoints.registry import ModelRow, Source
    from edsr_cli.checkpoints.store.https import Progress as Report

_PLAIN_INTERVAL = 10.0  # seconds between lines where there is no terminal to draw on


class Downloads:
    """Shows the downloads of one model; use it as a context manager.

    Args:
        terminal: where to show them.
        row: the model.
    """

    def __init__(self, terminal: Terminal, row: "ModelRow") -> None:
        self._terminal, self._label = terminal, one_line(row.label)
        self._bars: Progress | None = None
        if terminal.can_draw:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=terminal.console,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, source: "Source") -> "Report":
        """A download begins; what is returned is called with the bytes done and in all."""
        self._terminal.note(f"{self._label}: fetching {source.place}")
        if self._bars is None:
            return _Lines(self._terminal, self._label)  # says nothing with -q
        bars = self._bars
        for bar in list(bars.task_ids):  # that of a source that failed
            bars.remove_task(bar)
        bar = bars.add_task(self._label, total=None)
        return lambda done, total: bars.update(bar, completed=done, total=total)


def finder(terminal: Terminal, download: bool) -> "Callable[[ModelRow], Path]":
    """What gives `load_network` the file of a model that is known by its name.

    Args:
        terminal: where downloads are shown.
        download: whether to fetch a model that is not on this machine.
    """
    from edsr_cli.checkpoints import store

    def find(row: "ModelRow") -> "Path":
        with Downloads(terminal, row) as shown:
            return store.resolve(row, download, options=store.Options(begin=shown.begin))

    return find


class _Lines:
    def __init__(self, terminal: Terminal, label: str) -> None:
        self._terminal, self._label = terminal, label
        self._shown = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._shown < _PLAIN_INTERVAL:
            return
        self._shown = now
        share = f" of {total / 1e6:.1f}" if total else ""
        self._terminal.note(f"{self._label}: {done / 1e6:.1f}{share} MB")
