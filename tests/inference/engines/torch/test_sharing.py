"""Streamed networks that are shared: few of them, by many threads."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from edsr_cli.inference import Precision, Upscaler
from edsr_cli.inference.engines.torch import devices, transfer
from edsr_cli.inference.engines.torch.engine import TorchEngine
from edsr_cli.inference.engines.torch.node import Node
from tests.exact import CASES, exact_network, exact_picture, run, streamed, weights_of
from tests.inference.engines.torch.test_upscaling import picture


@pytest.fixture
def restless():
    """Threads that give way to each other as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def kernels_of(node: Node) -> set[int]:
    """Where the kernels in a node are."""
    found, todo = set(), [node]
    while todo:
        for value in vars(todo.pop()).values():
            if isinstance(value, torch.Tensor) and value.ndim == 4:
                found.add(value.data_ptr())
            parts = value if isinstance(value, list | tuple) else [value]
            todo += [part for part in parts if isinstance(part, Node)]
    return found


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize(("config", "scale"), CASES)
def test_fresh_nodes_share_their_weights_and_nothing_else(config, scale, ensemble):
    node = streamed(exact_network(config), scale, ensemble)
    first, second = exact_picture(23, 9), exact_picture(23, 9, seed=1)
    wanted = run(node, first, 5), run(node, second, 5)
    one, other = node.fresh(), node.fresh()
    assert len(kernels_of(node)) > 5
    assert kernels_of(node) == kernels_of(one) == kernels_of(other)
    parts: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    with torch.inference_mode():
        for top in range(0, 23, 5):  # a strip of one picture, a strip of the other
            for fresh, x, found in zip((one, other), (first, second), parts, strict=True):
                found.append(fresh.push(x[:, :, top : top + 5], top + 5 >= 23))
    assert torch.equal(torch.cat(parts[0], 2), wanted[0])
    assert torch.equal(torch.cat(parts[1], 2), wanted[1])
    assert torch.equal(run(node, first, 5), wanted[0])


@pytest.mark.parametrize("ensemble", [False, True])
def test_a_limit_on_rows_is_one_pictures_own(ensemble):
    node = streamed(exact_network(CASES[0][0]), 2, ensemble)
    one, other = node.fresh(), node.fresh()
    one.limit_rows(3)
    chains = [each.networks[0] if ensemble else each for each in (node, one, other)]
    assert [chain._limit for chain in chains] == [None, 3, None]
    assert [chain.nodes[-2].buffer is chains[0].nodes[-2].buffer for chain in chains] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("config", "scale"), [CASES[0], CASES[2], CASES[4]])
def test_many_threads_get_their_own_pictures(config, scale, restless):
    """Different sizes, lying and standing, cut differently, with and without the ensemble."""
    upscaler = Upscaler(weights_of(exact_network(config)), scale, "cpu", "fp32")
    random = np.random.default_rng(0)
    sizes = [(int(random.integers(1, 30)), int(random.integers(1, 30))) for _ in range(24)]
    pictures = [picture(*size, seed) for seed, size in enumerate(sizes)]
    tiles = ["auto", 7, "auto"] * 8
    alone = [
        upscaler.upscale(pixels, seed % 4 == 0, tile).pixels
        for seed, (pixels, tile) in enumerate(zip(pictures, tiles, strict=True))
    ]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda seed: upscaler.upscale(pictures[seed], seed % 4 == 0, tiles[seed]).pixels,
            range(24),
        )
        for one, other in zip(found, alone, strict=True):
            assert np.array_equal(one, other)


def test_the_switch_of_tf32_is_put_back_by_the_last_to_leave():
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with devices.convolutions(Precision.FP32):
            inside.set()
            leave.wait(60)

    try:
        thread = threading.Thread(target=first)
        thread.start()
        inside.wait(60)
        with devices.convolutions(Precision.FP32):
            leave.set()
            thread.join()
            assert not torch.backends.cudnn.allow_tf32  # although the one that set it is gone
            with devices.convolutions(Precision.BF16):
                assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_an_overflow_is_done_again_without_tf32(monkeypatch):
    """The bf16 network leaves the switch as it is, and the fp32 one after it turns it off."""
    download, seen = transfer.Ferry.download, []

    def overflowing(self, rows):
        seen.append(torch.backends.cudnn.allow_tf32)
        return download(self, rows * torch.inf if len(seen) == 1 else rows)

    monkeypatch.setattr(transfer.Ferry, "download", overflowing)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        engine = TorchEngine("eager")
        upscaler = Upscaler(weights_of(exact_network(CASES[0][0])), 2, "cpu", "bf16", engine=engine)
        upscaler.upscale(picture(9, 9, 0))
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
    assert seen == [True, False]
