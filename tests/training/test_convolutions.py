"""The training pass with fewer kernels against the plain modules, on a CPU, where the plain calls
stand in for cuDNN's fused one; `edsr_cli.inference.engines.torch.fused` tries that by itself.
"""

import copy

import pytest
import torch
from torch import Tensor, nn

from edsr_cli.model.config import SCALES, NetworkConfig
from edsr_cli.model.networks import EDSR, MDSR, linear_tail
from edsr_cli.training import convolutions
from edsr_cli.training.initial import random_network

CONFIGS = {
    "edsr": NetworkConfig("edsr", (4,), 2, 8),
    "residual scale": NetworkConfig("edsr", (2,), 2, 8, 0.1),
    "mdsr": NetworkConfig("mdsr", SCALES, 2, 8),
}


def network_of(name: str) -> EDSR | MDSR:
    network = random_network(CONFIGS[name], 0).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_and_gradients_are_those_of_the_plain_modules(name: str) -> None:
    plain, other = network_of(name), network_of(name)
    scale = max(plain.config.scales)
    lr = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 255
    with torch.autocast("cpu", torch.bfloat16):
        expected = plain(lr, scale)
        features = convolutions.features(other, lr, scale)
        made = other.add_mean(convolutions.run(linear_tail(other, scale), features))
    assert torch.equal(made, expected)
    for sr in (expected, made):
        (sr.float() - 100).abs().mean().backward()  # type: ignore[no-untyped-call]
    for (key, mine), theirs in zip(other.named_parameters(), plain.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None), key
        if mine.grad is not None and theirs.grad is not None:
            # bf16 has 8 bits, and sums over all pixels are made in another order.
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=0.02, atol=0.02)


def test_gradients_in_float64_are_right() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 5, padding=2))
    layers.double()
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    weights = tuple(layers.parameters())

    def run(x: Tensor, *_: Tensor) -> Tensor:
        return convolutions.run(layers, x)

    assert torch.autograd.gradcheck(run, (x, *weights))


def test_a_picture_needs_no_gradient() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1)
    plain = copy.deepcopy(layer)
    x = torch.randn(1, 3, 6, 6)
    convolutions.run(layer, x).square().sum().backward()  # type: ignore[no-untyped-call]
    plain(x).square().sum().backward()
    for mine, theirs in zip(layer.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
