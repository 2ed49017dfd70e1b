"""The manifest: which outputs are made, from what, and how. JSON Lines, append-only.

Before an output takes its name, a line about it reaches the disk: what it is made from and how,
and the size and time that the finished file has. So at any moment, whatever is killed:

- an output that fits its line is complete, whether or not anything was done after it appeared;
- a line without a fitting output stands for a picture that was in flight, and is made again. The
  line says what it was about to replace, which is recognised as ours, too;
- an output that fits no line is somebody else's, or has been edited, and is never replaced unasked.

Lines are independent of each other: one that is torn or damaged is as if it had not been written.
What is held in memory is a hash and an offset for each output.
"""

import errno
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.disk import sync
from edsr_cli.files.names import display_name
from edsr_cli.files.own import NotPlainError, open_plain
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.files.state import FileState
from edsr_cli.jobs.ledger import LedgerError

logger = logging.getLogger(__name__)

_SPARE_LINES = 1000  # superseded lines for which a manifest is not worth rewriting
_LINE_BYTES = 1 << 20  # more than any line of ours has, however long the names in it are
_AHEAD_BYTES = 1 << 14  # that are read at once for `Manifest.find`


class Made(Struct, frozen=True):
    """An output, made or about to appear.

    Attributes:
        output: its path below the output folder, with "/" between the parts.
        input: the name of the task that it was made from.
        source: the input when it was read.
        result: the output when it was finished; its time is `ON_ITS_WAY` if a store had yet to
            get it.
        recipe: identity of the model and the options that it was made with.
        sha256: of the input; None where nobody asked for it.
        replaces: the file of ours that it replaced, if there was one.
        time: when the line was written, in seconds since 1970; 0 in lines of before 0.2.
    """

    output: str
    input: str
    source: FileState
    result: FileState
    recipe: str
    sha256: str | None = None
    replaces: FileState | None = None
    time: float = 0.0

    def to_line(self) -> dict[str, Any]:
        """JSON-ready values."""
        values = {"event": "made"} | asdict(self)
        for name in ("source", "result", "replaces"):
            state = getattr(self, name)
            values[name] = None if state is None else _numbers(state)
        return values

    @classmethod
    def from_line(cls, values: dict[str, Any]) -> "Made":
        """The inverse of `to_line`.

        Raises:
            KeyError, TypeError, ValueError: the line does not have such values.
        """
        output, source, recipe = values["output"], values["input"], values["recipe"]
        if not (isinstance(output, str) and isinstance(source, str) and isinstance(recipe, str)):
            raise TypeError("not a text")
        sha256, replaces, time = values["sha256"], values["replaces"], values.get("time", 0.0)
        if not (sha256 is None or isinstance(sha256, str)):
            raise TypeError("not a digest")
        if not isinstance(time, int | float):
            raise TypeError("not a time")
        return cls(
            output,
            source,
            _state(values["source"]),
            _state(values["result"]),
            recipe,
            sha256,
            None if replaces is None else _state(replaces),
            time,
        )


def _numbers(state: FileState) -> list[int | str]:
    """A state as a line has it; files have no version."""
    version = [state.version] if state.version else []
    return [state.size, state.mtime_ns, *version]


def _state(value: Any) -> FileState:
    size, mtime_ns, *rest = value
    version = rest[0] if rest else ""
    if type(size) is not int or type(mtime_ns) is not int or type(version) is not str:
        raise TypeError("not a state")
    return FileState(size, mtime_ns, version)


