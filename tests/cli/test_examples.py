"""The examples for clusters, with the variables that SLURM and Kubernetes set; not on either."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edsr_cli.folders.shards import Shard
from tests.cli.batches import paint
from tests.cli.conftest import records
from tests.conftest import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
SLURM = {
    "SLURM_ARRAY_TASK_MIN": "1",
    "SLURM_ARRAY_TASK_MAX": "2",
    "SLURM_ARRAY_TASK_STEP": "1",
    "SLURM_ARRAY_TASK_COUNT": "2",
    "SLURM_CPUS_PER_TASK": "1",
}


@pytest.mark.skipif(os.name == "nt", reason="a script for bash")
def test_slurm(edsr, photo, tmp_path):
    """Two tasks of the script, as batch shells start them, and the status that depends on them."""
    paint(*(f"in/{n}.png" for n in range(4)))
    Path("in/bad.png").write_bytes(b"words")
    command = tmp_path / "bin" / "edsr"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m edsr_cli "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    environment = os.environ | SLURM | {"PATH": path, "PYTHONPATH": str(REPOSITORY)}
    script = EXAMPLES / "slurm.sbatch"
    codes = [
        subprocess.run(
            ["bash", script, "in", "out"], env=environment | {"SLURM_ARRAY_TASK_ID": task}
        ).returncode
        for task in ("1", "2")
    ]
    assert sorted(codes) == [0, 1]
    [wrapped] = re.findall(r"--wrap '(.*)'", script.read_text())
    status = shlex.split(wrapped.replace("/shared/photos_x4", "out"))
    assert status.pop(0) == "edsr"
    run = edsr(*status, "--json")
    assert run.code == 1
    assert sorted(record["status"] for record in records(run)) == ["done"] * 4 + ["failed"]
    assert Path("out.html").is_file()


def test_kubernetes(edsr, photo, monkeypatch):
    """Pods of the Indexed Job, those with pictures and one without, and that of the status."""
    yaml = pytest.importorskip("yaml")
    names = [f"{n}.png" for n in range(3)]
    paint(*(f"data/photos/{name}" for name in names))

    def container(name):
        job = yaml.safe_load((EXAMPLES / name).read_text())
        [only] = job["spec"]["template"]["spec"]["containers"]
        assert only["command"].pop(0) == "edsr"
        return job, [word.replace("/data/", "data/") for word in only["command"]]

    job, command = container("kubernetes.yaml")
    count = job["spec"]["completions"]
    parts = [Shard(number + 1, count) for number in range(count)]
    full = [part for part in parts if any(map(part.has, names))]
    for part in [*full, next(part for part in parts if part not in full)]:
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(part.number - 1))
        assert edsr(*command).code == 0
    _, status = container("kubernetes-status.yaml")
    run = edsr(*status, "--json")
    assert run.code == 0
    assert [record["status"] for record in records(run)] == ["done"] * 3
    assert Path("data/photos_x4.html").is_file()
