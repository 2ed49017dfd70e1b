import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from edsr_cli.errors import (
    ExitCode,
)
from edsr_cli.images.alpha import UNCOVERED, WAYS_OUT
from edsr_cli.jobs.record import Record, Status, exit_code
from tests.jobs.conftest import PIXELS, failed, listing
from tests.jobs.nearest import NAME, read_back, repeated


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
        "kind": None,
        "reason": None,
        "error": None,
        "model": NAME,
        "device": "cpu",
        "precision": "fp32",
        "input_size": [9, 6],
        "output_size": [36, 24],
        "input_bytes": photo.stat().st_size,
        "output_bytes": output.stat().st_size,
        "seconds": pytest.approx(result.seconds, abs=0.0001),
        "stages": pytest.approx(result.stages, abs=0.0001),
        "plan": result.plan,
        "restore": None,
        "restore_reason": None,
        "notes": [],
        "ended": pytest.approx(result.ended, abs=0.001),
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
    monkeypatch.setattr("edsr_cli.inference.engines.torch.engine.STRIP_PIXELS", {"cpu": 1000})
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
    failed(job().run(), f"{output}: the file exists already. To replace it, add --overwrite.")
    # A plan is worth having all the same.
    result = job().plan()
    assert result.status is Status.PLANNED and result.plan["memory_bytes"] > 0
    assert result.notes == (f"{output} exists already; to replace it, add --overwrite",)
    assert output.read_bytes() == b"old"
    assert job(overwrite=True).plan().status is Status.PLANNED
    assert output.read_bytes() == b"old"
    assert job(overwrite=True).run().status is Status.DONE
    assert read_back(output).size == (36, 24)


def test_new_folders_are_made(job, tmp_path):
    assert job(destination=tmp_path / "a" / "b" / "c.webp").run().status is Status.DONE
    assert read_back(tmp_path / "a" / "b" / "c.webp").format == "WEBP"


def test_remarks_of_reading_and_of_writing_are_kept(job, tmp_path):
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.putalpha(7)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image.save(tmp_path / "clear.png", icc_profile=profile.tobytes())
    result = job(tmp_path / "clear.png", form="bmp").run()
    remark = f"{UNCOVERED}; {WAYS_OUT}"
    assert result.notes == (remark, "BMP cannot hold the ICC profile: dropped")


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
    assert result.status is Status.DONE, result.reason
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
    result = job(destination="-").run()
    failed(result, words)
    assert result.reason.startswith(words)


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
    results = [Record("a", "b", Status.DONE, exit_code=ExitCode(code)) for code in codes]
    assert exit_code(results) is wanted


def test_paths_are_given_as_the_user_gave_them(job, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = job(Path("photo.png")).run()
    assert (result.input, result.output) == ("photo.png", "photo_x4.png")
