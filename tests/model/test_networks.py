import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.model.networks import (
    SCALES,
    NetworkConfig,
    build,
    edsr,
    edsr_baseline,
    mdsr,
    mdsr_baseline,
)

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


@pytest.mark.parametrize(("config", "count"), PUBLISHED, ids=str)
def test_parameter_counts_are_the_published_ones(config, count):
    with torch.device("meta"):
        network = build(config)
    assert sum(p.numel() for p in network.parameters()) == count + 24
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


def test_mdsr_refuses_a_scale_that_it_does_not_have():
    with pytest.raises(ValueError):
        build(NetworkConfig("mdsr", (2, 3), 1, 4))(torch.rand(1, 3, 4, 4), 4)


@given(
    st.lists(st.sampled_from(SCALES), min_size=1, max_size=3, unique=True),
    st.integers(1, 100),
    st.integers(1, 300),
    st.floats(0.01, 1),
    st.sampled_from([3, 5]),
)
def test_configurations_survive_a_round_trip(scales, blocks, features, residual_scale, kernel):
    config = NetworkConfig("mdsr", tuple(scales), blocks, features, residual_scale, kernel)
    assert NetworkConfig.from_dict(config.to_dict()) == config


def test_the_papers_configurations_read_as_before_there_were_other_kernels():
    values = {"architecture": "mdsr", "scales": [2], "blocks": 1, "features": 4}
    assert NetworkConfig.from_dict(values).pre_process_kernel == 5
    assert set(mdsr().to_dict()) == {*values, "residual_scale"}


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


@pytest.mark.parametrize(
    "values",
    [
        ("rcan", (2,), 16, 64),
        ("edsr", (), 16, 64),
        ("edsr", (2, 3), 16, 64),
        ("edsr", (5,), 16, 64),
        ("mdsr", (2, 2), 16, 64),
        ("edsr", (2,), 0, 64),
        ("edsr", (2,), 16, 0),
        ("mdsr", (2,), 16, 64, 1.0, 4),
        ("edsr", (2,), 16, 64, 1.0, 3),
    ],
)
def test_impossible_configurations_are_refused(values):
    with pytest.raises(ValueError):
        NetworkConfig(*values)
