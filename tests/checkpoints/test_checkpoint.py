from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.checkpoints.checkpoint import (
    Checkpoint,
    checked_tensors,
    fold_residual_scale,
    weights_digest,
)
from edsr_cli.checkpoints.files import check_readable
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import network_of, tensors_of

FILE = Path("some.file")


def upscaled(network: torch.nn.Module, picture: torch.Tensor) -> list[torch.Tensor]:
    """The network's output at each of its scales."""
    return [network(picture, scale) for scale in network.config.scales]


def test_a_folded_network_gives_the_same_picture(tiny_network):
    tensors = tensors_of(tiny_network)
    before = {key: tensor.copy() for key, tensor in tensors.items()}
    folded, config = fold_residual_scale(tensors, tiny_network.config)
    assert config.residual_scale == 1.0
    network = network_of(config, folded).double()
    picture = torch.rand(1, 3, 5, 7, dtype=torch.float64) * 255
    for one, other in zip(
        upscaled(network, picture), upscaled(tiny_network.double(), picture), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-5)
    for key, tensor in before.items():
        assert np.array_equal(tensors[key], tensor), key


def test_checked_tensors_are_copies_in_fp32(tiny_network):
    tensors = {key: tensor.astype(np.float16) for key, tensor in tensors_of(tiny_network).items()}
    checked = checked_tensors(tensors, tiny_network.config, FILE)
    assert checked.keys() == tensors.keys()
    assert {tensor.dtype for tensor in checked.values()} == {np.dtype(np.float32)}
    unchanged = checked_tensors(checked, tiny_network.config, FILE)
    checked["head.0.bias"].fill(7)
    assert not np.array_equal(unchanged["head.0.bias"], checked["head.0.bias"])


@given(st.data())
def test_any_one_wrong_tensor_is_named(data):
    config = NetworkConfig("edsr", (4,), 2, 4)
    tensors = {key: np.zeros(shape, np.float32) for key, shape in config.shapes()}
    key = data.draw(st.sampled_from(sorted(tensors)))
    tensor = tensors[key]
    wrong = data.draw(
        st.sampled_from(
            [
                None,
                tensor[:-1],
                tensor[None],
                tensor.astype(np.int32),
                tensor.astype(np.float64),
                tensor + np.float32("nan"),
                np.concatenate([np.full_like(tensor[:1], -np.inf), tensor[1:]]),
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
    tensors = tensors_of(tiny_network) | {"body.9.body.0.weight": np.zeros(1, np.float32)}
    with pytest.raises(WeightsError, match=r"'body\.9\.body\.0\.weight' is not part of"):
        checked_tensors(tensors, tiny_network.config, FILE)


def test_a_network_of_absurd_size_is_refused_at_once():
    config = NetworkConfig("edsr", (2,), 10**18, 10**18)
    with pytest.raises(WeightsError, match="is missing"):
        checked_tensors({}, config, FILE)


def test_the_digest_of_bundled_weights_is_that_in_manifests_of_before():
    """Or every picture of every batch would be made again."""
    plain, restoring = (load_network(name, 2).checkpoint for name in ("edsr-free", "edsr-photo"))
    assert weights_digest(plain) == (
        "9e7a5bf4656b786cad07be6147e9c6966566b0d300bfd5fc5c2b29c1d0ce3357"
    )
    assert weights_digest(plain, restoring) == (
        "2cd0b8c17d02d48c80530e0ff1617835adfaef9c660861cd1436626f49c4074e"
    )
    assert weights_digest(load_network("mdsr-free", 3).checkpoint) == (
        "a894e65a5233f3e6be03fb9f56f2877f4d021d763e02549936183dc1119a91de"
    )


def test_the_digest_tells_names_and_shapes_and_numbers(tiny_network):
    tensors = tensors_of(tiny_network)

    def digest(**changes):
        return weights_digest(Checkpoint(tiny_network.config, tensors | changes))

    zeros = np.zeros(6, np.float32)
    found = [digest(), digest(a=zeros), digest(b=zeros), digest(a=zeros.reshape(2, 3))]
    found.append(digest(a=zeros + 1))
    assert len(set(found)) == 5


def test_only_a_file_with_something_in_it_is_readable(tmp_path):
    path = tmp_path / "weights"
    with pytest.raises(WeightsError, match=f"{path}: there is no such file"):
        check_readable(path)
    path.touch()
    with pytest.raises(WeightsError, match=f"{path}: it is empty"):
        check_readable(path)
    path.write_bytes(b"1")
    check_readable(path)
    with pytest.raises(WeightsError, match=f"{tmp_path}: it is a folder"):
        check_readable(tmp_path)
    with pytest.raises(WeightsError, match="cannot be read: Not a directory"):
        check_readable(path / "below")
    with pytest.raises(WeightsError, match=r"cannot be read|no such file"):
        check_readable(tmp_path / ("x" * 300 + ".pth"))
