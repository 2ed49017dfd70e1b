import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.checkpoints.checkpoint import Checkpoint, weights_digest
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.mixing import flat_response, interpolated, mixed
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
        if not key.startswith("tail.1"):  # where colours are corrected
            assert np.allclose(found.tensors[key], tensor + strength, rtol=0, atol=1e-5)


@settings(max_examples=60)
@given(strength=st.floats(0.001, 0.999))
def test_the_weights_are_those_that_torch_gives(strength):
    random = np.random.default_rng(0)
    one, two = (
        random.normal(0, 0.05, 4000).astype(np.float32) * 2.0 ** (number % 3) for number in range(2)
    )
    expected = torch.lerp(torch.from_numpy(one), torch.from_numpy(two), strength)
    assert np.array_equal(interpolated(one, two, strength), expected)


@pytest.mark.parametrize(
    ("strength", "digest"),
    [
        (0.25, "3405eb584d5632a9efd79d0fc472efff35a1b4ae128217d7ba1d466fdc9f5097"),
        (0.5, "c727f8fdbb90277c82e0b192122a15b451a0d9fb8debe6b0e4e5d25f200ce7e1"),
        (0.9, "855cc4829fd2aa146ca941f20f04f44cd9b68754462b4942219ac5e3c4a00e17"),
    ],
)
def test_the_digest_of_mixed_weights_is_that_in_manifests_of_before(strength, digest):
    """Or pictures would be made again; and every machine that works on a folder has it."""
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


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_pictures_become_what_is_said_of_them(scale):
    checkpoint = load_network("edsr-free", scale).checkpoint
    colours = np.array([[200.0, 30.0, 90.0], [255.0, 255.0, 255.0]])
    flat = torch.from_numpy(colours).float()[:, :, None, None].expand(-1, -1, 40, 40)
    sr = network_of(checkpoint.config, checkpoint.tensors)(flat.contiguous())
    middle = sr[:, :, 18 * scale : 22 * scale, 18 * scale : 22 * scale]
    found = flat_response(checkpoint.tensors, checkpoint.config, colours)
    assert np.allclose(found, middle.mean((2, 3)), atol=1e-3)


@pytest.mark.parametrize("strength", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_mixed_networks_keep_colours(scale, strength):
    """Of greys, what the two ends would give; at x4 two levels away without a correction."""
    ends = [load_network(name, scale).checkpoint for name in ("edsr-free", "edsr-photo")]
    greys = np.repeat([[20.0], [90.0], [160.0], [230.0]], 3, axis=1)
    of_ends = [flat_response(each.tensors, each.config, greys) for each in ends]
    wanted = of_ends[0] * (1 - strength) + of_ends[1] * strength

    def error(tensors):
        return np.abs(flat_response(tensors, ends[0].config, greys) - wanted).max()

    plain = {
        key: interpolated(each, ends[1].tensors[key], strength)
        for key, each in ends[0].tensors.items()
    }
    assert error(mixed(*ends, strength).tensors) < 0.3
    assert scale < 4 or error(plain) > 1


def test_networks_that_cannot_be_mixed_are_not_corrected(plain):
    """There would be no sense in it, and it could be without limit."""
    if plain.config.architecture == "mdsr":
        pytest.skip("is never corrected")
    random = np.random.default_rng(0)
    stranger = Checkpoint(
        plain.config,
        {
            key: random.normal(0, 1, each.shape).astype(np.float32)
            for key, each in plain.tensors.items()
        },
    )
    found = mixed(plain, stranger, 0.5)
    for key in ("tail.1.weight", "tail.1.bias"):
        expected = interpolated(plain.tensors[key], stranger.tensors[key], 0.5)
        assert np.array_equal(found.tensors[key], expected)


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
