"""Standard input and output as files of pictures."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from edsr_cli.errors import PictureError
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.images import DEFAULT_MAX_PIXELS
from edsr_cli.images.formats import MAGIC_BYTES, begins_like_a_picture
from edsr_cli.images.source import not_a_picture

_STDIN, _STDOUT = "standard input", "standard output"
_BYTES_PER_PIXEL = 16  # four channels of 32 bits, not compressed
_SLACK = 64 << 20  # bytes of metadata, of a second frame, and the like
_CHUNK = 1 << 20


def read_stdin(max_pixels: int = DEFAULT_MAX_PIXELS) -> bytes:
    """All of standard input, if it begins like a picture and ends within reason.

    Args:
        max_pixels: the largest picture that is accepted, which limits its bytes, too.

    Raises:
        PictureError: it is closed, cannot be read, is no picture, or does not end.
    """
    if sys.stdin is None:
        raise PictureError("it is closed.", "Send it the content of a picture.", about=_STDIN)
    limit = _BYTES_PER_PIXEL * max_pixels + _SLACK
    try:
        file = cast(io.BufferedReader, sys.stdin.buffer)
        parts = [_start(file)]
        # Refused at once: whoever sends something else may never stop.
        if parts[0] and not begins_like_a_picture(parts[0]):
            raise not_a_picture(io.BytesIO(parts[0]), _STDIN)
        size = len(parts[0])
        while part := file.read(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise PictureError(
                    f"more than {limit / 1e9:.1f} GB have come, which is too much for a "
                    f"picture of {max_pixels:,} pixels.",
                    "Raise the limit with --max-pixels, or give the file by its name.",
                    about=_STDIN,
                )
    except OSError as error:
        raise PictureError(
            f"it cannot be read ({error.strerror}).",
            "Send it the content of a picture.",
            about=_STDIN,
        ) from error
    return b"".join(parts)


def _start(file: BinaryIO) -> bytes:
    """The first bytes, as many as tell the format, although they may come one by one."""
    start = b""
    while len(start) < MAGIC_BYTES and (part := file.read(MAGIC_BYTES - len(start))):
        start += part
    return start


@contextmanager
def stdout() -> Iterator[BinaryIO]:
    """Give standard output as a binary file.

    Raises:
        PictureError: it is closed, or cannot be written to.
    """
    hint = "Write to a file with -o."
    if sys.stdout is None:
        raise PictureError("it is closed.", hint, about=_STDOUT)
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        sys.stdout = None  # or the interpreter would try again at the end, and complain
        if isinstance(error, BrokenPipeError):
            reason = "whoever reads it has stopped before the end"
        else:
            reason = f"it cannot be written to ({error.strerror})"
        kind = kind_of_system_error(error, reading=False)
        raise PictureError(f"{reason}.", hint, about=_STDOUT, kind=kind) from error
