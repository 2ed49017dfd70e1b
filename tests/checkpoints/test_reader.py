"""Every published kind of file, written by its own project's network and read back."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edsr_cli.checkpoints.checkpoint import read_canonical, save_canonical
from edsr_cli.checkpoints.convention import Stated
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.reader import read_checkpoint
from edsr_cli.errors import WeightsError
from edsr_cli.inference import Upscaler
from edsr_cli.model.config import RGB_MEAN, NetworkConfig
from edsr_cli.model.networks import network_of
from tests.checkpoints.published import (
    EDSR_FILES,
    ONE_OF_EACH,
    OfficialEdsr,
    OfficialMdsr,
    SuperImageEdsr,
    SuperImageMdsr,
    prefixed,
    save_tiny,
)

pytestmark = pytest.mark.usefixtures("same_weights_every_time")

SIZES = {"baseline": (16, 64, 1.0), "full-stand-in": (32, 8, 0.1)}
TOLERANCE = 1e-5  # of full range


@pytest.fixture(scope="module")
def picture():
    """(1, 3, 9, 8) in 0..1, from black to white."""
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 3, 9, 8, generator=generator)
    picture[..., :2, :], picture[..., -2:, :] = 0, 1
    return picture


def output(checkpoint, picture, scale):
    """What the read network makes of a picture in 0..1, in 0..1."""
    network = network_of(checkpoint.config, checkpoint.tensors)
    with torch.inference_mode():
        return network(picture * 255, scale) / 255


def check_output(checkpoint, network, picture, scale):
    with torch.inference_mode():
        expected = network(picture)
    found = output(checkpoint, picture, scale)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= TOLERANCE


def check_round_trip(kind, scale, size, picture, path):
    blocks, features, residual_scale = size
    network = kind.network(scale, blocks, features, residual_scale).eval()
    torch.save(kind.wrap(network.state_dict()), path)
    # Random weights can only be told by trying if nothing is left to try.
    layout = kind.layout if kind.ambiguous else None
    checkpoint = read_checkpoint(path, Stated(layout, residual_scale=residual_scale))
    assert checkpoint.config == NetworkConfig("edsr", (scale,), blocks, features)
    assert checkpoint.metadata["layout"] == kind.layout
    check_output(checkpoint, network, picture, scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("name", ["official", "super-image", "basicsr", "mmagic", "transformers"])
def test_every_edsr_layout_comes_back(name, size, scale, picture, tmp_path):
    check_round_trip(EDSR_FILES[name], scale, size, picture, tmp_path / "weights.pth")


@pytest.mark.parametrize("kind", EDSR_FILES.values(), ids=EDSR_FILES)
def test_every_wrapper_and_prefix_is_taken_off(kind, picture, tmp_path):
    check_round_trip(kind, 4, (3, 4, 0.25), picture, tmp_path / "weights.pth")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("scales", [(2, 3, 4), (4, 2)])
def test_mdsr_comes_back_at_every_scale(size, prefix, scales, picture, tmp_path):
    network = OfficialMdsr(scales, *size).eval()
    path = tmp_path / "weights.pt"
    torch.save(prefixed(network.state_dict(), prefix), path)
    checkpoint = read_checkpoint(path, Stated("official", residual_scale=size[2]))
    assert checkpoint.config == NetworkConfig("mdsr", scales, *size[:2])
    for scale in scales:
        network.scale = scale
        check_output(checkpoint, network, picture, scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("means", [True, False])
def test_the_mdsr_of_super_image_comes_back(scale, means, picture, tmp_path):
    network = SuperImageMdsr(scale, 32, 16).eval()
    path = tmp_path / "pytorch_model.pt"
    state_dict = network.state_dict()
    torch.save({key: each for key, each in state_dict.items() if means or "mean" not in key}, path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.config == NetworkConfig("mdsr", (scale,), 32, 16, pre_process_kernel=3)
    assert checkpoint.metadata["layout"] == "super-image-mdsr"
    check_output(checkpoint, network, picture, scale)


def test_its_small_kernels_are_streamed_like_the_others(tmp_path):
    path = tmp_path / "pytorch_model.pt"
    torch.save(SuperImageMdsr(3, 2, 4).state_dict(), path)
    loaded = load_network(path)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 15, 3), dtype=np.uint8)
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    plain = loaded.network(picture, 3)[0].permute(1, 2, 0).clamp(0, 255).numpy()
    for tile in ("none", 7):
        upscaled = Upscaler(loaded.checkpoint, 3, "cpu", "fp32").upscale(pixels, tile=tile).pixels
        assert np.abs(upscaled - plain).max() <= 0.51


def test_a_canonical_file_keeps_its_kernel_size(tmp_path, picture):
    path = tmp_path / "pytorch_model.pt"
    torch.save(SuperImageMdsr(2, 2, 4).state_dict(), path)
    checkpoint = read_checkpoint(path)
    canonical = tmp_path / "canonical.safetensors"
    metadata = {"name": "a", "licence": "b", "origin": "c"}
    save_canonical(canonical, checkpoint.tensors, checkpoint.config, metadata)
    assert read_canonical(canonical).config == checkpoint.config
    assert torch.equal(
        output(read_checkpoint(canonical), picture, 2), output(checkpoint, picture, 2)
    )


# What the trained weights that come with the program would be as files of others.
TRAINED = {"official": 255, "basicsr": 255, "transformers": 255, "mmagic": 1, "official, 0..1": 1}


@pytest.mark.parametrize(
    ("name", "scale", "residual_scale"),
    [
        ("official", 2, 1.0),
        ("official", 4, 0.1),
        ("official, 0..1", 3, 1.0),
        ("basicsr", 3, 0.1),
        ("basicsr", 4, 1.0),
        ("transformers", 2, 0.1),
        ("mmagic", 3, 1.0),
    ],
)
def test_trained_weights_need_no_statement(name, scale, residual_scale, picture, tmp_path, caplog):
    value_range = TRAINED[name]
    arguments = {"value_range": 1.0} if name == "official, 0..1" else {}
    kind = EDSR_FILES[name.split(",")[0]]
    bundled = load_network("edsr-free", scale).network
    network = kind.network(scale, 16, 64, residual_scale, **arguments).eval()
    own = [key for key in network.state_dict() if "mean" not in key]
    # Both list their convolutions from head to tail.
    trained = [key for key in bundled.state_dict() if "mean" not in key]
    state_dict = network.state_dict()
    for key, official in zip(own, trained, strict=True):
        tensor = bundled.state_dict()[official].clone()
        if official.endswith((".body.2.weight", ".body.2.bias")):
            tensor /= residual_scale
        if official == "head.0.weight":
            tensor *= 255 / value_range
        if official.startswith("tail.1"):
            tensor /= 255 / value_range
        state_dict[key] = tensor
    network.load_state_dict(state_dict)
    path = tmp_path / "weights.pth"
    torch.save(kind.wrap(network.state_dict()), path)
    checkpoint = read_checkpoint(path)
    check_output(checkpoint, bundled_in_unit_range(bundled), picture, scale)
    check_output(checkpoint, network, picture, scale)
    assert checkpoint.metadata["residual_scale"] == f"{residual_scale:g}"
    assert checkpoint.metadata["value_range"] == str(value_range)
    guessed = [record for record in caplog.records if "By trying" in record.message]
    assert len(guessed) == (0 if kind.layout == "mmagic" else 1)


def bundled_in_unit_range(network):
    return lambda picture: network(picture * 255) / 255


def test_mean_tensors_that_are_not_used_need_not_be_there(tmp_path, picture):
    path = tmp_path / "weights.pt"
    network = SuperImageEdsr(2, 2, 4, 1.0)
    state_dict = network.state_dict()
    torch.save({key: each for key, each in state_dict.items() if "mean" not in key}, path)
    check_output(read_checkpoint(path, Stated("super-image")), network, picture, 2)
    with pytest.raises(WeightsError, match=r"tensor 'sub_mean\.weight' is missing"):
        read_checkpoint(path)


def test_what_is_stated_goes_before_the_layout(tmp_path, picture):
    path = tmp_path / "weights.pt"
    network = OfficialEdsr(2, 2, 4, 0.5, value_range=1.0)
    torch.save(network.state_dict(), path)
    stated = {"value_range": 1.0, "mean_shift": True, "residual_scale": 0.5}
    for layout in (None, "official", "super-image"):
        checkpoint = read_checkpoint(path, Stated(layout, **stated))
        check_output(checkpoint, network, picture, 2)
        assert checkpoint.metadata | {"layout": ""} == {
            "layout": "", "value_range": "1", "mean_shift": "yes", "residual_scale": "0.5",
        }  # fmt: skip


@pytest.mark.parametrize("kind", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_safetensors_with_keys_of_others_are_read(kind, tmp_path, picture):
    network = kind.network(2, 2, 4, 1.0)
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path, {"format": "pt"})
    check_output(
        read_checkpoint(path, Stated(kind.layout, residual_scale=1.0)), network, picture, 2
    )


@pytest.mark.parametrize("name", ["download", "model.pth", "MODEL.SAFETENSORS"])
def test_a_file_is_known_by_what_is_in_it(name, tiny_file):
    path = tiny_file.rename(tiny_file.with_name(name))
    assert read_checkpoint(path).metadata["name"] == "tiny"


def test_half_precision_is_widened_before_it_is_folded(tmp_path, picture):
    network = SuperImageEdsr(2, 2, 4, 1.0)
    half = copy.deepcopy(network).half()
    path = tmp_path / "weights.pt"
    torch.save(half.state_dict(), path)
    check_output(read_checkpoint(path, Stated("super-image")), half.float(), picture, 2)


def test_the_mean_is_the_papers(tmp_path):
    path = tmp_path / "weights.pth"
    save_tiny(EDSR_FILES["mmagic"], path)
    tensors = read_checkpoint(path).tensors
    expected = (255 * torch.tensor(RGB_MEAN)).numpy()
    assert np.array_equal(tensors["add_mean.bias"], expected)
    assert np.array_equal(tensors["sub_mean.bias"], -expected)
