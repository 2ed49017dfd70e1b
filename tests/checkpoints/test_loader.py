import json
import shutil
from pathlib import Path

import pytest
import torch

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.checkpoint import save_canonical
from edsr_cli.checkpoints.convention import Stated
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build, tensors_of

METADATA = {"name": "tiny", "licence": "MIT", "origin": "random"}


def test_the_default_is_edsr_free_x4_ready_for_inference():
    loaded = load_network()
    assert (loaded.name, loaded.scale, loaded.licence) == ("edsr-free", 4, "CC0-1.0")
    assert loaded.origin
    assert loaded.path.name == "edsr-free-x4.safetensors"
    assert not loaded.network.training
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_bundled_networks_upscale(scale):
    """They were trained: a smooth picture comes out as the same one, only larger."""
    ramp = torch.linspace(60, 180, 64).expand(1, 3, 64, 64)
    sr = load_network("edsr-free", scale).network(ramp)
    wanted = torch.nn.functional.interpolate(ramp, scale_factor=scale, mode="bicubic")
    inner = (..., slice(20 * scale, -20 * scale), slice(20 * scale, -20 * scale))
    torch.testing.assert_close(sr[inner], wanted[inner], rtol=0, atol=3.0)


def test_every_kind_of_file_gives_the_same_picture_as_the_network(tiny_network, tmp_path):
    config = tiny_network.config
    canonical = tmp_path / "tiny.safetensors"
    save_canonical(canonical, tensors_of(tiny_network), config, METADATA)
    paths = [canonical, tmp_path / "tiny.pt", tmp_path / "TINY.PTH", tmp_path / "pytorch_model.bin"]
    for path in paths[1:]:
        torch.save(tiny_network.state_dict(), path)
    picture = torch.rand(1, 3, 6, 5) * 255
    for path in paths:
        # Nothing in the tensors tells that a tiny network was built with a residual scale.
        stated = Stated("official", residual_scale=config.residual_scale)
        loaded = load_network(
            str(path), config.scales[0], Stated() if path == canonical else stated
        )
        assert loaded.config.residual_scale == 1.0
        scale = config.scales[0]
        torch.testing.assert_close(loaded.network(picture, scale), tiny_network(picture, scale))
        named = ("tiny", "MIT") if path == canonical else (path.stem, "none stated")
        assert (loaded.name, loaded.licence) == named


def test_the_weights_of_an_unknown_file_are_tried(tmp_path, caplog):
    bundled = load_network("edsr-free", 2).network
    path = tmp_path / "weights.pt"
    torch.save(bundled.state_dict(), path)
    loaded = load_network(path)
    picture = torch.rand(1, 3, 6, 5) * 255
    torch.testing.assert_close(loaded.network(picture), bundled(picture))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "By trying: values in 0..255, mean shift, residual scale 1." in caplog.text


def test_nothing_is_said_about_a_model_of_the_registry():
    with pytest.raises(UsageError, match=r"'edsr-free' is a model that is known.*for files"):
        load_network("edsr-free", 2, Stated(residual_scale=0.1))


def save_tiny(path: Path, config: NetworkConfig) -> Path:
    save_canonical(path, tensors_of(build(config)), config, METADATA)
    return path


def test_a_files_only_scale_is_its_default(tiny_file):
    assert load_network(tiny_file).scale == 2
    with pytest.raises(WeightsError, match=r"tiny\.safetensors: it has no scale x4\. It has x2\."):
        load_network(tiny_file, 4)


def test_a_file_of_several_scales_has_4_as_its_default(tmp_path):
    all_scales = NetworkConfig("mdsr", (2, 3, 4), 2, 4)
    path = save_tiny(tmp_path / "a.safetensors", all_scales)
    assert [load_network(path, scale).scale for scale in (None, 2, 3)] == [4, 2, 3]
    path = save_tiny(tmp_path / "b.safetensors", NetworkConfig("mdsr", (2, 3), 2, 4))
    with pytest.raises(WeightsError, match=r"has no scale x4\. It has x2, x3\."):
        load_network(path)


@pytest.mark.parametrize(
    ("model", "scale", "message"),
    [
        ("edsr-free", 5, r"'edsr-free' has no scale x5\. It has x2, x3, x4\."),
        ("esdr", None, r"no model and no file 'esdr'\. Did you mean edsr\? Models: edsr-free"),
        ("none.pt", None, r"none\.pt: there is no such file"),
        ("none.safetensors", 2, r"none\.safetensors: there is no such file"),
    ],
)
def test_what_is_not_there_is_refused(model, scale, message):
    with pytest.raises(WeightsError, match=message):
        load_network(model, scale)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"something")
    with pytest.raises(WeightsError, match=r"onnx: it is not a weights file.*\.safetensors"):
        load_network(path)
    path.rename(tmp_path / "weights.ckpt")
    with pytest.raises(WeightsError, match=r"weights\.ckpt: it is not a whole PyTorch file"):
        load_network(tmp_path / "weights.ckpt")
    with pytest.raises(WeightsError, match="is a folder"):
        load_network(tmp_path)
    path = tmp_path / "weights.pt"
    torch.save({"conv_first.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"not have the names of an EDSR .* official, torchsr"):
        load_network(path)


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    """A copy of the bundled weights that may be damaged."""
    folder = tmp_path / "weights"
    folder.mkdir()
    source = registry.weights_folder()
    for name in ("registry.toml", "edsr-free-x2.safetensors"):
        shutil.copy(source / name, folder)
    monkeypatch.setattr(registry, "weights_folder", lambda: folder)
    registry.rows.cache_clear()
    yield folder
    registry.rows.cache_clear()


def test_a_flipped_bit_in_a_bundled_file_is_noticed(own_weights):
    path = own_weights / "edsr-free-x2.safetensors"
    assert load_network("edsr-free", 2).path == path
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"x2\.safetensors: it is damaged.*Reinstall"):
        load_network("edsr-free", 2)
    with pytest.raises(WeightsError, match=r"x3\.safetensors: it cannot be read.*Reinstall"):
        load_network("edsr-free", 3)


def test_a_bundled_file_must_hold_the_listed_network(own_weights):
    path = own_weights / "registry.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("blocks = 16", "blocks = 17"))
    with pytest.raises(WeightsError, match="does not hold the network that is listed for it"):
        load_network("edsr-free", 2)


def test_the_bundled_files_say_what_they_are():
    bundled_rows = [row for row in registry.rows() if row.bundled]
    assert bundled_rows
    for row in bundled_rows:
        loaded = load_network(row.name, row.scales[0])
        assert (loaded.name, loaded.licence, loaded.origin) == (row.name, row.licence, row.origin)
        assert json.dumps(loaded.config.to_dict()) == json.dumps(row.config.to_dict())
