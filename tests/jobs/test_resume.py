"""Finished rows are kept, and another run goes on behind them: the same file comes out."""

import json
import logging
import os

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edsr_cli.files.lock import lock_descriptor
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import partial, reading
from edsr_cli.jobs.naming import assign_outputs
from edsr_cli.jobs.partial import partial_path
from edsr_cli.jobs.record import Status
from edsr_cli.options.definition import options_of
from edsr_cli.options.pictures import UpscaleOptions
from tests.jobs.conftest import Job, listing
from tests.jobs.nearest import by_factor, nearest_weights

HEIGHT, WIDTH = 70, 45
KEPT = ".b.png.edsr-partial"


@pytest.fixture(autouse=True)
def short_records(monkeypatch, caplog):
    monkeypatch.setattr(partial, "_RECORD_BYTES", 4 * 6 * WIDTH)
    caplog.set_level(logging.INFO)


def network(memory, weights=None):
    """An upscaler that works in strips of a few rows."""
    return Upscaler(weights or nearest_weights(2), 2, "cpu", "fp32", memory)


@pytest.fixture(scope="session")
def twice():
    return network(500_000)


@pytest.fixture
def source(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", dpi=(300, 300))
    return tmp_path / "a.png"


class StoppedError(BaseException):
    """A run that ends in the middle."""


@pytest.fixture
def run(twice, source, tmp_path):
    """Upscale `source`; with `stop`, until that share of it is done."""

    def run(name="b.png", resume=True, stop=None, upscaler=twice, factor=2, **options):
        [task] = assign_outputs([str(source)], str(tmp_path / name), by_factor(factor), None)
        options = {"overwrite": True} | options
        job = Job(task, upscaler, **options)
        job.worker = replace(job.worker, resume=resume)

        def progress(done, total):
            if stop is not None and done >= stop * total:
                raise StoppedError

        if stop is None:
            record = job.run(progress)
            assert record.status is Status.DONE, record.reason
        else:
            with pytest.raises(StoppedError):
                job.run(progress)
        return tmp_path / name

    return run


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b.png", {}),
        ("b.tif", {"tiff": "pyramid"}),
        ("b.jpg", {}),
        ("b.webp", {}),
        ("b.png", {"factor": 1.5, "scale": 1.5}),
        ("b.png", {"factor": 4, "scale": 4, "memory": 1_500_000}),
        ("b.tif", {"depth": "16", "ensemble": True, "memory": 2_500_000}),
    ],
    ids=str,
)
def test_the_same_file_comes_out(run, tmp_path, caplog, name, options):
    options = dict(options)
    if "memory" in options:
        options["upscaler"] = network(options.pop("memory"))
    whole = run(f"whole.{name}", resume=False, **options).read_bytes()
    for stop in (0.5, 0.9):
        output = run(name, stop=stop, **options)
        assert not output.exists() and partial_path(output).exists()
        assert "rows are kept in .b." in caplog.messages[-1]
    caplog.clear()
    assert run(name, **options).read_bytes() == whole
    assert "going on behind" in caplog.text
    assert listing(tmp_path) == sorted(["a.png", name, f"whole.{name}"])


