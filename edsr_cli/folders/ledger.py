"""The ledger of a run over folders: what its manifests say is done, and what each file deserves."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from edsr_cli.errors import EdsrError, Kind, PictureError, UsageError
from edsr_cli.files.lock import BusyError, Lock
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.files.temporary import remove_abandoned
from edsr_cli.folders.manifest import Made, Manifest
from edsr_cli.folders.recipe import Recipe
from edsr_cli.folders.scanning import MANIFEST, BatchTask
from edsr_cli.images.source import open_source
from edsr_cli.jobs.ledger import FileState, Ledger, LedgerError, Verdict, state_of
from edsr_cli.jobs.record import ENDING, Record, Status
from edsr_cli.jobs.task import Task

LOCK = ".edsr-manifest.lock"
"""The file in an output folder that the run at work there has locked. It stays, empty."""

# Times of finished files may be rounded later: to 2 seconds on FAT, to 10 ms on exFAT.
_MTIME_SLACK_NS, _MTIME_GRID_NS = 2 * 10**9, 10**7


class FolderLedger(Ledger):
    """The manifests of output folders, and the folders themselves.

    It is made from values, so that each worker of a run may open one, on folders of its own.

    Args:
        folders: the output folders of all tasks to come; they are made, locked and tidied.
        recipe: what outputs are made with.
        checksum: whether inputs are known by their content instead of size and time.
        writable: whether to write to the folders. Without, nothing is made or locked.

    Raises:
        EdsrError: a folder cannot be used.
        UsageError: another run is at work in one of them.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        recipe: Recipe,
        *,
        checksum: bool = False,
        writable: bool = True,
    ) -> None:
        self._recipe, self._checksum = recipe.identity, checksum
        self._folders: dict[Path, OutputFolder] = {}
        with ExitStack() as stack:
            for path in dict.fromkeys(folders):
                self._folders[path] = folder = OutputFolder(path, writable=writable)
                stack.callback(folder.close)
            for folder in self._folders.values() if writable else ():
                folder.manifest.remember_recipe(self._recipe, recipe.to_dict())
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the manifests, and let others in.

        Raises:
            LedgerError: not everything could be brought to the disk.
        """
        self._stack.close()

    def arrive(self, task: Task) -> None:
        task, folder = self._own(task)
        folder.tidy(task.destination.parent)

    def judge(self, task: Task, source: FileState, *, overwrite: bool) -> Verdict:
        task, folder = self._own(task)
        path = task.source
        digest = cache(lambda: _sha256(path)) if self._checksum else None
        wanted = Wanted(task.name, source, self._recipe, digest)
        made = folder.manifest.find(task.output_name)
        verdict = judge(wanted, state_of(task.destination), made, overwrite=overwrite)
        if digest is None or verdict.skip is not None:
            return verdict
        return replace(verdict, sha256=digest())  # of what is read now, not of what may come later

    def check(self, task: Task) -> None:
        self._own(task)[1].check()

    def promise(self, task: Task, source: FileState, verdict: Verdict, result: FileState) -> None:
        task, folder = self._own(task)
        made = Made(
            output=task.output_name,
            input=task.name,
            source=source,
            result=result,
            recipe=self._recipe,
            sha256=verdict.sha256,
            replaces=verdict.replaces,
        )
        folder.manifest.promise(made)

    def close_account(self, task: Task, record: Record) -> None:
        if record.status is Status.FAILED and record.kind not in ENDING:
            task, folder = self._own(task)
            values = {"input": task.name, "kind": record.kind, "reason": record.reason}
            with suppress(LedgerError):  # it is for people who look there; nothing depends on it
                folder.manifest.remark("failed", values)

    def _own(self, task: Task) -> "tuple[BatchTask, OutputFolder]":
        assert isinstance(task, BatchTask)
        return task, self._folders[task.folder]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_source(path, display_name(path)) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class Wanted:
    """What is to be made.

    Attributes:
        input: the task's name.
        source: the input as it is now.
        recipe: identity of the model and the options.
        sha256: gives the input's digest, if that counts instead of its size and time.
    """

    input: str
    source: FileState
    recipe: str
    sha256: Callable[[], str] | None = None

    def made_by(self, made: Made) -> bool:
        """Whether an output is what would be made now."""
        if (made.input, made.recipe) != (self.input, self.recipe):
            return False
        if self.sha256 is not None and made.sha256 is not None:
            return made.sha256 == self.sha256()
        return made.source == self.source


def judge(
    wanted: Wanted, found: FileState | None, made: Made | None, *, overwrite: bool = False
) -> Verdict:
    """Decide about one picture.

    Args:
        wanted: what is to be made.
        found: what is at the output's place; None for nothing.
        made: what the manifest says about the output.
        overwrite: whether to make it in any case, whatever it replaces.
    """
    if found is None:
        return Verdict(overwrite=overwrite)
    if made is None:
        # Somebody else's: without leave to replace it, writing it will fail, and say so.
        return Verdict(overwrite=overwrite)
    # An empty file is no output: somebody was kept from writing it, here by a kill or power cut.
    current = found.size > 0 and _is_result(found, made)
    ours = current or found.size == 0 or (made.replaces is not None and _near(found, made.replaces))
    if overwrite:
        return Verdict(overwrite=True, replaces=found if ours else None)
    if ours and not current:
        return Verdict(overwrite=True, replaces=found)
    if wanted.made_by(made):
        return Verdict(skip=Kind.COMPLETE if ours else Kind.EDITED)
    # Out of date; but what somebody has edited is too good to replace.
    return Verdict(overwrite=True, replaces=found) if ours else Verdict()


def _is_result(found: FileState, made: Made) -> bool:
    """Whether a file is the output of a line, not the one that it was to replace.

    Where nobody can tell, because both have one size and were made within the slack, it is not.
    """
    if found == made.result:
        return found != made.replaces
    older = made.replaces is not None and _near(found, made.replaces)
    return _near(found, made.result) and not older


def _near(found: FileState, known: FileState) -> bool:
    """Whether a file is a known one, its time perhaps rounded."""
    if found.size != known.size or found.mtime_ns == known.mtime_ns:
        return found == known
    rounded = found.mtime_ns % _MTIME_GRID_NS == 0
    return rounded and abs(found.mtime_ns - known.mtime_ns) <= _MTIME_SLACK_NS


class OutputFolder:
    """An output folder: it exists, nobody else works in it, and its manifest is open.

    Args:
        path: the folder; it is made if necessary.
        writable: whether it is to be written to. Without, nothing is made or locked.

    Raises:
        EdsrError: it cannot be made, locked or written to.
        UsageError: another run is at work in it.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self._tidied: set[Path] = set()
        self._lock = threading.Lock()
        with ExitStack() as stack:
            if writable:
                self._make()
                stack.callback(self._take_lock().release)
            self.manifest = Manifest(path / MANIFEST, writable=writable)
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
