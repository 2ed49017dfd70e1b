"""`edsr batch --ray`, on a real cluster of Ray on this machine, of several nodes."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from edsr_cli.jobs.cluster import Cluster
from tests.cli.conftest import finish, records, start
from tests.nodes import LEDGER, WORKER, actors, below, raylet
from tests.nodes import cluster as cluster

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    pytest.mark.slow,  # a cluster takes half a minute to start
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

DEADLINE = 300.0  # seconds for what takes some on a quiet machine


def paint(folder, count, *, bad, height=30, width=40):
    """Noise, which takes long to compress, and among it evenly what is no picture."""
    folder.mkdir()
    noise = np.random.default_rng(count)
    wrong = {number * count // bad for number in range(bad)}
    for number in range(count):
        path = folder / f"{number:03}.png"
        if number in wrong:
            path.write_bytes(b"words")
        else:
            shape = (height + number % 7, width - number % 5, 3)
            Image.fromarray(noise.integers(0, 256, shape, np.uint8)).save(path)


def contents(folder):
    """All files but manifests and locks, by name; once nobody is at work."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".edsr-manifest")
    }


def outputs(folder):
    """Finished outputs by name, also while others are being written."""
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def promised(folder):
    """How often an output has been promised."""
    lines = (folder / ".edsr-manifest.jsonl").read_text().splitlines()
    return sum(json.loads(line)["event"] == "made" for line in lines)


def failures(run):
    """Names and reasons of pictures that have failed."""
    found = [record for record in records(run) if record["status"] == "failed"]
    return sorted((Path(record["input"]).name, record["reason"]) for record in found)


def wait_until(true):
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("where", ["nodes", "local"])
def test_the_driver_is_killed_and_started_again(request, edsr, model, photo, tmp_path, where):
    """On three nodes, or on workers that the command itself has started."""
    cluster = request.getfixturevalue("cluster") if where == "nodes" else None
    source, out = tmp_path / "in", tmp_path / "out"
    paint(source, 60, bad=6, height=150, width=200)
    alone = edsr("batch", source, "-o", tmp_path / "alone", "-m", model, "--json")
    wanted = outputs(tmp_path / "alone")
    address = cluster.address if cluster else "local"

    def at_work(driver):
        if cluster:
            return actors(cluster, WORKER, LEDGER)
        return below([driver.pid], WORKER, LEDGER)

    arguments = ("batch", source, "-o", out, "-m", model, "--json", "--ray", address)
    done = 0
    for kill in range(2):
        driver = start(*arguments, cwd=tmp_path)
        wait_until(lambda: len(outputs(out)) > done + 3)  # noqa: B023
        made_by = at_work(driver)
        assert len(made_by) >= 2
        driver.kill()
        assert finish(driver).code == -signal.SIGKILL
        wait_until(lambda: not any(map(psutil.Process.is_running, made_by)))  # noqa: B023
        before = outputs(out)
        assert before.items() <= wanted.items() and done < len(before) < len(wanted)
        done = len(before)
        # At most the pictures that workers had were promised and are not there.
        assert promised(out) <= done + (kill + 1) * len(made_by) * Cluster().tasks
        modified = {name: (out / name).stat().st_mtime_ns for name in before}
        time.sleep(1)
        assert outputs(out) == before  # nobody goes on writing
    run = finish(start(*arguments, cwd=tmp_path))
    assert run.code == 1, run.err
    assert contents(out) == wanted
    assert failures(run) == failures(alone)
    assert modified.items() <= {n: (out / n).stat().st_mtime_ns for n in wanted}.items()
    statuses = [record["status"] for record in records(run)]
    assert statuses.count("skipped") == done and statuses.count("done") == len(wanted) - done


def expendable(cluster):
    """A node that is neither the head nor where the driver is, and the ledger."""
    [ledger] = actors(cluster, LEDGER)
    needed = {process.pid for process in ledger.parents()}
    nodes = [node for node in cluster.list_all_nodes() if not node.head]
    return next(node for node in nodes if raylet(node) not in needed)


def test_300_pictures_in_all_ways(cluster, edsr, model, photo, tmp_path):
    """One machine, 3 shards, 16 shards, and a cluster of which two machines of three are killed."""
    source = tmp_path / "in"
    paint(source, 300, bad=40)
    beside = set(tmp_path.iterdir())

    def run(out, *options):
        return edsr("batch", source, "-o", tmp_path / out, "-m", model, "--json", *options)

    runs = {"alone": [run("alone")]}
    for count in (3, 16):
        runs[f"{count}"] = [
            run(f"{count}", "--shard", f"{number}/{count}") for number in range(1, count + 1)
        ]
    driver = start(
        "batch", source, "-o", tmp_path / "ray", "-m", model, "--json", "--ray", cluster.address,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for made in (20, 60):
        wait_until(lambda: len(outputs(tmp_path / "ray")) >= made)  # noqa: B023
        cluster.remove_node(expendable(cluster), allow_graceful=False)
    runs["ray"] = [finish(driver)]
    for _ in range(2):
        cluster.add_node(num_cpus=1)

    wanted, failed = contents(tmp_path / "alone"), failures(runs["alone"][0])
    assert len(wanted) == 260 and len(failed) == 40
    for name, parts in runs.items():
        assert {part.code for part in parts} <= {0, 1}
        assert sorted(failure for part in parts for failure in failures(part)) == failed
        # What a killed machine has left, another run clears away.
        again = run(name, *(("--ray", cluster.address) if name == "ray" else ()))
        assert again.code == 1 and failures(again) == failed
        assert [record["status"] for record in records(again)].count("skipped") == 260
        assert contents(tmp_path / name) == wanted
    assert set(tmp_path.iterdir()) == beside | {tmp_path / name for name in runs}
