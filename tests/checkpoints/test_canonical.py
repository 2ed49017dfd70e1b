import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from edsr_cli.checkpoints.checkpoint import fold_residual_scale, read_canonical, save_canonical
from edsr_cli.errors import ExitCode, WeightsError
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build, tensors_of

METADATA = {"name": "tiny", "licence": "CC0-1.0", "origin": "random"}


def test_what_is_saved_is_read_with_the_residual_scale_folded(tiny_network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    metadata = METADATA | {"note": "Überaus\nklein", "another": ""}
    save_canonical(path, tensors_of(tiny_network), tiny_network.config, metadata)
    checkpoint = read_canonical(path)
    folded, config = fold_residual_scale(tensors_of(tiny_network), tiny_network.config)
    assert checkpoint.config == config
    assert checkpoint.config.residual_scale == 1.0
    assert checkpoint.metadata == metadata
    assert checkpoint.tensors.keys() == folded.keys()
    for key, tensor in folded.items():
        assert np.array_equal(checkpoint.tensors[key], tensor), key


def test_the_same_weights_give_the_same_bytes(tiny_file, tmp_path):
    checkpoint = read_canonical(tiny_file)
    again = tmp_path / "again.safetensors"
    # Not in the order in which they were written first.
    metadata = dict(reversed(checkpoint.metadata.items()))
    save_canonical(again, checkpoint.tensors, checkpoint.config, metadata)
    content = again.read_bytes()
    assert content == tiny_file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    strings = json.loads(content[8 : 8 + length])["__metadata__"]
    assert list(strings) == ["config", "format_version", "licence", "name", "origin"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(rewrite, tiny_file, dtype):
    before = read_canonical(tiny_file).tensors
    tensors = {key: torch.from_numpy(each).to(dtype) for key, each in before.items()}
    read = read_canonical(rewrite(tensors=tensors)).tensors
    assert all(np.array_equal(read[key], tensor.float()) for key, tensor in tensors.items())


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_kernels_are_stored_as_asked_and_read_as_fp32(tiny_network, tmp_path, dtype):
    path = tmp_path / "tiny.safetensors"
    save_canonical(path, tensors_of(tiny_network), tiny_network.config, METADATA, dtype)
    stored = load_file(path)
    read = read_canonical(path).tensors
    folded, _ = fold_residual_scale(tensors_of(tiny_network), tiny_network.config)
    for key, tensor in folded.items():
        assert stored[key].dtype == (dtype if tensor.ndim > 1 else np.float32), key
        assert read[key].dtype == np.float32
        # fp16 has 11 bits.
        assert np.allclose(read[key], tensor, rtol=2**-11 if tensor.ndim > 1 else 0, atol=1e-7)


def test_sixteen_bits_halve_a_file_and_give_the_same_bytes_again(tmp_path):
    config = NetworkConfig("edsr", (2,), 2, 32)
    sizes = []
    for dtype in (np.float32, np.float16):
        path, again = tmp_path / f"{dtype.__name__}.a", tmp_path / "again"
        save_canonical(path, tensors_of(build(config)), config, METADATA, dtype)
        save_canonical(again, read_canonical(path).tensors, config, METADATA, dtype)
        assert path.read_bytes() == again.read_bytes()
        sizes.append(path.stat().st_size)
    assert sizes[1] < 0.55 * sizes[0]


def test_what_sixteen_bits_cannot_hold_is_refused(tmp_path):
    config = NetworkConfig("edsr", (2,), 2, 4)
    state = tensors_of(build(config))
    state["head.0.weight"][0, 0, 0, 0] = 70_000
    with pytest.raises(
        WeightsError, match=r"'head\.0\.weight' has values beyond the 65504 of fp16"
    ):
        save_canonical(tmp_path / "a", state, config, METADATA, np.float16)
    assert not list(tmp_path.iterdir())
    save_canonical(tmp_path / "a", state, config, METADATA)
    with pytest.raises(ValueError, match="fp32 or fp16"):
        save_canonical(tmp_path / "b", state, config, METADATA, np.float64)


def test_what_was_read_does_not_depend_on_the_file_any_more(tiny_file):
    checkpoint = read_canonical(tiny_file)
    before = {key: tensor.copy() for key, tensor in checkpoint.tensors.items()}
    with tiny_file.open("r+b") as file:
        file.write(bytes(tiny_file.stat().st_size))
    assert all(np.array_equal(checkpoint.tensors[key], before[key]) for key in before)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        METADATA | {"licence": ""},
        METADATA | {"config": "{}"},
        METADATA | {"format_version": "1"},
    ],
)
def test_metadata_that_are_not_the_callers_are_a_mistake(tmp_path, metadata):
    config = NetworkConfig("edsr", (2,), 2, 4)
    with pytest.raises(ValueError, match="metadata must"):
        save_canonical(tmp_path / "a", tensors_of(build(config)), config, metadata)
    assert not list(tmp_path.iterdir())


