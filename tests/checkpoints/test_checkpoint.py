from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.checkpoints.checkpoint import (
    check_readable,
    checked_tensors,
    expected_shapes,
    fold_residual_scale,
)
from edsr_cli.errors import WeightsError
from edsr_cli.model import networks

FILE = Path("some.file")


def upscaled(network: torch.nn.Module, picture: torch.Tensor) -> list[torch.Tensor]:
    """The network's output at each of its scales."""
    if isinstance(network, networks.EDSR):
        return [network(picture)]
    return [network(picture, scale) for scale in network.config.scales]


def configurations():
    sizes = {"blocks": st.integers(1, 12), "features": st.integers(1, 6)}
    edsr = st.builds(
        networks.NetworkConfig,
        st.just("edsr"),
        st.sampled_from(networks.SCALES).map(lambda scale: (scale,)),
        **sizes,
    )
    scales = st.lists(st.sampled_from(networks.SCALES), min_size=1, unique=True).map(tuple)
    kernel = st.sampled_from([3, 5])
    return edsr | st.builds(
        networks.NetworkConfig, st.just("mdsr"), scales, **sizes, pre_process_kernel=kernel
    )


@given(configurations())
def test_expected_shapes_are_those_of_the_built_network(config):
    state_dict = networks.build(config).state_dict()
    assert dict(expected_shapes(config)) == {
        key: tuple(tensor.shape) for key, tensor in state_dict.items()
    }


def test_a_folded_network_gives_the_same_picture(tiny_network):
    before = {key: tensor.clone() for key, tensor in tiny_network.state_dict().items()}
    folded, config = fold_residual_scale(tiny_network.state_dict(), tiny_network.config)
    assert config.residual_scale == 1.0
    network = networks.build(config).double()
    network.load_state_dict(folded)
    picture = torch.rand(1, 3, 5, 7, dtype=torch.float64) * 255
    for one, other in zip(
        upscaled(network, picture), upscaled(tiny_network.double(), picture), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-5)
    for key, tensor in before.items():
        assert torch.equal(tiny_network.state_dict()[key].float(), tensor), key


def test_checked_tensors_are_copies_in_fp32(tiny_network):
    tensors = {key: tensor.half() for key, tensor in tiny_network.state_dict().items()}
    checked = checked_tensors(tensors, tiny_network.config, FILE)
    assert checked.keys() == tensors.keys()
    assert {tensor.dtype for tensor in checked.values()} == {torch.float32}
    unchanged = checked_tensors(checked, tiny_network.config, FILE)
    checked["head.0.bias"].fill_(7)
    assert not torch.equal(unchanged["head.0.bias"], checked["head.0.bias"])


@given(st.data())
def test_any_one_wrong_tensor_is_named(data):
    config = networks.NetworkConfig("edsr", (4,), 2, 4)
    tensors = {key: torch.zeros(shape) for key, shape in expected_shapes(config)}
    key = data.draw(st.sampled_from(sorted(tensors)))
    tensor = tensors[key]
    wrong = data.draw(
        st.sampled_from(
            [
                None,
                tensor[:-1],
                tensor[None],
                tensor.int(),
                tensor.double(),
                tensor + float("nan"),
                tensor.index_fill(0, torch.tensor([0]), float("-inf")),
            ]
        )
    )
    if wrong is None:
        del tensors[key]
    else:
        tensors[key] = wrong
    with pytest.raises(WeightsError) as caught:
        checked_tensors(tensors, config, FILE)
    assert caught.value.message.startswith(f"some.file: tensor {key!r} ")
    assert "\n" not in str(caught.value)


def test_a_tensor_too_many_is_named(tiny_network):
    tensors = tiny_network.state_dict() | {"body.9.body.0.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"'body\.9\.body\.0\.weight' is not part of"):
        checked_tensors(tensors, tiny_network.config, FILE)


def test_a_network_of_absurd_size_is_refused_at_once():
    config = networks.NetworkConfig("edsr", (2,), 10**18, 10**18)
    with pytest.raises(WeightsError, match="is missing"):
        checked_tensors({}, config, FILE)


def test_only_a_file_with_something_in_it_is_readable(tmp_path):
    path = tmp_path / "weights"
    with pytest.raises(WeightsError, match=f"{path}: there is no such file"):
        check_readable(path)
    path.touch()
    with pytest.raises(WeightsError, match=f"{path} is empty"):
        check_readable(path)
    path.write_bytes(b"1")
    check_readable(path)
    with pytest.raises(WeightsError, match=f"{tmp_path} is a folder"):
        check_readable(tmp_path)
    with pytest.raises(WeightsError, match="cannot be read: Not a directory"):
        check_readable(path / "below")
