"""The ledger of a run over folders: what its manifests say is done, and what each file deserves."""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import Kind
from edsr_cli.files.names import display_name
from edsr_cli.files.state import ON_ITS_WAY, FileState
from edsr_cli.folders.manifest import Made
from edsr_cli.folders.output import OutputFolder
from edsr_cli.folders.recipe import Recipe
from edsr_cli.folders.scanning import BatchTask
from edsr_cli.folders.shards import WHOLE, Shard
from edsr_cli.images.source import open_source
from edsr_cli.jobs.ledger import Ledger, LedgerError, Verdict
from edsr_cli.jobs.record import ENDING, Record, Status
from edsr_cli.jobs.task import Task
from edsr_cli.stores.store import Store

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
        shard: the part of all pictures that tasks will come of.
        goals: the folders of stores that outputs of some of the folders go to.

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
        shard: Shard = WHOLE,
        goals: Mapping[Path, Store] = MappingProxyType({}),
    ) -> None:
        self._recipe, self._checksum = recipe.identity, checksum
        self._folders: dict[Path, OutputFolder] = {}
        with ExitStack() as stack:
            for path in dict.fromkeys(folders):
                self._folders[path] = folder = OutputFolder(
                    path, writable=writable, shard=shard, goal=goals.get(path)
                )
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

    def remark(self, event: str, values: Callable[[Path], dict[str, Any]]) -> None:
        """Add a line to each manifest, which decides nothing.

        Args:
            event: what it is about.
            values: JSON-ready values, for an output folder.

        Raises:
            LedgerError: it cannot be written.
        """
        for path, folder in self._folders.items():
            folder.manifest.remark(event, values(path))
            folder.manifest.sync()  # at the beginning, to know now whether that is possible

    def arrive(self, task: Task) -> None:
        task, folder = self._own(task)
        folder.tidy(task.destination.parent)

    def judge(self, task: Task, source: FileState, *, overwrite: bool) -> Verdict:
        task, folder = self._own(task)
        path = task.source
        digest = cache(lambda: _sha256(path)) if self._checksum else None
        wanted = Wanted(task.name, source, self._recipe, digest)
        output = task.output_name
        promised, found = folder.find(output), folder.outputs.state(output)
        for line in promised:
            if line.result != found:
                folder.revoke(line)
                found = folder.outputs.state(output)
        made = latest(found, promised)
        verdict = judge(wanted, found, made, overwrite=overwrite)
        if verdict.skip is not None:
            return verdict
        # The digest is of what is read now, not of what may come later.
        return replace(verdict, free=found is None, sha256=digest() if digest else None)

    def check(self, task: Task) -> None:
        self._own(task)[1].check()

    def promise(self, task: Task, source: FileState, verdict: Verdict, result: FileState) -> None:
        task, folder = self._own(task)
        folder.check()
        if task.goal is not None:
            result = FileState(result.size, ON_ITS_WAY)
        folder.manifest.promise(self._made(task, source, verdict, result))

    def delivered(self, task: Task, source: FileState, verdict: Verdict, result: FileState) -> None:
        task, folder = self._own(task)
        folder.manifest.amend(self._made(task, source, verdict, result))

    def _made(
        self, task: BatchTask, source: FileState, verdict: Verdict, result: FileState
    ) -> Made:
        return Made(
            output=task.output_name,
            input=task.name,
            source=source,
            result=result,
            recipe=self._recipe,
            sha256=verdict.sha256,
            replaces=verdict.replaces,
            time=round(time.time(), 3),
        )

    def close_account(self, task: Task, record: Record) -> None:
        if record.status is Status.FAILED and record.kind not in ENDING:
            task, folder = self._own(task)
            values = {
                "input": task.name,
                "kind": record.kind,
                "reason": record.reason,
                "time": round(record.ended, 3),
            }
            with suppress(LedgerError):  # it is for people who look there; nothing depends on it
                folder.manifest.remark("failed", values)

    def _own(self, task: Task) -> tuple[BatchTask, OutputFolder]:
        assert isinstance(task, BatchTask)
        return task, self._folders[task.folder]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_source(path, display_name(path)) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


class Wanted(Struct, frozen=True):
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


def latest(found: FileState | None, lines: Sequence[Made]) -> Made | None:
    """Of what several manifests say about an output, that which holds; None if they say nothing.

    That is what fits the file which is there, whenever it was written; else the last.

    Args:
        found: what is at the output's place; None for nothing.
        lines: the latest line of each manifest that has one.
    """

    def weight(made: Made) -> tuple[bool, float]:
        return found is not None and is_result(found, made), made.time

    return max(lines, key=weight, default=None)


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
    current = found.size > 0 and is_result(found, made)
    ours = current or found.size == 0 or (made.replaces is not None and _near(found, made.replaces))
    if overwrite:
        return Verdict(overwrite=True, replaces=found if ours else None)
    if ours and not current:
        return Verdict(overwrite=True, replaces=found)
    if wanted.made_by(made):
        return Verdict(skip=Kind.COMPLETE if ours else Kind.EDITED)
    # Out of date; but what somebody has edited is too good to replace.
    return Verdict(overwrite=True, replaces=found) if ours else Verdict()


def is_result(found: FileState, made: Made) -> bool:
    """Whether a file is the output of a line, not the one that it was to replace.

    Where nobody can tell, because both have one size and were made within the slack, it is not.
    """
    if made.result.mtime_ns == ON_ITS_WAY:  # a run was ended before it heard of its arrival
        return found.size == made.result.size and found != made.replaces
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
