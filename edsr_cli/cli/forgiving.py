"""Standard error that may fail: messages are lost then, and nothing else."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


class _Forgiving:
    """A text file whose writing never fails.

    It stands between everybody who writes messages (this program, Typer, warnings) and a full disk,
    a pipe whose reader has gone, or a terminal that has been closed. Each message is tried anew.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        try:
            try:
                self._file.write(text)
            except UnicodeEncodeError:
                self._file.write(text.encode("ascii", "backslashreplace").decode())
        except (OSError, ValueError):  # ValueError: it is closed
            pass
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self.works()

    def works(self) -> bool:
        """Whether all that was written has gone out."""
        try:
            self._file.flush()
        except (OSError, ValueError):
            return False
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def forgiving_stderr() -> Iterator[None]:
    """Let nothing that is written to `sys.stderr` in the block fail.

    If something could not be written, this stays so behind the block: the interpreter tries again
    at its end, and a failure there would become the exit code.
    """
    before = sys.stderr
    if before is None:  # closed from the start
        yield
        return
    forgiving = _Forgiving(before)
    sys.stderr = cast(TextIO, forgiving)
    try:
        yield
    finally:
        if forgiving.works():
            sys.stderr = before
