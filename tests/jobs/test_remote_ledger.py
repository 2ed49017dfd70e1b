"""The ledger that lives in a process of its own, and what becomes of a run when that dies.

`test_cluster.py` and `tests/cli/test_batch_cluster.py` have the real processes.
"""

import os
import pickle
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edsr_cli.errors import Kind, UsageError
from edsr_cli.folders.ledger import FolderLedger
from edsr_cli.folders.recipe import Recipe
from edsr_cli.folders.scanning import BatchTask
from edsr_cli.images import format_for
from edsr_cli.jobs.cluster import Cluster, connected
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.jobs.record import ENDING, Status
from edsr_cli.jobs.remote_ledger import RemoteLedger, _LedgerActor
from edsr_cli.jobs.task import Task
from edsr_cli.jobs.worker import Worker

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


RECIPE = Recipe(
    model="model", weights="weights", scale=2, ensemble=False, precision="fp32", format="png"
)


def unpickled(monkeypatch: pytest.MonkeyPatch, call: Callable[..., Any], folder: Path):
    """A ledger as a worker gets it, whose messages go to a function, and what that gives back."""
    actor = SimpleNamespace(call=SimpleNamespace(remote=lambda *message: partial(call, *message)))
    monkeypatch.setattr(ray, "get_actor", lambda name: actor)
    monkeypatch.setattr(ray, "get", lambda answer: answer())
    monkeypatch.setattr(ray, "kill", lambda actor: None)
    ledger = RemoteLedger.__new__(RemoteLedger)
    ledger.__setstate__({"name": "ledger", "folders": (folder,)})
    return ledger


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RemoteLedger:
    """A ledger whose actor has died."""

    def call(*message: object) -> None:
        raise ray.exceptions.ActorDiedError

    return unpickled(monkeypatch, call, tmp_path)


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """A ledger of a folder, and how often each message was sent to it."""
    actor, messages = _LedgerActor(), Counter()

    def call(name, arguments, options):
        messages[name] += 1
        # Ray pickles them, too.
        return actor.call(name, *pickle.loads(pickle.dumps((arguments, options))))

    folder = tmp_path / "out"
    actor.call("open", (partial(FolderLedger, [folder], RECIPE),), {})
    yield unpickled(monkeypatch, call, folder), messages
    actor.call("close", (), {})


@pytest.fixture
def tasks(photo, tmp_path):
    """Six pictures in two folders, of which one is none."""
    names = [f"{folder}/{number}.gif" for folder in "ab" for number in range(3)]
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"words" if name == "a/1.gif" else photo.read_bytes())
    out = tmp_path / "out"
    form = format_for(None, "png")
    return [
        BatchTask(
            form,
            source=tmp_path / "in" / name,
            destination=(out / name).with_suffix(".png"),
            name=name,
            folder=out,
        )
        for name in names
    ]


def test_a_picture_takes_two_messages(counted, tasks, upscaler):
    ledger, messages = counted
    worker = Worker(model="nearest", upscalers=[upscaler], ledger=ledger)
    statuses = [worker.complete(task).status for task in tasks]
    assert statuses.count(Status.DONE) == 5 and statuses.count(Status.FAILED) == 1
    assert messages == {"judge": 6, "promise": 5, "close_account": 1, "arrive": 2, "check": 1}
    messages.clear()
    again = [worker.complete(task).status for task in tasks if task.name != "a/1.gif"]
    assert set(again) == {Status.SKIPPED} and messages == {"judge": 5}


@pytest.mark.skipif(os.name == "nt", reason="about folders of POSIX")
@pytest.mark.parametrize("there", [False, True], ids=["gone", "another"])
def test_an_output_folder_that_goes_away_where_the_worker_is(counted, tasks, upscaler, there):
    ledger, _ = counted
    worker = Worker(model="nearest", upscalers=[upscaler], ledger=ledger)
    assert worker.complete(tasks[0]).status is Status.DONE
    folder = tasks[0].folder
    folder.rename(folder.with_name("away"))
    if there:
        folder.mkdir()
    record = worker.complete(tasks[2])
    assert record.kind is Kind.OUTPUT
    assert ("replaced by another" if there else "has gone") in record.reason
    assert not folder.exists() or not list(folder.iterdir())


def test_a_command_that_is_not_on_a_machine_of_the_cluster():
    with (
        pytest.raises(UsageError, match=r"does not take ray://.*--ray auto or HOST:6379"),
        connected(Cluster(address="ray://127.0.0.1:10001")),
    ):
        pass


def test_nobody_can_tell_what_is_done(dead, upscaler, photo, tmp_path):
    task = Task(photo, tmp_path / "out.png", format_for(None, "png"))
    worker = Worker(model="nearest", upscalers=[upscaler], ledger=dead)
    for call in (dead.close, lambda: dead.arrive(task), lambda: worker.complete(task)):
        with pytest.raises(LedgerError, match="the process that keeps it has died") as caught:
            call()
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    dead._reached.add(tmp_path)  # it has died since
    assert worker.complete(task).kind is Kind.MANIFEST and Kind.MANIFEST in ENDING
    work = worker.examine(task)
    assert (work.record.status, work.record.kind) == (Status.FAILED, Kind.MANIFEST)
    assert worker.finish(work) == work.record  # it cannot be told, but that ends nothing
    assert not (tmp_path / "out.png").exists()
