"""--restore, with the bundled networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import edsr_cli
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.pixels.transfer import ToLight
from edsr_cli.pixels.windows import ArrayWindow, Region
from edsr_cli.restoration.choice import version
from tests.cli.conftest import records, usage
from tests.jobs.nearest import read_back
from tests.jobs.test_large import linear_profile
from tests.restoration.pictures import jpeg, saved, scene

SCENE = scene(40, 48)
ON_CPU = ("-d", "cpu", "--precision", "fp32")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edsr_cli.jobs.estimates.speed_of", lambda *_: 1e9)
    folder = Path("in")
    folder.mkdir()
    (folder / "bad.jpg").write_bytes(saved(SCENE, "JPEG", quality=40))
    (folder / "clean.png").write_bytes(saved(SCENE, "PNG"))
    return folder


def test_auto_says_what_it_does_and_why(edsr, files):
    run = edsr("upscale", files / "bad.jpg", files / "clean.png", "-s", 2, "--json", *ON_CPU)
    assert run.code == 0
    said = [line for line in run.lines if "--restore" in line]
    assert said == ["in/bad.jpg: JPEG of quality 40, restored with strength 1 (--restore)"]
    found = [(each["restore"], each["restore_reason"]) for each in records(run)]
    assert found == [(1.0, "JPEG of quality 40"), (0.0, "no damage found")]
    planned = edsr("upscale", files / "bad.jpg", "-s", 2, "-n", "-o", "x.png", *ON_CPU)
    assert planned.lines[0] == said[0]
    assert "; edsr-free, restored with strength 1, on cpu in fp32; " in planned.lines[1]


def test_a_picture_of_linear_light_is_judged_as_the_network_sees_it(tmp_path, monkeypatch):
    """Levels of noise and steps of JPEG are in numbers that follow the eye."""
    monkeypatch.chdir(tmp_path)
    levels = np.arange(256, dtype=np.uint16)[:, None, None].repeat(3, axis=2) * 257
    ToLight(ArrayWindow(light := np.empty_like(levels))).write(Region(0, 256, 0, 1), levels)
    stored, profile = light[jpeg(SCENE, 40), 0, 0], linear_profile()
    tifffile.imwrite("light.tif", stored, photometric="rgb", iccprofile=profile)
    known = {"scale": 2, "device": "cpu", "precision": "fp32"}
    reasons = {}
    [record] = edsr_cli.upscale(["light.tif"], "large.tif", **known)
    reasons["upscale"] = record.restore, record.restore_reason
    [seen] = edsr_cli.compare("light.tif", "page.html", model=["edsr-free"], **known)
    [network] = [each.made for each in seen.versions if each.kind == "network"]
    reasons["compare"] = network["restore"], network["restore_reason"]
    upscaler = edsr_cli.load("edsr-free", **known)
    assert np.array_equal(np.asarray(upscaler("light.tif")), to_uint8(tifffile.imread("large.tif")))
    assert {strength for strength, _ in reasons.values()} == {1}, reasons
    assert {reason.split(" of quality")[0] for _, reason in reasons.values()} == {
        "traces of a JPEG"
    }


def test_the_ends_are_the_two_models(edsr, files):
    def made(*options):
        run = edsr(
            "upscale", files / "bad.jpg", "-s", 2, "-o", "x.png", "--overwrite", *ON_CPU, *options
        )
        assert run.code == 0, run.err
        return np.asarray(read_back(Path("x.png"))).astype(int)

    photo, plain, half = made("-m", "edsr-photo"), made("--restore", 0), made("--restore", 0.5)
    assert np.array_equal(made("--restore", "1"), photo)
    assert np.array_equal(made(), photo)
    assert np.abs(plain - photo).max() > 5
    # Not half way exactly, since networks are not linear; but between them.
    assert np.abs(half - (plain + photo) / 2).mean() < 0.6 * np.abs(plain - photo).mean()


def test_details_are_said_of_clean_pictures_and_scales_without_a_second_network(edsr, files):
    run = edsr("upscale", files / "clean.png", "-s", 2, "-n", "-v", *ON_CPU)
    assert "in/clean.png: no damage found, so nothing is restored" in run.lines
    assert "; edsr-free on cpu in fp32; " in run.lines[1]
    run = edsr("upscale", files / "bad.jpg", "-s", 2, "-n", "-v", "--restore", "0.5", *ON_CPU)
    assert "in/bad.jpg: restored with strength 0.5" in run.lines


@pytest.mark.parametrize("command", ["upscale", "batch", "evaluate"])
def test_settings_that_make_no_sense(edsr, files, command):
    files = files / "bad.jpg" if command == "upscale" else files
    for setting in ("2", "-1", "often", "nan", "1e0", ""):
        usage(edsr(command, files, f"--restore={setting}"), "--restore", "auto")
    run = edsr(command, files, "-m", "mdsr-free", "-s", 2, "--restore", "auto")
    usage(run, "mdsr-free has no second network", "edsr-free")


def test_a_batch_chooses_for_each_and_remembers_it(edsr, files):
    def batch(*options):
        run = edsr("batch", files, "-s", 2, "--json", *ON_CPU, *options)
        assert run.code == 0, run.err
        return {Path(each["input"]).name: each for each in records(run)}, run

    found, run = batch()
    assert {name: each["restore"] for name, each in found.items()} == {"bad.jpg": 1, "clean.png": 0}
    assert any(line.startswith("restored") and line.endswith("1 with 1") for line in run.lines)
    recipes = [
        line["restore"]
        for line in map(json.loads, Path("in_x2/.edsr-manifest.jsonl").read_text().splitlines())
        if "restore" in line
    ] or [Path("in_x2/.edsr-manifest.jsonl").read_text()]
    assert f"auto {version(2)}" in str(recipes)
    again, _ = batch()
    assert {each["status"] for each in again.values()} == {"skipped"}
    other, _ = batch("--restore", 0.25)
    assert {(each["status"], each["restore"]) for each in other.values()} == {("done", 0.25)}


def test_evaluate_measures_the_plain_network_unless_told_otherwise(edsr, files):
    Image.fromarray(scene(96, 96)).save(files / "clean.png")
    (files / "bad.jpg").unlink()

    def mean(*options):
        run = edsr("evaluate", files, "-s", 2, "--json", *ON_CPU, *options)
        assert run.code == 0, run.err
        return records(run)[-1]

    plain, restored = mean(), mean("--restore", "1")
    assert (plain["restore"], restored["restore"]) == ("0", "1")
    assert plain["psnr_y"] > restored["psnr_y"]
    photo, auto = mean("-m", "edsr-photo"), mean("--restore", "auto")
    assert photo["psnr_y"] == restored["psnr_y"]
    assert auto["restore"] == f"auto {version(2)}" and auto["psnr_y"] == plain["psnr_y"]
