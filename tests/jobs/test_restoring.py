"""The work on one file with an upscaler that can restore."""

import numpy as np
import pytest
from PIL import Image

from edsr_cli.jobs import family
from edsr_cli.jobs.estimates import plan
from edsr_cli.jobs.naming import assign_outputs
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.jobs.worker import Worker
from edsr_cli.options.pictures import Outputs
from tests.jobs.conftest import Job, by_rows
from tests.jobs.nearest import by_factor, read_back, repeated
from tests.restoration.brightening import ADDED, loaded, restoring_upscaler
from tests.restoration.pictures import noisy, saved, scene

SCENE = scene(64, 80) // 2  # leaves room for what is added


@pytest.fixture
def job(tmp_path):
    def make(content: bytes, name: str, setting="auto") -> Job:
        path = tmp_path / name
        path.write_bytes(content)
        [task] = assign_outputs([str(path)], None, by_factor(), None)
        return Job(task, restoring_upscaler(setting))

    return make


def test_a_bad_jpeg_is_restored_and_the_result_says_why(job, tmp_path):
    result = job(saved(SCENE, "JPEG", quality=30), "photo.jpg").run()
    assert (result.status, result.reason) == (Status.DONE, None)
    assert (result.restore, result.restore_reason) == (1.0, "JPEG of quality 30")
    values = result.to_dict()
    assert (values["restore"], values["restore_reason"]) == (1.0, "JPEG of quality 30")
    decoded = np.asarray(Image.open(tmp_path / "photo.jpg").convert("RGB"))
    found = np.asarray(read_back(tmp_path / "photo_x4.png"))
    assert np.array_equal(found, repeated(decoded) + ADDED)


def test_a_clean_picture_is_not(job, tmp_path):
    result = job(saved(SCENE, "PNG"), "photo.png").run()
    assert (result.restore, result.restore_reason) == (0.0, "no damage found")
    assert np.array_equal(np.asarray(read_back(tmp_path / "photo_x4.png")), repeated(SCENE))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_what_is_read_by_rows_is_judged_by_all_of_its_height(job, tmp_path, monkeypatch, form):
    """The noise begins below the top."""
    pixels = scene(600, 80) // 2 + 20
    pixels[60:] = noisy(pixels[60:], 12)
    how = {"quality": 97, "restart_marker_rows": 1} if form == "JPEG" else {}
    work = job(saved(pixels, form, **how), f"a.{form}")
    kept = work.run()
    wanted = (tmp_path / "a_x4.png").read_bytes()
    assert kept.restore_reason.startswith("noise of about") and kept.restore > 0
    (tmp_path / "a_x4.png").unlink()
    by_rows(monkeypatch)
    found, planned = work.run(), work.plan()
    for each in (found, planned):
        assert (each.restore, each.restore_reason) == (kept.restore, kept.restore_reason)
    assert (tmp_path / "a_x4.png").read_bytes() == wanted


@pytest.mark.parametrize("setting", ["auto", 1.0, 0.5])
def test_of_two_networks_the_first_alone_restores(setting, tmp_path, monkeypatch):
    one = restoring_upscaler(setting).restoration
    monkeypatch.setattr(family, "load_network", lambda *_, **__: loaded())
    monkeypatch.setattr(family, "find_restoration", lambda *_: one)
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(SCENE[:20, :20], "JPEG", quality=30))
    options = Outputs(model=path, scale=16, device="cpu", precision="fp32")
    worker = WorkerSpec(options=options, devices=("cpu",)).open()
    [task] = assign_outputs([str(path)], None, by_factor(16), None)
    result = worker.complete(task)
    assert result.reason is None and result.restore == (1.0 if setting == "auto" else setting)
    decoded = np.asarray(Image.open(path).convert("RGB"))
    found = np.asarray(read_back(tmp_path / "photo_x16.png"))
    assert np.array_equal(found, repeated(decoded, 16) + np.uint8(ADDED * result.restore))
    planned = plan(worker, task, forgiving=True)
    assert (planned.restore, planned.output_size) == (result.restore, (320, 320))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_plan_says_the_same_and_writes_nothing(job, tmp_path, form):
    content = saved(SCENE, form, **({"quality": 30} if form == "JPEG" else {}))
    planned = job(content, "photo.x").plan()
    assert planned.status is Status.PLANNED and planned.plan["panels"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["photo.x"]
    done = job(content, "photo.x").run()
    assert (planned.restore, planned.restore_reason) == (done.restore, done.restore_reason)


def test_a_plan_with_a_strength_of_ones_own_does_not_decode(job, monkeypatch):
    monkeypatch.setattr(Worker, "decode", None)
    planned = job(saved(SCENE, "PNG"), "photo.png", 0.5).plan()
    assert (planned.status, planned.restore) == (Status.PLANNED, 0.5)


def test_pixels_that_are_damaged_fail_in_the_plan_already(job):
    planned = job(saved(SCENE, "PNG")[:-200], "photo.png").plan()
    assert planned.status is Status.FAILED and "photo.png" in planned.reason
