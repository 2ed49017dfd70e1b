"""What ncnn makes of pictures is the plain network's, up to rounding in fp32."""

import copy
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.errors import DeviceMemoryError, UsageError, WeightsError
from edsr_cli.inference import Upscaler, processors
from edsr_cli.inference.engine import Device, OutOfMemoryError, Precision
from edsr_cli.inference.engines.ncnn import library, streaming
from edsr_cli.inference.engines.ncnn.engine import NcnnEngine
from edsr_cli.inference.engines.views import VIEWS
from edsr_cli.inference.upscaler import KEPT
from edsr_cli.model.config import NetworkConfig, edsr_baseline
from edsr_cli.model.networks import build, tensors_of
from edsr_cli.pixels.windows import ArrayWindow
from tests.exact import plain_turned

MOST = 0.002
"""Levels of 255 by which an output may be off, besides its own rounding."""

CONFIGS = [
    NetworkConfig("edsr", (2,), 2, 16),
    NetworkConfig("edsr", (3,), 2, 6, 0.5),
    NetworkConfig("edsr", (4,), 3, 24, 0.1),
    NetworkConfig("mdsr", (2, 3, 4), 2, 8),
    NetworkConfig("mdsr", (4, 2), 1, 16, pre_process_kernel=3),
    edsr_baseline(4),
]
CASES = [(config, scale) for config in CONFIGS for scale in config.scales]


def network_of(config, seed=0):
    """A network with random weights, whose outputs are hardly clamped."""
    torch.manual_seed(seed)
    return build(config).eval().requires_grad_(False)


class SmallBelow(NcnnEngine):
    """Pictures of at most so many pixels count as small ones, for which less is got ready."""

    def __init__(self, pixels):
        self.pixels = pixels

    def small_pixels(self, device):
        return self.pixels


def upscaler_of(network, scale, small=False):
    weights = Checkpoint(network.config, tensors_of(network))
    engine = SmallBelow(1 << 40 if small else 0)
    return Upscaler(weights, scale, "cpu", "fp32", engine=engine)


def picture(height, width, dtype="uint8", seed=0):
    most = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, most + 1, (height, width, 3), dtype)


def difference(network, scale, pixels, made, ensemble=False):
    """Levels of 255 by which a picture is further from the plain network's than rounding brings it.

    The plain network runs in fp64.
    """
    exact = copy.deepcopy(network).double()
    x = torch.from_numpy(pixels / (1 if pixels.dtype == np.uint8 else 257))
    x = x.permute(2, 0, 1)[None]
    views = VIEWS if ensemble else VIEWS[:1]
    outputs = [plain_turned(exact, view, x, scale) for view in views]
    wanted = torch.stack(outputs).mean(0).clamp(0, 255)[0].permute(1, 2, 0).numpy()
    step = 1 if made.dtype == np.uint8 else 257
    return np.abs(made / step - wanted).max() - 0.5 / step


@functools.cache
def one_upscaler(config, scale, small):
    """A network and an upscaler with it, for all examples of a test."""
    network = network_of(config)
    return network, upscaler_of(network, scale, small)


@pytest.mark.parametrize(("config", "scale"), CASES)
@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 60),
    tile=st.integers(1, 60) | st.sampled_from(["auto", "none"]),
    rows=st.sampled_from([1, 2, 3, 7, 16, 100]),
    dtypes=st.tuples(*2 * [st.sampled_from(["uint8", "uint16"])]),
    small=st.booleans(),
)
def test_any_panels_and_strips_give_the_plain_networks_picture(
    config, scale, height, width, tile, rows, dtypes, small
):
    (network, upscaler), (dtype, dtype_out) = one_upscaler(config, scale, small), dtypes
    if config.features == 64:
        height, width, rows = min(height, 30), min(width, 20), max(rows, 7)
    plan = replace(upscaler.plan(height, width, tile=tile), strip_rows=rows)
    pixels = picture(height, width, dtype)
    made = upscaler.upscale(pixels, tile=tile, dtype=dtype_out, plan=plan).pixels
    assert made.dtype == dtype_out
    assert difference(network, scale, pixels, made) < MOST
    if made.size > 5000:  # the comparison says something
        assert np.mean((made > 0) & (made < np.iinfo(dtype_out).max)) > 0.2


@pytest.mark.parametrize("shape", [(1, 1), (5, 30), (31, 18)])
@pytest.mark.parametrize(("config", "scale"), CASES[:-1])
@pytest.mark.parametrize("small", [False, True])
def test_the_ensemble_is_the_mean_of_eight_views(config, scale, shape, small):
    network, pixels = network_of(config), picture(*shape, "uint16")
    upscaler = upscaler_of(network, scale, small)
    plan = replace(upscaler.plan(*shape, ensemble=True), strip_rows=4)
    made = upscaler.upscale(pixels, ensemble=True, plan=plan).pixels
    assert difference(network, scale, pixels, made, ensemble=True) < MOST


def test_wide_pictures_are_streamed_sideways():
    network, pixels = network_of(CONFIGS[0]), picture(13, 70, "uint16")
    upscaler = upscaler_of(network, 2)
    plan = replace(upscaler.plan(13, 70), strip_rows=9)
    assert plan.transposed
    result = upscaler.upscale(pixels, plan=plan)
    assert difference(network, 2, pixels, result.pixels) < MOST


@pytest.mark.parametrize(("config", "scale"), CASES[:3])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 17, 50])
def test_a_tail_that_is_made_in_pieces_is_the_same(monkeypatch, config, scale, width):
    upscaler, pixels = upscaler_of(network_of(config), scale), picture(23, width, "uint16")
    plan = replace(upscaler.plan(23, width, rows_only=True), strip_rows=8)
    wanted = upscaler.upscale(pixels, plan=plan).pixels
    monkeypatch.setattr(streaming, "TAIL_BYTES", 1)
    made = upscaler.upscale(pixels, plan=plan).pixels
    assert np.abs(made.astype(int) - wanted).max() <= 1


