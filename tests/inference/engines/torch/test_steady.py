"""Strips from the middle of pictures. What a GPU would record runs here as it is."""

import functools
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.inference import Precision, Upscaler
from edsr_cli.inference.engines.torch import engine, steady, transfer
from edsr_cli.inference.engines.torch.assembly import collapse_tail, stream
from edsr_cli.inference.engines.torch.engine import TorchEngine
from edsr_cli.inference.engines.torch.graphs import warm_up
from edsr_cli.inference.engines.torch.node import Node
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build
from tests.exact import CASES, exact_network, exact_picture, run, streamed, weights_of
from tests.inference.engines.torch.test_upscaling import expected, picture


def stepped(node: Node, x: torch.Tensor, first: int, rows: int) -> torch.Tensor:
    """Push `first` rows, step by `rows` as long as there are more of them, push what is left."""
    with torch.inference_mode():
        outputs = [node.push(x[:, :, :first], False)]
        while first + rows < x.shape[2]:
            outputs.append(node.step(node.enter(x[:, :, first : first + rows])))
            first += rows
        outputs.append(node.push(x[:, :, first:], True))
    node.reset()
    return torch.cat(outputs, 2)


@functools.cache
def one_node(config: NetworkConfig, scale: int, kind: str) -> Node:
    """A streamed network, for all examples of a test: to make one takes longer than to run it."""
    network = exact_network(config)
    if kind == "plain tail":
        return stream(network, scale)
    return streamed(network, scale, kind == "ensemble")


@pytest.mark.parametrize("kind", ["plain tail", "collapsed tail", "ensemble"])
@pytest.mark.parametrize(("config", "scale"), CASES)
@settings(max_examples=5, deadline=None)
@given(rows=st.integers(1, 20), more=st.integers(0, 9), width=st.integers(1, 9))
def test_steps_are_pushes_bit_for_bit(config, scale, kind, rows, more, width):
    node = one_node(config, scale, kind)
    first = 2 * node.cost.delay
    x = exact_picture(first + 3 * rows + more, width)
    assert torch.equal(stepped(node, x, first + more, rows), run(node, x, 1000))


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
@pytest.mark.parametrize("architecture", ["edsr", "mdsr"])
def test_steps_with_real_weights(architecture, precision):
    torch.manual_seed(0)
    scales = (2,) if architecture == "edsr" else (2, 3, 4)
    network = build(NetworkConfig(architecture, scales, 3, 16)).eval()
    node = stream(network, 2, precision, collapse_tail(network, 2))
    x = torch.rand(1, 3, 2 * node.cost.delay + 30, 17) * 255
    found = stepped(node, x, 2 * node.cost.delay, 8)
    difference = (found - run(node, x, 8)).abs().max()
    assert difference <= (1e-5 * 255 if precision is Precision.FP32 else 1)


@pytest.fixture
def used(monkeypatch):
    """How many strips were computed as steps."""
    count = []
    call = steady.Steps.__call__

    def counted(self, strip):
        count.append(strip.shape)
        return call(self, strip)

    monkeypatch.setattr(steady.Steps, "__call__", counted)
    return count


def upscale(upscaler, pixels, rows=5, **options):
    """In strips of so many rows."""
    height, width, _ = pixels.shape
    ensemble, tile = options.get("ensemble", False), options.get("tile", "auto")
    plan = replace(upscaler.plan(height, width, ensemble, tile), strip_rows=rows)
    return upscaler.upscale(pixels, plan=plan, **options).pixels


def upscaler_of(config, scale, strips="steps", precision="fp32"):
    weights = weights_of(exact_network(config))
    return Upscaler(weights, scale, "cpu", precision, engine=TorchEngine(strips))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((90, 11), {}),
        ((11, 90), {}),  # streamed sideways
        ((90, 30), {"tile": 10}),
        ((90, 11), {"ensemble": True}),
    ],
    ids=["tall", "wide", "panels", "ensemble"],
)
@pytest.mark.parametrize(("config", "scale"), [CASES[0], CASES[2], CASES[4]])
def test_pictures_are_the_plain_networks(config, scale, shape, options, used):
    upscaler = upscaler_of(config, scale)
    for seed in (0, 1):
        pixels = picture(*shape, seed)
        wanted = expected(
            exact_network(config), scale, pixels, ensemble=options.get("ensemble", False)
        )
        assert np.array_equal(upscale(upscaler, pixels, **options), wanted)
    assert len(used) > 10


def test_a_second_picture_finds_what_the_first_has_prepared(used, monkeypatch):
    made, recorded = [], []

    def recorder():
        def record(work, state):
            recorded.append(len(state))
            warm_up(work, state)
            return lambda: made.append(work())

        return record

    monkeypatch.setattr(
        steady,
        "preparations",
        lambda _, node, device, precision: steady.Preparations(node, precision, recorder),
    )
    upscaler = upscaler_of(*CASES[0])
    for seed in range(3):
        pixels = picture(70, 9, seed)
        wanted = expected(exact_network(CASES[0][0]), 2, pixels)
        assert np.array_equal(upscale(upscaler, pixels), wanted)
    # Head, two convolutions in each of two blocks, the body's last, the skip, the tail.
    assert recorded == [1 + 4 + 1 + 1 + 1]
    assert len(made) == len(used)
    upscale(upscaler, picture(70, 8))
    assert len(recorded) == 2


