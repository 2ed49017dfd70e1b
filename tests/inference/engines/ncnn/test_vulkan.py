"""Vulkan devices: which one is taken, and that it computes what the CPU does.

On Mesa's lavapipe, a device in software (apt-get install mesa-vulkan-drivers libvulkan1), in a
process of its own, which a driver may end.
"""

import subprocess
import sys

import numpy as np
import pytest

from edsr_cli.errors import UsageError
from edsr_cli.inference.engine import Device, Precision
from edsr_cli.inference.engines import VARIABLE, engine_for
from edsr_cli.inference.engines.ncnn import gpus, vulkan
from edsr_cli.inference.engines.ncnn.gpus import Gpu
from edsr_cli.inference.engines.ncnn.overlapping import Overlapping
from edsr_cli.inference.engines.ncnn.vulkan import VulkanEngine
from edsr_cli.model.config import edsr_baseline
from tests import forking

PROGRAM = Gpu(0, "llvmpipe (LLVM 15.0.6, 256 bits)", True, 1 << 30)
CARD = Gpu(1, "AMD Radeon 780M", False, 8 << 30)


@pytest.fixture(autouse=True)
def nothing_is_known_yet():
    gpus.gpus.cache_clear()
    vulkan._amiss.cache_clear()
    yield
    gpus.gpus.cache_clear()
    vulkan._amiss.cache_clear()


