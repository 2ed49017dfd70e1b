import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.inference.engines.torch import hardware
from edsr_cli.jobs import small
from edsr_cli.jobs.family import Family
from edsr_cli.options.choices import Frames
from edsr_cli.options.pictures import Outputs

pytest.importorskip("ncnn")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that may have a GPU, and two processors."""
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: True)
    monkeypatch.setattr(small.processors, "available", lambda: 2)
    monkeypatch.setattr(small.processors, "_asked", None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("EDSR_ENGINE", raising=False)


def pictures(folder: Path, *sides: int) -> list[str]:
    files = []
    for side in sides:
        files.append(str(folder / f"{len(files)}.png"))
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(files[-1])
    return files


def device(options: Outputs, files: list[str]) -> str:
    return small.device_for(options, Family(options), files)


# Two processors do 1.2e11 multiply-adds in the time that a GPU takes to start, and x2 takes 1.24e6
# for each pixel: 312 x 312 of them.
@pytest.mark.parametrize(
    ("sides", "expected"),
    [([16], "cpu"), ([300], "cpu"), ([330], "auto"), ([220] * 2, "cpu"), ([220] * 3, "auto")],
    ids=str,
)
def test_little_work_is_for_the_cpu(tmp_path: Path, sides: list[int], expected: str) -> None:
    assert device(Outputs(scale=2), pictures(tmp_path, *sides)) == expected


def test_the_ensemble_is_eight_times_the_work(tmp_path: Path) -> None:
    files = pictures(tmp_path, 150)
    assert device(Outputs(scale=2), files) == "cpu"
    assert device(Outputs(scale=2, ensemble=True), files) == "auto"


def test_the_second_of_two_networks_has_more_pixels(tmp_path: Path) -> None:
    files = pictures(tmp_path, 130)
    assert device(Outputs(scale=4), files) == "cpu"
    assert device(Outputs(scale=16), files) == "auto"  # by x4 of 520 x 520, then


def test_each_page_that_is_wanted_counts(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (150, 150)) for _ in range(5)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    file = str(tmp_path / "a.tif")
    assert device(Outputs(scale=2, frames=Frames.ALL), [file]) == "auto"
    assert device(Outputs(scale=2), [file]) == device(Outputs(scale=2, frame=2), [file]) == "cpu"


def test_few_threads_have_less_time(tmp_path: Path) -> None:
    files = pictures(tmp_path, 300)
    assert device(Outputs(scale=2), files) == "cpu"
    assert device(Outputs(scale=2, threads=1), files) == "auto"


@pytest.mark.parametrize(
    "options",
    [
        Outputs(scale=2, device="cuda"),
        Outputs(scale=2, precision="bf16"),
        Outputs(scale=2, engine="torch"),
    ],
    ids=["device", "precision", "engine"],
)
def test_what_was_asked_for_stays(tmp_path: Path, options: Outputs) -> None:
    assert device(options, pictures(tmp_path, 16)) == options.device


def test_without_a_gpu_nothing_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: False)
    monkeypatch.setattr(small, "probe", lambda file: pytest.fail(f"{file} was opened"))
    assert device(Outputs(scale=2), ["a.png"]) == "auto"


@pytest.mark.parametrize("name", ["-", "missing.png", "s3://bucket/a.png"])
def test_what_cannot_be_looked_into_makes_no_choice(name: str) -> None:
    assert device(Outputs(scale=2), [name]) == "auto"


def test_a_small_picture_needs_no_torch(tmp_path: Path) -> None:
    """In a process of its own, on a machine that may have a GPU for all that is known."""
    (file,) = pictures(tmp_path, 16)
    program = f"""
import sys
from edsr_cli.inference.engines.torch import hardware
hardware.may_have_gpu = lambda: True
import edsr_cli
(record,) = edsr_cli.upscale([{file!r}], scale=2)
assert record.status == "done", record
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    with Image.open(tmp_path / "0_x2.png") as made:
        assert made.size == (32, 32)
