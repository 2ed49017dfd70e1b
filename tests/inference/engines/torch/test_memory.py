"""Peak memory of real processes: it follows the shorter side of a picture, not its area."""

import json
import subprocess
import sys
from itertools import accumulate

import numpy as np
import pytest
from torch.profiler import ProfilerActivity, profile

from edsr_cli.inference import Upscaler
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build
from tests.exact import weights_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")

PEAK = """
def peak():
    if sys.platform == "linux":  # what getrusage says begins with what the parent had
        with open("/proc/self/status") as file:
            return int(file.read().partition("VmHWM:")[2].split()[0]) * 1024
    import resource

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found * (1 if sys.platform == "darwin" else 1024)
"""
"""For programs: the most memory that they have had so far, in bytes."""

PROGRAM = """
import json, sys
import numpy as np
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Upscaler
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build, tensors_of

sizes, ensemble, bundled = json.loads(sys.argv[1])
if bundled:
    weights = load_network("edsr-free", 2).checkpoint
else:
    network = build(NetworkConfig("edsr", (2,), 4, 16))
    weights = Checkpoint(network.config, tensors_of(network))
upscaler = Upscaler(weights, 2, "cpu", "fp32")
upscaler.upscale(np.zeros((32, 32, 3), np.uint8))  # what torch loads once
found = []
for height, width in sizes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    output = upscaler.upscale(pixels, ensemble).pixels
    found.append([peak(), pixels.nbytes + output.nbytes])
print(json.dumps(found))
"""


def assert_only_the_pictures_grow(small, *large, ensemble=False, bundled=False):
    """Upscale a small picture and then large ones, of (height, width), in a process of its own:
    its peak may grow by what the pictures themselves take.
    """
    argument = json.dumps([[small, *large], ensemble, bundled])
    done = subprocess.run(
        [sys.executable, "-c", PEAK + PROGRAM, argument], capture_output=True, text=True, check=True
    )
    (small_peak, small_arrays), *others = json.loads(done.stdout)
    assert len(others) == len(large)
    for large_peak, large_arrays in others:
        assert large_arrays > 8 * small_arrays
        assert large_peak - small_peak <= (large_arrays - small_arrays) + 0.1 * small_peak


def test_long_and_wide_pictures_need_no_more_than_short_ones():
    assert_only_the_pictures_grow((256, 256), (2560, 256), (256, 2560))


@pytest.mark.slow
def test_so_it_is_with_the_ensemble():
    assert_only_the_pictures_grow((256, 256), (2560, 256), ensemble=True)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(16384, 512), (512, 16384)], ids=["tall", "wide"])
def test_with_the_bundled_network(size):
    assert_only_the_pictures_grow((512, 512), size, bundled=True)


def peak_of_tensors(upscaler, pixels, ensemble):
    """The most bytes that torch's tensors took at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        upscaler.upscale(pixels, ensemble)
    assert profiler.profiler is not None and profiler.profiler.kineto_results is not None
    events = sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return max(accumulate(sizes))


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(
    ("architecture", "scales", "features", "ensemble"),
    [
        ("edsr", (2,), 32, False),
        ("edsr", (4,), 16, False),
        pytest.param("edsr", (2,), 16, True, marks=pytest.mark.slow),
        ("mdsr", (2, 3, 4), 16, False),
    ],
)
def test_tensors_keep_to_the_plan(architecture, scales, features, ensemble, rows):
    """Low strips, where what does not depend on their height weighs most. (In still smaller ones
    torch changes to a convolution that unfolds its input, which takes more.)
    """
    network = build(NetworkConfig(architecture, scales, 8, features))
    upscaler = Upscaler(weights_of(network), scales[-1], "cpu", "fp32")
    pixels = np.zeros((64, 60, 3), np.uint8)
    plan = upscaler.plan(64, 60, ensemble)
    budget = plan.footprint.bytes(60, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edsr_cli.inference.memory.budget", lambda: budget)
        upscaler.upscale(pixels, ensemble)  # what is made once
        plan = upscaler.plan(64, 60, ensemble)
        used = peak_of_tensors(upscaler, pixels, ensemble)
    assert plan.strip_rows == rows and len(plan.panels) == 1
    assert used <= 1.03 * plan.bytes
    # The estimate is no wild guess either: the network's own part of it is not far off.
    assert used > 0.6 * plan.bytes


LIMITED = """
import ctypes, json, re, sys, threading, time
import numpy as np
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Upscaler, processors

def taken():
    with open("/proc/self/status") as file:
        return int(re.search(r"RssAnon:\\s+(\\d+) kB", file.read())[1]) * 1024

def watch():
    while not done:
        samples.append(taken())
        time.sleep(0.0005)

limit, height, width, scale = json.loads(sys.argv[1])
processors.use_threads(1)
upscaler = Upscaler(load_network("edsr-free", scale).checkpoint, scale, "cpu", "fp32", limit)
for side in (32, 40):
    upscaler.upscale(np.zeros((32, side, 3), np.uint8))  # what torch loads once
pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
ctypes.CDLL(None).malloc_trim(0)
before, samples, done = taken(), [], False
thread = threading.Thread(target=watch)
thread.start()
output = upscaler.upscale(pixels).pixels
done = True
thread.join()
plan = upscaler.plan(height, width)
print(json.dumps([max(samples) - before - output.nbytes, plan.strip_rows, len(samples)]))
"""


def limited(megabytes, scale, size=(110, 120)):
    """Bytes that a process took with a limit; rows of its strips; how often it was looked at."""
    argument = json.dumps([megabytes * 10**6, *size, scale])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, argument], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize(
    ("megabytes", "scale"), [(12, 2), pytest.param(30, 4, marks=pytest.mark.slow)]
)
def test_a_real_process_keeps_to_its_limit(megabytes, scale):
    """The example: 12 MB took 15.3, and 30 took 37.9 to 47."""
    used, rows, samples = limited(megabytes, scale)
    assert rows < 110 and samples > 20
    assert 0.4 * megabytes < used / 1e6 <= megabytes
