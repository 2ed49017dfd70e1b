import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edsr_cli.model.config import SCALES, NetworkConfig
from edsr_cli.model.networks import linear_tail
from edsr_cli.training.initial import random_network
from edsr_cli.training.tail import run_tail


def tail_of(scale: int, architecture: str = "edsr", features: int = 4) -> nn.Sequential:
    scales = (scale,) if architecture == "edsr" else SCALES
    network = random_network(NetworkConfig(architecture, scales, 1, features), 0)
    return linear_tail(network, scale).double()


def gradients(output: Tensor, tail: nn.Sequential, features: Tensor) -> list[Tensor]:
    """Of the features and all weights, for a loss that weighs every pixel in its own way."""
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    return list(torch.autograd.grad((output * weights).sum(), [features, *tail.parameters()]))


@settings(max_examples=25, deadline=None)
@given(
    scale=st.sampled_from(SCALES),
    architecture=st.sampled_from(["edsr", "mdsr"]),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    batch=st.integers(1, 3),
)
def test_output_and_gradients_are_those_of_the_plain_tail(
    scale: int, architecture: str, height: int, width: int, batch: int
) -> None:
    tail = tail_of(scale, architecture)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(batch, 4, height, width, generator=generator, dtype=torch.float64)
    features.requires_grad_()
    plain, collapsed = tail(features), run_tail(tail, features, scale)
    torch.testing.assert_close(collapsed, plain, rtol=0, atol=1e-13)
    for one, other in zip(
        gradients(collapsed, tail, features), gradients(plain, tail, features), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_the_kernel_has_full_precision_under_autocast(scale: int) -> None:
    """As good as the plain tail is in bf16."""
    tail = tail_of(scale, features=64)
    features = torch.randn(1, 64, 9, 9, generator=torch.Generator().manual_seed(0))
    exact = tail(features.double())
    tail.float()
    with torch.autocast("cpu", torch.bfloat16):
        plain, collapsed = tail(features), run_tail(tail, features, scale)
    assert collapsed.dtype == torch.bfloat16
    assert (collapsed - exact).square().mean() <= 1.1 * (plain - exact).square().mean()


def test_the_plain_tail_runs_only_on_the_ring() -> None:
    """Or nothing would be gained."""
    tail, seen = tail_of(4), []
    tail[0].register_forward_hook(lambda module, given, result: seen.append(result.shape[2:]))
    run_tail(tail, torch.zeros(1, 4, 20, 30, dtype=torch.float64), 4)
    assert seen == [(3, 30), (20, 3)]
