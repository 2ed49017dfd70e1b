"""Finished rows of a picture, on disk until its output is there, so that another run can go on.

They are those that the last network has made, not those of the output's file, which encoders cannot
go on with. Beside the output `photo_x4.png` the file is `.photo_x4.png.edsr-partial`: a line of
JSON, which says what was made from what, and then records of some rows each, compressed, with
their number, the bytes that follow, and a CRC-32 of both and these. What a process that was killed
has left unfinished is a record that is cut short, or whose sum is wrong, at the end.
"""

import hashlib
import json
import logging
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from msgspec.structs import replace

from edsr_cli.errors import PictureError
from edsr_cli.files.lock import lock_descriptor
from edsr_cli.files.names import display_name
from edsr_cli.files.own import open_plain
from edsr_cli.files.reasons import kind_of_system_error, why_not_written
from edsr_cli.inference.planning import Plan
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.behind import Behind
from edsr_cli.pixels.windows import Region, Writable

logger = logging.getLogger(__name__)

_ENDING, _LONGEST_NAME = ".edsr-partial", 255  # bytes, on all usual file systems
_LONGEST_HEADER = 2**16
_RECORD = struct.Struct("<3I")  # rows, bytes, CRC-32
_RECORD_BYTES = 2**24  # of rows in one record; one step at least

Facts = Mapping[str, Any]
"""What finished rows were made from, and how, in values of JSON by what they are called."""


def partial_path(output: Path) -> Path:
    """Where the finished rows of an output are kept."""
    name = f".{output.name}{_ENDING}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:32]}{_ENDING}"
    return output.with_name(name)


def bytes_at_most(plan: Plan, scale: int, itemsize: int) -> int:
    """What the finished rows of a picture take on disk, about, if nothing can be compressed."""
    return 3 * plan.height * plan.width * scale**2 * itemsize


