"""Everything that is said to the user: on stderr, so that stdout is free for data.

Results go there as lines of JSON, which may fail before the work is done.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import typer

from edsr_cli.cli.progress import Bar, Part
from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.progress import Report, Unit
from edsr_cli.text import one_line

# rich is imported where there is a terminal to draw on.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Of the environment: what tells rich to draw where there seems to be no terminal."""


class Terminal:
    """Messages, progress and JSON.

    Args:
        verbosity: -1 for errors only, 0 for normal, 1 for details.
    """

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity

    @cached_property
    def console(self) -> "Console":
        """What draws on standard error."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def _is_plain(self) -> bool:
        """Whether lines go to standard error as they are, since there is no terminal."""
        there_is_one = sys.stderr is not None and sys.stderr.isatty()
        told = "console" in vars(self) or any(map(os.environ.get, _TERMINAL))
        return not (there_is_one or told)

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
        if self.verbosity < 0 or self._is_plain:
            return False
        return self.console.is_terminal and not self.console.is_dumb_terminal

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

    def table(self, table: "Table") -> None:
        """A table on stdout; a terminal wraps what is too wide for it, a pipe or file gets it all.

        Raises:
            EdsrError: stdout cannot be written to.
        """
        from rich.console import Console

        for column in table.columns:
            column.overflow = "fold"  # rich would put an ellipsis for the rest of a long word
        width = None if sys.stdout is not None and sys.stdout.isatty() else 200
        with _stdout():
            Console(highlight=False, markup=False, width=width).print(table)

    def _line(self, label: str, style: str, message: str) -> None:
        self.write(label + one_line(message), style)

    def write(self, text: str, style: str) -> None:
        """A text, and the end of its last line."""
        if self._is_plain:
            if sys.stderr is not None:
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()
            return
        from rich.text import Text

        self.console.print(Text(text, style=style))

    @contextmanager
    def log(self) -> Iterator[None]:
        """Show what the package logs: how things are going, warnings, and with -v everything."""
        handler = _TerminalHandler(self)
        package = logging.getLogger("edsr_cli")
        before = package.level, package.propagate
        package.addHandler(handler)
        package.setLevel(logging.DEBUG if self.verbosity >= 1 else logging.INFO)
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
    def progress(self, name: str, factor: int = 1, unit: Unit = Unit.PIXELS) -> Iterator[Report]:
        """Progress of one part of the work: see `edsr_cli.progress.Progress`, which this is."""
        with Bar(self, name) as bar:
            yield Part(bar, factor, unit)


class JsonLines:
    """Writes results; that they cannot be written is told once, and does not end the work.

    Args:
        terminal: where to say so.

    Attributes:
        failed: whether some are lost.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.failed = False

    def write(self, values: Mapping[str, Any]) -> None:
        """Write a result, if those before could be written."""
        if self.failed:
            return
        try:
            self._terminal.json(dict(values))
            return
        except BrokenPipeError:
            sys.stdout = None  # or the interpreter would try again at the end, and complain
            reason = "Standard output: whoever reads it has stopped before the end."
        except EdsrError as error:
            reason = str(error)
        self.failed = True
        self._terminal.error(f"{reason} The pictures are done all the same.")


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


class _TerminalHandler(logging.Handler):
    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._terminal.warning(record.getMessage())
        elif record.levelno >= logging.INFO:
            self._terminal.note(record.getMessage())
        else:
            self._terminal.detail(record.getMessage())
        if record.exc_info and self._terminal.verbosity >= 1:
            text = logging.Formatter().formatException(record.exc_info)
            self._terminal.write(text, "dim")
