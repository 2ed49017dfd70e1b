r"""The executor for many machines: workers are actors of Ray, which see the same files.

    tasks -> driver -> one actor for each worker, two tasks each -> driver -> results
                       \-> ledger, an actor on the driver's own machine

Ray places actors, starts them again elsewhere when their machine dies, and sends them their tasks
again; all that is decided here is who gets the next task. What is done is known to one ledger,
which hears of an output before that takes its name, as on one machine. So whatever dies, at most
the pictures at work are made again.
"""

import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from edsr_cli.errors import EdsrError, ExitCode, Kind, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.jobs.executors import Load, Loop
from edsr_cli.jobs.ledger import FileState, Ledger, Verdict
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.jobs.task import Task

T = TypeVar("T")

_TICK = 0.1  # seconds; also how promptly a request to stop is noticed
_CONNECTING = 10.0  # seconds that the head of a cluster gets to answer
_EACH = 2  # tasks that a worker has at once: the next one is there when it has done one
_TRIES = 4  # times that a picture may be with a worker that dies; it need not be its fault
_LEDGER_CALLS = 16  # that may be answered at once; a promise waits for the disk


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster of Ray, and what a worker gets of it.

    Attributes:
        address: of its head, such as "ray://head:10001" or "auto"; "local" for a cluster of this
            machine alone, for this run.
        workers: how many; None for as many as there is room for at the beginning.
        cpus, gpus: what each takes.
    """

    address: str = "auto"
    workers: int | None = None
    cpus: float = 1
    gpus: float = 0


@contextmanager
def connected(cluster: Cluster) -> Iterator[int]:
    """Join a cluster for the length of the block; gives the number of workers to start.

    Raises:
        UsageError: Ray is not installed, cannot be reached, or has no room for a worker.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--ray needs Ray, which is not installed.", "pip install 'edsr-cli[ray]'"
        ) from error
    try:
        _check_address(cluster.address)
        ray.init(
            cluster.address, log_to_driver=False, configure_logging=False, logging_level="error"
        )
    except Exception as error:  # what Ray raises of a machine that is too slow has no other class
        why = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"no Ray cluster answers at {cluster.address!r} ({why})",
            "Start one with ray start --head, give its address, or say --ray local.",
        ) from error
    try:
        there = ray.cluster_resources()
        room = int(there.get("CPU", 0) // cluster.cpus) if cluster.cpus else 10**6
        if cluster.gpus:
            room = min(room, int(there.get("GPU", 0) // cluster.gpus))
        if room < 1:
            raise UsageError(
                f"no machine of the Ray cluster has {cluster.cpus:g} CPUs and {cluster.gpus:g} "
                "GPUs for a worker.",
                "Ask for less with --worker-cpus or --worker-gpus.",
            )
        yield room if cluster.workers is None else cluster.workers
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Find out whether anybody is there, for which Ray itself takes a minute.

    Raises:
        OSError: nobody is.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECTING).close()


class RemoteLedger(Ledger):
    """A ledger that lives in an actor, on the machine of whoever makes this one.

    What is wrong there is raised here. It can be pickled, and used by any worker of the cluster.

    Args:
        open_ledger: makes the ledger; it must be possible to pickle it.

    Raises:
        Exception: what `open_ledger` raises.
    """

    def __init__(self, open_ledger: Callable[[], Any]) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._actor = (
            ray.remote(_LedgerActor)
            .options(num_cpus=0, max_concurrency=_LEDGER_CALLS, scheduling_strategy=here)
            .remote()
        )
        self._call("open", open_ledger)

    def close(self) -> None:
        """Close the ledger, and end its actor."""
        import ray

        self._call("close")
        ray.kill(self._actor)

    def remark(self, event: str, values: Callable[[Any], dict[str, Any]]) -> None:
        """See `FolderLedger.remark`."""
        self._call("remark", event, values)

    def arrive(self, task: Task) -> None:
        self._call("arrive", task)

    def judge(self, task: Task, source: FileState, *, overwrite: bool) -> Verdict:
        return self._call("judge", task, source, overwrite=overwrite)

    def check(self, task: Task) -> None:
        self._call("check", task)

    def promise(self, task: Task, source: FileState, verdict: Verdict, result: FileState) -> None:
        self._call("promise", task, source, verdict, result)

    def close_account(self, task: Task, record: Record) -> None:
        self._call("close_account", task, record)

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        import ray

        answer, error = ray.get(self._actor.call.remote(name, arguments, options))
        if error is not None:
            raise error
        return answer


class _LedgerActor:
    """Keeps the ledger of a run. Errors are answers: Ray would wrap them."""

    def __init__(self) -> None:
        self._ledger: Any = None

    def call(
        self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Any, Exception | None]:
        try:
            if name == "open":
                self._ledger = arguments[0]()
                return None, None
            return getattr(self._ledger, name)(*arguments, **options), None
        except Exception as error:
            return None, error.with_traceback(None)


class _WorkerActor:
    """A worker in a process of its own.

    Args:
        spec: what it is made from.
        ledger: of the run; None to only say what it is.
    """

    def __init__(self, spec: WorkerSpec, ledger: Ledger | None) -> None:
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray's own idea; --threads counts
        self._worker, self._error = None, None
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
        return self._worker.complete(task)


def ask_a_worker(spec: WorkerSpec, cluster: Cluster, ask: Callable[[Any], T]) -> T:
    """Open a worker somewhere in the cluster, let a function look at it, and let go of it.

    Raises:
        EdsrError: it cannot be opened.
    """
    import ray

    actor = _actor_class(cluster, restarts=0).remote(spec, None)
    answer, error = ray.get(actor.describe.remote(ask))
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
        max_task_retries=0,  # counted here: a picture must not kill one worker after the other
    )


class Distributed:
    """An `Executor` on a cluster that is connected. It is for one run.

    Args:
        site: where it is to work.
        ledger: what is known of outputs.
        tick: called several times a second, in the thread that called `run`; what it raises ends
            the run at once, and comes out of it.

    Attributes:
        loops: what the workers are doing.
        fed: tasks that were taken so far.
    """

    lingering = False
    waiting = (0, 0)

    def __init__(
        self, site: "Site", ledger: RemoteLedger, *, tick: Callable[[], None] = lambda: None
    ) -> None:
        actors = _actor_class(site.cluster)
        self._actors = [actors.remote(site.spec, ledger) for _ in range(site.workers)]
        self._recovering: dict[Any, int] = {}  # workers that died, by what says that they are back
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
        there = set(range(len(self._actors))) - set(self._recovering.values())
        number = min(there, key=lambda number: counts[number], default=None)
        return number if number is not None and counts[number] < _EACH else None

    def _begin(self, number: int, task: Task) -> None:
        if any(task.destination == other.destination for _, other in self._at_work.values()):
            self._later[task.destination] = task  # it has changed while it was upscaled
            return
        self._at_work[self._actors[number].complete.remote(task)] = number, task
        self.loops[number].current = task

    def _collect(self, done: Callable[[Any], None], *, wait: bool) -> None:
        """Take what has ended, and see who is back."""
        import ray

        awaited = [*self._at_work, *self._recovering]
        if not awaited:
            return
        ready, _ = ray.wait(awaited, timeout=_TICK if wait else 0)
        for reference in ready:
            if reference in self._recovering:
                del self._recovering[reference]
                continue
            number, task = self._at_work.pop(reference)
            rest = [other for of, other in self._at_work.values() if of == number]
            self.loops[number].current = rest[0] if rest else None
            if task.destination in self._later:
                self._again.append(self._later.pop(task.destination))
            try:
                record = ray.get(reference)
            except ray.exceptions.RayActorError:
                self._worker_died(number, task, done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            else:
                done(record)

    def _worker_died(self, number: int, task: Task, done: Callable[[Any], None]) -> None:
        """A task whose worker has died, or its machine: another try, unless it had several."""
        if number not in self._recovering.values():
            # Ray starts it again, as soon as there is room; until then it gets nothing.
            back = self._actors[number].ready.options(max_task_retries=-1).remote()
            self._recovering[back] = number
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
            self._tick()

    def _end(self, source: Iterator[Any]) -> None:
        import ray

        for actor in self._actors:
            ray.kill(actor)
        close = getattr(source, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True)
class Site:
    """Where a run is to work: a cluster that is connected, and who works there.

    Attributes:
        spec: what each worker is made from.
        cluster: what each worker gets.
        workers: how many.
    """

    spec: WorkerSpec
    cluster: Cluster
    workers: int
