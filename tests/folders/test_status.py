import errno
import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from edsr_cli.errors import Kind, UsageError
from edsr_cli.folders.output import OutputFolder
from edsr_cli.folders.shards import WHOLE, Shard
from edsr_cli.folders.status import FolderStatus, tell
from edsr_cli.jobs.naming import Namer
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.target import Target
from tests.folders.engine import NAMES, Collect, StopAfter, paint


def told(*folders):
    collect = Collect()
    statuses = [FolderStatus(folder) for folder in folders]
    collect.summary = tell(statuses, [collect])
    collect.parts = [part for status in statuses for part in status.parts]
    return collect


def by_status(collect, wanted):
    return sorted(Path(r.input).name for r in collect.records if r.status is wanted)


def test_a_run_that_has_ended(engine, pixels, output):
    (engine.source / "bad.png").write_bytes(b"words")
    run, collect = engine.run(), told(output)
    assert by_status(collect, Status.DONE) == NAMES
    [failure] = [record for record in collect.records if record.status is Status.FAILED]
    [known] = [record for record in run.records if record.status is Status.FAILED]
    assert (failure.input, failure.kind, failure.reason) == (known.input, known.kind, known.reason)
    inputs = {record.input: record for record in run.records}
    for record in collect.records:
        if record.status is Status.DONE:
            known = inputs[record.input]
            assert record.output == known.output and record.output_bytes == known.output_bytes
            assert record.input_bytes == known.input_bytes and not record.notes
    assert str(collect.parts[0]).startswith("without shards: 8 done, 1 failed; ended ")


def test_every_shard_counts_and_what_none_has_begun_is_missing(engine, pixels, output):
    (engine.source / "bad.png").write_bytes(b"words")
    ran = [Shard(1, 3), Shard(3, 3)]
    for shard in ran:
        engine.run(shard=shard)
    collect = told(output)
    there = [name for name in NAMES if any(shard.has(name) for shard in ran)]
    assert by_status(collect, Status.DONE) == there
    assert [part.shard for part in collect.parts] == ran
    assert sum(part.done for part in collect.parts) == len(there)
    told_of = {Path(r.input).name for r in collect.records if r.status is not Status.PLANNED}
    missing = sorted({*NAMES, "bad.png"} - told_of)
    assert by_status(collect, Status.PLANNED) == missing != []


def test_outputs_that_have_gone_or_changed(engine, pixels, output):
    engine.run()
    (output / "3.png").unlink()
    (output / "4.png").write_bytes(b"edited")
    collect = told(output)
    assert by_status(collect, Status.PLANNED) == ["3.png"]
    [changed] = [record for record in collect.records if record.notes and record.output_bytes == 6]
    assert changed.notes == ("the output has been changed since it was made",)


def test_a_failure_that_was_mended_is_none(engine, source, output):
    (source / "a.png").write_bytes(b"words")
    engine.run(shard=Shard(1, 2)), engine.run(shard=Shard(2, 2))
    assert told(output).summary.failed == 1
    paint(source / "a.png")
    engine.run()
    assert told(output).summary.failed == 0 and told(output).summary.done == 1


def test_a_picture_that_fails_later_keeps_its_output_and_is_a_failure(engine, source, output):
    paint(source / "a.png")
    engine.run()
    (source / "a.png").write_bytes(b"words, and more of them")
    engine.run()
    collect = told(output)
    assert by_status(collect, Status.FAILED) == ["a.png"] and collect.records[0].kind
    assert collect.records[0].kind is Kind.UNREADABLE


def test_a_folder_that_cannot_be_listed_is_a_failure(engine, pixels, output, monkeypatch):
    engine.run()

    def read(folder):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("edsr_cli.folders.scanning.Listing.read", read)
    [record] = [r for r in told(output).records if r.status is Status.FAILED]
    assert record.kind is Kind.PERMISSION and "cannot be listed" in record.reason


def test_runs_that_were_stopped_or_killed(engine, pixels, output, one_thread):
    batch, scanner = engine.parts()
    batch.run(scanner.walk(), [StopAfter(batch, 2)])
    collect = told(output)
    assert "stopped (interrupted)" in str(collect.parts[0])
    assert collect.summary.done + collect.summary.planned == len(NAMES)
    manifest = output / WHOLE.manifest
    lines = [line for line in manifest.read_bytes().splitlines(True) if b'"ended"' not in line]
    manifest.write_bytes(b"".join(lines) + b'{"event":"ma')
    assert "broken off" in str(told(output).parts[0])


def test_a_run_at_work(engine, pixels, output):
    engine.run()
    folder = OutputFolder(output)
    assert "at work" in str(told(output).parts[0])
    folder.close()


def test_inputs_that_are_not_to_be_found_from_here(engine, pixels, output):
    engine.run(include=["0.png"])
    assert told(output).summary.planned == 0  # the others were not asked for
    shutil.rmtree(engine.source)
    collect = told(output)
    assert by_status(collect, Status.DONE) == ["0.png"] and collect.summary.planned == 0


@pytest.mark.parametrize("target", [Target("x2", Fraction(2)), Target("w30", box=(30, None))])
def test_what_is_to_come_has_the_names_that_were_asked_for(engine, pixels, output, target):
    namer = Namer(target, "{stem}-{width}-{model}{ext}", "a model")
    planned = engine.run(plan=True, namer=namer)
    engine.run(shard=Shard(1, 2), namer=namer)
    collect = told(output)
    assert collect.summary.planned > 0
    assert {r.output for r in collect.records} == {r.output for r in planned.records}


def test_folders_that_move_together(engine, pixels, output, tmp_path):
    engine.run(shard=Shard(1, 2))
    (tmp_path / "there").mkdir()
    engine.source.rename(tmp_path / "there" / "in")
    output.rename(tmp_path / "there" / "in_x2")
    collect = told(tmp_path / "there" / "in_x2")
    assert len(collect.records) == len(NAMES)
    assert all(Path(record.input).exists() for record in collect.records)


def test_several_inputs_in_one_folder(engine, pixels, output, tmp_path):
    other = tmp_path / "other"
    paint(other / "x.png")
    engine.run(inputs=[engine.source, other], output=output)
    (other / "y.png").write_bytes(b"new")
    collect = told(output)
    assert by_status(collect, Status.DONE) == [*NAMES, "x.png"]
    assert by_status(collect, Status.PLANNED) == ["y.png"]
    assert all(Path(record.input).exists() for record in collect.records)


def test_a_manifest_that_was_rewritten_knows_its_inputs(engine, pixels, output, monkeypatch):
    monkeypatch.setattr("edsr_cli.folders.manifest._SPARE_LINES", 0)
    for seed in range(12):
        paint(engine.source / "0.png", seed=seed)
        engine.run(include=["0.png"])
    lines = (output / WHOLE.manifest).read_bytes().splitlines()
    assert len(lines) < 30
    engine.run(plan=True)
    assert by_status(told(output), Status.DONE) == ["0.png"]
    assert FolderStatus(output).roots


def test_lines_that_say_nothing_are_as_if_they_were_not_there(engine, pixels, output):
    engine.run(shard=Shard(1, 2))
    before = told(output)
    with (output / Shard(1, 2).manifest).open("ab") as file:
        file.write(b'{"event":"failed"}\n{"event":"run"}\n{"event":"recipe"}\n{"event":[]}\n')
    after = told(output)
    for wanted in Status:
        assert by_status(after, wanted) == by_status(before, wanted)
    assert by_status(after, Status.PLANNED) and len(after.parts) == 1


def test_folders_that_are_no_outputs(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="no folder that edsr batch has written to"):
            FolderStatus(folder)
