import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.errors import UsageError
from edsr_cli.files.lock import Lock
from edsr_cli.folders.output import OutputFolder
from edsr_cli.folders.shards import (
    WHOLE,
    Shard,
    lock_shard,
    manifest_shard,
    parse_shard,
)
from tests.folders.engine import NAMES, contents, no_work, paint, statuses, whole

shards = st.integers(1, 64).flatmap(
    lambda count: st.builds(Shard, st.integers(1, count), st.just(count))
)


def parts(count):
    return [Shard(number, count) for number in range(1, count + 1)]


@given(st.text(max_size=40), st.integers(1, 64))
def test_every_picture_belongs_to_one_shard(name, count):
    assert sum(shard.has(name) for shard in parts(count)) == 1


def test_shards_are_the_same_on_every_machine():
    """They are promised by the manifests that earlier versions have written."""
    owners = [next(part.number for part in parts(16) if part.has(f"{n}.jpg")) for n in range(8)]
    assert owners == [3, 10, 1, 3, 13, 1, 5, 11]
    composed, apart = "caf\u00e9.jpg", "cafe\u0301.jpg"
    assert all(part.has(composed) == part.has(apart) for part in parts(16))
    assert any(part.has("\udc80.jpg") for part in parts(16))  # a name that is no UTF-8


def test_shards_are_even():
    sizes = [sum(part.has(f"2024/IMG_{n:05}.jpg") for n in range(8000)) for part in parts(16)]
    assert sum(sizes) == 8000 and min(sizes) > 400 and max(sizes) < 600


@given(shards)
def test_files_are_known_by_their_names(shard):
    assert manifest_shard(shard.manifest) == lock_shard(shard.lock) == shard
    assert manifest_shard(shard.lock) is lock_shard(shard.manifest) is None
    assert parse_shard(str(shard), {}) == shard


@pytest.mark.parametrize(
    "name", ["x.edsr-manifest.jsonl", ".edsr-manifest.01-of-2.jsonl", ".edsr-manifest.1-of-1.jsonl"]
)
def test_names_that_are_similar(name):
    assert manifest_shard(name) is None


SLURM = {
    "SLURM_ARRAY_TASK_ID": "6",
    "SLURM_ARRAY_TASK_MIN": "4",
    "SLURM_ARRAY_TASK_MAX": "8",
    "SLURM_ARRAY_TASK_STEP": "2",
    "SLURM_ARRAY_TASK_COUNT": "3",
}


@pytest.mark.parametrize(
    ("text", "environment", "shard"),
    [
        (None, SLURM, WHOLE),
        ("1/1", SLURM, WHOLE),
        ("auto", SLURM, Shard(2, 3)),
        ("auto/16", {"JOB_COMPLETION_INDEX": "0"}, Shard(1, 16)),
        ("auto/16", {"JOB_COMPLETION_INDEX": "15"}, Shard(16, 16)),
    ],
)
def test_shards_as_users_name_them(text, environment, shard):
    assert parse_shard(text, environment) == shard


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("0/3", {}, "no shard '0/3'"),
        ("4/3", {}, "no shard '4/3'"),
        ("3", {}, "no shard '3'"),
        ("1/0", {}, "no shard '1/0'"),
        ("-1/3", {}, "no shard"),
        ("auto/x", SLURM, "no shard"),
        ("auto", {}, "no job array"),
        ("auto", {"JOB_COMPLETION_INDEX": "3"}, "--shard auto/16"),
        ("auto/3", {"JOB_COMPLETION_INDEX": "3"}, "task 4 of an array, and there are 3"),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_MAX": "9"}, "not evenly numbered"),
    ],
)
def test_shards_that_there_are_not(text, environment, message):
    with pytest.raises(UsageError, match=message):
        parse_shard(text, environment)


# Runs.


