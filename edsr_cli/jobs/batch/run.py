"""A run over folders: everything put together, and told to whoever listens."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edsr_cli.errors import Kind
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.batch.flow import start_thread
from edsr_cli.jobs.batch.limits import Limits
from edsr_cli.jobs.batch.output import OutputFolder
from edsr_cli.jobs.batch.pipeline import Loop, Pipeline
from edsr_cli.jobs.batch.recipe import Recipe
from edsr_cli.jobs.batch.record import ENDING, Record
from edsr_cli.jobs.batch.steps import Steps, unlisted
from edsr_cli.jobs.batch.summary import Load, Summary
from edsr_cli.jobs.batch.tasks import BatchTask, Ignored, Item, Passed, Source
from edsr_cli.jobs.upscale import Settings, Status

_TICK = 0.1  # seconds; also how promptly a request to stop is noticed
_PATIENCE = 2.0  # seconds that a device gets to notice that it is to stop at once


@dataclass(frozen=True)
class State:
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
        upscalers: one for each device; with the same network, scale and precision.
        folders: the output folders of all tasks to come.
        settings: for every picture.
        recipe: what outputs are made with.
        limits: how much is done at the same time.
        checksum: whether inputs are known by their content instead of size and time.
        fail_fast: whether the first failure stops the run.
        watching: whether pictures may come and go, so that it is no failure if one vanishes.

    Attributes:
        lingering: whether a thread is still at work on a device, although the run was broken off.
    """

    def __init__(
        self,
        upscalers: Sequence[Upscaler],
        folders: Sequence[Path],
        settings: Settings,
        recipe: Recipe,
        limits: Limits,
        checksum: bool = False,
        fail_fast: bool = False,
        watching: bool = False,
    ) -> None:
        self._upscalers, self._paths = upscalers, dict.fromkeys(folders)
        self._settings, self._recipe, self._limits = settings, recipe, limits
        self._checksum, self._fail_fast, self._watching = checksum, fail_fast, watching
        self._asked: str | None = None
        self.lingering = False

    def ask_to_stop(self, why: str = "interrupted") -> None:
        """Finish what is on a device or beyond, and begin nothing new.

        It only sets a flag, so that a signal handler may call it.

        Args:
            why: see `Summary.stopped`.
        """
        self._asked = self._asked or why

    def run(
        self,
        source: Source,
        listeners: Sequence[Listener] = (),
        counting: Iterator[Item] | None = None,
    ) -> Summary:
        """Do all tasks of a source.

        Args:
            source: where tasks come from.
            listeners: who is told.
            counting: gives all tasks once more, to find out how many there are; it runs ahead.

        Raises:
            EdsrError: an output folder cannot be used, another run is at work in it, or there are
                no threads to be had.
            BaseException: whatever a listener raises, or a signal handler does; nothing
                half-written is left then either.
        """
        summary = Summary()
        begin = time.perf_counter()
        with ExitStack() as stack:
            folders = self._open(stack, writable=True)
            for folder in folders.values():
                folder.manifest.remember_recipe(self._recipe.identity, self._recipe.to_dict())
            steps = Steps(self._upscalers[0], self._settings, self._recipe, folders, self._checksum)

            def arriving(task: BatchTask) -> None:
                folders[task.folder].tidy(task.destination.parent)

            pipeline = Pipeline(
                source, steps, self._upscalers, self._settings, self._limits, arriving
            )
            counter = stack.enter_context(_Counter(counting))
            self._drive(pipeline, listeners, summary, counter, begin)
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
        with ExitStack() as stack:
            folders = self._open(stack, writable=False)
            steps = Steps(self._upscalers[0], self._settings, self._recipe, folders, self._checksum)
            for item in source:
                if self._asked:
                    break
                if item is None:
                    continue
                result = steps.plan(item) if isinstance(item, BatchTask) else item
                self._tell(
                    result if isinstance(result, Passed | Record) else unlisted(result),
                    listeners,
                    summary,
                )
                if self._fail_fast and summary.failed:
                    self.ask_to_stop("failure")
        summary.seconds = time.perf_counter() - begin
        summary.stopped = self._asked
        for listener in listeners:
            listener.finished(summary)
        return summary

    def _open(self, stack: ExitStack, writable: bool) -> dict[Path, OutputFolder]:
        return {
            path: stack.enter_context(closing(OutputFolder(path, writable))) for path in self._paths
        }

    def _drive(
        self,
        pipeline: Pipeline,
        listeners: Sequence[Listener],
        summary: Summary,
        counter: "_Counter",
        begin: float,
    ) -> None:
        """Read the pipeline's results until there are no more."""
        ticked = 0.0
        try:
            pipeline.start()
            while not pipeline.results.ended:
                if self._asked and summary.stopped is None:
                    summary.stopped = self._asked
                    pipeline.stop()
                item = pipeline.results.get(timeout=_TICK)
                if item is not None:
                    self._tell(item, listeners, summary)
                if summary.failed and self._fail_fast:
                    self.ask_to_stop("failure")
                now = time.perf_counter()
                if now - ticked >= _TICK:
                    ticked = now
                    summary.seconds, summary.load = now - begin, _load(pipeline.loops)
                    self._tick(pipeline, listeners, summary, counter)
        except BaseException:
            pipeline.abandon()
            self.lingering = not pipeline.join(_PATIENCE)
            raise
        pipeline.join()
        summary.stopped = self._asked
        summary.seconds, summary.load = time.perf_counter() - begin, _load(pipeline.loops)

    def _tell(self, item: Record | Passed, listeners: Sequence[Listener], summary: Summary) -> None:
        if isinstance(item, Passed):
            summary.ignored[item.why] += 1
            if item.why is Ignored.UNREAD:
                summary.unread[item.path.suffix.lower()] += 1
            return
        if self._watching and item.kind is Kind.MISSING:
            summary.ignored[Ignored.VANISHED] += 1
            return
        summary.add(item)
        if item.kind in ENDING and item.status is Status.FAILED:
            assert item.kind is not None
            self.ask_to_stop(item.kind.value)
        for listener in listeners:
            listener.ended(item)

    def _tick(
        self,
        pipeline: Pipeline,
        listeners: Sequence[Listener],
        summary: Summary,
        counter: "_Counter",
    ) -> None:
        state = State(
            summary,
            pipeline.fed,
            counter.total,
            counter.ended,
            pipeline.loops,
            pipeline.waiting,
            self._asked is not None,
        )
        for listener in listeners:
            listener.tick(state)


class _Counter:
    """Counts tasks in a thread of its own.

    Args:
        items: where to find them; None for nowhere.
    """

    def __init__(self, items: Iterator[Item] | None) -> None:
        self._items = items
        self.total = None if items is None else 0
        self.ended = False
        self._wanted = True
        self._thread = threading.Thread(target=self._count, name="edsr-count")

    def __enter__(self) -> "_Counter":
        if self._items is not None:
            start_thread(self._thread)
        return self

    def __exit__(self, *exception: object) -> None:
        self._wanted = False
        if self._items is not None:
            self._thread.join()

    def _count(self) -> None:
        assert self._items is not None and self.total is not None
        for item in self._items:
            if not self._wanted:
                return
            self.total += isinstance(item, BatchTask)
        self.ended = True


def _load(loops: Sequence[Loop]) -> Load:
    return Load(
        sum(loop.load.busy for loop in loops),
        sum(loop.load.starved for loop in loops),
        sum(loop.load.blocked for loop in loops),
    )
