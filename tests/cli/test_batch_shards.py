"""`edsr batch --shard`, in several processes at once, some of which are killed."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.cli.batches import paint
from tests.cli.conftest import finish, start


def outputs(folder):
    return {
        path.name: path.read_bytes()
        for path in Path(folder).iterdir()
        if not path.name.startswith(".edsr-")
    }


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize(
    ("pictures", "kills"), [(24, 3), pytest.param(300, 20, marks=pytest.mark.slow)]
)
def test_shards_are_killed_and_started_again(edsr, model, photo, tmp_path, pictures, kills):
    paint(*(f"in/{n:03}.png" for n in range(pictures)))
    bad = [f"in/{n:03}.png" for n in range(0, pictures, 7)]
    for name in bad:
        Path(name).write_bytes(b"words")
    assert edsr("batch", "in", "-o", "whole", "-m", model).code == 1
    wanted = outputs("whole")
    chance, count, out = random.Random(kills), 3, tmp_path / "out"

    def begin(number):
        options = ("-o", out, "-m", model, "--shard", f"{number + 1}/{count}")
        return start("batch", tmp_path / "in", *options)

    running = [begin(number) for number in range(count)]
    for _ in range(kills):
        number = chance.randrange(count)
        time.sleep(chance.uniform(0, 0.3))
        running[number].kill()
        assert finish(running[number]).code in (-signal.SIGKILL, 0, 1)
        assert outputs(out).items() <= wanted.items() if out.is_dir() else True
        running[number] = begin(number)
    for each in running:
        assert finish(each).code in (0, 1)
    assert {name: data for name, data in outputs(out).items() if ".tmp" not in name} == wanted
    again = edsr("batch", "in", "-o", "out", "-m", model, "--json")
    records = [json.loads(line) for line in again.out.splitlines()]
    assert sorted({record["status"] for record in records}) == ["failed", "skipped"]
    assert outputs(out) == wanted
    status = edsr("batch", "--status", "out", "--json")
    failed = [json.loads(line) for line in status.out.splitlines() if b'"failed"' in line]
    assert status.code == 1 and sorted(Path(r["input"]).name for r in failed) == [
        Path(name).name for name in bad
    ]


def test_the_status_in_words_and_as_a_page(edsr, model, photo):
    paint(*(f"in/{n}.png" for n in range(6)))
    Path("in/bad.png").write_bytes(b"words")
    assert edsr("batch", "in", "-m", model, "--shard", "1/2").code in (0, 1)
    half = edsr("batch", "--status", "in_x4")
    assert half.code == 1 and "to do" in half.err
    assert edsr("batch", "in", "-m", model, "--shard", "2/2").code in (0, 1)
    whole = edsr("batch", "--status", "in_x4", "--report", "page.html")
    assert whole.code == 1
    assert "done" in whole.err and "bad.png: this is not a picture" in whole.err
    assert "shard 1/2: " in whole.err and "shard 2/2: " in whole.err
    page = Path("page.html").read_text("utf-8")
    assert "bad.png" in page and "data:image" in page
    Path("in/bad.png").unlink()
    paint("in/bad.png")
    assert edsr("batch", "in", "-m", model).code == 0
    good = edsr("batch", "--status", "in_x4")
    assert good.code == 0 and "to do" not in good.err
    assert edsr("batch", "in", "-o", "in_x4", "--status").code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("in", "--shard", "4/3"),
        ("in", "--shard", "auto"),
        ("in", "--shard", "1/2", "--report", "x.json"),
        ("in", "--status"),
        ("in", "--status", "--watch"),
        ("in", "--status", "--shard", "1/2"),
        ("in", "--ray", "local", "--worker-cpus", "nan"),
        ("in", "--ray", "local", "-d", "cpu,cpu"),
    ],
)
def test_what_makes_no_sense(edsr, model, photo, options, monkeypatch):
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    paint("in/a.png")
    run = edsr("batch", *options)
    assert run.code == 2 and run.err.startswith("error: ")
    assert sorted(path.name for path in Path().iterdir()) == ["in", "photo.png"]
