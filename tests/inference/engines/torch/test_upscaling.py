import functools
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.errors import DeviceMemoryError, WeightsError
from edsr_cli.inference import Precision, Upscaler
from edsr_cli.inference.engines.torch.streaming import Convolution
from edsr_cli.inference.engines.views import VIEWS
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build
from tests import forking
from tests.exact import CASES, exact_network, exact_picture, plain, plain_turned, weights_of


def as_array(x):
    return np.ascontiguousarray(x[0].permute(1, 2, 0).numpy())


def picture(height, width, seed=0):
    return as_array(exact_picture(height, width, seed)).astype(np.uint8)


def expected(network, scale, pixels, levels=1, ensemble=False):
    """What the plain network makes of a whole picture, rounded and clamped once."""
    x = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None]
    if ensemble:
        views = [plain_turned(network, view, x, scale) for view in VIEWS]
        result = torch.stack(views).sum(0) / 8
    else:
        result = plain(network, x, scale)
    return as_array((result.clamp(0, 255) * levels).round())


@functools.cache
def one_upscaler(config, scale):
    """A network and an upscaler with it, for all examples of a test: to make them takes longer."""
    network = exact_network(config)
    return network, Upscaler(weights_of(network), scale, "cpu", "fp32")


@pytest.mark.parametrize(("config", "scale"), CASES)
@settings(max_examples=15)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 60),
    tile=st.integers(1, 60) | st.sampled_from(["auto", "none"]),
    megabytes=st.sampled_from([None, 0.3, 4, 10]),
    ensemble=st.booleans(),
)
def test_any_panels_and_strips_give_the_plain_networks_picture(
    config, scale, height, width, tile, megabytes, ensemble
):
    network, upscaler = one_upscaler(config, scale)
    budget = None if megabytes is None else int(megabytes * 1e6 * (8 if ensemble else 1))
    upscaler.max_memory = budget
    pixels = picture(height, width)
    try:
        result = upscaler.upscale(pixels, ensemble, tile)
    except DeviceMemoryError:
        assert megabytes == 0.3
        return
    wanted = expected(network, scale, pixels, ensemble=ensemble)
    assert np.array_equal(result.pixels, wanted)
    # The comparison says something: most of the picture is not clamped.
    if wanted.size > 5000:
        assert np.mean((wanted > 0) & (wanted < 255)) > 0.2


def test_memory_follows_the_shorter_side():
    upscaler = Upscaler(weights_of(exact_network(CASES[0][0])), 2, "cpu", "fp32")
    tall, wide = upscaler.plan(5000, 200), upscaler.plan(200, 5000)
    assert not tall.transposed and wide.transposed
    assert (wide.height, wide.width, wide.bytes) == (tall.height, tall.width, tall.bytes)
    # Columns are columns where the user asks for them.
    panels = upscaler.plan(200, 5000, tile=1000)
    assert not panels.transposed
    assert len(panels.panels) == 5


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("config", "scale"), CASES)
def test_wide_pictures_are_streamed_sideways_to_the_same_result(config, scale, dtype):
    network = exact_network(config)
    upscaler = Upscaler(weights_of(network), scale, "cpu", "fp32", max_memory=400_000)
    pixels = picture(13, 70)
    assert upscaler.plan(13, 70).transposed
    levels = 1 if dtype == "uint8" else 257
    found = upscaler.upscale(pixels.astype(dtype) * np.dtype(dtype).type(levels)).pixels
    assert np.array_equal(found, expected(network, scale, pixels, levels))


@pytest.mark.parametrize("ensemble", [False, True])
def test_sixteen_bits_go_in_and_out(ensemble):
    network = exact_network(CASES[0][0])
    upscaler = Upscaler(weights_of(network), 2, "cpu", "fp32")
    pixels = picture(12, 9)
    wanted = expected(network, 2, pixels, levels=257, ensemble=ensemble)
    deep = pixels.astype(np.uint16) * 257
    result = upscaler.upscale(deep, ensemble).pixels
    assert result.dtype == np.uint16
    assert np.array_equal(result, wanted)
    assert np.array_equal(
        upscaler.upscale(deep, ensemble, dtype="uint8").pixels,
        upscaler.upscale(pixels, ensemble).pixels,
    )
    # Levels between the 8-bit ones count.
    between = upscaler.upscale(deep + np.uint16(100) * (deep < 65000), ensemble).pixels
    assert not np.array_equal(between, result)


