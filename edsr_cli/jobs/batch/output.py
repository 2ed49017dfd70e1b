"""An output folder while it is being worked in."""

import os
import threading
from contextlib import ExitStack
from pathlib import Path

from edsr_cli.errors import EdsrError, PictureError, UsageError
from edsr_cli.files.lock import BusyError, Lock
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.files.temporary import remove_abandoned
from edsr_cli.jobs.batch.made import FileState
from edsr_cli.jobs.batch.manifest import Manifest
from edsr_cli.jobs.batch.scanning import MANIFEST

LOCK = ".edsr-manifest.lock"
"""The file in an output folder that the run at work there has locked. It stays, empty."""


class OutputFolder:
    """An output folder: it exists, nobody else works in it, and its manifest is open.

    Args:
        path: the folder; it is made if necessary.
        writable: whether it is to be written to. Without, nothing is made or locked.

    Raises:
        EdsrError: it cannot be made, locked or written to.
        UsageError: another run is at work in it.
    """

    def __init__(self, path: Path, writable: bool = True) -> None:
        self.path = path
        self._tidied: set[Path] = set()
        self._lock = threading.Lock()
        with ExitStack() as stack:
            if writable:
                self._make()
                stack.callback(self._take_lock().release)
            self.manifest = Manifest(path / MANIFEST, writable)
            stack.callback(self.manifest.close)
            self._identity = self._find() if writable else None
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the manifest, and let others in."""
        self._stack.close()

    def check(self) -> None:
        """Make sure that the folder is still the one that it was.

        A disk that is unplugged must not be filled up from below: the folder is not made again.

        Raises:
            PictureError: it is not.
        """
        if self._identity is None:
            return
        try:
            found = self._find()
        except OSError as error:
            raise PictureError(
                f"the output folder has gone ({error.strerror}).",
                "Bring it back, and start again.",
                about=display_name(self.path),
                kind=kind_of_system_error(error, reading=False),
            ) from error
        if found != self._identity:
            raise PictureError(
                "the output folder has been replaced by another.",
                "Start again.",
                about=display_name(self.path),
            )

    def tidy(self, folder: Path) -> None:
        """Remove what killed runs have left; once, before anything is written there.

        Args:
            folder: a folder in this one, or this one. Those between are tidied as well: where
                a folder is missing, the one above it is tried for permission to write.
        """
        with self._lock:
            if folder in self._tidied:
                return
            self._tidied.add(folder)
        if folder != self.path and folder.is_relative_to(self.path):
            self.tidy(folder.parent)
        remove_abandoned(folder)

    def _find(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_dev, status.st_ino

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
        lock = Lock(self.path / LOCK, "a second run in this folder would not be noticed")
        name = display_name(self.path)
        try:
            lock.acquire()
        except BusyError as error:
            raise UsageError(
                "another run is at work in this output folder.",
                "Wait for it to end, or choose another folder with -o.",
                about=name,
            ) from error
        except OSError as error:
            raise EdsrError(
                f"the output folder cannot be locked ({error.strerror}).",
                "Choose another one with -o.",
                about=display_name(self.path / LOCK),
            ) from error
        return lock


def state_of(path: Path) -> FileState | None:
    """The state of what is at a place; None for nothing. A link counts as the file it leads to."""
    try:
        return FileState.of(path.stat())
    except OSError:
        # Something that cannot be looked at is there all the same, and fits no line.
        return FileState(-1, -1) if os.path.lexists(path) else None
