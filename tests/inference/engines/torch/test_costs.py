"""What plans are made from, in integers, is what the streamed networks say of themselves."""

import pytest
import torch
from torch import nn

from edsr_cli.inference.engine import Precision
from edsr_cli.inference.engines.torch import costs
from edsr_cli.inference.engines.torch.assembly import on_device, stream
from edsr_cli.model.config import NetworkConfig, edsr, edsr_baseline, mdsr, mdsr_baseline
from edsr_cli.model.networks import build
from tests.exact import ARCHITECTURES

EVERY_NETWORK = [
    *(edsr_baseline(scale) for scale in (2, 3, 4)),
    *(edsr(scale) for scale in (2, 3, 4)),
    mdsr_baseline(),
    mdsr(),
    NetworkConfig("mdsr", (4, 2), 16, 64, pre_process_kernel=3),
]


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("config", EVERY_NETWORK, ids=str)
def test_costs_are_those_of_the_nodes(config, precision):
    with torch.device("meta"):
        network = build(config)
    for scale in config.scales:
        tail = nn.Conv2d(config.features, 3 * scale**2, 5, device="meta")
        node = stream(network, scale, precision, nn.Sequential(tail, nn.PixelShuffle(scale)))
        assert costs.of_network(config, scale, precision, False) == node.cost


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("config", ARCHITECTURES, ids=str)
def test_costs_are_those_of_what_is_compiled(config, precision, ensemble):
    for scale in config.scales:
        node = on_device(
            build(config), scale, torch.device("cpu"), precision, ensemble=ensemble, transposed=True
        )
        assert costs.of_network(config, scale, precision, ensemble) == node.cost


def test_a_footprint_counts_what_is_there_twice():
    cost = costs.of_network(edsr_baseline(4), 4, Precision.BF16, True)
    footprint = costs.footprint(edsr_baseline(4), 4, Precision.BF16, True)
    assert footprint.held_bytes == cost.held_bytes + cost.copied_bytes
    assert footprint.radius == cost.delay == 36
    assert footprint.multiply_adds == cost.multiply_adds
    assert footprint.output_bytes == 4 * 3 * 16 * 4