def test_views_of_arrays_are_fine():
    network = exact_network(CASES[0][0])
    upscaler = Upscaler(weights_of(network), 2, "cpu", "fp32")
    pixels = picture(20, 20)
    wanted = upscaler.upscale(np.ascontiguousarray(pixels[::-2, 3:]))
    pixels.flags.writeable = False
    assert np.array_equal(upscaler.upscale(pixels[::-2, 3:]).pixels, wanted.pixels)
    upscaler.upscale(pixels)  # contiguous and read-only: no warning either


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int64),
        [[1, 2, 3]],
    ],
    ids=["grey", "rgba", "channels first", "empty", "float", "int64", "list"],
)
def test_other_arrays_are_refused(bad):
    upscaler = Upscaler(weights_of(exact_network(CASES[0][0])), 2, "cpu", "fp32")
    with pytest.raises((TypeError, ValueError), match="picture must"):
        upscaler.upscale(bad)


def test_a_scale_that_the_network_does_not_have_is_refused():
    with pytest.raises(ValueError, match="scales"):
        Upscaler(weights_of(exact_network(CASES[0][0])), 3, "cpu")


def test_progress_rises_to_the_whole_picture():
    weights = weights_of(exact_network(CASES[0][0]))
    upscaler = Upscaler(weights, 2, "cpu", "fp32", max_memory=500_000)
    seen = []
    upscaler.upscale(picture(60, 50), progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == (3000, 3000)


@pytest.mark.parametrize("tile", [0, -3, "7", "wide", ""])
def test_widths_of_panels_that_are_none(tile):
    upscaler = Upscaler(weights_of(exact_network(CASES[0][0])), 2, "cpu", "fp32")
    for call in (upscaler.upscale, lambda pixels, tile: upscaler.plan(5, 5, tile=tile)):
        with pytest.raises(ValueError, match="tile must be"):
            call(picture(5, 5), tile=tile)


@pytest.mark.parametrize("tile", [None, 2.0, True, b"auto", [3]])
def test_things_that_are_no_widths_of_panels(tile):
    upscaler = Upscaler(weights_of(exact_network(CASES[0][0])), 2, "cpu", "fp32")
    with pytest.raises(TypeError, match="tile must be"):
        upscaler.upscale(picture(5, 5), tile=tile)
    assert upscaler.upscale(picture(5, 5), tile=np.int64(3)).plan.panel_width == 3


def test_many_times_the_work_is_said_once(caplog):
    config = CASES[0][0]
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        Upscaler(weights_of(exact_network(config)), 2, "cpu", "fp32").upscale(picture(60, 60))
        Upscaler(weights_of(exact_network(config)), 2, "cpu", "fp32").upscale(picture(1, 1))
        assert not caplog.records
        tight = Upscaler(weights_of(exact_network(config)), 2, "cpu", "fp32")
        least = tight.plan(60, 60).footprint.bytes(60, 1)
        tight.max_memory = least * 3 // 2 + 8
        for _ in range(2):
            assert tight.upscale(picture(60, 60), tile="none").plan.strip_rows == 1
    (record,) = caplog.records
    assert "about 3 times as long" in record.message
    assert "60 x 1 pixels: a larger --max-memory helps" in record.message


class Memory:
    """A device that runs out: convolutions of more than `pixels` pixels fail."""

    def __init__(self, monkeypatch, pixels, error=None):
        self.pixels, self.failures = pixels, 0
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        apply = Convolution.apply

        def limited(convolution, window):
            if window.shape[2] * window.shape[3] > self.pixels:
                self.failures += 1
                raise self.error
            return apply(convolution, window)

        monkeypatch.setattr(Convolution, "apply", limited)


@pytest.mark.parametrize("pixels", [600, 300, 200])
@pytest.mark.parametrize("ensemble", [False, True])
def test_running_out_of_memory_goes_on_with_smaller_pieces(monkeypatch, caplog, pixels, ensemble):
    network = exact_network(CASES[2][0])
    upscaler = Upscaler(weights_of(network), 4, "cpu", "fp32")
    wanted = upscaler.upscale(picture(50, 90), ensemble)
    memory = Memory(monkeypatch, pixels)
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        result = upscaler.upscale(picture(50, 90), ensemble)
    assert np.array_equal(result.pixels, wanted.pixels)
    assert memory.failures == len(caplog.records) > 0
    assert all("Memory ran out" in record.message for record in caplog.records)
    assert result.plan.bytes < wanted.plan.bytes


def test_other_errors_of_torch_are_not_taken_for_a_lack_of_memory(monkeypatch):
    upscaler = Upscaler(weights_of(exact_network(CASES[0][0])), 2, "cpu", "fp32")
    memory = Memory(monkeypatch, 0, RuntimeError("CUDA error: an illegal memory access"))
    with pytest.raises(RuntimeError, match="illegal"):
        upscaler.upscale(picture(40, 40))
    assert memory.failures == 1


def test_an_overflow_in_half_precision_is_done_again_in_fp32(caplog):
    torch.manual_seed(0)
    network = build(NetworkConfig("edsr", (2,), 2, 8)).eval()
    with torch.no_grad():  # features beyond 65504, the largest number of fp16, half-way down
        network.body[0].body[0].weight.mul_(3000)
        network.body[0].body[2].weight.div_(3000)
    pixels = np.zeros((40, 12, 3), np.uint8)
    pixels[20:] = picture(20, 12)
    pixels[:20] = (114, 111, 103)  # the mean: nearly nothing is left of it
    reference = Upscaler(weights_of(network), 2, "cpu", "fp32", 300_000).upscale(pixels)
    upscaler = Upscaler(weights_of(network), 2, "cpu", "fp32", 300_000)
    upscaler.precision = Precision.FP16  # only offered on GPUs, but a CPU can do it
    with caplog.at_level(logging.WARNING, "edsr_cli"):
        result = upscaler.upscale(pixels)
    assert [record.message for record in caplog.records] == [
        "A strip overflowed in fp16: doing it again, and the rest, in fp32."
    ]
    assert result.precision is Precision.FP32
    assert np.array_equal(result.pixels[40 + 2 * 12 :], reference.pixels[40 + 2 * 12 :])
    assert np.abs(result.pixels.astype(int) - reference.pixels.astype(int)).max() <= 1


def test_weights_that_are_not_finite_never_make_a_picture():
    network = exact_network(CASES[0][0])
    network.body[0].body[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(WeightsError, match="not finite"):
        Upscaler(weights_of(network), 2, "cpu", "fp32").upscale(picture(5, 5))


LOW_ON_MEMORY = """
import logging, resource, sys
import numpy as np, torch
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference import Upscaler
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build, tensors_of
logging.basicConfig(level=logging.WARNING, format="%(message)s")
torch.manual_seed(0)
torch.set_num_threads(1)
network = build(NetworkConfig("edsr", (2,), 2, 64))
upscaler = Upscaler(Checkpoint(network.config, tensors_of(network)), 2, "cpu", "fp32")
pixels = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
wanted = upscaler.upscale(pixels, tile=100).pixels
from edsr_cli.inference.engines.torch import engine
engine.STRIP_PIXELS["cpu"] = 1 << 30  # the whole picture at once
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, -1))
found = upscaler.upscale(pixels)
assert np.abs(found.pixels.astype(int) - wanted.astype(int)).max() <= 1
print("rows", found.plan.strip_rows)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
def test_a_process_that_is_really_out_of_memory_goes_on():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = forking.run([sys.executable, "-c", LOW_ON_MEMORY], **pipes, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Memory ran out on cpu" in done.stderr
    assert done.stdout.startswith("rows ") and done.stdout != "rows 400\n"
