"""Benchmarks that are for machines which tests do not run on: that they run at all."""

import subprocess
import sys

import pytest
from PIL import Image

from benchmarks import device
from tests.conftest import REPOSITORY


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.slow
def test_device_compares_and_has_a_line_for_each_case():
    output = run("benchmarks/device.py", "--device", "cpu", "--small", "--seconds", "1e9")
    levels = [line for line in output.splitlines() if "levels at most" in line]
    assert len(levels) == 9  # three networks, three ways
    assert all(": 0 levels" in line or ": 1 levels" in line for line in levels)
    lines = [line for line in output.splitlines() if line.startswith(("| baseline", "| full"))]
    assert len(lines) == len(dict.fromkeys(map(device.small, device.cases())))
    assert "left out for want of time: 0" in output


@pytest.mark.slow
def test_peers_are_compared_and_those_that_are_missing_are_named():
    peers = ["edsr", "EDSR-PyTorch, --chop", "super-image, whole picture"]
    output = run(
        "-m", "benchmarks.peers", "--size", "24", "--scale", "2", "--rounds", "1", "--only", *peers
    )
    ours, quarters, missing = (line for line in output.splitlines() if line.startswith(
        tuple(f"| {name} " for name in peers)
    ))  # fmt: skip
    assert ours.endswith("| 0, 0.00000 |")
    assert " s | " in quarters
    assert "left out: ModuleNotFoundError: No module named 'super_image'" in missing


@pytest.mark.slow
def test_around_says_what_the_network_takes_and_what_the_rest_does(tmp_path):
    Image.new("RGB", (90, 70), "teal").save(tmp_path / "photo.jpg")
    output = run("-m", "benchmarks.around", str(tmp_path / "photo.jpg"), "--rounds", "1")
    for line, name in zip(output.splitlines(), ("photo", "corner"), strict=True):
        assert line.startswith(f"{name}, network ") and ", start and files " in line
