"""A run over folders: everything put together, and told to whoever listens."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import Kind
from edsr_cli.folders.ledger import FolderLedger
from edsr_cli.folders.recipe import Recipe
from edsr_cli.folders.scanning import Ignored, Passed, Source, Unlisted
from edsr_cli.folders.shards import WHOLE, Shard
from edsr_cli.folders.summary import Summary
from edsr_cli.jobs.estimates import plan
from edsr_cli.jobs.executors import Executor, Loop, Serial
from edsr_cli.jobs.flow import start_thread
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.jobs.record import ENDING, Record, Status
from edsr_cli.jobs.threads import Limits, Threaded
from edsr_cli.jobs.worker import Worker
from edsr_cli.stores.store import Store

if TYPE_CHECKING:
    from edsr_cli.jobs.cluster import Distributed, Site
    from edsr_cli.jobs.remote_ledger import RemoteLedger


class State(Struct, frozen=True):
    """How a run is going.

    Attributes:
        summary: what has ended so far.
        fed: tasks that have been found so far.
        total: tasks that there are; the number grows while they are counted. None if nobody counts.
        counted: whether `total` is final.
        loops: what the devices are doing.
        waiting: pictures that wait for a device, and for an encoder.
        stopping: whether nothing new is begun.
    """

    summary: Summary
    fed: int
    total: int | None
    counted: bool
    loops: Sequence[Loop]
    waiting: tuple[int, int]
    stopping: bool


class Listener(Protocol):
    """Who wants to know. All calls come from the thread that called `Batch.run`.

    What a listener raises ends the run at once, and comes out of it.
    """

    def ended(self, record: Record) -> None:
        """A file has ended."""

    def tick(self, state: State) -> None:
        """Some time has passed; called several times a second."""

    def finished(self, summary: Summary) -> None:
        """The run is over, perhaps before its time; not called if it ends with an exception."""


class Batch:
    """One run over folders.

    Args:
        worker: who does the work. Its ledger does not count: the run has one of its own.
        folders: the output folders of all tasks to come.
        goals: the folders of stores that outputs of some of them go to.
        recipe: what outputs are made with.
        limits: how much is done at the same time.
        checksum: whether inputs are known by their content instead of size and time.
        fail_fast: whether the first failure stops the run.
        watching: whether pictures may come and go, so that it is no failure if one vanishes.
        shard: the part of all pictures that tasks will come of.
        run_line: gives what the manifest of an output folder is told; see `status.run_line`.
        site: a cluster to work on; None for this machine.

    Attributes:
        lingering: whether a thread is still at work on a device, although the run was broken off.
    """

    def __init__(
        self,
        *,
        worker: Worker,
        folders: Sequence[Path],
        goals: Mapping[Path, Store] = MappingProxyType({}),
        recipe: Recipe,
        limits: Limits,
        checksum: bool = False,
        fail_fast: bool = False,
        watching: bool = False,
        shard: Shard = WHOLE,
        run_line: Callable[[Path], dict[str, Any]] | None = None,
        site: "Site | None" = None,
    ) -> None:
        self._worker, self._limits, self._site, self._run_line = worker, limits, site, run_line
        self._folders = folders
        self._open_ledger = partial(
            FolderLedger, folders, recipe, checksum=checksum, shard=shard, goals=dict(goals)
        )
        self._fail_fast, self._watching = fail_fast, watching
        self._asked: str | None = None
        self._executor: Executor | None = None
        self.lingering = False

    def ask_to_stop(self, why: str = "interrupted") -> None:
        """Finish what is on a device or beyond, and begin nothing new.

        It only sets flags, so that a signal handler may call it.

        Args:
            why: see `Summary.stopped`.
        """
        self._asked = self._asked or why
        if self._executor is not None:
            self._executor.stop()

    def run(
        self,
        source: Source,
        listeners: Sequence[Listener] = (),
        counting: Iterator[int] | None = None,
    ) -> Summary:
        """Do all tasks of a source.

        Args:
            source: where tasks come from.
            listeners: who is told.
            counting: gives numbers of tasks, which add up to that of all; it runs ahead.

        Raises:
            EdsrError: an output folder cannot be used, another run is at work in it, or there are
                no threads to be had.
            BaseException: whatever a listener raises, or a signal handler does; nothing
                half-written is left then either.
        """
        summary = Summary()
        begin = time.perf_counter()
        with ExitStack() as stack:
            ledger = self._ledger()
            stack.callback(_close, ledger, summary)
            if self._run_line is not None:
                ledger.remark("run", self._run_line)
            counter = stack.enter_context(_Counter(counting))

            def tick(executor: "Threaded | Distributed") -> None:
                summary.seconds, summary.load = time.perf_counter() - begin, executor.load
                state = State(
                    summary,
                    executor.fed,
                    counter.total,
                    counter.ended,
                    executor.loops,
                    executor.waiting,
                    self._asked is not None,
                )
                for listener in listeners:
                    listener.tick(state)

            executor = self._crew(ledger, tick)
            try:
                self._drive(executor, source, listeners, summary)
            finally:
                self.lingering = executor.lingering
            with suppress(LedgerError):  # it is for people; nothing depends on it
                end = {"stopped": summary.stopped, "time": round(time.time(), 3)}
                ledger.remark("ended", lambda _: end)
            summary.seconds, summary.load = time.perf_counter() - begin, executor.load
        for listener in listeners:
            listener.finished(summary)
        return summary

    def plan(self, source: Source, listeners: Sequence[Listener] = ()) -> Summary:
        """What `run` would do, with a record for each task; nothing is written.

        Raises:
            As `run`.
        """
        summary = Summary()
        begin = time.perf_counter()
        with closing(self._open_ledger(writable=False)) as ledger:
            executor = Serial(partial(plan, replace(self._worker, ledger=ledger)))
            self._drive(executor, source, listeners, summary)
        summary.seconds = time.perf_counter() - begin
        for listener in listeners:
            listener.finished(summary)
        return summary

    def _ledger(self) -> "FolderLedger | RemoteLedger":
        if self._site is None:
            return self._open_ledger()
        from edsr_cli.jobs.remote_ledger import RemoteLedger

        return RemoteLedger(self._open_ledger, self._folders)

    def _crew(
        self,
        ledger: "FolderLedger | RemoteLedger",
        tick: Callable[["Threaded | Distributed"], None],
    ) -> "Threaded | Distributed":
        if self._site is None:
            return Threaded(replace(self._worker, ledger=ledger), self._limits, tick=tick)
        from edsr_cli.jobs.cluster import Distributed
        from edsr_cli.jobs.remote_ledger import RemoteLedger

        assert isinstance(ledger, RemoteLedger)
        return Distributed(self._site, ledger, tick=tick)

    def _drive(
        self, executor: Executor, source: Source, listeners: Sequence[Listener], summary: Summary
    ) -> None:
        """Do all tasks, and count and tell what ends."""

        def done(item: Record | Passed | Unlisted) -> None:
            if isinstance(item, Passed):
                summary.ignored[item.why] += 1
                if item.why is Ignored.UNREAD:
                    summary.unread[item.path.suffix.lower()] += 1
                return
            record = item.record() if isinstance(item, Unlisted) else item
            if self._watching and record.kind is Kind.MISSING:
                summary.ignored[Ignored.VANISHED] += 1
                return
            self._count(record, summary)
            for listener in listeners:
                listener.ended(record)

        self._executor = executor
        if self._asked:  # before there was one
            executor.stop()
        try:
            executor.run(source, done)
        finally:  # it tells this of its time, so that the two would keep each other
            self._executor = None
        summary.stopped = self._asked

    def _count(self, record: Record, summary: Summary) -> None:
        summary.add(record)
        if record.status is not Status.FAILED:
            return
        if record.kind in ENDING:
            assert record.kind is not None
            self.ask_to_stop(record.kind.value)
        elif self._fail_fast:
            self.ask_to_stop("failure")


def _close(ledger: "FolderLedger | RemoteLedger", summary: Summary) -> None:
    """Close a ledger; if the run has ended since that cannot be written, this has been told."""
    try:
        ledger.close()
    except LedgerError:
        if summary.stopped != Kind.MANIFEST:
            raise


class _Counter:
    """Counts tasks in a thread of its own.

    The folders are walked twice for it, once ahead of the work. To walk them once, all that was
    found would have to be held (about a gigabyte for a million pictures, or as much work on a
    disk), and what arrives in a folder before its turn comes would be left out.

    Args:
        counting: see `Batch.run`.
    """

    def __init__(self, counting: Iterator[int] | None) -> None:
        self._counting = counting
        self.total = None if counting is None else 0
        self.ended = False
        self._wanted = True
        self._thread = threading.Thread(target=self._count, name="edsr-count")

    def __enter__(self) -> "_Counter":
        if self._counting is not None:
            start_thread(self._thread)
        return self

    def __exit__(self, *exception: object) -> None:
        self._wanted = False
        if self._counting is not None:
            self._thread.join()

    def _count(self) -> None:
        assert self._counting is not None and self.total is not None
        for count in self._counting:
            if not self._wanted:
                return
            self.total += count
        self.ended = True
