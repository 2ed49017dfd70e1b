"""What libvips can do and Pillow cannot, where it is installed (`edsr-cli[large]`).

It decodes a JPEG without restart markers by rows, and AVIF with all its bits.
"""

import io
from collections.abc import Iterator
from functools import cache
from typing import Any, BinaryIO

from numpy.typing import NDArray

_BLOCK_ROWS = 16  # it decodes blocks of rows, and forgets each when it has been asked for


@cache
def library() -> Any:
    """The module pyvips; None where there is none that works."""
    try:
        import pyvips  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except (ImportError, OSError):
        return None
    pyvips.cache_set_max(0)  # nothing is asked for twice
    return pyvips


def decode_rows(file: BinaryIO, rows: int) -> Iterator[NDArray[Any]]:
    """Decode a picture from the top; `library` must be there.

    Args:
        file: the file, seekable; it may be moved in between.
        rows: about how many rows to give at a time.

    Yields:
        (h, W, channels) of uint8 or uint16, as stored: neither turned nor converted.

    Raises:
        EOFError: it is cut short.
        OSError: it is damaged.
    """
    pyvips = library()
    source = pyvips.SourceCustom()
    rows = max(1, rows // _BLOCK_ROWS) * _BLOCK_ROWS
    place = _Place(file)
    source.on_read(place.read)
    source.on_seek(place.seek)
    try:
        image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated")
        for top in range(0, image.height, rows):
            count = min(rows, image.height - top)
            band = image.crop(0, top, image.width, count).numpy()
            # Of one channel it has no third axis, and of one pixel none at all.
            yield band.reshape(count, image.width, image.bands)
    except pyvips.Error as error:
        cut = "premature end" in str(error)
        raise (EOFError if cut else OSError)(str(error)) from error


class _Place:
    """A place in a file that others move."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._place = file, 0

    def read(self, size: int) -> bytes:
        self._file.seek(self._place)
        data = self._file.read(size)
        self._place += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        if whence == io.SEEK_CUR:
            offset, whence = self._place + offset, io.SEEK_SET
        self._place = self._file.seek(offset, whence)
        return self._place
