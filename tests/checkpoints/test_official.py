from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edsr_cli import networks
from edsr_cli.checkpoints.checkpoint import expected_shapes
from edsr_cli.checkpoints.official import infer_config, is_official, read_official
from edsr_cli.errors import WeightsError

FILE = Path("some.pt")

PAPER = [
    *(networks.edsr_baseline(scale) for scale in networks.SCALES),
    *(networks.edsr(scale) for scale in networks.SCALES),
    networks.mdsr_baseline(),
    networks.mdsr(),
]


@pytest.mark.parametrize("config", PAPER, ids=str)
def test_the_papers_networks_are_inferred_from_keys_and_shapes(config):
    # Memory is only promised, not used: the full EDSR has 172 MB of weights.
    tensors = {key: torch.zeros(1).expand(shape) for key, shape in expected_shapes(config)}
    assert is_official(tensors)
    assert infer_config(tensors, FILE) == config


def test_a_state_dict_is_read_as_it_is(tiny_network):
    checkpoint = read_official(tiny_network.state_dict(), FILE)
    # Nothing in the tensors tells that a tiny network was built with a residual scale.
    assert checkpoint.config == replace(tiny_network.config, residual_scale=1.0)
    for key, tensor in tiny_network.state_dict().items():
        assert torch.equal(checkpoint.state_dict[key], tensor), key


def test_every_key_is_needed(tiny_network):
    state_dict = tiny_network.state_dict()
    for key in state_dict:
        tensors = {name: tensor for name, tensor in state_dict.items() if name != key}
        # Without its second step an MDSR's x4 branch is a second x2 branch.
        with pytest.raises(WeightsError, match=r"some\.pt: tensor '|each scale may be given once"):
            read_official(tensors, FILE)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"head.0.weight": torch.zeros(4, 1, 3, 3)}, "pictures of 1 channels"),
        ({"head.0.weight": torch.zeros(4)}, "has 1 dimensions"),
        ({"tail.0.0.weight": torch.zeros(20, 4, 3, 3)}, "20 outputs, which is no upsampler"),
        ({"tail.0.0.weight": torch.zeros(36, 4, 3, 3)}, r"'tail\.0\.0\.bias' has shape \(16,\)"),
        (
            {f"tail.0.{index}.weight": torch.zeros(16, 4, 3, 3) for index in (2, 4)},
            r"scales must be among \(2, 3, 4\), not \(8,\)",
        ),
        ({"body.7.weight": torch.zeros(4, 4, 3, 3)}, r"'body\.7\.weight' is not part of"),
        ({"add_mean.bias": torch.tensor(networks.RGB_MEAN)}, r"'add_mean\.bias' is \[0\.449"),
        ({"sub_mean.bias": torch.zeros(3)}, r"not trained for values in 0\.\.255"),
    ],
)
def test_another_network_is_refused(tensors, message):
    state_dict = networks.build(networks.NetworkConfig("edsr", (2,), 2, 4)).state_dict()
    with pytest.raises(WeightsError, match=message):
        read_official(state_dict | tensors, FILE)


def test_another_layout_is_not_taken_for_this_one():
    assert not is_official({"conv_first.weight": torch.zeros(4, 3, 3, 3)})
    assert not is_official({})
