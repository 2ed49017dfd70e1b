import json

import pytest
import torch

from edsr_cli.inference import memory
from edsr_cli.inference.engines import engine_for, listing
from edsr_cli.inference.engines.ncnn import gpus
from edsr_cli.inference.engines.ncnn.gpus import Gpu
from edsr_cli.inference.engines.torch import devices, hardware
from edsr_cli.inference.engines.torch.engine import TorchEngine
from tests.cli.conftest import edsr  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def no_vulkan(monkeypatch):
    monkeypatch.setattr(gpus, "gpus", lambda: ())


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, the second of which is too old for this build of torch."""
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: True)
    monkeypatch.setattr(
        devices, "accelerators", lambda: [torch.device("cuda", 0), torch.device("cuda", 1)]
    )
    monkeypatch.setattr(devices, "trial", lambda device: "too old" if device.index else "")
    monkeypatch.setattr(devices, "free_memory", lambda device: 7 * 10**9)
    describe = devices.describe
    monkeypatch.setattr(
        devices, "describe", lambda d: f"{d} (NVIDIA X)" if d.type == "cuda" else describe(d)
    )


def test_a_machine_without_a_gpu(monkeypatch):
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: False)
    monkeypatch.setattr(memory, "available", lambda: 123)
    [found] = listing.devices()
    engine = "torch" if isinstance(engine_for("cpu"), TorchEngine) else "ncnn"
    assert (found.name, found.engine, found.free_bytes, found.trouble) == ("cpu", engine, 123, "")
    assert "thread" in found.what
    assert listing.usable() == ["cpu"]


def test_gpus_that_work_and_do_not(two_gpus):
    first, second, cpu = listing.devices()
    assert (first.name, first.engine, first.free_bytes) == ("cuda:0", "torch", 7 * 10**9)
    assert (second.name, second.free_bytes, second.trouble) == ("cuda:1", None, "too old")
    assert cpu.name == "cpu" and listing.usable() == ["cuda:0"]


def test_vulkan_devices_come_last_and_are_never_taken_unasked(monkeypatch, two_gpus):
    monkeypatch.setattr(
        gpus, "gpus", lambda: (Gpu(0, "NVIDIA X", False, 9 << 30), Gpu(1, "lavapipe", True, 1))
    )
    *_, cpu, card, program = listing.devices()
    assert cpu.name == "cpu"
    assert (card.name, card.engine, card.what) == ("vulkan:0", "ncnn", "NVIDIA X")
    assert card.free_bytes == 9 << 30
    assert program.what == "lavapipe (a program, slower than cpu)"
    assert listing.usable() == ["cuda:0"]


def test_a_broken_vulkan_driver_is_told(monkeypatch):
    def broken():
        raise RuntimeError("a driver ended the process (status -11)")

    monkeypatch.setattr(hardware, "may_have_gpu", lambda: False)
    monkeypatch.setattr(gpus, "gpus", broken)
    cpu, found = listing.devices()
    assert cpu.trouble == "" and "status -11" in found.trouble
    assert listing.usable() == ["cpu"]


def test_the_command(two_gpus, edsr):  # noqa: F811
    table = edsr("devices")
    assert table.code == 0
    text = table.out.decode() + table.err
    assert "cuda:0 (NVIDIA X)" in text and "7.0 GB" in text and "too old" in text
    lines = [json.loads(line) for line in edsr("devices", "--json").out.splitlines()]
    assert [line["name"] for line in lines] == ["cuda:0", "cuda:1", "cpu"]
    assert lines[1]["trouble"] == "too old"


def test_all_devices_in_a_batch(monkeypatch, tmp_path, edsr):  # noqa: F811
    from edsr_cli.api import batch

    asked = []

    def spec(options, names):
        asked.append(names)
        raise SystemExit(9)

    monkeypatch.setattr(batch, "worker_spec", spec)
    monkeypatch.setattr(listing, "usable", lambda: ["cuda:0", "cuda:3"])
    (tmp_path / "in").mkdir()
    assert edsr("batch", tmp_path / "in", "-d", "all").code == 9
    assert asked == [["cuda:0", "cuda:3"]]