def test_wrong_tensors_are_not_written_and_the_old_file_stays(tiny_file):
    before = tiny_file.read_bytes()
    config = NetworkConfig("edsr", (2,), 2, 4)
    with pytest.raises(WeightsError, match=r"tiny\.safetensors: tensor 'tail\.0\.0\.weight'"):
        save_canonical(
            tiny_file, tensors_of(build(NetworkConfig("edsr", (3,), 2, 4))), config, METADATA
        )
    assert tiny_file.read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tiny_file, monkeypatch):
    before = tiny_file.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    config = NetworkConfig("edsr", (2,), 2, 4)
    with pytest.raises(WeightsError, match=r"tiny\.safetensors.* written: the disk is full"):
        save_canonical(tiny_file, tensors_of(build(config)), config, METADATA)
    assert tiny_file.read_bytes() == before
    assert list(tiny_file.parent.iterdir()) == [tiny_file]


def test_a_folder_that_is_missing_is_said(tmp_path):
    config = NetworkConfig("edsr", (2,), 2, 4)
    with pytest.raises(WeightsError, match="written: its folder does not exist"):
        save_canonical(tmp_path / "no" / "a", tensors_of(build(config)), config, METADATA)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format_version": None}, "not one of edsr's"),
        ({"format_version": "2"}, "in format 1 .*'2'"),
        ({"config": None}, "describe no network"),
        ({"config": "{"}, "describe no network"),
        ({"config": "[]"}, "describe no network"),
        ({"config": "{}"}, "describe no network"),
        ({"config": "[" * 100_000}, "describe no network"),
        ({"name": None}, "no 'name'"),
        ({"licence": ""}, "no 'licence'"),
        ({"origin": None}, "no 'origin'"),
    ],
)
def test_wrong_metadata_are_named(rewrite, metadata, message):
    path = rewrite(metadata=metadata)
    with pytest.raises(WeightsError, match=message) as caught:
        read_canonical(path)
    assert str(path) in caught.value.message
    assert caught.value.exit_code == ExitCode.WEIGHTS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "gan"}, "describe no network"),
        ({"scales": [8]}, "describe no network"),
        ({"scales": []}, "describe no network"),
        ({"scales": None}, "describe no network"),
        ({"blocks": float("inf")}, "describe no network"),
        ({"residual_scale": 0.1}, "residual_scale 0.1"),
        ({"residual_scale": float("nan")}, "residual_scale nan"),
        ({"blocks": 3}, r"tensor 'body\.2\.body\.0\.weight' is missing"),
        ({"blocks": 10**12}, r"tensor 'body\.2\.body\.0\.weight' is missing"),
        ({"features": 8}, r"'head\.0\.weight' has shape \(4, 3, 3, 3\), not \(8, 3, 3, 3\)"),
        ({"scales": [4]}, r"tensor 'tail\.0\.2\.weight' is missing"),
    ],
)
def test_metadata_of_another_network_are_refused(rewrite, change, message):
    config = NetworkConfig("edsr", (2,), 2, 4).to_dict() | change
    path = rewrite(metadata={"config": json.dumps(config)})
    with pytest.raises(WeightsError, match=message):
        read_canonical(path)


@pytest.mark.parametrize(
    ("key", "tensor", "message"),
    [
        ("add_mean.bias", None, "is missing"),
        ("extra", torch.zeros(2), "is not part of this network"),
        ("head.0.bias", torch.zeros(5), r"has shape \(5,\), not \(4,\)"),
        ("head.0.bias", torch.zeros(4, dtype=torch.int64), "of type int64, not fp16 or fp32"),
        ("head.0.bias", torch.zeros(4).double(), "of type float64, not fp16 or fp32"),
        ("head.0.bias", torch.full((4,), float("nan")), "not finite"),
    ],
)
def test_wrong_tensors_are_named(rewrite, key, tensor, message):
    path = rewrite(tensors={key: tensor})
    with pytest.raises(WeightsError, match=message) as caught:
        read_canonical(path)
    assert caught.value.message.startswith(f"{path}: tensor {key!r} ")


def test_a_safetensors_file_of_something_else_is_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="is a safetensors file, but not one of edsr's"):
        read_canonical(path)


@settings(max_examples=60)
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_is_refused(tiny_file, tmp_path, part):
    content = tiny_file.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(WeightsError, match=r"is empty|is not a whole safetensors file") as caught:
        read_canonical(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=60)
@given(content=st.binary(min_size=1, max_size=200))
def test_any_other_bytes_are_refused(tmp_path, content):
    path = tmp_path / "bytes.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"bytes\.safetensors"):
        read_canonical(path)


def test_missing_and_folders_are_told_apart(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        read_canonical(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="is a folder"):
        read_canonical(tmp_path)
