import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.checkpoints.checkpoint import Checkpoint, mixed, weights_digest
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import network_of, tensors_of


@pytest.fixture
def plain(tiny_network):
    return Checkpoint(tiny_network.config, tensors_of(tiny_network))


def other(plain):
    return Checkpoint(plain.config, {key: each + 1 for key, each in plain.tensors.items()})


@settings(max_examples=20)
@given(strength=st.floats(0, 1))
def test_every_weight_lies_between(plain, strength):
    found = mixed(plain, other(plain), strength)
    assert found.config == plain.config
    for key, tensor in plain.tensors.items():
        assert found.tensors[key].dtype == np.float32
        assert np.allclose(found.tensors[key], tensor + strength, rtol=0, atol=1e-5)


@settings(max_examples=60)
@given(strength=st.floats(0.001, 0.999))
def test_the_weights_are_those_that_torch_gives(strength):
    """Digests of them stand in manifests of before."""
    random = np.random.default_rng(0)
    config = NetworkConfig("edsr", (2,), 1, 2)
    one, two = (
        {"weight": random.normal(0, 0.05, 4000).astype(np.float32) * 2.0 ** (number % 3)}
        for number in range(2)
    )
    expected = torch.lerp(
        torch.from_numpy(one["weight"]), torch.from_numpy(two["weight"]), strength
    )
    found = mixed(Checkpoint(config, one), Checkpoint(config, two), strength)
    assert np.array_equal(found.tensors["weight"], expected)


@pytest.mark.parametrize(
    ("strength", "digest"),
    [
        (0.25, "daa98599084dbdf8c69db3b6d914ee87a2bd8f5daf04b6eb08c47dd0427b2ac5"),
        (0.5, "f4517f9704469c41b2222e1e69a883e1cb5c8a6c6a9ca2bdc23100c4327f1ce0"),
        (0.9, "91039fa96fda48786301030359313d1ebe12a310d4e5fe5d6ceff1cb15ae5b03"),
    ],
)
def test_the_digest_of_mixed_weights_is_that_in_manifests_of_before(strength, digest):
    networks = (load_network(name, 2).checkpoint for name in ("edsr-free", "edsr-photo"))
    assert weights_digest(mixed(*networks, strength)) == digest


def test_the_ends_are_the_networks_themselves(plain):
    restoring = other(plain)
    assert mixed(plain, restoring, 0) is plain
    assert mixed(plain, restoring, 1.0) is restoring


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_beyond_are_refused(plain, strength):
    with pytest.raises(ValueError, match="from 0 to 1"):
        mixed(plain, plain, strength)


def test_other_networks_are_refused(plain):
    stranger = Checkpoint(NetworkConfig("edsr", (3,), 9, 9), {})
    with pytest.raises(ValueError, match="cannot be mixed"):
        mixed(plain, stranger, 0.5)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_bundled_networks_are_close_enough_to_be_mixed(scale):
    """A network half way gives the picture, too; of unrelated ones it would give noise."""
    networks = (load_network(name, scale).checkpoint for name in ("edsr-free", "edsr-photo"))
    half = mixed(*networks, 0.5)
    rows = torch.linspace(20, 230, 16)
    lr = (rows[:, None] / 2 + rows[None] / 2).expand(1, 3, 16, 16)
    sr = network_of(half.config, half.tensors)(lr)
    back = torch.nn.functional.avg_pool2d(sr, scale)
    assert float((back - lr)[..., 2:-2, 2:-2].abs().mean()) < 1.5
