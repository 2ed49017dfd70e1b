import pytest
import torch
from torch import nn

from edsr_cli.inference.engines.torch.assembly import collapse_tail
from edsr_cli.inference.engines.torch.tail import CollapsedTail
from edsr_cli.model.config import edsr_baseline
from edsr_cli.model.networks import Upsampler, build, convolution
from edsr_cli.model.tail import collapsed
from tests.exact import run


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_collapsed_tail_equals_the_plain_one_away_from_the_border(scale):
    torch.manual_seed(0)
    tail = nn.Sequential(*Upsampler(scale, 5), convolution(5, 3, 3)).double()
    one = collapsed(tail, scale)
    x = torch.randn(2, 5, 9, 8).double()
    with torch.inference_mode():
        inner = (..., slice(scale, -scale), slice(scale, -scale))
        difference = (one(x) - tail(x)).abs()
    assert difference[inner].max() < 1e-13
    # The border is what CollapsedTail mends; were it equal too, that code would be idle.
    assert difference.max() > 1e-3


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (2, 2), (3, 4), (9, 7)])
@pytest.mark.parametrize("strip", [1, 2, 3, 9])
def test_streamed_tail_equals_the_plain_one_everywhere(scale, size, strip):
    torch.manual_seed(0)
    tail = nn.Sequential(*Upsampler(scale, 4), convolution(4, 3, 3)).double()
    x = torch.randn(1, 4, *size).double()
    with torch.inference_mode():
        expected = tail(x)
    node = CollapsedTail(tail, collapsed(tail, scale))
    assert (run(node, x, strip) - expected).abs().max() < 1e-13


@pytest.mark.parametrize(("scale", "saving"), [(2, 8.0), (3, 8.0), (4, 9.9)])
def test_collapsing_saves_most_of_the_tail(scale, saving):
    network = build(edsr_baseline(scale))
    area, plain = 1, 0
    for layer in [*network.tail[0], network.tail[1]]:
        if isinstance(layer, nn.PixelShuffle):
            area *= layer.upscale_factor**2
        else:
            plain += layer.weight.numel() * area
    assert plain / collapse_tail(network, scale)[0].weight.numel() > saving


def test_collapsed_tail_is_fp32_rounded_once():
    network = build(edsr_baseline(4))
    single = collapse_tail(network, 4)[0].weight
    double = collapse_tail(network.double(), 4)[0].weight
    assert torch.equal(single, double.float())
