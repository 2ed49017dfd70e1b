"""A ledger for workers on many machines: it lives in one process, an actor of Ray."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edsr_cli.files.identity import FolderIdentity
from edsr_cli.files.state import FileState
from edsr_cli.jobs.ledger import Ledger, LedgerError, Verdict
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.task import Task

_NAME = "ledger"  # of the actor, among those of the run
_CALLS = 16  # that may be answered at once; a promise waits for the disk


class RemoteLedger(Ledger):
    """A ledger that lives in an actor, on the machine of whoever makes this one.

    What is wrong there is raised here, and so is a `LedgerError` if the actor has died: nobody
    could tell any more what is done. It can be pickled, and used by any worker of the cluster.

    A message costs milliseconds on both sides. A picture takes two, `judge` and `promise`, and one
    more if it fails; a folder takes two for each worker. Whether that is still there is looked at
    where the worker is, and with each promise where the ledger is.

    Args:
        open_ledger: makes the ledger; it must be possible to pickle it.
        folders: the output folders of all tasks to come.

    Raises:
        Exception: what `open_ledger` raises.
    """

    def __init__(self, open_ledger: Callable[[], Any], folders: Iterable[Path]) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._actor = (
            ray.remote(_LedgerActor)
            .options(name=_NAME, num_cpus=0, max_concurrency=_CALLS, scheduling_strategy=here)
            .remote()
        )
        self._call("open", open_ledger)
        self._look_at(folders)

    def __setstate__(self, state: dict[str, Any]) -> None:
        import ray

        self._actor = ray.get_actor(state["name"])
        self._look_at(state["folders"])

    def __getstate__(self) -> dict[str, Any]:
        # Workers find it by its name. Handles of actors are no values, so Ray complains of those
        # among the arguments of what it may have to start again.
        return {"name": _NAME, "folders": tuple(self._folders)}

    def _look_at(self, folders: Iterable[Path]) -> None:
        self._folders: dict[Path, FolderIdentity | None] = dict.fromkeys(folders)
        self._reached: set[Path] = set()

    def close(self) -> None:
        """Close the ledger, and end its actor.

        Raises:
            LedgerError: not everything could be brought to the disk, or the actor has died.
        """
        import ray

        try:
            self._call("close")
        finally:
            ray.kill(self._actor)

    def remark(self, event: str, values: Callable[[Any], dict[str, Any]]) -> None:
        """See `FolderLedger.remark`."""
        self._call("remark", event, values)

    def arrive(self, task: Task) -> None:
        assert task.destination is not None
        if task.destination.parent not in self._reached:
            self._call("arrive", task)
            self._reached.add(task.destination.parent)

    def judge(self, task: Task, source: FileState, *, overwrite: bool) -> Verdict:
        return self._call("judge", task, source, overwrite=overwrite)

    def check(self, task: Task) -> None:
        output = task.destination
        assert output is not None
        folder = max(filter(output.is_relative_to, self._folders), key=lambda path: len(path.parts))
        identity = self._folders[folder]
        if identity is not None:
            identity.check()
            return
        # Which numbers it has here says nothing of whether it is the one where the run began.
        self._call("check", task)
        self._folders[folder] = FolderIdentity(folder)

    def promise(self, task: Task, source: FileState, verdict: Verdict, result: FileState) -> None:
        self._call("promise", task, source, verdict, result)

    def close_account(self, task: Task, record: Record) -> None:
        if record.status is Status.FAILED:
            with suppress(LedgerError):  # as with a `FolderLedger`, which answers with none
                self._call("close_account", task, record)

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        import ray

        try:
            answer, error = ray.get(self._actor.call.remote(name, arguments, options))
        except ray.exceptions.RayError as failure:
            # In a worker it must not look as if that had died, which is another matter.
            raise LedgerError(
                "the list of what is done cannot be kept: the process that keeps it has died.",
                "Start again, to do the rest.",
            ) from failure
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
