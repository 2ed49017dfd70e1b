"""The engine on folders where runs have been before: what is done again, and what stays."""

import os

import pytest
from PIL import Image

from edsr_cli.folders.shards import WHOLE
from edsr_cli.inference import Upscaler
from tests.files.leftovers import abandoned
from tests.folders.engine import (
    Engine,
    is_upscaled,
    no_work,
    paint,
    paint_all,
    statuses,
)
from tests.jobs.nearest import read_back

posix = pytest.mark.skipif(os.name == "nt", reason="about files of POSIX")
pytestmark = pytest.mark.usefixtures("threads_end")


# What is done again.


def test_what_is_out_of_date_is_done_again(engine, source, output):
    paint_all(source, ["a.png", "b.png"])
    engine.run()
    changed = paint(source / "a.png", seed=7)
    assert statuses(engine.run()) == [("a.png", "done", None), ("b.png", "skipped", "complete")]
    assert is_upscaled(output / "a.png", changed)


@pytest.mark.parametrize("change", ["ensemble", "model"])
def test_other_options_and_models(engine, source, output, change):
    paint(source / "a.png")
    engine.run()
    if change == "model":
        other = Engine(source)
        other.upscalers[0].weights.tensors["tail.1.bias"] += 9
        runs = [other.run(), other.run(), engine.run()]
    else:
        runs = [engine.run(ensemble=True), engine.run(ensemble=True), engine.run()]
    assert [statuses(run)[0][1] for run in runs] == ["done", "skipped", "done"]


def test_another_setting_of_alpha(engine, source, output):
    image = Image.new("RGBA", (6, 4), (9, 99, 199, 0))
    source.mkdir(exist_ok=True)
    image.save(source / "a.png")
    modes, colours = [], []
    for alpha in ("drop", "drop", "keep", "keep", "#ff0000", "#00ff00", "#00ff00", "drop"):
        modes.append(statuses(engine.run(alpha=alpha))[0][1])
        colours.append(read_back(output / "a.png").getpixel((3, 3)))
    assert modes == ["done", "skipped", "done", "skipped", "done", "done", "skipped", "done"]
    hidden, red, green = (9, 99, 199), (255, 0, 0), (0, 255, 0)
    assert [c[:3] for c in colours] == [hidden] * 4 + [red, green, green, hidden]
    assert [c[3:] for c in colours[2:4]] == [(0,), (0,)]


def test_how_hard_it_is_compressed_does_not_count(engine, source, output):
    paint(source / "a.png", 40, 40)
    engine.run(compression=9)
    small = (output / "a.png").stat().st_size
    assert engine.run(compression=0).summary.skipped == 1
    engine.run(compression=0, overwrite=True)
    assert (output / "a.png").stat().st_size > small


