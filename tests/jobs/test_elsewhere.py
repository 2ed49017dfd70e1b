"""A worker in another process: made from values that were sent there, with a ledger of its own."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edsr_cli.folders.globs import Choice
from edsr_cli.folders.ledger import FolderLedger
from edsr_cli.folders.recipe import recipe_of
from edsr_cli.folders.roots import assign_folders
from edsr_cli.folders.scanning import BatchTask, Scanner
from edsr_cli.folders.shards import WHOLE
from edsr_cli.images import format_for
from edsr_cli.jobs.executors import Serial
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.options.pictures import Outputs
from tests import forking
from tests.conftest import REPOSITORY
from tests.jobs.nearest import save_nearest

ELSEWHERE = """
import pickle, sys
from contextlib import closing
from msgspec.structs import replace
from edsr_cli.folders.ledger import FolderLedger
from edsr_cli.jobs.executors import Serial

spec, folders, recipe, tasks = pickle.load(sys.stdin.buffer)
records = []
with closing(FolderLedger(folders, recipe)) as ledger:
    Serial(replace(spec.open(), ledger=ledger).complete).run(tasks, records.append)
sys.stdout.buffer.write(pickle.dumps(records))
"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "in"
    path.mkdir()
    for seed, (height, width) in enumerate([(6, 9), (20, 7), (1, 30)]):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(path / f"{seed}.png")
    (path / "bad.png").write_bytes(b"words")
    return path


def timeless(record: Record) -> Record:
    stages = dict.fromkeys(record.stages, 0.0)
    return replace(record, seconds=0.0, stages=stages, ended=0.0)


def manifest(folder):
    """The lines of a manifest, without times of lines and of outputs."""
    lines = [json.loads(line) for line in (folder / WHOLE.manifest).read_text().splitlines()]
    sizes = [{"result": line["result"][0]} if "result" in line else {} for line in lines]
    return [line | size | {"time": 0} for line, size in zip(lines, sizes, strict=True)]


def test_another_process_makes_the_same_of_the_same_tasks(folder, tmp_path):
    spec = WorkerSpec(
        options=Outputs(
            model=save_nearest(tmp_path / "nearest.safetensors", 2),
            precision="fp32",
            tile=5,
            alpha="keep",
        ),
        devices=("cpu",),
    )
    assert pickle.loads(pickle.dumps(spec)) == spec
    worker, output = spec.open(), tmp_path / "out"
    form = format_for(None, "png")
    roots = assign_folders([str(folder)], str(output), worker.target.label)
    tasks = [i for i in Scanner(roots, Choice(), form).walk() if isinstance(i, BatchTask)]
    recipe = recipe_of(worker, form)
    sent = pickle.dumps((spec, [output], recipe, tasks))
    with forking.Popen(
        [sys.executable, "-c", ELSEWHERE], cwd=REPOSITORY,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        answer, _ = process.communicate(sent, timeout=600)
    assert process.returncode == 0
    there = pickle.loads(answer)
    files = {path.name: path.read_bytes() for path in output.glob("*.png")}
    lines = manifest(output)

    for path in output.iterdir():
        path.unlink()
    here: list[Record] = []
    ledger = FolderLedger([output], recipe)
    Serial(replace(worker, ledger=ledger).complete).run(tasks, here.append)
    ledger.close()
    assert [record.status for record in here] == [Status.DONE] * 3 + [Status.FAILED]
    assert list(map(timeless, there)) == list(map(timeless, here))
    assert {path.name: path.read_bytes() for path in output.glob("*.png")} == files
    assert len(files) == 3 and manifest(output) == lines
