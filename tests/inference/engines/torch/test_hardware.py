"""What is told of the machine without torch is what torch says."""

import ctypes
import io
import platform
import sys

import pytest
import torch

from edsr_cli.inference import processors
from edsr_cli.inference.engine import Device
from edsr_cli.inference.engines.torch import devices, hardware
from edsr_cli.inference.engines.torch.engine import TorchEngine


def test_bf16_on_this_machine():
    known = hardware.multiplies_bf16()
    if sys.platform.startswith("linux"):
        assert known is not None
    assert known in (None, devices.has_fast_bf16(torch.device("cpu")))


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("fpu avx512f avx512_bf16 vme", True),
        ("fpu amx_bf16 amx_tile", True),
        ("fpu avx2 avx512f avx512_vnni", False),
        ("", None),
    ],
)
def test_bf16_by_the_flags_that_linux_lists(monkeypatch, flags, found):
    text = f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: avx512_bf16\n"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(processors.Path, "open", lambda *_, **__: io.StringIO(text))
    assert hardware.multiplies_bf16() is found
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert hardware.multiplies_bf16() is False
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert hardware.multiplies_bf16() is None


@pytest.mark.parametrize(
    ("system", "driver", "torch_is_asked"),
    [
        ("linux", "", False),
        ("linux", "nvcuda.dll", False),
        ("linux", "libcuda.so.1", True),
        ("linux", "/dev/kfd", True),
        ("win32", "", False),
        ("win32", "nvcuda.dll", True),
        ("darwin", "", True),
    ],
)
def test_torch_is_asked_where_there_is_a_driver(monkeypatch, system, driver, torch_is_asked):
    def load(name):
        if name != driver:
            raise OSError(name)

    asked = []

    def pick(name):
        asked.append(name)
        return torch.device("cpu")

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(hardware.Path, "exists", lambda path: path == hardware.Path(driver or "x"))
    monkeypatch.setattr(devices, "pick_device", pick)
    assert TorchEngine().device("cpu") == TorchEngine().device("auto") == Device("cpu")
    assert asked == ["auto"] * torch_is_asked
