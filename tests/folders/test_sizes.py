"""Folders of pictures to an exact size: which networks, and what is done again."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli import batch
from edsr_cli.checkpoints.checkpoint import save_canonical
from edsr_cli.errors import UsageError
from edsr_cli.folders.shards import WHOLE
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.family import Family
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import MDSR, tensors_of
from edsr_cli.options.pictures import Outputs
from tests.jobs.nearest import read_back, save_nearest

SIZES = {"a.png": (30, 20), "b.jpg": (9, 12), "c.png": (64, 40), "sub/d.png": (16, 16)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, (width, height) in SIZES.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path


@pytest.fixture
def run(folder):
    model = save_nearest(folder / "x4.safetensors")

    def go(**options):
        records = []
        summary = batch(
            "in", model=model, device="cpu", precision="fp32", each=records.append, **options
        )
        return summary, records

    return go


def names(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".edsr")
    )


def test_every_picture_gets_the_side(run, folder):
    summary, records = run(max_side=60)
    assert (summary.done, summary.failed) == (4, 0)
    for name in names(folder / "in_max60"):
        assert max(read_back(folder / "in_max60" / name).size) == 60
    remarks = {Path(record.input).name: record.notes for record in records if record.notes}
    assert list(remarks) == ["c.png"] and "only reduced" in remarks["c.png"][0]


def test_another_size_is_made_again_and_the_same_is_not(run, folder):
    assert run(output="out", max_side=60)[0].done == 4
    assert run(output="out", max_side=60)[0].skipped == 4
    assert run(output="out", max_side=61)[0].done == 4
    assert run(output="out", fit=(61, 61))[0].done == 4
    assert run(output="out", scale=2.5)[0].done == 4
    assert run(output="out", scale=2.5, strip="gps")[0].done == 4
    assert run(output="out", scale=2.5, strip="gps", keep_times=True)[0].skipped == 4
    assert (folder / "out" / WHOLE.manifest).read_text().count('"recipe"') > 4


def test_options_of_formats_count(run):
    for options in ({}, {"quality": 50}, {"quality": 51}, {"quality": 51, "chroma": "420"}):
        assert run(output="out", scale=2, format="jpeg", **options)[0].done == 4
        assert run(output="out", scale=2, format="jpeg", **options)[0].skipped == 4


def test_times_that_are_kept_do_not_confuse_the_next_run(run, folder):
    for number, name in enumerate(SIZES):
        os.utime(folder / "in" / name, (10**9, 10**9 + number))
    assert run(output="out", keep_times=True)[0].done == 4
    assert (folder / "out" / "a.png").stat().st_mtime == 10**9
    assert run(output="out", keep_times=True)[0].skipped == 4
    os.utime(folder / "in" / "a.png", (10**9, 10**9 + 99))
    assert run(output="out", keep_times=True)[0].done == 1


def test_what_replaces_a_file_of_its_size_and_time_is_known(run, folder):
    for name in SIZES:
        os.utime(folder / "in" / name, (10**9, 10**9))
    for scale in ({"height": 40}, {"fit": (9999, 40)}, {"height": 40}):
        assert run(output="out", format="bmp", keep_times=True, **scale)[0].done == 4
        assert run(output="out", format="bmp", keep_times=True, **scale)[0].skipped == 4
    assert (folder / "out" / "a.bmp").stat().st_mtime == pytest.approx(10**9, abs=0.01)


def test_names_and_formats(run, folder):
    Image.new("RGB", (5, 5)).save(folder / "in" / "a.JPG")
    run(output="out", width=20, name="{stem}_{width}x{height}{ext}", format="same")
    assert names(folder / "out") == [
        "a_20x13.png", "a_20x20.JPG", "b_20x27.jpg", "c_20x13.png", "sub/d_20x20.png",
    ]  # fmt: skip
    run(output="two", scale=2, name="{stem}-{scale}{ext}")
    assert names(folder / "two") == [
        "a.JPG-2.png", "a.png-2.png", "b-2.png", "c-2.png", "sub/d-2.png",
    ]  # fmt: skip
    assert run(output="two", scale=2, name="{stem}-{scale}{ext}")[0].skipped == 5


def test_a_name_that_would_be_one_for_all_is_refused(run):
    with pytest.raises(UsageError, match=r"without \{stem\}"):
        run(name="{width}{ext}")


def test_what_cannot_be_read_keeps_the_size_that_was_asked_for(run, folder):
    (folder / "in" / "e.png").write_bytes(b"words")
    summary, records = run(output="out", max_side=20, name="{stem}_{width}{ext}")
    assert (summary.done, summary.failed) == (4, 1)
    [bad] = [record for record in records if record.error]
    assert bad.output.endswith("e_max20.png")


# A model with several scales.


def save(path, *scales):
    """Write a network with several scales, and weights that mean nothing."""
    config = NetworkConfig("mdsr", scales, 1, 4)
    metadata = {"name": path.stem, "licence": "CC0-1.0", "origin": "made for tests"}
    save_canonical(path, tensors_of(MDSR(config)), config, metadata)
    return path


@pytest.fixture
def several(tmp_path):
    return save(tmp_path / "all.safetensors", 2, 3, 4)


def test_networks_are_made_when_they_are_needed_and_kept(several):
    family = Family(Outputs(model=several, scale=3, precision="fp32"))
    assert (family.first, family.scales, family.name) == (4, (2, 3, 4), "all")
    first = family.upscaler(3, "cpu")
    assert first is family.upscaler(3, "cpu") is family.upscaler(3, "cpu", plain=True)
    assert family.network(2)[0].checkpoint is family.network(4)[0].checkpoint
    assert family.upscaler(2, "cpu").weights is first.weights


def test_pictures_of_different_sizes_go_through_different_networks(several, folder, monkeypatch):
    used, through = set(), Upscaler.upscale_into

    def upscale_into(upscaler, source, target, **options):
        used.add((source.shape, upscaler.scale))
        return through(upscaler, source, target, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", upscale_into)
    records = []
    batch("in", output="out", model=several, max_side=60, device="cpu", each=records.append)
    assert [max(record.output_size) for record in records] == [60] * 4
    assert used == {
        ((20, 30, 3), 2), ((12, 9, 3), 2), ((24, 18, 3), 3), ((16, 16, 3), 4),
    }  # fmt: skip


def test_a_file_without_x4_begins_with_its_largest(tmp_path):
    model = save(tmp_path / "some.safetensors", 2, 3)
    family = Family(Outputs(model=model, width=9))
    assert (family.first, family.scales) == (3, (2, 3))


def test_names_of_models_give_all_their_scales():
    for options, first in (
        ({}, 4), ({"scale": 1.5}, 2), ({"scale": 9}, 3), ({"width": 9}, 4), ({"scale": 0.5}, 4)
    ):  # fmt: skip
        family = Family(Outputs(model="edsr-free", restore=0.5, **options))
        assert (family.first, family.scales) == (first, (2, 3, 4))
    assert family.upscaler(2, "cpu", "fp32", plain=True) is not family.upscaler(2, "cpu", "fp32")
