"""Pictures and outputs that are refused, and what the user is told."""

import os

import pytest
from PIL import Image

from edsr_cli import images
from edsr_cli.errors import (
    DeviceMemoryError,
    EdsrError,
    ExitCode,
    PictureError,
    UsageError,
    WeightsError,
)
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import writing
from edsr_cli.jobs.naming import Task, assign_outputs
from edsr_cli.jobs.record import Status
from tests.jobs.conftest import Job, failed, listing
from tests.jobs.nearest import by_factor, nearest_weights

posix = pytest.mark.skipif(os.name == "nt", reason="about files of POSIX")


@pytest.mark.parametrize("work", [Job.plan, Job.run])
def test_outputs_that_cannot_be_written_are_refused_before_any_work(
    job, tmp_path, monkeypatch, work, upscaler
):
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    before = listing(tmp_path)
    failed(work(job(destination=tmp_path / "file" / "a.png")), f"{tmp_path}/file/a.png: ")
    failed(work(job(destination=tmp_path / "file" / "b" / "a.png")), "folder is not a folder")
    failed(work(job(destination=tmp_path / ("x" * 300 + ".png"))), "too long")
    failed(work(job(destination=tmp_path / ("x" * 300) / "a.png")), "too long")
    task = Task(tmp_path / "photo.png", tmp_path / "folder.png", job().task.output_format)
    failed(work(Job(task, upscaler)), "folder.png: this is a folder")
    assert listing(tmp_path) == before


@posix
@pytest.mark.parametrize("overwrite", [False, True])
def test_links_and_pipes_as_outputs_are_seen_before_any_work(job, tmp_path, monkeypatch, overwrite):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dead.png").symlink_to("missing.png")
    words = "pipe.png: this is a device" if overwrite else "pipe.png: the file exists already"
    result = job(destination=tmp_path / "dead.png", overwrite=overwrite).run()
    assert result.status is (Status.DONE if overwrite else Status.FAILED)
    assert (tmp_path / "missing.png").exists() == overwrite
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    failed(job(destination=tmp_path / "pipe.png", overwrite=overwrite).run(), words)


@pytest.mark.parametrize(
    ("form", "width"), [("jpeg", 16_400), ("webp", 4096), ("avif", 8193), ("jpg", 20_000)]
)
def test_sizes_beyond_a_format_are_refused_before_any_work(job, tmp_path, monkeypatch, form, width):
    monkeypatch.setattr(Upscaler, "upscale_into", None)
    Image.new("RGB", (width, 1)).save(tmp_path / "wide.png")
    result = job(tmp_path / "wide.png", form=form).run()
    failed(result, f"{tmp_path / 'wide.png'}: {4 * width} x 4 pixels do not fit into ")
    assert "Write it as PNG" in result.reason
    assert result.output_size == (4 * width, 4)


def test_pixel_limits(job):
    failed(job(max_pixels=53).run(), "--max-pixels")
    assert job(max_pixels=54).run().status is Status.DONE


def test_too_little_memory_has_its_own_code(photo):
    [task] = assign_outputs([str(photo)], None, by_factor(), None)
    result = Job(task, Upscaler(nearest_weights(), 4, "cpu", "fp32", max_memory=1)).run()
    failed(result, "photo.png: ", ExitCode.OUT_OF_MEMORY)
    assert "--max-memory" in result.reason


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (WeightsError("The output is not finite.", "Fetch them."), "The output", ExitCode.WEIGHTS),
        (DeviceMemoryError("Too little."), "photo.png: Too little.", ExitCode.OUT_OF_MEMORY),
        (PictureError("It is odd.", "Copy it."), "It is odd. Copy it.", ExitCode.SOME_FAILED),
        (KeyError("bug"), "photo.png: unexpected KeyError: 'bug'", ExitCode.SOME_FAILED),
        (MemoryError(), "photo.png: unexpected MemoryError", ExitCode.SOME_FAILED),
        (RuntimeError("two\n  lines"), "unexpected RuntimeError: two lines", ExitCode.SOME_FAILED),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("place", ["probe", "open_picture", "written"])
def test_whatever_goes_wrong_becomes_a_result(
    job, tmp_path, monkeypatch, error, words, code, place
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(images, place, fail)
    result = job().run()
    assert result.status is Status.FAILED and result.exit_code is code
    assert words in result.reason and "\n" not in result.reason
    assert listing(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_only_interruptions_come_through(job, monkeypatch, stop):
    def fail(*_, **__):
        raise stop

    monkeypatch.setattr(images, "open_picture", fail)
    with pytest.raises(stop):
        job().run()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a", "a"),
        ("fit into", "fit into"),
        ("4", "4"),
        ("-", "-"),
        ("two\nlines", r"two\nlines"),
        ("\udcff", r"\udcff"),
        ("\x1b[31m", r"\x1b[31m"),
    ],
)
def test_every_message_names_the_file_once(job, tmp_path, monkeypatch, name, shown):
    """Even if the name is in the message by chance, or cannot be printed."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (20_000, 1)).save(tmp_path / name, "PNG")
    for settings in ({"form": "jpg"}, {"max_pixels": 9}, {"destination": "photo.png/b.png"}):
        error = job(f"./{name}", **settings).run().reason
        wanted = "photo.png/b.png: " if "destination" in settings else f"{shown}: "
        assert error.startswith(wanted) and error.count(wanted) == 1
    (tmp_path / "folder").mkdir()
    failed(job("folder").run(), "folder: this is a folder")


def test_a_file_that_appears_while_we_work_is_not_touched(job, tmp_path, monkeypatch):
    output = tmp_path / "photo_x4.png"
    upscale_picture = Upscaler.upscale_into

    def slow(*arguments, **options):
        output.write_bytes(b"theirs")
        return upscale_picture(*arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", slow)
    failed(job().run(), f"{output}: the file exists already")
    assert output.read_bytes() == b"theirs"
    assert listing(tmp_path) == ["photo.png", "photo_x4.png"]


@pytest.mark.parametrize("kind", [EdsrError, UsageError])
def test_other_errors_keep_their_code(job, monkeypatch, kind):
    def fail(*_, **__):
        raise kind("No.")

    monkeypatch.setattr(writing, "check_writable", fail)
    failed(job().run(), "No.", kind.exit_code)