def test_only_what_is_missing_is_made(run, caplog, monkeypatch):
    """Rows that were finished are taken as they are: here, black ones."""
    black = partial.PartialRows.keep
    monkeypatch.setattr(partial.PartialRows, "keep", lambda self, rows: black(self, 0 * rows))
    output = run(stop=0.5)
    rows = np.asarray(Image.open(run())).max(axis=(1, 2))
    assert (rows[: HEIGHT // 2] == 0).all() and rows[-HEIGHT // 2 :].all()
    assert not partial_path(output).exists()


@pytest.mark.parametrize("kept", range(0, 3000, 150))
def test_a_file_that_is_cut_short_anywhere(run, tmp_path, kept):
    whole = run("whole.png", resume=False).read_bytes()
    path = partial_path(run(stop=0.6))
    os.truncate(path, min(kept, path.stat().st_size))
    assert run().read_bytes() == whole


@pytest.mark.parametrize("seed", range(8))
def test_damage(run, tmp_path, seed):
    """Whatever has become of the file, nothing of it gets into the picture."""
    whole = run("whole.png", resume=False).read_bytes()
    path = partial_path(run(stop=0.6))
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    begin = int(random.integers(len(data)))
    count = [1, 4, 100, len(data)][seed % 4]
    data[begin : begin + count] = random.bytes(min(count, len(data) - begin))
    path.write_bytes(data)
    assert run().read_bytes() == whole
    path.write_bytes([b"", b"{}\n", b"[" * 70_000, random.bytes(500)][seed % 4])
    assert run().read_bytes() == whole


def test_rows_of_something_else_are_not_taken(run, source, caplog):
    def begun_anew(why, **options):
        run(stop=0.6)
        caplog.clear()
        wanted = run("whole.png", resume=False, **options).read_bytes()
        assert run(**options).read_bytes() == wanted
        assert "begun anew" in caplog.text and caplog.text.count(why) == 1

    begun_anew("weights", upscaler=network(500_000, other_weights()))
    begun_anew("ensemble", ensemble=True, upscaler=network(2_500_000))
    begun_anew("alpha", alpha="white")
    begun_anew("depth", factor=1.9, scale=1.9)  # 16 bits in front of the reduction
    run(stop=0.6)
    Image.new("RGB", (WIDTH, HEIGHT), "teal").save(source)
    caplog.clear()
    assert (np.asarray(Image.open(run())) == (0, 128, 128)).all()
    assert "finished: input." in caplog.text


def other_weights():
    weights = nearest_weights(2)
    weights.tensors["tail.1.bias"][...] = 1
    return weights


def test_in_less_memory_and_in_more(run, caplog):
    """The strips are those of the first run, where that takes no more memory."""
    whole = run("whole.png", resume=False).read_bytes()
    for memory in (480_000, 10**8):
        run(stop=0.5)
        assert run(upscaler=network(memory)).read_bytes() == whole


def test_without_it_a_remark_and_no_rows(run, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(reading, "is_large", lambda *arguments: True)
    output = run(stop=0.5)
    before = partial_path(output).read_bytes()
    caplog.clear()
    run(resume=False, stop=0.9)
    assert "--resume goes on" in caplog.text and partial_path(output).read_bytes() == before
    run(resume=False)
    assert listing(tmp_path) == ["a.png", "b.png"]


def test_what_cannot_be_kept_is_made_all_the_same(run, tmp_path, caplog):
    run(tile=16)
    assert "no rows are kept for --resume: it is not made by rows" in caplog.text
    caplog.clear()
    run("less.png", factor=0.5, scale=0.5)
    assert not caplog.text and listing(tmp_path) == ["a.png", "b.png", "less.png"]


def test_nothing_is_left_of_a_run_that_has_finished_no_row(run, tmp_path, monkeypatch):
    def fail(*arguments):
        raise StoppedError

    monkeypatch.setattr(partial.PartialRows, "keep", fail)
    with pytest.raises(StoppedError):
        run()
    assert listing(tmp_path) == ["a.png"]


def test_what_ends_before_it_goes_on_leaves_the_rows(run, monkeypatch):
    """In the first of two networks, and in the middle of what is taken over."""
    options = {"factor": 4, "scale": 4, "upscaler": network(1_500_000)}
    whole = run("whole.png", resume=False, **options).read_bytes()
    path = partial_path(run(stop=0.9, **options))
    before = path.read_bytes()
    for stop in (0.01, 0.3):
        run(stop=stop, **options)
        assert path.read_bytes() == before
    assert run(**options).read_bytes() == whole


def test_one_at_a_time(twice, source, tmp_path, run):
    path = partial_path(run(stop=0.5))
    [task] = assign_outputs([str(source)], str(tmp_path / "b.png"), by_factor(2), None)
    job = Job(task, twice)
    job.worker = replace(job.worker, resume=True)
    with path.open("r+b") as file:
        if not lock_descriptor(file.fileno()):
            pytest.skip("files cannot be locked here")
        record = job.run()
    assert record.status is Status.FAILED and "another process is at work" in record.reason
    assert path.exists()


def test_a_link_is_not_followed(twice, source, tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / KEPT).symlink_to("precious")
    [task] = assign_outputs([str(source)], str(tmp_path / "b.png"), by_factor(2), None)
    job = Job(task, twice)
    job.worker = replace(job.worker, resume=True)
    record = job.run()
    assert record.status is Status.FAILED and "cannot be kept" in record.reason
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_plan_tells_of_the_room_that_it_takes(twice, source, tmp_path):
    [task] = assign_outputs([str(source)], str(tmp_path / "b.png"), by_factor(2), None)
    job = Job(task, twice)
    job.worker = replace(job.worker, resume=True)
    assert job.plan().plan["kept_bytes"] == 12 * HEIGHT * WIDTH
    assert listing(tmp_path) == ["a.png"]


def test_names(tmp_path):
    assert partial_path(tmp_path / "b.png").name == KEPT
    for name in ("x" * 251 + ".png", "ü" * 120 + ".png"):
        path = partial_path(tmp_path / name)
        path.touch()
        assert path != partial_path(tmp_path / f"y{name[1:]}")


def test_the_header_is_one_line_of_json(run):
    path = partial_path(run(stop=0.5))
    header = json.loads(path.read_bytes().split(b"\n")[0])
    assert header["size"] == [2 * WIDTH, 2 * HEIGHT] and header["depth"] == 8


COUNTS = {
    "model", "layout", "value_range", "mean_shift", "residual_scale", "restore",  # the weights
    "scale", "width", "height", "max_side", "fit", "megapixels", "print",  # the size
    "precision", "ensemble", "frame", "alpha", "depth", "grey",
}  # fmt: skip
DOES_NOT = {
    "inputs", "output", "name", "format", "overwrite", "dry_run", "resume", "each", "progress",
    "device", "engine", "threads", "max_memory", "tile", "max_pixels", "download",
    "compression", "quality", "lossless", "chroma", "tiff", "strip", "keep_times", "dpi",
    "frames",  # of several none are kept
}  # fmt: skip
"""Options that the rows of the last network do not depend on."""


def test_every_option_counts_or_is_known_not_to():
    """For what counts, rows of a run with another value must not be taken: see `facts_of`."""
    assert set(options_of(UpscaleOptions)) == COUNTS | DOES_NOT
