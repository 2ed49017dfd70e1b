import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from edsr_cli.errors import (
    DeviceMemoryError,
    EdsrError,
    ExitCode,
    PictureError,
    UsageError,
    WeightsError,
)
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import upscale
from edsr_cli.jobs.naming import Task, assign_outputs
from edsr_cli.jobs.upscale import Job, Result, Settings, Status, exit_code
from tests.jobs.nearest import NAME, nearest_network, read_back, repeated

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
posix = pytest.mark.skipif(os.name == "nt", reason="about files of POSIX")


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler(nearest_network(), 4, "cpu", "fp32")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(path)
    return path


@pytest.fixture
def job(upscaler, photo):
    """Make a job; by default `photo` to a file beside it."""

    def make(source=photo, destination=None, form=None, **settings):
        output = None if destination is None else str(destination)
        [task] = assign_outputs([str(source)], output, 4, form)
        return Job(task, upscaler, Settings(NAME, **settings))

    return make


def failed(result, words, code=ExitCode.SOME_FAILED):
    """Check a result that is a failure, and that its message is one good line."""
    assert result.status is Status.FAILED
    assert result.exit_code is code
    assert result.error is not None
    assert words in result.error and "unexpected" not in result.error
    assert "\n" not in result.error and result.error.endswith(".")
    json.dumps(result.to_dict())


def listing(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_picture_that_is_done(job, photo, tmp_path):
    seen = []
    result = job().run(lambda done, total: seen.append((done, total)))
    output = tmp_path / "photo_x4.png"
    assert np.array_equal(np.asarray(read_back(output)), repeated(PIXELS))
    assert listing(tmp_path) == ["photo.png", "photo_x4.png"]
    assert seen[-1] == (54, 54)
    values = result.to_dict()
    assert json.loads(json.dumps(values)) == {
        "input": str(photo),
        "output": str(output),
        "status": "done",
        "model": NAME,
        "device": "cpu",
        "precision": "fp32",
        "input_size": [9, 6],
        "output_size": [36, 24],
        "seconds": pytest.approx(result.seconds, abs=0.001),
        "plan": values["plan"],
        "notes": [],
        "error": None,
    }
    assert result.exit_code is ExitCode.DONE


def test_a_plan_writes_nothing_and_says_what_would_be_done(job, tmp_path):
    result = job(destination=tmp_path / "new" / "a.jpg", tile=4).plan()
    assert result.status is Status.PLANNED and result.exit_code is ExitCode.DONE
    assert (result.input_size, result.output_size) == ((9, 6), (36, 24))
    assert result.plan["panels"] == 3 and result.plan["panel_width"] == 4
    assert result.plan["memory_bytes"] > 0 and result.plan["multiply_adds"] > 0
    assert listing(tmp_path) == ["photo.png"]
    assert result.plan == job(destination=tmp_path / "b.png", tile=4).run().plan


@pytest.mark.parametrize(("width", "height"), [(3000, 5), (5, 3000)])
def test_strips_cover_the_picture_whichever_side_is_longer(
    job, tmp_path, monkeypatch, upscaler, width, height
):
    monkeypatch.setattr("edsr_cli.inference.devices.STRIP_PIXELS", {"cpu": 1000})
    Image.new("RGB", (width, height)).save(tmp_path / "long.png")
    plan = job(tmp_path / "long.png").plan().plan
    wanted = upscaler.plan(height, width)
    assert plan["panels"] == 1
    assert plan["strips"] == -(-3000 // wanted.strip_rows) > 1
    assert plan["transposed"] == (width > height)


def test_a_plan_needs_no_pixels(job, tmp_path, photo):
    """A header is enough, so that a dry run over many large files is quick."""
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:60])
    assert job(tmp_path / "cut.png").plan().status is Status.PLANNED
    failed(job(tmp_path / "cut.png").run(), "cut.png: ")
    assert listing(tmp_path) == ["cut.png", "photo.png"]


