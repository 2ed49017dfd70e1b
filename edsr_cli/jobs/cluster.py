r"""The executor for many machines: workers are actors of Ray, which see the same files.

    tasks -> driver -> one actor for each worker, some tasks each -> driver -> results
                       \-> ledger, an actor on the driver's own machine

Ray places actors, and starts them again elsewhere when their machine dies; all that is decided here
is who gets the next task. Of the tasks of a worker one is on its device, and the others are read or
written meanwhile. What is done is known to one ledger, which hears of an output before that takes
its name, as on one machine. So whatever dies, at most the pictures at work are made again.
"""

import logging
import os
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import EdsrError, ExitCode, Kind, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.jobs.executors import Load, Loop
from edsr_cli.jobs.ledger import Ledger
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.remote_ledger import RemoteLedger
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.jobs.task import Task

T = TypeVar("T")

logger = logging.getLogger(__name__)

_TICK = 0.1  # seconds; also how promptly a request to stop is noticed
_CONNECTING = 10.0  # seconds that the head of a cluster gets to answer
_PATIENCE = 30.0  # seconds for which nothing is said of a worker that is to come
_TRIES = 4  # times that a picture may be with a worker that dies; it need not be its fault

_QUIET = {"RAY_DEDUP_LOGS": "1", "RAY_DEDUP_LOGS_SKIP_REGEX": "^"}
"""With these settings Ray skips every line that it would print, as when a machine dies: it prints
to stdout, which is for `--json`. What counts for us is raised."""


class Cluster(Struct, frozen=True, kw_only=True):
    """A cluster of Ray, and what a worker gets of it.

    Attributes:
        address: of its head, such as "head:6379" or "auto"; "local" for a cluster of this
            machine alone, for this run.
        workers: how many; None for as many as there is room for at the beginning. Those for which
            there is none begin when there is.
        cpus, gpus: what each takes.
    """

    address: str = "auto"
    workers: int | None = None
    cpus: float = 1
    gpus: float = 0

    @property
    def tasks(self) -> int:
        """How many a worker has at once: beside a GPU, reading and writing take longer."""
        return 2 + int(self.cpus) if self.gpus else 2


@contextmanager
def connected(cluster: Cluster) -> Iterator[int]:
    """Join a cluster for the length of the block; gives the number of workers to start.

    Raises:
        UsageError: Ray is not installed, cannot be reached from a machine of the cluster, or has no
            room for a worker.
    """
    if cluster.address.startswith("ray://"):
        raise UsageError(
            "--ray does not take ray:// addresses: the list of what is done is kept beside the "
            "command, which must be on a machine of the cluster.",
            "Start the command there, with --ray auto or HOST:6379; ray job submit can do that.",
        )
    os.environ.update(_QUIET)  # which Ray reads when it is imported
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--ray needs Ray, which is not installed.", "pip install 'edsr-cli[ray]'"
        ) from error
    try:
        _check_address(cluster.address)
        logging.getLogger("ray").setLevel(logging.ERROR)
        ray.init(cluster.address, log_to_driver=False, configure_logging=False)
    except Exception as error:  # what Ray raises of a machine that is too slow has no other class
        why = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"no Ray cluster answers at {cluster.address!r} ({why})",
            "Start one with ray start --head, give its address, or say --ray local.",
        ) from error
    try:
        room = sum(_room(node["Resources"], cluster) for node in ray.nodes() if node["Alive"])
        if room < 1:
            raise UsageError(
                f"no machine of the Ray cluster has {cluster.cpus:g} CPUs and {cluster.gpus:g} "
                "GPUs for a worker.",
                "Ask for less with --worker-cpus or --worker-gpus.",
            )
        yield room if cluster.workers is None else cluster.workers
    finally:
        ray.shutdown()


