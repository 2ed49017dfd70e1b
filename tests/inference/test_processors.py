import io
import os
import subprocess
import sys

import pytest
import torch

from edsr_cli.inference import cgroups, processors
from edsr_cli.inference.engines.torch import devices
from tests import forking


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(processors, "_asked", None)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def eight(monkeypatch):
    """Eight processors, no quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cgroups, "processors", lambda: None)


@pytest.mark.parametrize(
    ("quota", "count"), [(None, 8), (0.1, 1), (1.0, 1), (1.5, 2), (3.0, 3), (64.0, 8)]
)
def test_affinity_and_quota_count(monkeypatch, eight, quota, count):
    monkeypatch.setattr(cgroups, "processors", lambda: quota)
    assert processors.available() == count


def test_without_affinity(monkeypatch, eight):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors.available() == 1


def test_what_is_asked_for_is_taken_and_else_no_more_than_there_is_room_for(monkeypatch, eight):
    def threads(*asked):
        processors.use_threads(*asked)
        return torch.get_num_threads()

    torch.set_num_threads(6)
    assert threads() == threads(0) == threads(None) == 6
    monkeypatch.setattr(cgroups, "processors", lambda: 2.0)
    assert threads() == 2
    assert threads(5) == 5
    for wrong in (-1, 10**6):
        with pytest.raises(ValueError, match="threads"):
            threads(wrong)
    assert torch.get_num_threads() == 5 == processors.asked()


def test_an_engine_that_comes_later_follows_what_was_said(monkeypatch, eight):
    monkeypatch.setattr(processors, "_followers", [])
    torch.set_num_threads(6)
    processors.follow(devices._use_threads)
    assert torch.get_num_threads() == 6 and processors.asked() == 0  # nothing was
    monkeypatch.setattr(processors, "_followers", [])
    processors.use_threads(3)
    assert torch.get_num_threads() == 6
    processors.follow(devices._use_threads)
    assert torch.get_num_threads() == 3


FORK = """
import os, signal, sys
import numpy as np, torch
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference import Upscaler, processors
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build, tensors_of
torch.manual_seed(0)
processors.use_threads(2)
network = build(NetworkConfig("edsr", (2,), 2, 16))
upscaler = Upscaler(Checkpoint(network.config, tensors_of(network)), 2, "cpu", "fp32")
pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
wanted = upscaler.upscale(pixels).pixels
child = os.fork()
if not child:
    signal.alarm(300)  # ends a child that hangs
    found = upscaler.upscale(pixels).pixels
    same = np.abs(found.astype(int) - wanted.astype(int)).max() <= 1
    os._exit(0 if same and processors.asked() == 1 else 7)
assert processors.asked() == 2
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("engine", ["torch", "ncnn"])
def test_a_forked_child_computes_instead_of_hanging(monkeypatch, engine):
    monkeypatch.setenv("EDSR_ENGINE", engine)
    done = forking.run(
        [sys.executable, "-c", FORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600
    )
    assert done.returncode == 0, done.stderr


def test_the_kind_of_a_processor_says_nothing_of_the_moment(monkeypatch):
    """Of two processors, the first counts; its clock and its number do not."""

    def seen(text, system="linux"):
        processors.kind.cache_clear()
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr(processors.Path, "open", lambda *_, **__: io.StringIO(text))
        return processors.kind()

    text = "processor\t: 0\nmodel name\t: A\ncpu MHz\t: 2000.1\nflags\t: avx\n\nprocessor\t: 1\n"
    first = seen(text)
    assert first == seen(text.replace("2000.1", "900.0").replace(": 0", ": 7") + "flags\t: sse\n")
    assert first != seen(text.replace("avx", "avx2"))
    assert seen("") is None and seen("processor\t: 0\n") is None and seen(text, "darwin") is None
    monkeypatch.setenv("PROCESSOR_IDENTIFIER", "B")
    assert seen(text, "win32").endswith(" B")
    monkeypatch.undo()
    processors.kind.cache_clear()
    if sys.platform.startswith("linux"):
        assert processors.kind()
