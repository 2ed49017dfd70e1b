import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.mixing import mixed
from edsr_cli.model.networks import NetworkConfig, build

CONFIG = NetworkConfig("edsr", (2,), 2, 4)


def other_network(tiny_network):
    network = build(tiny_network.config)
    network.load_state_dict({k: v + 1 for k, v in tiny_network.state_dict().items()})
    return network.eval().requires_grad_(False)


@settings(max_examples=20)
@given(strength=st.floats(0, 1))
def test_every_weight_lies_between(tiny_network, strength):
    network = mixed(tiny_network, other_network(tiny_network), strength)
    assert not network.training
    for key, tensor in tiny_network.state_dict().items():
        found = network.state_dict()[key]
        assert found.dtype == torch.float32 and not found.requires_grad
        assert torch.allclose(found, tensor + strength, rtol=0, atol=1e-5)


def test_the_ends_are_the_networks_themselves(tiny_network):
    other = other_network(tiny_network)
    assert mixed(tiny_network, other, 0) is tiny_network
    assert mixed(tiny_network, other, 1.0) is other


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_beyond_are_refused(strength):
    network = build(CONFIG)
    with pytest.raises(ValueError, match="from 0 to 1"):
        mixed(network, network, strength)


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="cannot be mixed"):
        mixed(build(CONFIG), build(NetworkConfig("edsr", (3,), 2, 4)), 0.5)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_bundled_networks_are_close_enough_to_be_mixed(scale):
    """A network half way gives the picture, too; of unrelated ones it would give noise."""
    plain, restoring = (load_network(name, scale).network for name in ("edsr-free", "edsr-photo"))
    rows = torch.linspace(20, 230, 16)
    lr = (rows[:, None] / 2 + rows[None] / 2).expand(1, 3, 16, 16)
    sr = mixed(plain, restoring, 0.5)(lr)
    back = torch.nn.functional.avg_pool2d(sr, scale)
    assert float((back - lr)[..., 2:-2, 2:-2].abs().mean()) < 1.5