def test_existing_outputs_stay_unless_overwritten(job, tmp_path):
    output = tmp_path / "photo_x4.png"
    output.write_bytes(b"old")
    for result in (job().plan(), job().run()):
        failed(result, f"{output}: the file exists already. To replace it, add --overwrite.")
    assert output.read_bytes() == b"old"
    assert job(overwrite=True).plan().status is Status.PLANNED
    assert output.read_bytes() == b"old"
    assert job(overwrite=True).run().status is Status.DONE
    assert read_back(output).size == (36, 24)


def test_new_folders_are_made(job, tmp_path):
    assert job(destination=tmp_path / "a" / "b" / "c.webp").run().status is Status.DONE
    assert read_back(tmp_path / "a" / "b" / "c.webp").format == "WEBP"


@pytest.mark.parametrize("work", [Job.plan, Job.run])
def test_outputs_that_cannot_be_written_are_refused_before_any_work(
    job, tmp_path, monkeypatch, work
):
    monkeypatch.setattr(Upscaler, "upscale", None)
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    before = listing(tmp_path)
    failed(work(job(destination=tmp_path / "file" / "a.png")), f"{tmp_path}/file/a.png: ")
    failed(work(job(destination=tmp_path / "file" / "b" / "a.png")), "folder is not a folder")
    failed(work(job(destination=tmp_path / ("x" * 300 + ".png"))), "too long")
    failed(work(job(destination=tmp_path / ("x" * 300) / "a.png")), "too long")
    task = Task(tmp_path / "photo.png", tmp_path / "folder.png", job().task.output_format)
    failed(work(Job(task, job().upscaler, Settings(NAME))), "folder.png: this is a folder")
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
    monkeypatch.setattr(Upscaler, "upscale", None)
    failed(job(destination=tmp_path / "pipe.png", overwrite=overwrite).run(), words)


@pytest.mark.parametrize(
    ("form", "width"), [("jpeg", 16_400), ("webp", 4096), ("avif", 8193), ("jpg", 20_000)]
)
def test_sizes_beyond_a_format_are_refused_before_any_work(job, tmp_path, monkeypatch, form, width):
    monkeypatch.setattr(Upscaler, "upscale", None)
    Image.new("RGB", (width, 1)).save(tmp_path / "wide.png")
    result = job(tmp_path / "wide.png", form=form).run()
    failed(result, f"{tmp_path / 'wide.png'}: {4 * width} x 4 pixels do not fit into ")
    assert "Write it as PNG" in result.error
    assert result.output_size == (4 * width, 4)


def test_pixel_limits(job):
    failed(job(max_pixels=53).run(), "--max-pixels")
    assert job(max_pixels=54).run().status is Status.DONE