@pytest.mark.parametrize("count", [3, 16])
def test_all_shards_together_make_what_one_run_makes(engine, pixels, output, tmp_path, count):
    (engine.source / "bad.png").write_bytes(b"words")
    everything = engine.run(output=tmp_path / "whole")
    records = [record for shard in parts(count) for record in engine.run(shard=shard).records]
    assert contents(output) == contents(tmp_path / "whole")
    assert [record.status for record in records].count("done") == len(NAMES)
    assert sorted(record.reason for record in records if record.reason) == [
        record.reason for record in everything.records if record.reason
    ]
    assert len(records) == len(NAMES) + 1


def test_any_later_run_goes_on_with_what_shards_have_done(engine, pixels, output, monkeypatch):
    engine.run(shard=Shard(1, 3))
    engine.run(shard=Shard(2, 3))
    engine.run()
    assert whole(output, pixels) == NAMES
    before = contents(output)
    no_work(monkeypatch)
    for shard in (WHOLE, *parts(3), *parts(5)):
        run = engine.run(shard=shard)
        assert run.summary.done == run.summary.failed == 0
        assert run.summary.skipped == sum(map(shard.has, NAMES))
    assert contents(output) == before


def test_the_last_word_counts_whoever_has_written_it(engine, source, output):
    """Made by a shard, again by a run without, and again by a shard of others."""
    for seed, shard in enumerate([Shard(1, 2), WHOLE, Shard(1, 3), Shard(1, 2)]):
        name = next(n for n in NAMES if Shard(1, 2).has(n) and Shard(1, 3).has(n))
        pixels = paint(source / name, seed=seed)
        assert statuses(engine.run(shard=shard)) == [(name, "done", None)]
        assert whole(output, {name: pixels}) == [name]


def test_what_somebody_has_edited_stays(engine, pixels, output):
    engine.run(shard=Shard(1, 2))
    engine.run(shard=Shard(2, 2))
    (output / "0.png").write_bytes(b"edited")
    run = engine.run(shard=next(part for part in parts(3) if part.has("0.png")))
    assert ("0.png", "skipped", "edited") in statuses(run)
    assert (output / "0.png").read_bytes() == b"edited"


def test_names_are_settled_over_the_whole_folder(engine, source, output):
    """Two pictures that would become the same lie in different shards."""
    pair = next(
        (f"{n}.png", f"{n}.bmp")
        for n in range(99)
        if Shard(1, 2).has(f"{n}.png") and Shard(2, 2).has(f"{n}.bmp")
    )
    pixels = {f"{name}.png": paint(source / name, seed=n) for n, name in enumerate(pair)}
    for shard in parts(2):
        engine.run(shard=shard)
    assert whole(output, pixels) == sorted(pixels)


# Who may be at work at the same time.


def busy(folder, shard):
    with pytest.raises(UsageError, match="is at work in this output folder"):
        OutputFolder(folder, shard=shard)


def test_shards_of_one_number_work_side_by_side(tmp_path):
    folders = [OutputFolder(tmp_path, shard=shard) for shard in parts(4)]
    busy(tmp_path, Shard(3, 4))
    for folder in folders:
        folder.close()


@pytest.mark.parametrize(
    ("first", "second"), [(WHOLE, Shard(1, 2)), (Shard(1, 2), WHOLE), (Shard(1, 2), Shard(1, 3))]
)
def test_runs_that_may_make_the_same_pictures_do_not(tmp_path, monkeypatch, first, second):
    monkeypatch.setattr("edsr_cli.folders.output._PATIENCE", 0.0)
    folder = OutputFolder(tmp_path, shard=first)
    busy(tmp_path, second)
    folder.close()
    OutputFolder(tmp_path, shard=second).close()


def test_a_look_at_a_lock_is_waited_for(tmp_path):
    """Shards that begin together look at the lock of a run without shards, one after the other."""
    OutputFolder(tmp_path).close()
    lock = Lock(tmp_path / WHOLE.lock, "")
    lock.acquire()
    timer = threading.Timer(0.3, lock.release)
    timer.start()
    OutputFolder(tmp_path, shard=Shard(1, 2)).close()
    timer.join()
