import json

import pytest

from edsr_cli.errors import Kind
from edsr_cli.folders import summary as module
from edsr_cli.folders.scanning import Ignored
from edsr_cli.folders.summary import Summary
from edsr_cli.jobs.executors import Load
from edsr_cli.jobs.record import Record, Status


def done(**values):
    standard = {
        "input_size": (4, 5), "output_size": (8, 10), "input_bytes": 70, "output_bytes": 90,
        "seconds": 1.5, "stages": {"decode": 0.25, "upscale": 1.0, "encode": 0.25},
    }  # fmt: skip
    return Record("a", "b", Status.DONE, **(standard | values))


def failed(kind):
    return Record("a", "b", Status.FAILED, kind, "a: no.", stages={"decode": 1.0})


def test_records_are_fixed_and_ready_for_json():
    record = done()
    with pytest.raises(AttributeError, match="immutable"):
        record.status = Status.FAILED
    values = json.loads(json.dumps(failed(Kind.MEMORY).to_dict()))
    assert values["status"] == "failed" and values["kind"] == "memory"
    assert values["input_size"] is None and values["stages"] == {"decode": 1.0}
    assert values["error"] == values["reason"] == "a: no." and "plan" not in values
    skipped = Record("a", "b", Status.SKIPPED, Kind.COMPLETE, "b: it is up to date.").to_dict()
    assert (skipped["reason"], skipped["error"]) == ("b: it is up to date.", None)
    assert done(plan={"panels": 1}).to_dict()["plan"] == {"panels": 1}
    values = json.loads(json.dumps(done().to_dict()))
    assert values["input_size"] == [4, 5] and values["output_bytes"] == 90
    assert done().output_pixels == 80 and failed(Kind.NAME).output_pixels == 0


def test_counts():
    summary = Summary()
    for record in (
        done(),
        done(),
        failed(Kind.MEMORY),
        Record("a", "b", Status.SKIPPED, Kind.COMPLETE, "up to date"),
        Record("a", "b", Status.PLANNED),
    ):
        summary.add(record)
    summary.ignored[Ignored.HIDDEN] += 3
    summary.seconds = 2.0
    assert (summary.done, summary.skipped, summary.failed, summary.planned) == (2, 1, 1, 1)
    assert summary.ended == 5
    assert summary.kinds == {Kind.MEMORY: 1, Kind.COMPLETE: 1}
    assert (summary.input_pixels, summary.output_pixels) == (40, 160)
    assert (summary.input_bytes, summary.output_bytes) == (140, 180)
    assert summary.stages == {"decode": 1.5, "upscale": 2.0, "encode": 0.5}
    assert summary.megapixels_per_second == 80e-6
    values = json.loads(json.dumps(summary.to_dict()))
    assert values["kinds"] == {"memory": 1, "complete": 1} and values["ignored"] == {"hidden": 3}


def test_only_so_many_failures_are_held(monkeypatch):
    monkeypatch.setattr(module, "KEPT_FAILURES", 3)
    summary = Summary()
    for _ in range(5):
        summary.add(failed(Kind.UNREADABLE))
    assert summary.failed == summary.kinds[Kind.UNREADABLE] == 5
    assert len(summary.failures) == 3


@pytest.mark.parametrize(
    ("load", "share", "bottleneck"),
    [
        (Load(), 0, "upscale"),
        (Load(9, 1, 0), 0.9, "upscale"),
        (Load(1, 3, 0), 0.25, "decode"),
        (Load(1, 1, 2), 0.25, "encode"),
    ],
)
def test_the_stage_that_the_others_wait_for(load, share, bottleneck):
    assert load.busy_share == share and load.bottleneck == bottleneck


def test_nothing_done():
    assert Summary().megapixels_per_second == 0
    assert json.dumps(Summary().to_dict())


def test_remarks_are_counted_by_kind_without_their_numbers(monkeypatch):
    monkeypatch.setattr(module, "KEPT_REMARKS", 2)
    summary = Summary()
    for notes in (
        ("only the first of 5 frames", "alpha was dropped"),
        ("only the first of 1,200 frames",),
        ("one kind too many",),
        (),
    ):
        summary.add(done(notes=notes))
    summary.add(Record("a", "b", Status.SKIPPED, Kind.COMPLETE, notes=("alpha was dropped",)))
    assert summary.remarked == 3
    assert summary.remarks == {"only the first of … frames": 2, "alpha was dropped": 1}
    assert json.loads(json.dumps(summary.to_dict()))["remarked"] == 3
