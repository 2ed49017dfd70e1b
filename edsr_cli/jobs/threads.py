"""The executor for many pictures: decoding, upscaling and encoding at once, in bounded memory.

    tasks -> feeder -> decoders -> one loop for each device -> encoders -> reader of the results

Decoders work ahead as far as there is room for decoded pixels; a loop takes the next picture that
is ready, whichever that is, and hands over what it has upscaled when there is room for that.
Both bounds are in bytes. Whatever happens to a picture, it ends as one record.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from edsr_cli.inference import Upscaler, memory, processors
from edsr_cli.jobs.executors import Load, Loop
from edsr_cli.jobs.flow import AbandonedError, Channel, Crew, InFlight, Room
from edsr_cli.jobs.task import Task
from edsr_cli.jobs.work import Work
from edsr_cli.jobs.worker import Worker

_AHEAD = 64  # tasks that the feeder is ahead of the decoders, and records of their reader
_TICK = 0.1  # seconds; also how promptly a request to stop is noticed
_PATIENCE = 2.0  # seconds that a device gets to notice that it is to stop at once

# Decoded pictures that wait for one device. A CPU takes far longer to upscale a picture than to
# decode one, so a few are enough; on a GPU it can be the other way round for a while.
_DECODED_BYTES = {"cpu": 8 << 20, "mps": 128 << 20, "vulkan": 128 << 20, "cuda": 256 << 20}


class Limits(Struct, frozen=True, kw_only=True):
    """How much is done at the same time.

    Attributes:
        workers: threads that decode, and as many that encode.
        decoded_bytes: what decoded pictures may take that wait for a device.
        upscaled_bytes: what upscaled pictures may take that wait for an encoder or are encoded.
    """

    workers: int
    decoded_bytes: int
    upscaled_bytes: int


def choose_limits(
    upscalers: Sequence[Upscaler],
    *,
    workers: int | None = None,
    queue_bytes: int | None = None,
    factor: float | None = None,
) -> Limits:
    """Limits for a machine.

    Args:
        upscalers: one for each device.
        workers: threads that decode, and as many that encode; None to go by the cores: all of
            them beside a GPU, a quarter where they do the upscaling, too.
        queue_bytes: memory for pictures between the stages; None for an amount that suits the
            devices, and at most a quarter of what is free.
        factor: how many times larger pictures become; None for the upscalers' scale.
    """
    types = [upscaler.device.type for upscaler in upscalers]
    if workers is None:
        cores = processors.available()
        workers = max(2, cores // 4) if all(kind == "cpu" for kind in types) else max(2, cores)
    # The same number of pictures is to fit on either side of the device.
    growth = max(1, round((factor or upscalers[0].scale) ** 2))
    if queue_bytes is None:
        wanted = sum(_DECODED_BYTES[kind] for kind in types) * (1 + growth)
        queue_bytes = min(wanted, memory.budget() // 2)
    decoded = queue_bytes // (1 + growth)
    return Limits(workers=workers, decoded_bytes=decoded, upscaled_bytes=queue_bytes - decoded)


class Threaded:
    """An `Executor` with threads for each stage. It is for one run.

    Args:
        worker: who does the work; there is a loop for each of its upscalers.
        limits: see `Limits`.
        tick: called with the executor several times a second, in the thread that called `run`;
            what it raises ends the run at once, and comes out of it.

    Attributes:
        loops: what the devices are doing.
        fed: tasks that were taken so far.
        lingering: whether a thread is still at work on a device, although the run was broken off.
    """

    def __init__(
        self,
        worker: Worker,
        limits: Limits,
        *,
        tick: Callable[["Threaded"], None] = lambda executor: None,
    ) -> None:
        self._worker, self._workers, self._tick = worker, limits.workers, tick
        self.loops = [Loop() for _ in worker.upscalers]
        self.fed = 0
        self.lingering = False
        self._stopping = self._abandoned = False
        self._failure: BaseException | None = None
        self._source: Iterable[Any] = ()
        self._inflight = InFlight()
        self._results: Channel[Any] = Channel(_AHEAD)  # what has ended, and what is no task
        self._tasks: Channel[Task] = Channel(_AHEAD)
        self._ready: Channel[Work] = Channel()
        self._upscaled: Channel[Work] = Channel()
        self._decoded_room = Room(limits.decoded_bytes)
        self._upscaled_room = Room(limits.upscaled_bytes)
        self._writing_threads = max(1, processors.available() // limits.workers)

    def run(self, tasks: Iterable[Any], done: Callable[[Any], None]) -> None:
        """See `Executor.run`.

        Raises:
            ThreadError: there are no threads to be had.
            BaseException: what `tasks`, `done` or `tick` raises, or a signal handler does; nothing
                half-written is left then either.
        """
        self._source = tasks
        ticked, told = 0.0, False
        crews = self._crews()
        try:
            for crew in crews:
                crew.start()
            while not self._results.ended:
                if self._stopping and not told:
                    told = True
                    self._begin_nothing()
                item = self._results.get(timeout=_TICK)
                if item is not None:
                    done(item)
                now = time.perf_counter()
                if now - ticked >= _TICK:
                    ticked = now
                    self._tick(self)
        except BaseException:
            self._abandon()
            self.lingering = not self._join(crews, _PATIENCE)
            raise
        self._join(crews)

    def stop(self) -> None:
        """See `Executor.stop`."""
        self._stopping = True

    @property
    def load(self) -> Load:
        """How all devices have spent their time."""
        loads = [loop.load for loop in self.loops]
        return Load(
            sum(load.busy for load in loads),
            sum(load.starved for load in loads),
            sum(load.blocked for load in loads),
        )

    @property
    def waiting(self) -> tuple[int, int]:
        """Pictures that wait for a device, and for an encoder."""
        return len(self._ready), len(self._upscaled)

    def _crews(self) -> list[Crew]:
        """Encoders, devices, decoders and feeder: the end of each is that of what the one before it
        gets.

        They are not kept, since they have this executor in turn: all of a run, with the native
        memory of its networks, would wait for Python's collector.
        """
        stages = (
            ("encode", self._workers, self._encode, self._results),
            ("device", len(self.loops), self._upscale, self._upscaled),
            ("decode", self._workers, self._decode, self._ready),
            ("feed", 1, self._feed, self._tasks),
        )
        return [
            Crew(name, size, work, outlet.finish, self._crash)
            for name, size, work, outlet in stages
        ]

    def _begin_nothing(self) -> None:
        """Begin nothing new; what is on a device or beyond is finished. From any thread."""
        self._tasks.close()
        self._inflight.close()
        self._decoded_room.close()
        self._ready.close()

    def _abandon(self) -> None:
        """Stop everything as soon as possible; nothing half-written is left. From any thread."""
        self._abandoned = True
        self._begin_nothing()
        self._upscaled.close()
        self._upscaled_room.close()
        self._results.close()

    def _join(self, crews: list[Crew], patience: float | None = None) -> bool:
        """Wait for the end of all threads, and raise what one of them has died of.

        Args:
            crews: as `_crews` gives them.
            patience: seconds to wait for threads that do not write, if not for ever: a device
                notices that it is to stop only between two strips.

        Returns:
            Whether all threads have ended.
        """
        encoders, *others = crews
        encoders.join()
        ended = True
        for crew in others:
            ended &= crew.join(patience)
        if self._failure is not None:
            try:
                raise self._failure
            finally:  # its traceback has this executor
                self._failure = None
        return ended

    def _crash(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._abandon()

    def _check(self) -> None:
        if self._abandoned:
            raise AbandonedError

    def _end(self, work: Work) -> None:
        assert work.task.destination is not None
        self._inflight.leave(work.task.destination)
        self._results.put(self._worker.finish(work))

    def _feed(self, number: int) -> None:
        try:
            for item in self._source:
                if self._tasks.ended:
                    return
                if isinstance(item, Task):
                    self._worker.ledger.arrive(item)
                    assert item.destination is not None
                    self._inflight.enter(item.destination)
                    self.fed += 1
                    self._tasks.put(item)
                elif item is not None:
                    self._results.put(item)
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()

    def _decode(self, number: int) -> None:
        while (task := self._tasks.get()) is not None:
            work = self._worker.examine(task)
            if work.ended:
                self._end(work)
                continue
            self._decoded_room.take(work.decoding_bytes)
            self._worker.decode(work)
            self._decoded_room.give(work.decoding_bytes - work.waiting_bytes)
            if work.ended:
                self._decoded_room.give(work.waiting_bytes)
                self._end(work)
            else:
                self._ready.put(work)
            del work  # or it would be kept until there is another

    def _upscale(self, number: int) -> None:
        loop = self.loops[number]
        while True:
            begin = time.perf_counter()
            work = self._ready.get()
            loop.load.starved += time.perf_counter() - begin
            if work is None:
                return
            self._upscale_one(loop, self._worker.upscalers[number], work)
            begin = time.perf_counter()
            if work.ended:
                self._end(work)
            else:
                self._upscaled_room.take(work.pixels.nbytes)
                self._upscaled.put(work)
            loop.load.blocked += time.perf_counter() - begin
            del work  # or the next turn would keep its pixels

    def _upscale_one(self, loop: Loop, upscaler: Upscaler, work: Work) -> None:
        loop.current, loop.progress = work.task, (0, 0)

        def progress(done: int, total: int) -> None:
            self._check()
            loop.progress = (done, total)

        begin = time.perf_counter()
        # The room is for those that wait; this one has been waited for.
        self._decoded_room.give(work.waiting_bytes)
        self._worker.upscale(work, upscaler, progress, self._check)
        loop.load.busy += time.perf_counter() - begin
        loop.current = None

    def _encode(self, number: int) -> None:
        while (work := self._upscaled.get()) is not None:
            size = work.pixels.nbytes
            self._worker.write(work, self._check, self._writing_threads)
            self._upscaled_room.give(size)
            self._end(work)
            del work
