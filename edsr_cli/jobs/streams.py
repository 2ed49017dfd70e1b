"""Standard input and output as files of pictures."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from edsr_cli.errors import PictureError


def read_stdin() -> bytes:
    """All of standard input.

    Raises:
        PictureError: it is closed, or cannot be read.
    """
    if sys.stdin is None:
        raise PictureError("standard input: it is closed.", "Send it the content of a picture.")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise PictureError(
            f"standard input: it cannot be read ({error.strerror}).",
            "Send it the content of a picture.",
        ) from error


@contextmanager
def stdout() -> Iterator[BinaryIO]:
    """Give standard output as a binary file.

    Raises:
        PictureError: it is closed, or cannot be written to.
    """
    hint = "Write to a file with -o."
    if sys.stdout is None:
        raise PictureError("standard output: it is closed.", hint)
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        sys.stdout = None  # or the interpreter would try again at the end, and complain
        if isinstance(error, BrokenPipeError):
            reason = "whoever reads it has stopped before the end"
        else:
            reason = f"it cannot be written to ({error.strerror})"
        raise PictureError(f"standard output: {reason}.", hint) from error