@contextmanager
def kept_rows(output: Path, facts: Facts) -> "Iterator[PartialRows]":
    """Keep the rows of a picture while it is made in the block, and those of a run before.

    When the block ends well, they are removed; else they stay, with a line that says so.

    Args:
        output: the file that the picture becomes.
        facts: what its rows depend on.

    Raises:
        PictureError: the file cannot be written, or another process is at work with it.
    """
    name, path = display_name(output), partial_path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_plain(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _not_kept(name, error) from error
    stays = True
    try:
        with os.fdopen(descriptor, "r+b") as file:
            if lock_descriptor(descriptor) is False:
                raise PictureError(
                    "another process is at work on it.", "Wait until that has ended.", about=name
                )
            rows = PartialRows(file, name, facts)
            try:
                yield rows
            except BaseException:
                stays = rows.count > 0 or not rows.fresh
                if rows.count:
                    _say_kept(rows, path)
                raise
            stays = False
    finally:
        if not stays:
            with suppress(OSError):
                path.unlink()


def _say_kept(rows: "PartialRows", path: Path) -> None:
    logger.info(
        "%s: %s of %s rows are kept in %s; the same with --resume goes on behind them.",
        rows.name, f"{rows.count:,}", f"{rows.height:,}", display_name(Path(path.name)),
    )  # fmt: skip


class PartialRows:
    """Rows that are kept as they come, and those that were.

    Args:
        file: where they are, open for reading and writing.
        name: what to call the output in messages.
        facts: see `kept_rows`.

    Attributes:
        count: rows that are finished.
        height: rows that there will be.
        fresh: whether nothing of an earlier run is in the file.
    """

    def __init__(self, file: BinaryIO, name: str, facts: Facts) -> None:
        self.name, self.count, self.height = name, 0, 0
        self._file, self._facts = file, dict(facts)
        self._row_bytes = self._most_rows = 0
        self.fresh = file.seek(0, os.SEEK_END) == 0

    @contextmanager
    def go_on(
        self, window: Writable, plan: Plan, scale: int, report: Callable[[int], None]
    ) -> Iterator[tuple[Writable, Plan]]:
        """Write what is finished into a window, and give one that keeps what comes, too.

        Behind the block all of it is kept.

        Args:
            window: where the last network's rows go.
            plan: how it makes them, rows only.
            scale: of that network; `count` is a multiple of it then.
            report: called with the rows of the window that are written.

        Yields:
            The window, and the plan of the first run, where that takes no more memory.
        """
        height, width, _ = window.shape
        self.height, self._row_bytes = height, 3 * width * window.dtype.itemsize
        self._most_rows = max(1, _RECORD_BYTES // (self._row_bytes * scale)) * scale
        facts = self._facts | {"size": [width, height], "depth": 8 * window.dtype.itemsize}
        found = self._header()
        strip_rows = found.pop("strip_rows", None)
        if found == facts and isinstance(strip_rows, int) and strip_rows > 0:
            self._replay(window, scale, report)
            if self.count:
                logger.info(
                    "%s: going on behind %s of %s rows, which an earlier run has finished.",
                    self.name, f"{self.count:,}", f"{height:,}",
                )  # fmt: skip
            if strip_rows <= plan.strip_rows:  # so that sums are rounded as they were
                plan = replace(plan, strip_rows=strip_rows)
        else:
            if found:
                changed = [key for key in facts if found.get(key) != facts[key]]
                logger.info(
                    "%s: begun anew, since this is not what it was when rows of it were finished: "
                    "%s.",
                    self.name, ", ".join(changed) or "how it is kept",
                )  # fmt: skip
            self._begin({**facts, "strip_rows": plan.strip_rows})
        with Behind(_Keeping(self, window)) as kept:
            yield _Both(window, kept), plan

    def _header(self) -> dict[str, Any]:
        """What is said of the rows in the file; empty where that is damaged or nothing is there."""
        self._file.seek(0)
        line = self._file.readline(_LONGEST_HEADER)
        try:
            found = json.loads(line) if line.endswith(b"\n") else {}
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _begin(self, header: Facts) -> None:
        with self._explained():
            self.fresh = True
            self._file.seek(0)
            self._file.truncate()
            self._file.write(json.dumps(header).encode() + b"\n")
            self._file.flush()

    def _replay(self, window: Writable, scale: int, report: Callable[[int], None]) -> None:
        """Write all finished rows into a window, and cut off what is not whole behind them."""
        end = self._file.tell()
        while (rows := self._next(window, scale)) is not None:
            below = self.count + len(rows)
            window.write(Region(self.count, below, 0, window.shape[1]), rows)
            self.count, end = below, self._file.tell()
            report(self.count)
        with self._explained():
            self._file.seek(end)
            self._file.truncate()

    def _next(self, window: Writable, scale: int) -> Pixels | None:
        """The rows of the next record; None where there is no whole one."""
        head = self._file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            return None
        count, size, crc = _RECORD.unpack(head)
        most = min(self._most_rows, self.height - self.count)
        length = count * self._row_bytes
        if not 1 <= count <= most or count % scale or size > _packed_at_most(length):
            return None
        packed = self._file.read(size)
        if len(packed) < size or _sum(count, packed) != crc:
            return None
        inflate = zlib.decompressobj()
        try:
            data = inflate.decompress(packed, length + 1)
        except zlib.error:
            return None
        if len(data) != length or not inflate.eof:
            return None
        return np.frombuffer(data, window.dtype).reshape(count, window.shape[1], 3)

    def keep(self, pixels: Pixels) -> None:
        """Append rows, (h, W, 3)."""
        for top in range(0, len(pixels), self._most_rows):
            rows = np.ascontiguousarray(pixels[top : top + self._most_rows])
            packed = zlib.compress(rows.data, 1)
            with self._explained():
                self._file.write(_RECORD.pack(len(rows), len(packed), _sum(len(rows), packed)))
                self._file.write(packed)
                self._file.flush()
            self.count += len(rows)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _not_kept(self.name, error) from error


class _Keeping:
    """The window that keeps rows."""

    order: Literal["any", "rows"] = "rows"

    def __init__(self, rows: PartialRows, window: Writable) -> None:
        self._rows, self.shape, self.dtype = rows, window.shape, window.dtype

    def write(self, region: Region, pixels: Pixels) -> None:
        self._rows.keep(pixels)


class _Both:
    """Two windows of which both are written."""

    def __init__(self, first: Writable, second: Writable) -> None:
        self.shape, self.dtype = first.shape, first.dtype
        self.order: Literal["any", "rows"] = "rows"
        self._windows = first, second

    def write(self, region: Region, pixels: Pixels) -> None:
        for window in self._windows:
            window.write(region, pixels)


def _packed_at_most(length: int) -> int:
    """What zlib makes of so many bytes at most."""
    return length + (length >> 10) + 64


def _sum(count: int, packed: bytes) -> int:
    return zlib.crc32(packed, zlib.crc32(struct.pack("<2I", count, len(packed))))


def _not_kept(name: str, error: OSError) -> PictureError:
    what, hint = why_not_written(error)
    return PictureError(
        f"its finished rows cannot be kept beside it: {what}.",
        hint or "Leave out --resume.",
        about=name,
        kind=kind_of_system_error(error, reading=False),
    )
