"""The ledger that lives in a process of its own, and what becomes of a run when that dies.

`test_cluster.py` and `tests/cli/test_batch_cluster.py` have the real processes.
"""

import pickle
from types import SimpleNamespace

import pytest

from edsr_cli.errors import Kind
from edsr_cli.images import format_for
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.remote_ledger import RemoteLedger
from edsr_cli.jobs.task import Task
from edsr_cli.jobs.worker import Worker

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> RemoteLedger:
    """A ledger whose actor has died."""

    def get(reference: object) -> None:
        raise ray.exceptions.ActorDiedError

    ledger = RemoteLedger.__new__(RemoteLedger)
    ledger._actor = SimpleNamespace(call=SimpleNamespace(remote=lambda *arguments: None))
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(ray, "kill", lambda actor: None)
    return ledger


def test_nobody_can_tell_what_is_done(dead, upscaler, photo, tmp_path):
    task = Task(photo, tmp_path / "out.png", format_for(None, "png"))
    worker = Worker(model="nearest", upscalers=[upscaler], ledger=dead)
    for call in (dead.close, lambda: dead.arrive(task), lambda: worker.complete(task)):
        with pytest.raises(LedgerError, match="the process that keeps it has died") as caught:
            call()
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    work = worker.examine(task)  # which it may die in, too
    assert (work.record.status, work.record.kind) == (Status.FAILED, Kind.MANIFEST)
    assert worker.finish(work) == work.record  # it cannot be told, but that ends nothing
    assert not (tmp_path / "out.png").exists()