def test_content_instead_of_size_and_time(engine, source):
    paint(source / "a.png")
    engine.run(checksum=True)
    status = (source / "a.png").stat()
    os.utime(source / "a.png", ns=(0, 0))
    assert engine.run(checksum=True).summary.skipped == 1
    assert engine.run().summary.done == 1
    engine.run(checksum=True, overwrite=True)
    # The same size and time, but another picture.
    with (source / "a.png").open("r+b") as file:
        file.seek(-9, os.SEEK_END)
        byte = file.read(1)
        file.seek(-9, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(source / "a.png", ns=(0, 0))
    assert (source / "a.png").stat().st_size == status.st_size
    assert engine.run().summary.skipped == 1
    assert engine.run(checksum=True).summary.skipped == 0


def test_outputs_that_were_deleted_are_made_again(engine, source, output):
    pixels = paint_all(source, ["a.png", "sub/b.png"])
    engine.run()
    (output / "sub" / "b.png").unlink()
    (output / "sub").rmdir()
    assert statuses(engine.run()) == [("a.png", "skipped", "complete"), ("b.png", "done", None)]
    assert is_upscaled(output / "sub/b.png", pixels["sub/b.png"])


# What is not ours.


def test_what_somebody_has_edited_stays(engine, source, output):
    paint(source / "a.png")
    engine.run()
    (output / "a.png").write_bytes(b"retouched")
    run = engine.run()
    assert statuses(run) == [("a.png", "skipped", "edited")]
    assert "has been changed" in run.records[0].reason
    paint(source / "a.png", seed=3)
    assert statuses(engine.run()) == [("a.png", "failed", "exists")]
    assert (output / "a.png").read_bytes() == b"retouched"
    assert statuses(engine.run(overwrite=True)) == [("a.png", "done", None)]


def test_files_of_others_stay(engine, source, output):
    paint_all(source, ["a.png", "b.png"])
    output.mkdir()
    (output / "a.png").write_bytes(b"theirs")
    run = engine.run()
    assert statuses(run) == [("a.png", "failed", "exists"), ("b.png", "done", None)]
    assert "--overwrite" in run.by_name(source)["a.png"].reason
    assert (output / "a.png").read_bytes() == b"theirs"
    assert statuses(engine.run(overwrite=True))[0] == ("a.png", "done", None)
    assert engine.run().summary.skipped == 2


def test_overwriting_makes_everything_again(engine, source, output):
    pixels = paint_all(source, ["a.png", "b.png"])
    engine.run()
    (output / "b.png").write_bytes(b"x")
    assert engine.run(overwrite=True).summary.done == 2
    assert is_upscaled(output / "b.png", pixels["b.png"])


def test_a_file_that_appears_meanwhile_stays(engine, source, output, monkeypatch):
    paint(source / "a.png")
    upscale = Upscaler.upscale_into

    def slow(*arguments, **options):
        (output / "a.png").write_bytes(b"theirs")
        return upscale(*arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", slow)
    assert statuses(engine.run()) == [("a.png", "failed", "exists")]
    monkeypatch.undo()
    # A line was written about our own file by then, but this is not it.
    assert statuses(engine.run()) == [("a.png", "failed", "exists")]
    assert (output / "a.png").read_bytes() == b"theirs"


@posix
def test_folders_and_links_in_the_way(engine, source, output):
    paint_all(source, ["a.png", "b.png"])
    (output / "a.png").mkdir(parents=True)
    (output / "b.png").symlink_to("nowhere")
    assert statuses(engine.run()) == [("a.png", "failed", "output"), ("b.png", "failed", "exists")]
    assert (output / "b.png").is_symlink() and not (output / "nowhere").exists()


# Killed at the worst moments.


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_before_the_output_takes_its_name(engine, source, output, monkeypatch, seed):
    """The line is there, the output is not, or is the one before."""
    pixels = paint(source / "a.png")
    if seed:
        engine.run()
        pixels = paint(source / "a.png", seed=seed)

    def kill(*arguments):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("edsr_cli.files.atomic._commit", kill)
        with pytest.raises(SystemExit):
            engine.run()
    assert (output / WHOLE.manifest).read_bytes().count(b'"event":"made"') == 1 + seed
    assert statuses(engine.run()) == [("a.png", "done", None)]
    assert is_upscaled(output / "a.png", pixels)
    assert engine.run().summary.skipped == 1


def test_killed_right_behind_that(engine, source, output, monkeypatch):
    paint(source / "a.png")

    def kill(*arguments):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("edsr_cli.files.atomic._sync_folder", kill)
        with pytest.raises(SystemExit):
            engine.run()
    no_work(monkeypatch)
    assert statuses(engine.run()) == [("a.png", "skipped", "complete")]


def test_what_killed_runs_have_left_is_cleared_away(engine, source, output):
    paint_all(source, ["a.png", "sub/b.png"])
    for folder in (output, output / "sub", output / "elsewhere"):
        folder.mkdir(parents=True, exist_ok=True)
        abandoned(folder)
    engine.run()
    [left] = output.rglob("*.tmp")
    assert left.parent == output / "elsewhere"  # none of our folders


def test_a_manifest_that_is_lost_makes_all_outputs_somebody_elses(engine, source, output):
    paint(source / "a.png")
    engine.run()
    (output / WHOLE.manifest).unlink()
    assert statuses(engine.run()) == [("a.png", "failed", "exists")]
