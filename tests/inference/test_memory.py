"""Peak memory of real processes: it follows the shorter side of a picture, not its area."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")

PROGRAM = """
import json, resource, sys
import numpy as np
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Upscaler
from edsr_cli.networks import NetworkConfig, build

height, width, ensemble, bundled = json.loads(sys.argv[1])
network = load_network("edsr-free", 2).network if bundled else build(
    NetworkConfig("edsr", (2,), 4, 16))
upscaler = Upscaler(network, 2, "cpu", "fp32")
upscaler.upscale(np.zeros((32, 32, 3), np.uint8))  # what torch loads once
pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
output = upscaler.upscale(pixels, ensemble).pixels
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak *= 1 if sys.platform == "darwin" else 1024
print(json.dumps([peak, pixels.nbytes + output.nbytes]))
"""


def peak_memory(height, width, ensemble=False, bundled=False):
    """Peak resident memory and the size of the picture's own arrays, in bytes."""
    argument = json.dumps([height, width, ensemble, bundled])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def assert_only_the_pictures_grow(small, large):
    (small_peak, small_arrays), (large_peak, large_arrays) = small, large
    assert large_arrays > 8 * small_arrays
    assert large_peak - small_peak <= (large_arrays - small_arrays) + 0.1 * small_peak


@pytest.mark.parametrize("ensemble", [False, True])
def test_long_pictures_need_no_more_than_short_ones(ensemble):
    small = peak_memory(256, 256, ensemble)
    assert_only_the_pictures_grow(small, peak_memory(2560, 256, ensemble))


def test_wide_pictures_need_no_more_than_high_ones():
    assert_only_the_pictures_grow(peak_memory(256, 256), peak_memory(256, 2560))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(16384, 512), (512, 16384)], ids=["tall", "wide"])
def test_with_the_bundled_network(size):
    assert_only_the_pictures_grow(
        peak_memory(512, 512, bundled=True), peak_memory(*size, bundled=True)
    )
