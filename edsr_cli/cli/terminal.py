"""Everything that is said to the user: on stderr, so that stdout is free for data."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.text import one_line

_PLAIN_INTERVAL = 10.0  # seconds between progress lines where there is no terminal to draw on


class Terminal:
    """Messages, progress and JSON.

    Args:
        verbosity: -1 for errors only, 0 for normal, 1 for details.
    """

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    @classmethod
    def with_flags(cls, quiet: bool, verbose: bool) -> Self:
        """As -q and -v ask for it.

        Raises:
            UsageError: both are given.
        """
        if quiet and verbose:
            raise UsageError("-q and -v exclude each other.")
        return cls(verbosity=1 if verbose else -1 if quiet else 0)

    @property
    def can_draw(self) -> bool:
        """Whether a bar can be drawn, and is wanted."""
        return (
            self.verbosity >= 0 and self.console.is_terminal and not self.console.is_dumb_terminal
        )

    def error(self, message: str) -> None:
        """A failure, in one line."""
        self._line("error: ", "bold red", message)

    def warning(self, message: str) -> None:
        """Something the user should know, in one line."""
        if self.verbosity >= 0:
            self._line("warning: ", "yellow", message)

    def note(self, message: str) -> None:
        """How things are going, in one line."""
        if self.verbosity >= 0:
            self._line("", "", message)

    def detail(self, message: str) -> None:
        """What only -v shows."""
        if self.verbosity >= 1:
            self._line("", "dim", message)

    def json(self, values: dict[str, Any]) -> None:
        """One JSON object, in one line on stdout.

        Raises:
            EdsrError: stdout cannot be written to.
        """
        with _stdout():
            typer.echo(json.dumps(values))

    def table(self, table: Table) -> None:
        """A table on stdout; a terminal wraps what is too wide for it, a pipe or file gets it all.

        Raises:
            EdsrError: stdout cannot be written to.
        """
        for column in table.columns:
            column.overflow = "fold"  # rich would put an ellipsis for the rest of a long word
        width = None if sys.stdout is not None and sys.stdout.isatty() else 200
        with _stdout():
            Console(highlight=False, markup=False, width=width).print(table)

    def _line(self, label: str, style: str, message: str) -> None:
        text = Text(label, style=style)
        text.append(one_line(message), style="dim" if style == "dim" else "")
        self.console.print(text)

    @contextmanager
    def log(self) -> Iterator[None]:
        """Show what the package logs: warnings, and with -v everything."""
        handler = _TerminalHandler(self)
        package = logging.getLogger("edsr_cli")
        before = package.level, package.propagate
        package.addHandler(handler)
        package.setLevel(logging.DEBUG if self.verbosity >= 1 else logging.WARNING)
        package.propagate = False
        try:
            yield
        finally:
            package.removeHandler(handler)
            package.setLevel(before[0])
            package.propagate = before[1]

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Show that the program is at work while it loads what it needs, on a terminal."""
        if self.can_draw:
            with self.console.status("Starting", spinner="line"):
                yield
        else:
            yield

    @contextmanager
    def progress(self, name: str, factor: int) -> Iterator["PictureProgress"]:
        """Progress of one picture: a bar on a terminal, a line now and then elsewhere.

        Args:
            name: the picture.
            factor: output pixels for each LR pixel, for the speed shown.
        """
        name = one_line(name)
        if self.verbosity < 0:
            yield PictureProgress(lambda done, total: None)
        elif self.console.is_terminal and not self.console.is_dumb_terminal:
            with Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                _Speed(factor),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
                redirect_stdout=False,  # the picture may go there
            ) as bars:
                bar = bars.add_task(name, total=None)
                yield PictureProgress(
                    lambda done, total: bars.update(bar, completed=done, total=total)
                )
        else:
            yield PictureProgress(_PlainProgress(self, name, factor))


@contextmanager
def _stdout() -> Iterator[None]:
    """Turn failures to write to stdout into an error of one line."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever was reading has heard enough
    except OSError as error:
        sys.stdout = None  # or the interpreter would try again at the end, and complain
        raise EdsrError(f"Standard output cannot be written to ({error.strerror}).") from error


class PictureProgress:
    """Call it with the LR pixels that are done, and that there are."""

    def __init__(self, show: Any) -> None:
        self._show = show

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` LR pixels are finished."""
        self._show(done, total)


class _PlainProgress:
    def __init__(self, terminal: Terminal, name: str, factor: int) -> None:
        self._terminal, self._name, self._factor = terminal, name, factor
        self._begin = self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._shown < _PLAIN_INTERVAL or not 0 < done < total:
            return
        self._shown, elapsed = now, now - self._begin
        self._terminal.note(
            f"{self._name}: {100 * done / total:.0f} %, "
            f"{done * self._factor / elapsed / 1e6:.2f} Mpixel/s, "
            f"{elapsed * (total - done) / done:.0f} s left"
        )


class _Speed(ProgressColumn):
    def __init__(self, factor: int) -> None:
        super().__init__()
        self._factor = factor

    def render(self, task: Task) -> Text:
        return Text(f"{(task.speed or 0) * self._factor / 1e6:.2f} Mpixel/s")


class _TerminalHandler(logging.Handler):
    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._terminal.warning(record.getMessage())
        else:
            self._terminal.detail(record.getMessage())
        if record.exc_info and self._terminal.verbosity >= 1:
            text = logging.Formatter().formatException(record.exc_info)
            self._terminal.console.print(Text(text, style="dim"))
