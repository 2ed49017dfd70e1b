"""Peak memory of real processes, as for torch."""

import subprocess
import sys

import pytest

from edsr_cli.inference.engines import VARIABLE
from tests.inference.engines.torch.test_memory import PEAK, assert_only_the_pictures_grow, limited

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")


@pytest.fixture(autouse=True)
def ncnn_computes(monkeypatch):
    monkeypatch.setenv(VARIABLE, "ncnn")


@pytest.mark.parametrize("ensemble", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_long_pictures_need_no_more_than_short_ones(ensemble):
    assert_only_the_pictures_grow((256, 256), (2560, 256), ensemble=ensemble)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(16384, 512), (512, 16384)], ids=["tall", "wide"])
def test_with_the_bundled_network(size):
    assert_only_the_pictures_grow((512, 512), size, bundled=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize(
    ("megabytes", "scale", "size"),
    [
        (12, 2, (90, 80)),
        pytest.param(12, 2, (110, 120), marks=pytest.mark.slow),  # in pieces of 19 x 2 pixels
        pytest.param(30, 4, (110, 120), marks=pytest.mark.slow),
    ],
)
def test_a_real_process_keeps_to_its_limit(megabytes, scale, size):
    used, rows, samples = limited(megabytes, scale, size)
    assert rows < size[0] and samples > 20
    assert 0.3 * megabytes < used / 1e6 <= megabytes


FEW_FEATURES = """
import sys
import numpy as np
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference import Upscaler, processors
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import EDSR, tensors_of

def peak_behind(width):
    pixels = np.zeros((40, width, 3), np.uint8)
    plan = upscaler.plan(40, width, rows_only=True)
    output = upscaler.upscale(pixels, plan=plan).pixels
    return peak(), plan.bytes + output.nbytes

processors.use_threads(1)
network = EDSR(NetworkConfig("edsr", (4,), 1, 4))
weights = Checkpoint(network.config, tensors_of(network))
upscaler = Upscaler(weights, 4, "cpu", "fp32", 100_000_000)
before, _ = peak_behind(32)
after, planned = peak_behind(8000)
print(after - before, planned)
"""


def test_a_tail_that_makes_more_numbers_than_there_are_features_keeps_to_the_plan():
    """The example: wide pictures took twice the memory that they had been given."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK + FEW_FEATURES], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    used, planned = map(int, done.stdout.split())
    assert 0.2 * planned < used <= planned


LOW_ON_MEMORY = """
import logging, resource
from msgspec.structs import replace
import numpy as np
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Upscaler, processors
from edsr_cli.inference.engines.ncnn import engine
logging.basicConfig(level=logging.WARNING, format="%(message)s")
processors.use_threads(1)
whole = load_network("edsr-free", 2).checkpoint
one_block = {
    key.replace("body.16", "body.1"): each for key, each in whole.tensors.items()
    if not key.startswith("body.") or key.startswith(("body.0.", "body.16."))
}
network = Checkpoint(replace(whole.config, blocks=1), one_block)
upscaler = Upscaler(network, 2, "cpu", "fp32")
pixels = np.random.default_rng(0).integers(0, 256, (240, 300, 3), dtype=np.uint8)
wanted = upscaler.upscale(pixels, tile=100).pixels
engine.STRIP_PIXELS = 1 << 30  # the whole picture at once
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, -1))
found = upscaler.upscale(pixels)
assert np.abs(found.pixels.astype(int) - wanted.astype(int)).max() <= 1
print("rows", found.plan.strip_rows)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
def test_a_process_that_is_really_out_of_memory_goes_on():
    done = subprocess.run([sys.executable, "-c", LOW_ON_MEMORY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Memory ran out on cpu" in done.stderr
    assert done.stdout.startswith("rows ") and done.stdout != "rows 300\n"
