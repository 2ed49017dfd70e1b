"""How tasks become records: what all ways have in common, and the simplest of them."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct, field

from edsr_cli.jobs.record import Record
from edsr_cli.jobs.task import Task


class Executor(Protocol):
    """Tasks in, records out."""

    def run(self, tasks: Iterable[Any], done: Callable[[Any], None]) -> None:
        """Do all tasks.

        Args:
            tasks: each a `Task`; it may go on for ever. It is read a little ahead of the work.
                While there is nothing for now it gives None, at least once a second, so that the
                reader can see whether it is to stop. What is no task goes to `done` as it is.
            done: called with the `Record` of each task when it has ended, in the thread that called
                `run`. What it raises ends the run at once, and comes out of it.
        """

    def stop(self) -> None:
        """Begin nothing new; what is at work is finished. A signal handler may call this."""


class Serial:
    """One task after the other, in the calling thread.

    Args:
        life: what to do with a task, such as `Worker.complete`.
    """

    def __init__(self, life: Callable[[Task], Record]) -> None:
        self._life = life
        self._stopping = False

    def run(self, tasks: Iterable[Any], done: Callable[[Any], None]) -> None:
        """See `Executor.run`."""
        for item in tasks:
            if self._stopping:
                return
            if isinstance(item, Task):
                done(self._life(item))
            elif item is not None:
                done(item)

    def stop(self) -> None:
        """See `Executor.stop`."""
        self._stopping = True


class Load(Struct):
    """How the devices spent their time, in seconds, added up over their loops.

    Attributes:
        busy: upscaling.
        starved: waiting for a decoded picture.
        blocked: waiting for room for an upscaled one.
    """

    busy: float = 0.0
    starved: float = 0.0
    blocked: float = 0.0

    @property
    def busy_share(self) -> float:
        """Part of the time that the devices were busy, in 0..1."""
        total = self.busy + self.starved + self.blocked
        return self.busy / total if total else 0.0

    @property
    def bottleneck(self) -> str:
        """The stage that the others wait for: "decode", "upscale" or "encode"."""
        if self.busy >= self.starved + self.blocked:
            return "upscale"
        return "decode" if self.starved > self.blocked else "encode"


class Loop(Struct):
    """What one device, or one worker, is doing.

    Attributes:
        load: how it has spent its time.
        current: what is on it; None for nothing.
        progress: LR pixels that are done of it, and that there are.
    """

    load: Load = field(default_factory=Load)
    current: Task | None = None
    progress: tuple[int, int] = (0, 0)