def test_many_threads_at_once(used):
    upscaler = upscaler_of(*CASES[0])
    pictures = [picture(70, 6 + seed % 2, seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pixels: upscale(upscaler, pixels), pictures))
    for pixels, one in zip(pictures, found, strict=True):
        assert np.array_equal(one, expected(exact_network(CASES[0][0]), 2, pixels))
    assert used


def test_what_computes_something_else_is_not_used(caplog, monkeypatch):
    """As a kernel with a bug would: everything is a row too low."""
    step = Node.__dict__["enter"]

    def wrong(self, rows):
        return step(self, rows.roll(1, 2))

    monkeypatch.setattr(Node, "enter", wrong)
    upscaler = upscaler_of(*CASES[0])
    pixels = picture(90, 9)
    with caplog.at_level(logging.WARNING):
        found = upscale(upscaler, pixels)
    assert np.array_equal(found, expected(exact_network(CASES[0][0]), 2, pixels))
    [record] = caplog.records
    assert "The faster way to compute strips cannot be used: rows differ by" in record.getMessage()


def test_when_memory_runs_out_the_rest_is_done_in_smaller_pieces(monkeypatch, caplog):
    call, calls = steady.Steps.__call__, []

    def scarce(self, strip):
        calls.append(strip.shape[2])
        if len(calls) == 6:
            raise torch.OutOfMemoryError("out of memory")
        return call(self, strip)

    monkeypatch.setattr(steady.Steps, "__call__", scarce)
    upscaler = upscaler_of(*CASES[0])
    pixels = picture(120, 9)
    found = upscale(upscaler, pixels, 8)
    assert np.array_equal(found, expected(exact_network(CASES[0][0]), 2, pixels))
    assert calls[:6] == [8] * 6 and set(calls[6:]) == {4}
    assert "strips of 4 rows" in caplog.text


@pytest.fixture
def behind(monkeypatch):
    """A device that is two strips behind."""
    init = transfer.Ferry.__init__

    def late(self, *arguments, **options):
        init(self, *arguments, **options)
        self.ahead = 2

    monkeypatch.setattr(transfer.Ferry, "__init__", late)


@pytest.mark.parametrize("strips", ["eager", "steps"])
@pytest.mark.parametrize("shape", [(3, 9), (70, 9), (9, 70)])
def test_strips_that_come_late_are_the_same(behind, strips, shape):
    upscaler = upscaler_of(*CASES[0], strips)
    pixels, done = picture(*shape), []
    found = upscale(upscaler, pixels, progress=lambda part, _: done.append(part))
    assert np.array_equal(found, expected(exact_network(CASES[0][0]), 2, pixels))
    assert done == sorted(done) and done[-1] == shape[0] * shape[1]


def test_an_overflow_that_is_seen_late_is_done_again(behind, caplog, monkeypatch):
    download, count = transfer.Ferry.download, []

    def overflowing(self, rows):
        count.append(rows.shape)
        return download(self, rows * torch.inf if len(count) == 6 else rows)

    monkeypatch.setattr(transfer.Ferry, "download", overflowing)
    network = build(CASES[0][0]).eval()
    upscaler = Upscaler(weights_of(network), 2, "cpu", "bf16", engine=TorchEngine("eager"))
    pixels = picture(70, 9)
    found = upscale(upscaler, pixels)
    exact = Upscaler(weights_of(network), 2, "cpu", "fp32", engine=TorchEngine("eager"))
    assert np.abs(found.astype(int) - upscale(exact, pixels).astype(int)).max() <= 1
    assert "overflowed in bf16" in caplog.text
    count[:] = [None] * 5
    with pytest.raises(WeightsError):
        upscale(exact, pixels)


@pytest.mark.parametrize("name", ["cpu", "mps", "cuda"])
def test_graphs_are_for_cuda(name, monkeypatch):
    recorders = []
    monkeypatch.setattr(steady, "Recorder", lambda *arguments: recorders.append(arguments))
    node, device = one_node(*CASES[0], "plain tail"), torch.device(name)

    def prepared(strips):
        return steady.preparations(strips, node, device, Precision.BF16)

    assert prepared("eager") is None
    assert prepared("steps")._recorder is None
    if name != "cuda":
        assert prepared("graphs") is None
    else:
        prepared("graphs")._recorder()
        assert recorders == [(device, "strips")]


def test_a_cpu_pushes_every_strip(used, monkeypatch):
    monkeypatch.delenv(engine.VARIABLE, raising=False)
    monkeypatch.setattr(steady, "Preparations", None)
    upscaler = upscaler_of(*CASES[0], None)
    pixels = picture(90, 9)
    assert np.array_equal(
        upscale(upscaler, pixels), expected(exact_network(CASES[0][0]), 2, pixels)
    )
    assert not used


def test_the_environment_chooses(monkeypatch):
    monkeypatch.delenv(engine.VARIABLE, raising=False)
    assert TorchEngine()._strips == "graphs"
    monkeypatch.setenv(engine.VARIABLE, "eager")
    assert TorchEngine()._strips == "eager"
    assert TorchEngine("steps")._strips == "steps"
    for name in ("fast", "fused"):
        monkeypatch.setenv(engine.VARIABLE, name)
        with pytest.raises(UsageError, match=f"no way '{name}' to compute strips.*graphs, steps"):
            TorchEngine()
