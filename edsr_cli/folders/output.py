"""An output folder: who works in it, and what its manifests say."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.files.disk import sync
from edsr_cli.files.identity import FolderIdentity
from edsr_cli.files.lock import BusyError, Lock, lock_descriptor
from edsr_cli.files.names import display_name
from edsr_cli.files.own import open_plain
from edsr_cli.files.state import FileState
from edsr_cli.files.temporary import remove_abandoned
from edsr_cli.folders.journal import Journal, journals
from edsr_cli.folders.manifest import Made, Manifest
from edsr_cli.folders.shards import WHOLE, Shard, lock_shard, manifest_shard
from edsr_cli.jobs.ledger import state_of
from edsr_cli.stores.store import Store

_LISTINGS = 8  # folders of a store whose outputs are remembered; tasks come folder by folder
_PATIENCE, _POLL = 2.0, 0.1
"""Seconds for which a lock of another part may be held by somebody who only looks whether it is."""


class Outputs:
    """What is in an output folder, here or in a store.

    Args:
        path: the folder.
        goal: the folder of a store that stands behind it.
    """

    def __init__(self, path: Path, goal: Store | None = None) -> None:
        self._path, self._goal = path, goal
        self._lock = threading.Lock()
        self._listed: OrderedDict[str, dict[str, FileState]] = OrderedDict()

    def name(self, output: str) -> str:
        """The path or address of an output, given by its path below the folder."""
        return self._goal.blob(output).shown if self._goal else str(self._path / output)

    def state(self, output: str) -> FileState | None:
        """The state of an output; None for nothing.

        A store lists its objects folder by folder, once, since asking for each would take hours.

        Raises:
            StoreError: it does not.
        """
        if self._goal is None:
            return state_of(self._path / output)
        folder, _, name = output.rpartition("/")
        with self._lock:
            if folder not in self._listed:
                entries = self._goal.folder(folder).entries()
                self._listed[folder] = {
                    entry.name: entry.state for entry in entries if entry.state is not None
                }
                if len(self._listed) > _LISTINGS:
                    self._listed.popitem(last=False)
            return self._listed[folder].get(name)


class OutputFolder:
    """An output folder: it exists, its manifests are open, and nobody makes the same pictures.

    Args:
        path: the folder; it is made if necessary.
        writable: whether it is to be written to. Without, nothing is made or locked.
        shard: the part of all pictures that is to be made. Other parts of as many may be made at
            the same time, by other processes.
        goal: the folder of a store that its outputs go to; it is then an empty one, for files on
            their way. There are no locks in stores: two runs would make the same outputs.

    Attributes:
        manifest: that of the part, to which lines are added.
        outputs: what is in it.

    Raises:
        EdsrError: it cannot be made, locked or written to.
        UsageError: another run is at work in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        writable: bool = True,
        shard: Shard = WHOLE,
        goal: Store | None = None,
    ) -> None:
        self.path, self._shard, self._goal = path, shard, goal
        self._unfinished: dict[Path, list[Path]] = {}  # temporary files of others, by folder
        self._lock = threading.RLock()
        self.outputs = Outputs(path, goal)
        keep: Callable[[int, Path, int], None] = sync
        with ExitStack() as stack:
            if writable or goal is not None:
                self._make()
            if goal is not None:
                fetch_manifests(goal, path)
                keep = Journal(goal, shard).keep
            elif writable:
                stack.callback(self._take_lock().release)
                self._check_others()
            self.manifest = Manifest(path / shard.manifest, writable=writable, keep=keep)
            stack.callback(self.manifest.close)
            self._others = []
            for other in manifests(path):
                if other != shard:
                    manifest = Manifest(path / other.manifest, writable=False)
                    stack.callback(manifest.close)
                    self._others.append(manifest)
            self._identity = FolderIdentity(path) if writable else None
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the manifest, and let others in.

        Raises:
            LedgerError: not everything could be brought to the disk.
        """
        self._stack.close()

    def find(self, output: str) -> list[Made]:
        """What each manifest says last about an output, given by its path below the folder.

        Those of other parts are as they were when the folder was opened.
        """
        found = (manifest.find(output) for manifest in (self.manifest, *self._others))
        return [made for made in found if made is not None]

    def check(self) -> None:
        """Make sure that the folder is still the one that it was.

        Raises:
            PictureError: it is not.
        """
        if self._identity is not None:
            self._identity.check()

    def tidy(self, folder: Path) -> None:
        """Remove what killed runs have left; once, before anything is written there.

        Args:
            folder: a folder in this one, or this one. Those between are tidied as well: where
                a folder is missing, the one above it is tried for permission to write.
        """
        with self._lock:
            if folder in self._unfinished:
                return
            self._unfinished[folder] = []
            if folder != self.path and folder.is_relative_to(self.path):
                self.tidy(folder.parent)
            self._unfinished[folder] = remove_abandoned(folder)

    def revoke(self, made: Made) -> None:
        """Keep whoever promised an output in an earlier run from giving it its name still.

        A worker on another machine may outlive its run, stopped for as long as anybody likes right
        behind its promise. Nothing takes a name whose temporary file has gone, so when this
        returns, either the output is there, or it will not come. The folder has been tidied.

        Args:
            made: the promise, by a run that has ended.
        """
        for path in self._unfinished.get((self.path / made.output).parent, ()):
            if state_of(path) == made.result:
                with suppress(OSError):
                    path.unlink()

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EdsrError(
                f"the output folder cannot be made ({error.strerror}).",
                "Choose another one with -o.",
                about=display_name(self.path),
            ) from error

    def _take_lock(self) -> Lock:
        path = self.path / self._shard.lock
        lock = Lock(path, "a second run in this folder would not be noticed")
        try:
            lock.acquire()
        except BusyError as error:
            raise self._busy(self._shard) from error
        except OSError as error:
            raise EdsrError(
                f"the output folder cannot be locked ({error.strerror}).",
                "Choose another one with -o.",
                about=display_name(path),
            ) from error
        return lock

    def _check_others(self) -> None:
        """Make sure that nobody is at work on what may be the same pictures.

        Runs that begin at the same time take their own locks before they look for others, so that
        at least one of them sees the other.

        Raises:
            UsageError: somebody is.
        """
        for other in locks(self.path):
            if other == self._shard or not self._shard.excludes(other):
                continue
            deadline = time.monotonic() + _PATIENCE
            while is_locked(self.path / other.lock):
                if time.monotonic() > deadline:
                    raise self._busy(other)
                time.sleep(_POLL)

    def _busy(self, other: Shard) -> UsageError:
        if other == WHOLE or self._shard == other:
            what = "another run is at work in this output folder"
        else:
            what = f"a run of shard {other} is at work in this output folder"
        return UsageError(
            f"{what}.",
            "Wait for it to end, or choose another folder with -o.",
            about=display_name(self.path),
        )


def fetch_manifests(goal: Store, folder: Path) -> None:
    """Make files of all manifests in a folder of a store.

    Raises:
        StoreError: they cannot be read.
    """
    for shard in journals(goal):
        Journal(goal, shard).fetch(folder / shard.manifest)


def manifests(folder: Path) -> list[Shard]:
    """The parts of which there are manifests in a folder, in order; none if it cannot be listed."""
    return _parts(folder, manifest_shard)


def locks(folder: Path) -> list[Shard]:
    """The parts that runs have locked in a folder, now or once; none if it cannot be listed."""
    return _parts(folder, lock_shard)


def _parts(folder: Path, part: Callable[[str], Shard | None]) -> list[Shard]:
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return []
    return sorted(shard for name in names if (shard := part(name)) is not None)


def is_locked(path: Path) -> bool:
    """Whether somebody has locked a file; no where it is not there, or cannot be locked."""
    try:
        descriptor = open_plain(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return lock_descriptor(descriptor) is False
    finally:
        os.close(descriptor)