class Manifest:
    """The manifest of one output folder; may be used by several threads.

    Args:
        path: the file.
        writable: whether to append to it, creating it if necessary. Without, a file that does not
            exist counts as empty.
        keep: makes what was written last as long as the file itself, given its descriptor, its
            name, and where that begins; see `sync`. A journal in a store does it in another way.

    Raises:
        LedgerError: it cannot be opened or read.
    """

    def __init__(
        self,
        path: Path,
        *,
        writable: bool = True,
        keep: Callable[[int, Path, int], None] = sync,
    ) -> None:
        self.path, self._writable, self._keep = path, writable, keep
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        self._offsets: dict[int, int] = {}
        self._recipes: set[str] = set()
        self._descriptor = -1
        try:
            with self._explained():
                self._open()
                # A file without a line of ours is somebody else's, who may want it as it is.
                ours = self._offsets or self._recipes
                if self._spare > max(_SPARE_LINES, len(self._offsets)) and writable and ours:
                    self._compact()
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Make sure that everything is on the disk, and close the file.

        Raises:
            LedgerError: it cannot be written.
        """
        try:
            if self._writable and self._descriptor >= 0:
                self.sync()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Close the file, whatever is in it, if it is open."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def find(self, output: str) -> Made | None:
        """The latest line about an output, given by its path below the output folder."""
        with self._lock:
            offset = self._offsets.get(_key(output))
            if offset is None:
                return None
            with self._explained():
                line = self._read_line(offset)
        values = _parse(line)
        made = _made(values) if values else None
        return made if made is not None and made.output == output else None

    def promise(self, made: Made) -> None:
        """Put an output on record, durably, before it takes its name.

        Threads that come while the disk is busy share its next turn.

        Raises:
            LedgerError: it cannot be written.
        """
        self.amend(made)
        self.sync()

    def amend(self, made: Made) -> None:
        """Say more of an output; it is durable when something else is.

        Raises:
            LedgerError: it cannot be written.
        """
        with self._explained(), self._lock:
            offset = self._append(made.to_line())
            self._offsets[_key(made.output)] = offset

    def sync(self) -> None:
        """Make all that was written durable.

        Raises:
            LedgerError: that is not possible.
        """
        with self._explained():
            with self._lock:
                end = self._end
            self._sync(end)

    def remark(self, event: str, values: dict[str, Any]) -> None:
        """Add a line for people, which changes nothing.

        Raises:
            LedgerError: it cannot be written.
        """
        with self._explained(), self._lock:
            self._append({"event": event} | values)

    def remember_recipe(self, identity: str, values: dict[str, Any]) -> None:
        """Say once what the recipe of the lines to come is.

        Raises:
            LedgerError: it cannot be written.
        """
        if identity not in self._recipes:
            self.remark("recipe", {"recipe": identity} | values)
            self._recipes.add(identity)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The values of all lines that are whole, from the first; those of outputs are `Made`'s.

        Raises:
            LedgerError: it cannot be read.
        """
        with self._explained():
            for _, line in self._lines() if self._descriptor >= 0 else ():
                values = _parse(line)
                if values and (values["event"] != "made" or _made(values) is not None):
                    yield values

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT if self._writable else os.O_RDONLY
        self._end = self._synced = self._spare = 0
        self._ahead = 0, b""  # lines that were read, and the offset of the first
        self._run = -1  # offset of the line about the last run
        self._torn = False
        try:
            self._descriptor = open_plain(self.path, flags)
        except FileNotFoundError:
            if self._writable:
                raise
            return
        for offset, line in self._lines():
            self._end = self._synced = offset + len(line)
            self._torn = not line.endswith(b"\n")
            values = _parse(line)
            made = _made(values) if values else None
            if made is not None:
                key = _key(made.output)
                self._spare += key in self._offsets
                self._offsets[key] = offset
            elif values and values["event"] == "recipe":
                self._recipes.add(str(values.get("recipe")))
            elif values and values["event"] == "run":
                self._run = offset
            else:
                self._spare += 1

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            offset = 0
            while line := file.readline(_LINE_BYTES):
                if len(line) == _LINE_BYTES and not line.endswith(b"\n"):
                    raise NotPlainError(errno.EINVAL, "it has lines that no run has written")
                yield offset, line
                offset += len(line)

    def _read_line(self, offset: int) -> bytes:
        """The line at an offset, and those behind it for the next calls.

        Pictures come about in the order of their lines, and what is whole once never changes.
        """
        begin = offset - self._ahead[0]
        end = self._ahead[1].find(b"\n", begin) + 1 if begin >= 0 else 0
        if end == 0:
            with os.fdopen(os.dup(self._descriptor), "rb") as file:
                file.seek(offset)
                line = file.readline(_LINE_BYTES)
                self._ahead = offset, line + file.read(_AHEAD_BYTES)
            return line
        return self._ahead[1][begin:end]

    def _append(self, values: dict[str, Any]) -> int:
        """Append a line, and give its offset."""
        data = json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"
        if self._torn:
            data = b"\n" + data
        begin = self._end + self._torn
        self._torn = True  # until all of it is written
        rest = memoryview(data)
        while rest:
            written = os.write(self._descriptor, rest)
            rest = rest[written:]
            self._end += written
        self._torn = False
        return begin

    def _sync(self, end: int) -> None:
        """Return when everything before the offset `end` is on the disk."""
        with self._sync_lock:
            if self._synced >= end:
                return
            with self._lock:
                reached = self._end
            self._keep(self._descriptor, self.path, self._synced)
            self._synced = reached

    def _compact(self) -> None:
        """Rewrite the file without lines that others have superseded, atomically.

        Where that is not possible, it stays as it is: on Windows while somebody else reads it.
        """
        kept = {*self._offsets.values(), self._run}
        try:
            with atomic_write(self.path, overwrite=True, error=LedgerError) as file:
                for offset, line in self._lines():
                    values = None if offset in kept else _parse(line)
                    if offset in kept or (values and values["event"] == "recipe"):
                        file.write(line)
                self._let_go()  # Windows replaces no file that is open, by ourselves neither
        except LedgerError as error:
            logger.debug("%s It stays longer than it need be.", error.message)
        self._let_go()
        self._offsets.clear()
        self._open()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn failures of the file system into `LedgerError`."""
        try:
            yield
        except NotPlainError as error:
            raise LedgerError(
                f"the list of what is done cannot be kept there: {error.strerror}.",
                "Move it away, or choose another output folder with -o.",
                about=display_name(self.path),
            ) from error
        except OSError as error:
            raise LedgerError(
                f"the list of what is done cannot be kept ({error.strerror}).",
                "Make room there, or choose another output folder with -o.",
                about=display_name(self.path),
                kind=kind_of_system_error(error, reading=False),
            ) from error


def _key(output: str) -> int:
    """A number that stands for an output: an object per name would take several times the memory.

    Should two names ever have the same one, `Manifest.find` sees that, and a picture is made again.
    """
    digest = hashlib.blake2b(output.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def _parse(line: bytes) -> dict[str, Any] | None:
    """The values of a line; None if it is damaged."""
    try:
        values = json.loads(line.decode())  # of bytes it would guess the encoding
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and "event" in values else None


def _made(values: dict[str, Any]) -> Made | None:
    if values["event"] != "made":
        return None
    try:
        return Made.from_line(values)
    except (KeyError, TypeError, ValueError):
        return None
