"""Pictures as they arrive: a source of tasks that does not end by itself.

What is new is found by looking through the input folders, as an ordinary run does; events of the
file system only say when to look. Events alone would not do: they get lost when there are too many,
network drives send none, and what is in a new folder may be older than the watch on it.
"""

import logging
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct
from watchfiles import watch
from watchfiles.main import FileChange

from edsr_cli.folders.roots import Root
from edsr_cli.folders.scanning import BatchTask, Item, Scanner, Source, Unlisted

logger = logging.getLogger(__name__)

SETTLE = 2.0
"""Seconds for which a file must not have changed before it is taken."""

_TICK = 0.25  # seconds; how promptly events, files that have settled, and a stop are noticed
_REGULAR = 30.0  # seconds between looks where there is no event
_SHARE = 20  # looking takes at most one part in so many of the time

_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp")
"""What programs append to a name while they fetch the file. One of no picture's endings, so that
these files are no tasks; some programs put an empty file of the final name beside them."""

_Signature = tuple[int, int, int]


class _Candidate(Struct):
    """A file that is new or has changed, and has not settled yet."""

    task: BatchTask
    signature: _Signature
    since: float  # when it was found with this signature; of time.monotonic()


class Watcher:
    """Finds what is in the input folders, then what arrives there and what changes.

    A file that is being written is taken when it has settled: when its size and times have not
    changed for a while, it is not empty, and no other file's name says that it is being fetched.
    A file that is deleted before that is forgotten. One that changes later is given again.

    Args:
        scanner: finds the pictures.
        roots: its input folders.
        settle: seconds for which a file must not have changed.
    """

    def __init__(self, scanner: Scanner, roots: Sequence[Root], settle: float = SETTLE) -> None:
        self._scanner, self._roots, self._settle = scanner, roots, settle
        self._given: dict[str, _Signature] = {}  # by output, as they were when they were given
        self._candidates: dict[str, _Candidate] = {}
        self._unlisted: set[Path] = set()

    def tasks(self) -> Source:
        """What is there, and from then on what is new. Close it to stop watching."""
        with closing(_Changes(self._roots)) as changes:  # before the first look: none is missed
            yield from self._first_look()
            looked, took, changed = time.monotonic(), 0.0, True
            while True:
                changed = changes.wait() or changed
                yield None
                rested = time.monotonic() - looked
                if rested >= took * _SHARE and (changed or rested >= _REGULAR):
                    begin, changed = time.monotonic(), False
                    yield from self._look()
                    looked = time.monotonic()
                    took = looked - begin
                yield from self._settled()

    def _first_look(self) -> Iterator[Item]:
        """All there is, but for files that somebody may be writing."""
        for item in self._scanner.walk():
            if isinstance(item, BatchTask):
                signature = _signature(item.source)
                if signature is not None:
                    if abs(time.time() - signature[1] / 1e9) < self._settle:
                        continue  # the next look will find it
                    self._given[str(item.destination)] = signature
            elif isinstance(item, Unlisted):
                self._unlisted.add(item.path)
            yield item

    def _look(self) -> Source:
        """Find candidates; gives folders that cannot be listed any more, and None now and then."""
        there: dict[str, _Signature] = {}
        unlisted: set[Path] = set()
        ticked = time.monotonic()
        for item in self._scanner.walk():
            if time.monotonic() - ticked > _TICK:
                yield None
                ticked = time.monotonic()
            if isinstance(item, BatchTask):
                key, signature = str(item.destination), _signature(item.source)
                if key in self._given:
                    there[key] = self._given[key]
                if signature is not None and signature != there.get(key):
                    self._consider(key, item, signature)
            elif isinstance(item, Unlisted):
                unlisted.add(item.path)
                if item.path not in self._unlisted:
                    yield item
        self._given, self._unlisted = there, unlisted

    def _consider(self, key: str, task: BatchTask, signature: _Signature) -> None:
        known = self._candidates.get(key)
        if known is None or known.signature != signature or known.task != task:
            self._candidates[key] = _Candidate(task, signature, time.monotonic())

    def _settled(self) -> Iterator[BatchTask]:
        """The candidates that nobody is writing any more."""
        for key, candidate in list(self._candidates.items()):
            now = time.monotonic()
            if now - candidate.since < self._settle:
                continue
            signature = _signature(candidate.task.source)
            if signature is None:
                del self._candidates[key]
            elif signature != candidate.signature or not _is_whole(candidate):
                candidate.signature, candidate.since = signature, now
            else:
                del self._candidates[key]
                self._given[key] = signature
                yield candidate.task


def _signature(path: Path) -> _Signature | None:
    """What changes when a file does, its permissions included; None if it cannot be looked at."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_whole(candidate: _Candidate) -> bool:
    source = candidate.task.source
    if candidate.signature[0] == 0:
        return False
    return not any(os.path.lexists(f"{source}{ending}") for ending in _UNFINISHED)


class _Changes:
    """Says whether something may have changed in the input folders.

    Where the system cannot tell, that is logged once, and then it never says so.
    """

    def __init__(self, roots: Sequence[Root]) -> None:
        self._paths = [root.path for root in roots]
        # What is written to the output folders is no news. Some systems report real paths.
        folders = {root.folder.absolute() for root in roots}
        self._ours = tuple(folders | {Path(os.path.realpath(folder)) for folder in folders})
        self._events: Generator[set[FileChange], None, None] | None = None
        self._start()

    def wait(self) -> bool:
        """Wait for a moment, or less if something happens."""
        if self._events is None:
            time.sleep(_TICK)
            return False
        try:
            changes = next(self._events)
        except (OSError, RuntimeError, StopIteration) as error:
            # It cannot report a name that is not UTF-8, among other things.
            logger.debug("Watching for changes starts again: %s", error)
            self._start()
            return True
        return not all(self._is_ours(Path(path)) for _, path in changes)

    def close(self) -> None:
        """Stop watching."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _start(self) -> None:
        self.close()
        tick = round(_TICK * 1000)
        self._events = watch(
            *self._paths,
            watch_filter=None,
            debounce=tick,
            rust_timeout=tick,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        try:
            next(self._events)  # it watches from here on
        except (OSError, RuntimeError, StopIteration) as error:
            logger.warning(
                "The system does not report changes (%s), so new pictures are looked for every "
                "%d seconds.",
                error,
                _REGULAR,
            )
            self.close()

    def _is_ours(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._ours)