@pytest.fixture(autouse=True)
def no_engine_is_said(nothing_is_known_yet, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine with these devices, which compute what they should."""

    def made(*found):
        monkeypatch.setattr(gpus, "gpus", lambda: found)
        monkeypatch.setattr(vulkan, "_amiss", lambda index, half=False: "")

    return made


@pytest.mark.parametrize(
    ("name", "index"),
    [("vulkan", 1), ("vulkan:0", 0), ("vulkan:1", 1), ("vulkan:LLVM", 0), ("vulkan:radeon", 1)],
)
def test_a_program_is_taken_only_when_it_is_named(machine, name, index):
    machine(PROGRAM, CARD)
    engine = engine_for(name)
    assert type(engine) is VulkanEngine
    assert engine.device(name) == Device("vulkan", index)


def test_devices_that_there_are_not(machine):
    machine()
    with pytest.raises(UsageError, match=r"no Vulkan device.*libvulkan1"):
        engine_for("vulkan").device("vulkan")
    machine(PROGRAM)
    with pytest.raises(UsageError, match=r"is a program, llvmpipe.*vulkan:0 all the same"):
        engine_for("vulkan").device("vulkan")
    for name in ("vulkan:7", "vulkan:geforce"):
        with pytest.raises(UsageError, match=f"{name[7:]}'.*edsr devices"):
            engine_for(name).device(name)
    with pytest.raises(UsageError, match="PyTorch cannot"):
        engine_for("vulkan", name="torch")


def test_nobody_asks_a_driver_unless_it_is_named(monkeypatch):
    monkeypatch.setattr(gpus, "gpus", lambda: pytest.fail("asked"))
    for name in ("auto", "cpu"):
        engine_for(name).device(name)


def test_a_device_that_computes_something_else_is_refused(machine, monkeypatch):
    machine(CARD)
    said = "a pixel is off by 3 levels"
    monkeypatch.setattr(vulkan, "_amiss", lambda index, half=False: said)
    with pytest.raises(UsageError, match=r"Radeon 780M cannot be used: a pixel.*driver"):
        engine_for("vulkan").device("vulkan")
    monkeypatch.setattr(vulkan, "_amiss", lambda index, half=False: said if half else "")
    device = engine_for("vulkan").device("vulkan")
    assert VulkanEngine().precision("fp32", device) is Precision.FP32
    with pytest.raises(UsageError, match=r"cannot be used in fp16: a pixel.*--precision fp32"):
        VulkanEngine().precision("fp16", device)


def test_plans_for_a_card(machine):
    machine(CARD)
    engine = VulkanEngine()
    device = engine.device("vulkan:1")
    assert engine.describe(device) == "vulkan:1 (AMD Radeon 780M)"
    assert 0 < engine.memory(device) <= 4 << 30
    precision = engine.precision("auto", device)
    assert precision is Precision.FP32  # fp16 has to be asked for
    assert engine.precision("fp16", device) is Precision.FP16
    with pytest.raises(UsageError, match="fp32 or fp16, not in 'bf16'"):
        engine.precision("bf16", device)
    costs = engine.footprint(edsr_baseline(2), 2, precision, ensemble=False)
    assert costs.held_bytes == 72 * costs.work_bytes  # 36 rows above a strip, and below


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("print('hello'); print('[[\"X\", 0, 512]]')", (Gpu(0, "X", False, 512 << 20),)),
        ("print('[]'); import os; os.abort()", ()),
    ],
)
def test_what_another_process_found(monkeypatch, program, found):
    monkeypatch.setattr(gpus, "_ASK", program)
    assert gpus.gpus() == found


def test_drivers_that_break_processes(monkeypatch):
    monkeypatch.setattr(gpus, "_ASK", "import os; os.abort()")
    with pytest.raises(UsageError, match=r"ended the process.*--device cpu"):
        gpus.chosen("vulkan")
    monkeypatch.setattr(gpus, "_ASK", "import time; time.sleep(60)")
    monkeypatch.setattr(gpus, "_PATIENCE", 0.1)
    with pytest.raises(UsageError, match="did not answer within"):
        gpus.chosen("vulkan")


class Graph:
    """What a stream asks a network; this one makes zeros, and notes its windows."""

    delay, gpu = 5, 0


@pytest.mark.parametrize("height", [1, 4, 5, 9, 10, 23])
@pytest.mark.parametrize("pushed", [1, 3, 50])
def test_windows_have_all_rows_that_a_strip_depends_on(monkeypatch, height, pushed):
    stream = Overlapping(Graph(), None, most_rows=4)
    numbers, done = np.arange(height, dtype=np.float32), []

    def finished(rows, count, last):
        known = rows[0, :, 0]
        begin, end = stream._done, stream._done + count
        assert known[0] <= max(0, begin - 5) and known[-1] >= min(height, end + 5) - 1
        assert last == (end == height) and count <= 4
        done.extend(range(begin, end))
        return rows[:, :0]

    monkeypatch.setattr(stream, "_finished", finished)
    for top in range(0, height, pushed):
        rows = np.broadcast_to(
            numbers[None, top : top + pushed, None], (3, min(pushed, height - top), 2)
        )
        list(stream.push(rows, top + pushed >= height))
    assert done == list(range(height))


UPSCALING = """
import sys
from msgspec.structs import replace
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference import Upscaler
from edsr_cli.model.networks import tensors_of
from tests.inference.engines.ncnn.test_upscaling import CASES, difference, network_of, picture
device, networks, precision = sys.argv[1], int(sys.argv[2]), sys.argv[3]
most = {"fp32": 0.002, "fp16": 0.5}[precision]
for config, scale in CASES[:networks]:
    network = network_of(config)
    upscaler = Upscaler(Checkpoint(config, tensors_of(network)), scale, device, precision)
    assert str(upscaler.device) == device and upscaler.precision.value == precision
    for shape, tile, dtype, ensemble in [
        ((23, 9), 5, "uint16", False),
        ((1, 1), "auto", "uint8", False),
        ((6, 27), "auto", "uint16", False),
        ((9, 5), "auto", "uint8", True),
    ][: 1 if networks == 1 else 3 if config.features == 64 else 4]:
        plan = replace(upscaler.plan(*shape, ensemble=ensemble, tile=tile), strip_rows=6)
        pixels = picture(*shape, dtype)
        made = upscaler.upscale(pixels, ensemble=ensemble, plan=plan).pixels
        off = difference(network, scale, pixels, made, ensemble)
        assert off < most, (config, scale, shape, off)
print("as the plain networks")
"""


@pytest.fixture
def lavapipe():
    """The name of a device in software."""
    try:
        found = [gpu for gpu in gpus.gpus() if gpu.software]
    except RuntimeError as error:
        pytest.skip(f"Vulkan does not work here: {error}")
    if not found:
        pytest.skip("no Vulkan device in software (mesa-vulkan-drivers and libvulkan1)")
    return f"vulkan:{found[0].index}"


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("networks", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_pictures_are_those_of_the_plain_network(lavapipe, networks, precision):
    command = [sys.executable, "-c", UPSCALING, lavapipe, str(networks), precision]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = forking.run(command, **pipes, text=True)
    assert (done.returncode, done.stdout) == (0, "as the plain networks\n"), done.stderr
    assert "queueC" not in done.stderr  # what ncnn tells of devices