def _room(there: Mapping[str, float], cluster: Cluster) -> int:
    """For how many workers a machine has room, by what it has; for one, if they take nothing."""
    needs = {"CPU": cluster.cpus, "GPU": cluster.gpus}
    return min((int(there.get(name, 0) // need) for name, need in needs.items() if need), default=1)


def _check_address(address: str) -> None:
    """Find out whether anybody is there, for which Ray itself takes a minute.

    Raises:
        OSError: nobody is.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECTING).close()


class _WorkerActor:
    """A worker in a process of its own; several threads do its tasks, one of them on its device.

    Args:
        spec: what it is made from.
        ledger: of the run; None to only say what it is.
    """

    def __init__(self, spec: WorkerSpec, ledger: Ledger | None) -> None:
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray's own idea; --threads counts
        self._worker, self._error = None, None
        self._device = threading.Lock()
        try:
            worker = spec.open()
            self._worker = worker if ledger is None else replace(worker, ledger=ledger)
        except EdsrError as error:
            self._error = error

    def describe(self, ask: Callable[[Any], T]) -> tuple[T | None, EdsrError | None]:
        """What a function says of the worker."""
        return (None, self._error) if self._worker is None else (ask(self._worker), None)

    def ready(self) -> None:
        """Nothing, as soon as it is there."""

    def complete(self, task: Task) -> Record:
        """Do all of a task."""
        if self._worker is None:
            assert self._error is not None
            raise self._error
        return self._worker.complete(task, device=self._device)


def ask_a_worker(spec: WorkerSpec, cluster: Cluster, ask: Callable[[Any], T]) -> T:
    """Open a worker somewhere in the cluster, let a function look at it, and let go of it.

    Raises:
        EdsrError: it cannot be opened, or dies of that.
    """
    import ray

    actor = _actor_class(cluster, restarts=0).remote(spec, None)
    reference = actor.describe.remote(ask)
    if not ray.wait([reference], timeout=_PATIENCE)[0]:
        logger.info("Waiting for a worker on the Ray cluster, which may have no room for one yet.")
    try:
        answer, error = ray.get(reference)
    except ray.exceptions.RayActorError as failure:
        raise EdsrError(
            "A worker on the Ray cluster has died as it began.",
            "Give workers more memory; the logs of Ray on its machine may say more.",
        ) from failure
    ray.kill(actor)
    if error is not None:
        raise error
    return answer


def _actor_class(cluster: Cluster, *, restarts: int = -1) -> Any:
    import ray

    return ray.remote(_WorkerActor).options(
        num_cpus=cluster.cpus,
        num_gpus=cluster.gpus,
        max_restarts=restarts,
        max_concurrency=cluster.tasks,
        max_task_retries=0,  # counted here: a picture must not kill one worker after the other
    )


class Distributed:
    """An `Executor` on a cluster that is connected. It is for one run.

    Args:
        site: where it is to work.
        ledger: what is known of outputs.
        tick: as of `Threaded`.

    Attributes:
        loops: what the workers are doing.
        fed: tasks that were taken so far.
    """

    lingering = False
    waiting = (0, 0)

    def __init__(
        self,
        site: "Site",
        ledger: RemoteLedger,
        *,
        tick: Callable[["Distributed"], None] = lambda executor: None,
    ) -> None:
        actors = _actor_class(site.cluster)
        self._actors = [actors.remote(site.spec, ledger) for _ in range(site.workers)]
        self._most = site.cluster.tasks
        self._coming: dict[Any, int] = {}  # workers that are not there yet, by what says it
        for number in range(site.workers):
            self._expect(number)
        self._tick, self._ticked, self._stopping = tick, 0.0, False
        self._at_work: dict[Any, tuple[int, Task]] = {}  # by the reference of the record to come
        self._deaths: Counter[Task] = Counter()
        self._again: deque[Task] = deque()
        self._later: dict[Any, Task] = {}  # tasks of which the output is being made, by that
        self.loops = [Loop() for _ in self._actors]
        self.fed = 0

    @property
    def load(self) -> Load:
        """How the workers have spent their time: they do not tell."""
        return Load()

    def stop(self) -> None:
        """See `Executor.stop`."""
        self._stopping = True

    def run(self, tasks: Iterable[Any], done: Callable[[Any], None]) -> None:
        """See `Executor.run`.

        Raises:
            EdsrError: a worker cannot be opened.
            BaseException: what `tasks`, `done` or `tick` raises, or a signal handler does.
        """
        source, ended = iter(tasks), False
        try:
            while True:
                number, task = None if self._stopping else self._idle(), None
                if number is not None and self._again:
                    task = self._again.popleft()
                elif number is not None and not ended:
                    item = next(source, source)
                    ended = item is source
                    if isinstance(item, Task):
                        self.fed += 1
                        task = item
                    elif item is not None and not ended:
                        done(item)
                if number is not None and task is not None:
                    self._begin(number, task)
                nothing_new = self._stopping or (ended and not self._again)
                if nothing_new and not self._at_work:
                    return
                self._collect(done, wait=number is None or nothing_new)
                self._tell()
        finally:
            self._end(source)

    def _idle(self) -> int | None:
        """A worker with few tasks, the idlest first; None if all have enough."""
        counts = Counter(number for number, _ in self._at_work.values())
        there = set(range(len(self._actors))) - set(self._coming.values())
        number = min(there, key=lambda number: counts[number], default=None)
        return number if number is not None and counts[number] < self._most else None

    def _expect(self, number: int) -> None:
        """Give a worker nothing until it is there, for which Ray may have to find room first."""
        there = self._actors[number].ready.options(max_task_retries=-1).remote()
        self._coming[there] = number

    def _begin(self, number: int, task: Task) -> None:
        if any(task.destination == other.destination for _, other in self._at_work.values()):
            self._later[task.destination] = task  # it has changed while it was upscaled
            return
        self._at_work[self._actors[number].complete.remote(task)] = number, task
        self.loops[number].current = task

    def _collect(self, done: Callable[[Any], None], *, wait: bool) -> None:
        """Take what has ended, and see who is back."""
        import ray

        awaited = [*self._at_work, *self._coming]
        if not awaited:
            return
        ready, _ = ray.wait(awaited, timeout=_TICK if wait else 0)
        for reference in ready:
            if reference in self._coming:
                del self._coming[reference]
                continue
            number, task = self._at_work.pop(reference)
            rest = [other for of, other in self._at_work.values() if of == number]
            self.loops[number].current = rest[0] if rest else None
            if task.destination in self._later:
                self._again.append(self._later.pop(task.destination))
            try:
                record = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayActorError as error:
                self._worker_died(number, task, done, " ".join(str(error).split()))
            else:
                done(record)

    def _worker_died(self, number: int, task: Task, done: Callable[[Any], None], why: str) -> None:
        """A task whose worker has died, or its machine: another try, unless it had several."""
        if number not in self._coming.values():
            logger.debug("A worker has died, and is started again (%s).", why)
            self._expect(number)
        self._deaths[task] += 1
        if self._deaths[task] < _TRIES:
            self._again.append(task)
            return
        name = display_name(task.source) if task.source else task.source_name
        reason = (
            f"{name}: the worker has died each of the {_TRIES} times that it was at work on this. "
            "Give workers more memory, or leave the file out."
        )
        done(
            Record(
                task.source_name,
                task.destination_name,
                Status.FAILED,
                Kind.UNEXPECTED,
                reason,
                ended=time.time(),
                exit_code=ExitCode.SOME_FAILED,
            )
        )

    def _tell(self) -> None:
        now = time.perf_counter()
        if now - self._ticked >= _TICK:
            self._ticked = now
            self._tick(self)

    def _end(self, source: Iterator[Any]) -> None:
        import ray

        for actor in self._actors:
            ray.kill(actor)
        close = getattr(source, "close", None)
        if close is not None:
            close()


class Site(Struct, frozen=True):
    """Where a run is to work: a cluster that is connected, and who works there.

    Attributes:
        spec: what each worker is made from.
        cluster: what each worker gets.
        workers: how many.
    """

    spec: WorkerSpec
    cluster: Cluster
    workers: int
