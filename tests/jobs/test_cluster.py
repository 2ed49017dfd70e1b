"""Runs on a real cluster of Ray on this machine, of several nodes, some of which are killed."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edsr_cli.errors import UsageError
from edsr_cli.folders.globs import Choice
from edsr_cli.folders.ledger import FolderLedger
from edsr_cli.folders.recipe import recipe_of
from edsr_cli.folders.roots import assign_folders
from edsr_cli.folders.scanning import BatchTask, Scanner
from edsr_cli.images import format_for
from edsr_cli.jobs.cluster import Cluster, Distributed, Site, ask_a_worker, connected
from edsr_cli.jobs.executors import Serial
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.remote_ledger import RemoteLedger
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.options.pictures import Outputs
from tests.jobs.nearest import save_nearest
from tests.nodes import LEDGER, a_worker, actors
from tests.nodes import cluster as cluster

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    pytest.mark.slow,  # a cluster takes half a minute to start
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]


@pytest.fixture
def job(tmp_path):
    """Pictures, some of them bad, and what one machine makes of them."""

    class Job:
        source, output = tmp_path / "in", tmp_path / "out"
        spec = WorkerSpec(
            options=Outputs(
                model=save_nearest(tmp_path / "nearest.safetensors", 2), precision="fp32", threads=1
            ),
            devices=("cpu",),
        )
        form = format_for(None, "png")

        def paint(self, count):
            self.source.mkdir()
            random = np.random.default_rng(0)
            for number in range(count):
                path = self.source / f"{number:03}.png"
                if number % 8 == 7:
                    path.write_bytes(b"words")
                else:
                    pixels = random.integers(0, 256, (90, 120, 3), np.uint8)
                    Image.fromarray(pixels).save(path)

        def tasks(self, output):
            roots = assign_folders([str(self.source)], str(output), 2)
            items = Scanner(roots, Choice(), self.form).walk()
            return [item for item in items if isinstance(item, BatchTask)]

        def alone(self):
            worker = self.spec.open()
            recipe = recipe_of(worker, self.form)
            ledger, records = FolderLedger([tmp_path / "alone"], recipe), []
            life = replace(worker, ledger=ledger).complete
            Serial(life).run(self.tasks(tmp_path / "alone"), records.append)
            ledger.close()
            return contents(tmp_path / "alone"), outcome(records)

        def together(self, nodes, wanted=Cluster(), during=lambda count: None):  # noqa: B008
            records, folders = [], [self.output]
            with connected(replace(wanted, address=nodes.address)) as workers:
                recipe = ask_a_worker(self.spec, wanted, partial(_recipe, self.form))
                ledger = RemoteLedger(partial(FolderLedger, folders, recipe), folders)

                def done(record):
                    records.append(record)
                    during(len(records))

                try:
                    site = Site(self.spec, wanted, workers)
                    Distributed(site, ledger).run(iter(self.tasks(self.output)), done)
                finally:
                    ledger.close()
            return records

    return Job()


def _recipe(form, worker):
    return recipe_of(worker, form)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".edsr-")}


def outcome(records):
    return sorted((r.input, r.status, r.kind, r.reason) for r in records)


def settled(outcomes):
    """What does not depend on when a worker dies: of an output of which it had no time to tell, the
    next one finds that it is up to date.
    """
    made = (Status.DONE, Status.SKIPPED)
    return [(name,) if status in made else (name, *rest) for name, status, *rest in outcomes]


def temporary(folder):
    return list(folder.glob(".edsr-*.tmp"))


def test_as_on_one_machine(cluster, job):
    job.paint(24)
    wanted, records = job.alone()
    assert outcome(job.together(cluster)) == records
    assert contents(job.output) == wanted
    again = job.together(cluster)
    assert [r.status for r in again].count(Status.SKIPPED) == 21
    assert contents(job.output) == wanted


def test_workers_and_nodes_die(cluster, job):
    """Five workers are killed, and two machines of three; all is done all the same."""
    job.paint(64)
    wanted, records = job.alone()
    killed = {"workers": 0, "nodes": 0}
    nodes = [node for node in cluster.list_all_nodes() if not node.head]

    def during(count):
        if count in (4, 9, 14, 30, 40):
            a_worker(cluster).kill()
            killed["workers"] += 1
        if count in (20, 35):
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            killed["nodes"] += 1

    found = job.together(cluster, during=during)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    assert killed == {"workers": 5, "nodes": 2}
    assert settled(outcome(found)) == settled(records)
    assert contents(job.output) == wanted
    lines = (job.output / ".edsr-manifest.jsonl").read_text().splitlines()
    made = [line["output"] for line in map(json.loads, lines) if line["event"] == "made"]
    assert len(made) < len(wanted) + 20  # at most what was at work was made again
    assert {r.status for r in job.together(cluster)} == {Status.SKIPPED, Status.FAILED}
    assert temporary(job.output) == []


def test_a_picture_that_kills_its_workers_is_given_up(cluster, job, monkeypatch):
    job.paint(6)
    monkeypatch.setattr("edsr_cli.jobs.cluster._WorkerActor", Deadly)
    records = job.together(cluster)
    by_name = {Path(r.input).name: r for r in records}
    assert by_name["003.png"].status is Status.FAILED
    assert "the worker has died" in by_name["003.png"].reason
    assert [r.status for r in records].count(Status.DONE) >= 3


class Deadly:
    """A worker that one picture kills."""

    def __init__(self, spec, ledger):
        from edsr_cli.jobs.cluster import _WorkerActor

        self._of = _WorkerActor(spec, ledger)

    def ready(self):
        return None

    def describe(self, ask):
        return self._of.describe(ask)

    def complete(self, task):
        if task.name == "003.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return self._of.complete(task)


def test_a_run_that_is_stopped_finishes_what_is_at_work(cluster, job):
    job.paint(30)
    records = []
    with connected(Cluster(address=cluster.address)) as count:
        recipe = ask_a_worker(job.spec, Cluster(), partial(_recipe, job.form))
        ledger = RemoteLedger(partial(FolderLedger, [job.output], recipe), [job.output])
        executor = Distributed(Site(job.spec, Cluster(), count), ledger)

        def done(record):
            records.append(record)
            if len(records) == 3:
                executor.stop()

        executor.run(iter(job.tasks(job.output)), done)
        ledger.close()
    assert 3 <= len(records) <= 9
    assert len(contents(job.output)) == [r.status for r in records].count(Status.DONE)


def test_workers_for_which_there_is_no_room(cluster, job):
    """They get no pictures, until there is room for them."""
    job.paint(24)
    wanted, records = job.alone()
    later = None

    def during(count):
        nonlocal later
        if count == 3:
            later = cluster.add_node(num_cpus=1)

    found = job.together(cluster, Cluster(workers=5), during)
    cluster.remove_node(later)
    assert outcome(found) == records
    assert contents(job.output) == wanted


def test_a_ledger_that_dies_ends_the_run(cluster, job):
    job.paint(24)
    wanted, _ = job.alone()

    def during(count):
        if count == 5:
            [ledger] = actors(cluster, LEDGER)
            ledger.kill()

    with pytest.raises(LedgerError, match="the process that keeps it has died"):
        job.together(cluster, during=during)
    there = contents(job.output)
    assert there.items() < wanted.items()
    again = job.together(cluster)
    assert contents(job.output) == wanted
    assert [r.status for r in again].count(Status.SKIPPED) == len(there)
    assert temporary(job.output) == []


def test_errors_come_as_they_are(cluster, job, tmp_path):
    with connected(Cluster(address=cluster.address)):
        (tmp_path / "taken").write_bytes(b"a file")
        recipe = ask_a_worker(job.spec, Cluster(), partial(_recipe, job.form))
        with pytest.raises(Exception, match="the output folder cannot be made"):
            RemoteLedger(partial(FolderLedger, [tmp_path / "taken"], recipe), [])
        wrong = replace(job.spec, options=job.spec.options.part(Outputs, model="none-such"))
        with pytest.raises(Exception, match="none-such"):
            ask_a_worker(wrong, Cluster(), partial(_recipe, job.form))
    with (
        pytest.raises(UsageError, match="no machine of the Ray cluster"),
        connected(Cluster(address=cluster.address, gpus=1)),
    ):
        pass
    with (  # all together have three, but none has two
        pytest.raises(UsageError, match="no machine of the Ray cluster"),
        connected(Cluster(address=cluster.address, cpus=2)),
    ):
        pass
    with (
        pytest.raises(UsageError, match="no Ray cluster answers"),
        connected(Cluster(address="127.0.0.1:1")),
    ):
        pass


def test_the_command(cluster, job, tmp_path):
    """As a user types it, in a process of its own."""
    job.paint(16)
    wanted, _ = job.alone()
    model = job.spec.options.model
    command = [sys.executable, "-m", "edsr_cli", "batch", str(job.source), "-o", str(job.output)]
    options = ["-m", model, "--precision", "fp32", "--ray", cluster.address, "--json"]
    report = ["--report", str(tmp_path / "r.json")]
    run = subprocess.run([*command, *options, *report], capture_output=True, timeout=300)
    assert run.returncode == 1, run.stderr.decode()  # two are bad
    records = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(r["status"] for r in records) == ["done"] * 14 + ["failed"] * 2
    assert contents(job.output) == wanted
    assert len(json.loads((tmp_path / "r.json").read_text())["files"]) == 16
    status = subprocess.run(
        [*command[:4], "--status", str(job.output)], capture_output=True, timeout=300
    )
    assert b"done    14" in status.stderr and b"failed   2" in status.stderr
