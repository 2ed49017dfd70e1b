"""Decoding, upscaling and encoding at the same time, in bounded memory.

    source -> feeder -> decoders -> one loop per device -> encoders -> reader of `results`

Decoders work ahead as far as there is room for decoded pixels; a loop takes the next picture that
is ready, whichever that is, and hands over what it has upscaled when there is room for that.
Both bounds are in bytes. Whatever happens to a picture, it ends as one record.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edsr_cli.inference import Upscaler
from edsr_cli.jobs.batch.flow import AbandonedError, Channel, Crew, Room
from edsr_cli.jobs.batch.inflight import InFlight
from edsr_cli.jobs.batch.limits import Limits
from edsr_cli.jobs.batch.record import Record
from edsr_cli.jobs.batch.steps import Steps, Work, unlisted
from edsr_cli.jobs.batch.summary import Load
from edsr_cli.jobs.batch.tasks import BatchTask, Passed, Source, Unlisted
from edsr_cli.jobs.upscale import Settings

_AHEAD = 64  # tasks that the feeder is ahead of the decoders, and records of their reader


@dataclass
class Loop:
    """What one device is doing.

    Attributes:
        upscaler: it.
        load: how it has spent its time.
        current: what is on it: names of the inputs.
        progress: LR pixels that are done of them, and that there are.
    """

    upscaler: Upscaler
    load: Load = field(default_factory=Load)
    current: tuple[str, ...] = ()
    progress: tuple[int, int] = (0, 0)


class Pipeline:
    """The threads that do a run's work.

    Args:
        source: where tasks come from.
        steps: what is done to each picture.
        upscalers: one for each device; with the same network, scale and precision.
        settings: for every picture.
        limits: see `Limits`.
        arriving: called with each task before work on it begins, in the feeder's thread.

    Attributes:
        results: what has ended, and what was passed over. Somebody has to read it.
        loops: what the devices are doing.
        fed: tasks that the source has given so far.
    """

    def __init__(
        self,
        source: Source,
        steps: Steps,
        upscalers: Sequence[Upscaler],
        settings: Settings,
        limits: Limits,
        arriving: Callable[[BatchTask], None] = lambda task: None,
    ) -> None:
        self._source, self._steps, self._arriving = source, steps, arriving
        self._settings, self._limits = settings, limits
        self.results: Channel[Record | Passed] = Channel(_AHEAD)
        self.loops = [Loop(upscaler) for upscaler in upscalers]
        self.fed = 0
        self._failure: BaseException | None = None
        self._abandoned = False
        self._inflight = InFlight()
        self._tasks: Channel[BatchTask] = Channel(_AHEAD)
        self._ready: Channel[Work] = Channel()
        self._upscaled: Channel[Work] = Channel()
        self._decoded_room = Room(limits.decoded_bytes)
        self._upscaled_room = Room(limits.upscaled_bytes)
        # Each crew's end is the end of what the next one gets.
        self._feeders = self._crew("feed", 1, self._feed, self._tasks)
        self._decoders = self._crew("decode", limits.workers, self._decode, self._ready)
        self._devices = self._crew("device", len(upscalers), self._upscale, self._upscaled)
        self._encoders = self._crew("encode", limits.workers, self._encode, self.results)

    def start(self) -> None:
        """Begin."""
        for crew in (self._encoders, self._devices, self._decoders, self._feeders):
            crew.start()

    def stop(self) -> None:
        """Begin nothing new; what is on a device or beyond is finished. From any thread."""
        self._tasks.close()
        self._inflight.close()
        self._decoded_room.close()
        self._ready.close()

    def abandon(self) -> None:
        """Stop everything as soon as possible; nothing half-written is left. From any thread."""
        self._abandoned = True
        self.stop()
        self._upscaled.close()
        self._upscaled_room.close()
        self.results.close()

    def join(self, patience: float | None = None) -> bool:
        """Wait for the end of all threads, and raise what one of them has died of.

        Args:
            patience: seconds to wait for threads that do not write, if not for ever: a device
                notices that it is to stop only between two strips.

        Returns:
            Whether all threads have ended.
        """
        self._encoders.join()
        ended = True
        for crew in (self._feeders, self._decoders, self._devices):
            ended &= crew.join(patience)
        if self._failure is not None:
            raise self._failure
        return ended

    @property
    def waiting(self) -> tuple[int, int]:
        """Pictures that wait for a device, and for an encoder."""
        return len(self._ready), len(self._upscaled)

    def _crew(
        self, name: str, size: int, work: Callable[[int], None], outlet: Channel[Any]
    ) -> Crew:
        return Crew(name, size, work, outlet.finish, self._crash)

    def _crash(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self.abandon()

    def _check(self) -> None:
        if self._abandoned:
            raise AbandonedError

    def _end(self, record: Record, task: BatchTask) -> None:
        self._inflight.leave(task.destination)
        self._steps.put_on_record(record, task)
        self.results.put(record)

    def _feed(self, number: int) -> None:
        try:
            for item in self._source:
                if self._tasks.ended:
                    return
                if isinstance(item, BatchTask):
                    self._arriving(item)
                    self._inflight.enter(item.destination)
                    self.fed += 1
                    self._tasks.put(item)
                elif isinstance(item, Unlisted):
                    self.results.put(unlisted(item))
                elif item is not None:
                    self.results.put(item)
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()

    def _decode(self, number: int) -> None:
        while (task := self._tasks.get()) is not None:
            work = self._steps.examine(task)
            if isinstance(work, Record):
                self._end(work, task)
                continue
            size = work.job.pixel_bytes
            self._decoded_room.take(size)
            record = self._steps.decode(work)
            if record is None:
                self._ready.put(work)
            else:
                self._decoded_room.give(size)
                self._end(record, task)

    def _upscale(self, number: int) -> None:
        loop = self.loops[number]
        while True:
            begin = time.perf_counter()
            work = self._ready.get()
            loop.load.starved += time.perf_counter() - begin
            if work is None:
                return
            self._upscale_one(loop, work)
            begin = time.perf_counter()
            if work.job.failure is not None:
                self._end(self._steps.failed(work), work.task)
            else:
                self._upscaled_room.take(work.job.pixels.nbytes)
                self._upscaled.put(work)
            loop.load.blocked += time.perf_counter() - begin
            del work  # or the next turn would keep its pixels

    def _upscale_one(self, loop: Loop, work: Work) -> None:
        """Replace the pixels by upscaled ones; a failure goes to the job."""
        loop.current = (work.task.name,)
        loop.progress = (0, 0)

        def progress(done: int, total: int) -> None:
            self._check()
            loop.progress = (done, total)

        begin = time.perf_counter()
        # The room is for those that wait; this one has been waited for.
        self._decoded_room.give(work.job.pixel_bytes)
        work.job.upscaler = loop.upscaler
        work.job.attempt(lambda: work.job.upscale(progress))
        work.stages["upscale"] = time.perf_counter() - begin
        loop.load.busy += work.stages["upscale"]
        loop.current = ()

    def _encode(self, number: int) -> None:
        while (work := self._upscaled.get()) is not None:
            size = work.job.pixels.nbytes
            record = self._steps.write(work, self._check)
            self._upscaled_room.give(size)
            self._end(record, work.task)
