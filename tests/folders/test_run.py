"""The engine on real folders: what is done, planned and refused."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from edsr_cli import images
from edsr_cli.errors import Kind, UsageError
from edsr_cli.folders.ledger import OutputFolder
from edsr_cli.folders.scanning import Ignored
from edsr_cli.folders.shards import WHOLE
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import writing
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.worker import Worker
from tests.folders.engine import (
    contents,
    is_upscaled,
    no_work,
    paint,
    paint_all,
    statuses,
)

posix = pytest.mark.skipif(os.name == "nt", reason="about files of POSIX")
pytestmark = pytest.mark.usefixtures("threads_end")

NAMES = ["a.png", "b.bmp", "sub/c.tif", "sub/deep/d.ppm", "sub/deep/two\nlines.png"]
if os.name == "nt":
    NAMES.pop()


# What is done.


def test_a_tree_is_mirrored(engine, source, output):
    pixels = paint_all(source, NAMES)
    run = engine.run()
    assert sorted(contents(output)) == sorted(
        Path(name).with_suffix(".png").as_posix() for name in NAMES
    )
    for name, picture in pixels.items():
        assert is_upscaled(output / Path(name).with_suffix(".png"), picture)
    assert run.summary.done == 5 and run.summary.stopped is None
    record = run.by_name(source)["sub/c.tif"]
    assert record.status is Status.DONE and record.kind is None and record.reason is None
    assert record.output == str(output / "sub" / "c.png")
    assert (record.input_size, record.output_size) == ((9, 6), (18, 12))
    assert record.input_bytes == (source / "sub/c.tif").stat().st_size
    assert record.output_bytes == (output / "sub/c.png").stat().st_size
    assert set(record.stages) == {"decode", "upscale", "encode"}
    assert record.seconds == pytest.approx(sum(record.stages.values()))
    assert (record.model, record.device, record.precision) == ("nearest", "cpu", "fp32")
    json.dumps(record.to_dict())


def test_nothing_is_done_twice(engine, source, output, monkeypatch):
    paint_all(source, NAMES)
    engine.run()
    before = contents(output)
    no_work(monkeypatch)
    run = engine.run()
    assert run.summary.skipped == 5 and run.summary.kinds == {Kind.COMPLETE: 5}
    assert all("up to date" in record.reason for record in run.records)
    assert contents(output) == before
    paint(source / "new.png")
    monkeypatch.undo()
    assert statuses(engine.run())[4] == ("new.png", "done", None)


def test_every_input_folder_has_its_own_output(engine, source, output):
    paint(source / "a.png")
    paint(source.parent / "other" / "a.png")
    engine.run(inputs=[source, source.parent / "other"])
    assert list(contents(output)) == list(contents(source.parent / "other_x2")) == ["a.png"]
    out = source.parent / "out"
    run = engine.run(inputs=[source, source.parent / "other"], output=out)
    assert sorted(contents(out)) == ["in/a.png", "other/a.png"]
    assert (out / WHOLE.manifest).exists() and not (out / "in" / WHOLE.manifest).exists()
    assert run.summary.done == 2
    assert engine.run(inputs=[source, source.parent / "other"], output=out).summary.skipped == 2


def test_the_output_may_lie_in_the_input(engine, source):
    paint(source / "a.png")
    for expected in ("done", "skipped"):
        run = engine.run(output=source / "large")
        assert statuses(run)[0][:2] == ("a.png", expected)
        assert run.summary.ignored == {Ignored.OUTPUTS: 1}
    assert list(contents(source / "large")) == ["a.png"]


@pytest.mark.parametrize("form", ["jpeg", "webp", "tiff", "bmp"])
def test_formats(engine, source, output, form):
    paint(source / "a.png")
    assert engine.run(form=form).summary.done == 1
    [name] = contents(output)
    with Image.open(output / name) as image:
        assert image.format == form.upper() and image.size == (18, 12)
    assert engine.run(form=form).summary.skipped == 1


def test_pictures_that_would_have_one_output_are_all_done(engine, source, output):
    pixels = paint_all(source, ["a.png", "a.bmp", "a.tif"])
    assert engine.run().summary.done == 3
    for name, picture in pixels.items():
        assert is_upscaled(output / f"{name}.png", picture)


def test_an_empty_folder(engine):
    run = engine.run()
    assert run.summary.ended == 0 and run.records == []


# Two at once, and dry runs.


def test_two_runs_cannot_work_in_one_folder(engine, source, output):
    paint(source / "a.png")
    held = OutputFolder(output)
    with pytest.raises(UsageError, match="another run"):
        engine.run()
    held.close()
    assert engine.run().summary.done == 1


def test_a_plan_writes_nothing(engine, source, output, monkeypatch):
    paint_all(source, ["a.png", "b.png"])
    (source / "bad.png").write_bytes(b"no")
    no_work(monkeypatch)
    run = engine.run(plan=True)
    assert statuses(run) == [
        ("a.png", "planned", None),
        ("b.png", "planned", None),
        ("bad.png", "failed", "unreadable"),
    ]
    assert run.records[0].plan["multiply_adds"] > 0
    assert not output.exists()
    monkeypatch.undo()
    engine.run(include=["a.*"])
    before = sorted(output.rglob("*"))
    assert statuses(engine.run(plan=True))[0] == ("a.png", "skipped", "complete")
    assert sorted(output.rglob("*")) == before


# What cannot be done.


@posix
def test_each_file_is_its_own_world(engine, source, output, monkeypatch):
    good = paint_all(source, ["good.png", "sub/z.png"])
    data = (source / "good.png").read_bytes()
    (source / "empty.png").touch()
    (source / "words.png").write_text("words")
    (source / "cut.png").write_bytes(data[:-40])
    (source / "broken.png").symlink_to("nowhere")
    (source / "loop.png").symlink_to("loop.png")
    os.mkfifo(source / "pipe.png")
    Image.new("RGB", (400, 300)).save(source / "large.png")
    Image.new("RGB", (10, 10)).save(source / ("x" * 251 + ".png"))
    (source / "not \udcff.png").write_bytes(b"no")
    run = engine.run(max_pixels=100_000)
    found = {name: record.kind for name, record in run.by_name(source).items() if record.kind}
    assert found == {
        "empty.png": Kind.UNREADABLE,
        "words.png": Kind.UNREADABLE,
        "cut.png": Kind.UNREADABLE,
        "broken.png": Kind.MISSING,
        "loop.png": Kind.MISSING,
        "pipe.png": Kind.UNREADABLE,
        "large.png": Kind.TOO_LARGE,
        "not \udcff.png": Kind.UNREADABLE,
    }
    assert run.summary.done == 3 and run.summary.failed == 8
    for record in run.records:
        if record.status is Status.FAILED:
            assert record.reason.isprintable() and record.reason.endswith(".")
            assert Path(record.input).name.partition("\udcff")[0] in record.reason
            json.dumps(record.to_dict()).encode("ascii")
    for name, picture in good.items():
        assert is_upscaled(output / name, picture)
    failures = [json.loads(line) for line in (output / WHOLE.manifest).read_text().splitlines()]
    failures = {line["input"]: line["kind"] for line in failures if line["event"] == "failed"}
    assert failures == {name: kind.value for name, kind in found.items()}
    # They are tried again, and the good ones are not.
    again = engine.run(max_pixels=100_000)
    assert again.summary.failed == 8 and again.summary.skipped == 3


def test_a_picture_that_vanishes(engine, source, monkeypatch):
    paint_all(source, ["a.png", "b.png"])
    decode = Worker.decode

    def vanish(worker, work):
        if work.task.source.name == "a.png":
            work.task.source.unlink()
        decode(worker, work)

    monkeypatch.setattr(Worker, "decode", vanish)
    assert statuses(engine.run()) == [("a.png", "failed", "missing"), ("b.png", "done", None)]


@posix
def test_an_output_folder_that_goes_away_is_not_made_again(engine, source, output, monkeypatch):
    """It may be a disk that was unplugged; what is below its place must not be filled."""
    paint_all(source, ["a.png", "b.png", "c.png"])
    upscale = Upscaler.upscale_into

    def unplug(*arguments, **options):
        if output.exists():
            output.rename(output.with_name("away"))
        return upscale(*arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", unplug)
    run = engine.run()
    assert {record.kind for record in run.records} == {Kind.OUTPUT} and len(run.records) == 3
    assert all("the output folder has gone" in record.reason for record in run.records)
    assert not output.exists()


@posix
@pytest.mark.parametrize(("owner", "step"), [(writing, "check_writable"), (images, "written")])
def test_an_output_folder_that_goes_away_under_our_hands(
    engine, source, output, monkeypatch, owner, step
):
    """It was there a moment ago: what fails then is not the picture's fault."""
    paint_all(source, ["a.png"])
    real = getattr(owner, step)

    def unplug(*arguments, **options):
        output.rename(output.with_name("away"))
        return real(*arguments, **options)

    monkeypatch.setattr(owner, step, unplug)
    (record,) = engine.run().records
    assert record.kind is Kind.OUTPUT and "the output folder has gone" in record.reason
    assert not output.exists()