def test_too_little_memory_has_its_own_code(photo):
    [task] = assign_outputs([str(photo)], None, 4, None)
    result = Job(
        task, Upscaler(nearest_network(), 4, "cpu", "fp32", max_memory=1), Settings(NAME)
    ).run()
    failed(result, "photo.png: ", ExitCode.OUT_OF_MEMORY)
    assert "--max-memory" in result.error


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
@pytest.mark.parametrize("place", ["probe", "decode", "write_picture"])
def test_whatever_goes_wrong_becomes_a_result(
    job, tmp_path, monkeypatch, error, words, code, place
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(upscale, place, fail)
    result = job().run()
    assert result.status is Status.FAILED and result.exit_code is code
    assert words in result.error and "\n" not in result.error
    assert listing(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_only_interruptions_come_through(job, monkeypatch, stop):
    def fail(*_, **__):
        raise stop

    monkeypatch.setattr(upscale, "decode", fail)
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
        error = job(f"./{name}", **settings).run().error
        wanted = "photo.png/b.png: " if "destination" in settings else f"{shown}: "
        assert error.startswith(wanted) and error.count(wanted) == 1
    (tmp_path / "folder").mkdir()
    failed(job("folder").run(), "folder: this is a folder")


def test_a_file_that_appears_while_we_work_is_not_touched(job, tmp_path, monkeypatch):
    output = tmp_path / "photo_x4.png"
    upscale_picture = Upscaler.upscale

    def slow(*arguments):
        output.write_bytes(b"theirs")
        return upscale_picture(*arguments)

    monkeypatch.setattr(Upscaler, "upscale", slow)
    failed(job().run(), f"{output}: the file exists already")
    assert output.read_bytes() == b"theirs"
    assert listing(tmp_path) == ["photo.png", "photo_x4.png"]


def test_remarks_of_reading_and_of_writing_are_kept(job, tmp_path):
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.putalpha(7)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image.save(tmp_path / "clear.png", icc_profile=profile.tobytes())
    result = job(tmp_path / "clear.png", form="bmp").run()
    assert result.notes == ("alpha channel dropped", "BMP cannot hold the ICC profile: dropped")


class Stream:
    """Standard input or output, as bytes."""

    def __init__(self, buffer):
        self.buffer = buffer


class Full(io.BytesIO):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def flush(self):
        raise OSError(self.number, os.strerror(self.number))


def test_standard_input_and_output(job, photo, monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr("sys.stdin", Stream(io.BytesIO(photo.read_bytes())))
    monkeypatch.setattr("sys.stdout", Stream(out))
    result = job("-", form="bmp").run()
    assert result.status is Status.DONE, result.error
    assert (result.input, result.output) == ("-", "-")
    assert np.array_equal(np.asarray(read_back(out)), repeated(PIXELS))


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        (None, "standard input: it is closed"),
        (b"", "standard input: there is no data"),
        (b"words", "standard input: this is not a picture"),
    ],
)
def test_bad_standard_input(job, tmp_path, monkeypatch, stdin, words):
    monkeypatch.setattr("sys.stdin", None if stdin is None else Stream(io.BytesIO(stdin)))
    failed(job("-", tmp_path / "a.png").run(), words)
    failed(job("-").run(), "standard input: ")
    assert listing(tmp_path) == ["photo.png"]


@pytest.mark.parametrize(
    ("stdout", "words"),
    [
        (None, "standard output: it is closed"),
        (Stream(Full(errno.ENOSPC)), "standard output: it cannot be written to (No space left"),
        (Stream(Full(errno.EPIPE)), "standard output: whoever reads it has stopped"),
    ],
)
def test_bad_standard_output(job, monkeypatch, stdout, words):
    monkeypatch.setattr("sys.stdout", stdout)
    failed(job(destination="-").run(), words)


@pytest.mark.parametrize("kind", [EdsrError, UsageError])
def test_other_errors_keep_their_code(job, monkeypatch, kind):
    def fail(*_, **__):
        raise kind("No.")

    monkeypatch.setattr(upscale, "check_writable", fail)
    failed(job().run(), "No.", kind.exit_code)


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ([], ExitCode.DONE),
        ([0, 0], ExitCode.DONE),
        ([1], ExitCode.SOME_FAILED),
        ([0, 1, 0], ExitCode.SOME_FAILED),
        ([0, 4], ExitCode.OUT_OF_MEMORY),
        ([4, 4], ExitCode.OUT_OF_MEMORY),
        ([3, 3, 0], ExitCode.WEIGHTS),
        ([4, 1], ExitCode.SOME_FAILED),
        ([3, 4], ExitCode.SOME_FAILED),
    ],
)
def test_the_code_of_a_run(codes, wanted):
    results = [
        Result("a", "b", Status.DONE, NAME, "cpu", "fp32", exit_code=ExitCode(code))
        for code in codes
    ]
    assert exit_code(results) is wanted


def test_paths_are_given_as_the_user_gave_them(job, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = job(Path("photo.png")).run()
    assert (result.input, result.output) == ("photo.png", "photo_x4.png")
