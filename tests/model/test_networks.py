import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.model.config import SCALES, NetworkConfig, edsr, edsr_baseline, mdsr, mdsr_baseline
from edsr_cli.model.networks import build, network_of, tensors_of

# Published figures, without the 24 fixed values of the two mean shifts.
PUBLISHED = [
    (edsr_baseline(2), 1_369_859),
    (edsr_baseline(3), 1_554_499),
    (edsr_baseline(4), 1_517_571),
    (edsr(2), 40_729_603),
    (edsr(3), 43_680_003),
    (edsr(4), 43_089_923),
    (mdsr_baseline(), 3_227_203),
    (mdsr(), 7_953_987),
]


def configurations():
    sizes = {"blocks": st.integers(1, 12), "features": st.integers(1, 6)}
    edsr = st.builds(
        NetworkConfig,
        st.just("edsr"),
        st.sampled_from(SCALES).map(lambda scale: (scale,)),
        **sizes,
    )
    scales = st.lists(st.sampled_from(SCALES), min_size=1, unique=True).map(tuple)
    kernel = st.sampled_from([3, 5])
    return edsr | st.builds(
        NetworkConfig, st.just("mdsr"), scales, **sizes, pre_process_kernel=kernel
    )


@pytest.mark.parametrize(("config", "count"), PUBLISHED, ids=str)
def test_parameter_counts_are_the_published_ones(config, count):
    with torch.device("meta"):
        network = build(config)
    assert sum(p.numel() for p in network.parameters()) == count + 24
    assert config.parameters == count
    assert (
        len(network.state_dict())
        == {
            ("edsr", 2, 16): 76,
            ("edsr", 3, 16): 76,
            ("edsr", 4, 16): 78,
            ("edsr", 2, 32): 140,
            ("edsr", 3, 32): 140,
            ("edsr", 4, 32): 142,
            ("mdsr", 2, 16): 106,
            ("mdsr", 2, 80): 362,
        }[config.architecture, config.scales[0], config.blocks]
    )


def test_only_the_mean_shifts_are_not_trained():
    network = build(edsr_baseline(2))
    fixed = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert fixed == {
        f"{shift}.{kind}" for shift in ("sub_mean", "add_mean") for kind in ("weight", "bias")
    }


@given(configurations())
def test_names_and_shapes_are_what_the_configuration_says(config):
    state_dict = build(config).state_dict()
    assert dict(config.shapes()) == {key: tuple(each.shape) for key, each in state_dict.items()}


def test_a_network_is_made_of_weights_and_gives_them_back(tiny_network):
    tensors = tensors_of(tiny_network)
    network = network_of(tiny_network.config, tensors)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    again = tensors_of(network)
    assert again.keys() == tensors.keys()
    assert all(np.shares_memory(again[key], tensors[key]) for key in tensors)
    picture, scale = torch.rand(1, 3, 5, 4) * 255, tiny_network.config.scales[-1]
    assert torch.equal(network(picture, scale), tiny_network(picture, scale))


def test_keys_are_those_of_the_authors_release():
    keys = set(build(NetworkConfig("edsr", (4,), 2, 4)).state_dict())
    names = ["head.0", "body.0.body.0", "body.0.body.2", "body.1.body.0", "body.1.body.2"]
    names += ["body.2", "tail.0.0", "tail.0.2", "tail.1", "sub_mean", "add_mean"]
    assert keys == {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}
    keys = set(build(NetworkConfig("mdsr", (2, 4), 1, 4)).state_dict())
    names = ["head.0", "body.0.body.0", "body.0.body.2", "body.1", "tail.0"]
    names += [f"pre_process.{k}.{b}.body.{i}" for k in (0, 1) for b in (0, 1) for i in (0, 2)]
    names += ["upsample.0.0", "upsample.1.0", "upsample.1.2", "sub_mean", "add_mean"]
    assert keys == {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}


@pytest.mark.parametrize("scale", SCALES)
def test_output_is_scale_times_the_input(scale):
    picture = torch.rand(2, 3, 5, 7) * 255
    with torch.inference_mode():
        assert build(NetworkConfig("edsr", (scale,), 1, 4))(picture).shape == (
            2, 3, 5 * scale, 7 * scale,
        )  # fmt: skip
        assert build(NetworkConfig("mdsr", SCALES, 1, 4))(picture, scale).shape == (
            2, 3, 5 * scale, 7 * scale,
        )  # fmt: skip


def test_residual_scale_is_applied_to_the_branch():
    network = build(NetworkConfig("edsr", (2,), 1, 4, residual_scale=0.25))
    block = network.body[0]
    x = torch.randn(1, 4, 6, 6)
    assert torch.allclose(block(x), x + 0.25 * block.body(x))


def test_mdsr_uses_only_the_modules_of_its_scale():
    network = build(NetworkConfig("mdsr", SCALES, 1, 4))
    network(torch.rand(1, 3, 4, 4), 3).sum().backward()
    used = {name for name, p in network.named_parameters() if p.grad is not None}
    assert "upsample.1.0.weight" in used
    assert not any(name.startswith(("upsample.0", "upsample.2", "pre_process.0")) for name in used)


@pytest.mark.parametrize("config", [("mdsr", (2, 3), 1, 4), ("edsr", (2,), 1, 4)])
def test_a_scale_that_a_network_does_not_have_is_refused(config):
    with pytest.raises(ValueError):
        build(NetworkConfig(*config))(torch.rand(1, 3, 4, 4), 4)


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_blocks_before_the_body_have_the_configured_kernels(kernel):
    network = build(NetworkConfig("mdsr", (2,), 1, 4, pre_process_kernel=kernel))
    shapes = {
        tuple(tensor.shape)
        for key, tensor in network.state_dict().items()
        if key.startswith("pre_process.") and key.endswith("weight")
    }
    assert shapes == {(4, 4, kernel, kernel)}
    assert network(torch.rand(1, 3, 5, 4), 2).shape == (1, 3, 10, 8)


def test_a_network_from_a_file_does_not_wait_for_torchs_compiler(repository):
    program = (
        "import sys, torch\n"
        "from edsr_cli.model.networks import build\n"
        "from edsr_cli.model.config import NetworkConfig\n"
        "with torch.device('meta'):\n"
        "    build(NetworkConfig('mdsr', (2, 3, 4), 2, 4, 1.0))\n"
        "print([name for name in ('sympy', 'torch._dynamo') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
