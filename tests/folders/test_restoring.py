"""Folders with an upscaler that can restore."""

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edsr_cli.restoration.choice import THRESHOLDS
from tests.folders.engine import Engine, statuses
from tests.jobs.nearest import read_back, repeated
from tests.restoration.brightening import ADDED, restoring_upscaler
from tests.restoration.pictures import saved, scene

SCENE = scene(64, 64) // 2
FILES = {
    "a.png": saved(SCENE, "PNG"),
    "b.jpg": saved(SCENE, "JPEG", quality=30),
    "c.jpg": saved(SCENE, "JPEG", quality=88),
    "d.jpg": saved(SCENE, "JPEG", quality=30),
}
STRENGTHS = {"a.png": 0.0, "b.jpg": 1.0, "c.jpg": 0.75, "d.jpg": 1.0}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "in"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


def restoring_engine(folder, setting="auto"):
    made = Engine(folder)
    made.upscalers = [restoring_upscaler(setting, 2)]
    return made


def test_each_picture_gets_its_own_strength(folder, tmp_path):
    done = restoring_engine(folder).run(output=tmp_path / "out")
    for name, record in done.by_name(folder).items():
        assert record.restore == STRENGTHS[name], name
        decoded = np.asarray(Image.open(folder / name).convert("RGB"))
        found = np.asarray(read_back(tmp_path / "out" / f"{name[0]}.png"))
        assert np.array_equal(found, repeated(decoded, 2) + int(ADDED * STRENGTHS[name])), name
        assert record.to_dict()["restore"] == STRENGTHS[name]
    assert done.by_name(folder)["b.jpg"].restore_reason == "JPEG of quality 30"
    assert done.summary.restored == {1.0: 2, 0.75: 1}
    assert done.summary.to_dict()["restored"] == {"1": 2, "0.75": 1}


def test_a_second_run_skips_all_and_another_setting_makes_them_again(folder, tmp_path):
    options = {"output": tmp_path / "out"}
    restoring_engine(folder).run(**options)
    again = restoring_engine(folder).run(**options)
    assert {status for _, status, _ in statuses(again)} == {"skipped"}
    other = restoring_engine(folder, 0.5).run(**options)
    assert {status for _, status, _ in statuses(other)} == {"done"}
    back = restoring_engine(folder, 0.5).run(**options)
    assert {status for _, status, _ in statuses(back)} == {"skipped"}


@pytest.mark.parametrize(("scale", "status"), [(2, "done"), (3, "skipped")])
def test_new_thresholds_of_its_scale_make_a_folder_again(
    scale, status, folder, tmp_path, monkeypatch
):
    options = {"output": tmp_path / "out"}
    restoring_engine(folder).run(**options)
    monkeypatch.setitem(THRESHOLDS, scale, replace(THRESHOLDS[scale], noise=(1, 2, 3, 4)))
    again = restoring_engine(folder).run(**options)
    assert {found for _, found, _ in statuses(again)} == {status}


def test_a_plan_says_what_would_be_chosen(folder, tmp_path):
    planned = restoring_engine(folder).run(output=tmp_path / "out", plan=True)
    found = {name: record.restore for name, record in planned.by_name(folder).items()}
    assert found == STRENGTHS
    assert not (tmp_path / "out").exists()
