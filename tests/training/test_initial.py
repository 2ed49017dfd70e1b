from copy import deepcopy

import pytest
import torch

from edsr_cli.errors import UsageError
from edsr_cli.model.config import SCALES, NetworkConfig
from edsr_cli.training.initial import balanced, random_network, start_from


def edsr(scale: int, residual_scale: float = 1.0, blocks: int = 2) -> NetworkConfig:
    return NetworkConfig("edsr", (scale,), blocks, 4, residual_scale)


MDSR = NetworkConfig("mdsr", SCALES, 2, 4)


def test_the_seed_decides_and_disturbs_nobody() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (random_network(edsr(2), seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["head.0.weight"], other["head.0.weight"])


def test_x4_takes_all_of_x2_but_the_upsampler_that_x2_has_not() -> None:
    source, network = random_network(edsr(2), 1), random_network(edsr(4), 2)
    fresh = network.state_dict()
    missing = start_from(network, source)
    given = source.state_dict()
    for key, tensor in network.state_dict().items():
        assert (key in missing) == key.startswith("tail.0.2.")
        # x4's first step is of x2's shape; its second one has nothing to come from.
        expected = fresh[key] if key.startswith("tail.0.2.") else given[key]
        assert torch.equal(tensor, expected), key


def test_x3_takes_all_of_x2_but_the_upsampler() -> None:
    source, network = random_network(edsr(2), 1), random_network(edsr(3), 2)
    fresh = network.state_dict()
    missing = start_from(network, source)
    assert missing == {"tail.0.0.weight", "tail.0.0.bias"}
    given = source.state_dict()
    for key, tensor in network.state_dict().items():
        expected = fresh[key] if key.startswith("tail.0.") else given[key]
        assert torch.equal(tensor, expected), key


@pytest.mark.parametrize("scale", SCALES)
def test_mdsr_takes_an_edsr_network_to_its_scales_place(scale: int) -> None:
    source, network = random_network(edsr(scale), 1), random_network(MDSR, 2)
    fresh = network.state_dict()
    missing = start_from(network, source)
    given, branch = source.state_dict(), SCALES.index(scale)
    for key, tensor in network.state_dict().items():
        if key.startswith(f"upsample.{branch}."):
            expected = given[key.replace(f"upsample.{branch}.", "tail.0.")]
        elif key.startswith("tail.0."):
            expected = given[key.replace("tail.0.", "tail.1.")]
        else:
            assert (key in missing) == key.startswith(("pre_process.", "upsample."))
            expected = given.get(key, fresh[key])
            if key.startswith("pre_process.") and ".body.2." in key:  # the end of a block
                expected = torch.zeros_like(expected)
        assert torch.equal(tensor, expected), key


@pytest.mark.parametrize("scale", SCALES)
def test_mdsr_begins_with_the_output_of_the_edsr_network(scale: int) -> None:
    source, network = random_network(edsr(scale), 1), random_network(MDSR, 2)
    start_from(network, source)
    x = torch.rand(1, 3, 9, 8) * 255
    with torch.no_grad():
        torch.testing.assert_close(network(x, scale), source(x))
    # What has no counterpart in EDSR is not stuck there: the first update can change it.
    network(x, scale).sum().backward()
    branch = network.pre_process[SCALES.index(scale)]
    for block in branch:
        assert block.body[2].weight.grad.abs().max() > 0


def test_edsr_takes_its_scale_from_mdsr() -> None:
    source, network = random_network(MDSR, 1), random_network(edsr(3), 2)
    assert start_from(network, source) == set()
    given = source.state_dict()
    assert torch.equal(network.state_dict()["tail.0.0.weight"], given["upsample.1.0.weight"])
    assert torch.equal(network.state_dict()["tail.1.bias"], given["tail.0.bias"])


def test_a_folded_residual_scale_is_taken_out_again() -> None:
    # Read from a file, the source's scale is part of its weights.
    source, network = random_network(edsr(2), 1), random_network(edsr(2, 0.1), 2)
    assert start_from(network, source) == set()
    x = torch.rand(1, 3, 9, 8) * 255
    with torch.no_grad():
        torch.testing.assert_close(network(x), source(x))


def test_another_body_is_refused() -> None:
    source, network = random_network(edsr(2, blocks=3), 1), random_network(edsr(2, blocks=4), 2)
    with pytest.raises(UsageError, match=r"3 blocks of 4 features, not 4"):
        start_from(network, source)


@pytest.mark.parametrize("config", [edsr(2), edsr(4, 0.1), MDSR])
def test_a_folded_range_is_spread_over_the_network(config: NetworkConfig) -> None:
    source = random_network(config, 1)
    folded = deepcopy(source)
    with torch.no_grad():
        for parameters, factor in ((folded.head[0], 1 / 255), (folded.tail[-1], 255)):
            for name, tensor in parameters.named_parameters():
                if name == "weight":
                    tensor *= factor
    state = balanced(folded)
    # The factor is a power of two.
    torch.testing.assert_close(state["head.0.weight"] * 255 / 256, source.head[0].weight.data)
    network = random_network(config, 2)
    network.load_state_dict(state)
    x = torch.rand(1, 3, 9, 8) * 255
    scale = (2,) if config.architecture == "mdsr" else ()
    with torch.no_grad():
        assert torch.equal(network(x, *scale), folded(x, *scale))


@pytest.mark.parametrize("config", [edsr(2), edsr(3), MDSR])
def test_weights_in_the_usual_range_are_left_alone(config: NetworkConfig) -> None:
    source = random_network(config, 1)
    state = balanced(source)
    assert all(torch.equal(state[key], tensor) for key, tensor in source.state_dict().items())


def test_weights_of_nothing_but_zeros_can_be_started_from() -> None:
    source = random_network(edsr(2), 1)
    with torch.no_grad():
        for tensor in source.parameters():
            tensor.zero_()
    assert all(torch.isfinite(tensor).all() for tensor in balanced(source).values())