def test_what_is_small_is_said_of_pictures_not_of_what_is_left_of_them():
    """Otherwise the end of a picture that is gone on with would be rounded in another way."""
    network, most = network_of(CONFIGS[0]), 20 * 20
    weights = Checkpoint(network.config, tensors_of(network))
    upscaler = Upscaler(weights, 2, "cpu", "fp32", engine=SmallBelow(most))

    def in_one_piece():
        latest = next(reversed(upscaler._forms.kept.values()))
        return latest._graphs[0].in_one_piece

    upscaler.upscale(picture(20, 20))
    assert in_one_piece()
    upscaler.upscale(picture(20, 21))
    assert not in_one_piece()
    whole, made = picture(60, 20), np.empty((120, 40, 3), np.uint8)
    plan = upscaler.plan(60, 20, rows_only=True)
    upscaler.upscale_into(ArrayWindow(whole), ArrayWindow(made), plan=plan, first_row=59)
    assert not in_one_piece()
    for side in (3, 4):  # small ones, upright and sideways, do not take the place of others
        upscaler.upscale(picture(side, 40))
        upscaler.upscale(picture(40, side))
    small = [form[-1] for form in upscaler._forms.kept]
    assert small.count(True) == KEPT and small.count(False) == 2


def test_threads_share_a_network():
    """Each has its own rows; and what the network computes does not depend on the others."""
    network = network_of(CONFIGS[0])
    upscaler = upscaler_of(network, 2)
    pictures = [picture(60, 40 + seed, seed=seed) for seed in range(6)]
    plans = [replace(upscaler.plan(*each.shape[:2]), strip_rows=5) for each in pictures]
    alone = [
        upscaler.upscale(each, plan=plan).pixels for each, plan in zip(pictures, plans, strict=True)
    ]
    start = threading.Barrier(6)

    def work(each, plan):
        start.wait()
        return upscaler.upscale(each, plan=plan).pixels

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(work, pictures, plans))
    assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))


def test_a_number_of_threads_holds_for_networks_that_are_there(monkeypatch):
    """Ncnn keeps to the number with which it got the weights, so they are given to it again."""
    network, pixels = network_of(CONFIGS[0]), picture(30, 20)
    upscaler = upscaler_of(network, 2)
    monkeypatch.setattr(processors, "_asked", 1)
    one = upscaler.upscale(pixels).pixels
    monkeypatch.setattr(processors, "_asked", 2)
    assert np.abs(one.astype(int) - upscaler.upscale(pixels).pixels).max() <= 1
    [compiled] = upscaler._forms.kept.values()
    assert [graph.net.opt.num_threads for graph in compiled._graphs] == [2]


@pytest.mark.parametrize("key", ["body.0.body.0.weight", "head.0.bias", "tail.1.weight"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_never_make_a_picture(key, value):
    network = network_of(CONFIGS[0])
    network.state_dict()[key].view(-1)[0] = value
    with pytest.raises(WeightsError, match="not finite"):
        upscaler_of(network, 2).upscale(picture(5, 5))


def test_an_overflow_never_makes_a_picture():
    network = network_of(CONFIGS[0])
    network.head[0].weight.mul_(1e38)
    with pytest.raises(WeightsError, match="not finite"):
        upscaler_of(network, 2).upscale(picture(30, 20))


@pytest.mark.parametrize("most", [3000, 1500])
def test_running_out_of_memory_goes_on_with_smaller_pieces(monkeypatch, caplog, most):
    network, pixels = network_of(CONFIGS[0]), picture(70, 50)
    upscaler = upscaler_of(network, 2)
    wanted = upscaler.upscale(pixels).pixels
    empty = streaming.empty_mat

    def limited(groups, height, width, pack, pool=None):
        if height * width > most:
            raise OutOfMemoryError
        return empty(groups, height, width, pack, pool)

    monkeypatch.setattr(streaming, "empty_mat", limited)
    result = upscaler.upscale(pixels)
    assert result.plan.strip_rows < 70 and "Memory ran out on cpu" in caplog.text
    assert np.abs(result.pixels.astype(int) - wanted).max() <= 1
    monkeypatch.setattr(streaming, "empty_mat", lambda *_: limited(0, 1000, 1000, 0))
    with pytest.raises(DeviceMemoryError):
        upscaler.upscale(pixels)


def test_what_ncnn_says_of_memory_is_heard():
    with pytest.raises(OutOfMemoryError):
        library.check(-100)
    with pytest.raises(RuntimeError, match="-1"):
        library.check(-1)
    with pytest.raises(OutOfMemoryError):
        library.empty_mat(1 << 20, 1 << 15, 1 << 15, 16)


def test_pools_are_used_again_when_pictures_are_done():
    upscaler = upscaler_of(network_of(CONFIGS[0]), 2)
    upscaler.upscale(picture(9, 9))
    idle = len(library.POOLS._idle)
    assert idle >= 1
    for _ in range(3):
        upscaler.upscale(picture(9, 9))
    assert len(library.POOLS._idle) == idle


def test_devices_and_numbers_that_it_has_not():
    engine, cpu = NcnnEngine(), Device("cpu")
    assert engine.device("auto") == engine.device("cpu") == cpu
    assert engine.precision("auto", cpu) is engine.precision("fp32", cpu) is Precision.FP32
    with pytest.raises(UsageError, match="cuda"):
        engine.device("cuda")
    with pytest.raises(UsageError, match="bf16"):
        engine.precision("bf16", cpu)
