import contextlib
import io
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.checkpoints.files import WRAPPERS, read_torch_file
from edsr_cli.checkpoints.reader import read_checkpoint
from edsr_cli.checkpoints.store.cache import read_header, tensors_sha256
from edsr_cli.errors import ExitCode, WeightsError


class Malicious:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def save_zip(content: object, path: Path) -> None:
    torch.save(content, path)


def save_legacy(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_newer_protocol(content: object, path: Path) -> None:
    torch.save(content, path, pickle_protocol=3)  # torch warns of any but 2


def save_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_newer_protocol])
def test_a_flat_state_dict_is_read(tmp_path, save):
    path = tmp_path / "a.pt"
    tensors = {"a.weight": torch.rand(2, 3), "b": torch.rand(4).half()}
    save(tensors, path)
    read = read_torch_file(path)
    assert read.keys() == tensors.keys()
    assert all(np.array_equal(read[key], tensor) for key, tensor in tensors.items())


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
@pytest.mark.parametrize(
    "around",
    [
        lambda evil: evil,
        lambda evil: {"weight": torch.zeros(2), "evil": evil},
        lambda evil: {"params": {"weight": torch.zeros(2)}, "meta": evil},
        lambda evil: {"state_dict": OrderedDict(weight=torch.zeros(2), evil=[evil])},
    ],
    ids=["alone", "beside a tensor", "beside a wrapped state dict", "inside one"],
)
def test_code_in_a_file_is_refused_and_not_run(tmp_path, save, around):
    victim = tmp_path / "victim"
    path = tmp_path / "evil.pt"
    save(around(Malicious(victim)), path)
    with pytest.raises(WeightsError) as caught:
        read_torch_file(path)
    assert not victim.exists()
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.WEIGHTS
    # The file is really dangerous: whoever trusts it creates the folder.
    if save is save_pickle:
        pickle.loads(path.read_bytes())
    else:
        assert f"{os.mkdir.__module__}.mkdir" in caught.value.message
        torch.load(path, weights_only=False)
    assert victim.is_dir()


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_state_dict_is_read(tmp_path, save, wrapper):
    path = tmp_path / "a.pt"
    state_dict = OrderedDict(a=torch.rand(2))
    save({"epoch": 3, "optimizer": {"lr": [0.1]}, wrapper: state_dict}, path)
    assert np.array_equal(read_torch_file(path)["a"], state_dict["a"])


def test_of_two_state_dicts_the_averaged_one_is_read(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}, path)
    assert read_torch_file(path)["a"] == 1


def test_a_wrapper_inside_a_wrapper_is_taken_off_too(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"model": {"state_dict": {"a": torch.ones(1)}, "epoch": 1}}, path)
    assert read_torch_file(path)["a"] == 1


def test_a_whole_module_is_refused_by_name(tmp_path):
    path = tmp_path / "module.pth"
    torch.save(torch.nn.Conv2d(1, 1, 1), path)
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.conv\.Conv2d.*state_dict"):
        read_torch_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds a Tensor, not a state dict"),
        ([torch.zeros(3)], "holds a list, not a state dict"),
        ({"other": {"a": torch.zeros(3)}}, "entry 'other' is a dict, not a tensor"),
        ({"params": {"params": {}, "a": 1}, "b": 2}, "holds no tensors"),
        ({"state_dict": {"epoch": 3}}, "entry 'epoch' is a int"),
        ({}, "holds no tensors"),
        ({3: torch.zeros(3)}, "entry 3 is a Tensor"),
        ({"a": 1.5}, "entry 'a' is a float"),
    ],
)
def test_anything_but_a_flat_state_dict_is_refused(tmp_path, content, message):
    path = tmp_path / "a.pt"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=message):
        read_torch_file(path)


@settings(max_examples=60)
@given(part=st.floats(0, 1, exclude_max=True), legacy=st.booleans())
def test_a_file_cut_off_anywhere_is_refused(tmp_path, part, legacy):
    path = tmp_path / "a.pt"
    (save_legacy if legacy else save_zip)({"a": torch.rand(200)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    # Cut within a class's name, an old file wants to use something that is not allowed.
    with pytest.raises(WeightsError, match=r"is empty|is not a whole PyTorch file|was not loaded"):
        read_torch_file(path)


@settings(max_examples=100)
@given(content=st.binary(min_size=1, max_size=100))
def test_any_other_bytes_are_refused(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.pt"):
        read_torch_file(path)


def expanded(*shape):
    return torch.zeros(1).expand(*shape)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_views_that_stand_for_more_than_the_file_has_are_refused(tmp_path, save):
    """A file of some kilobytes that asks for gigabytes."""
    path = tmp_path / "a.pt"
    save({f"body.{i}.weight": expanded(4096, 4096, 3, 3) for i in range(8)}, path)
    assert path.stat().st_size < 10_000
    with pytest.raises(WeightsError, match=r"stand for 4,831,838,208 bytes.*clone"):
        read_torch_file(path)
    save({"a": torch.rand(3, 4).T, "b": torch.rand(5)[1:]}, path)  # views that do not
    assert read_torch_file(path)["a"].shape == (4, 3)


@pytest.mark.parametrize("entry", ["data.pkl", "data/0", "version"])
def test_compressed_parts_are_refused(tmp_path, entry):
    """They could unpack to anything: 3 MB took 6.3 GB."""
    path, packed = tmp_path / "a.pt", tmp_path / "packed.pt"
    torch.save({"a": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w") as new:
        for info in old.infolist():
            deflated = info.filename.endswith(entry)
            kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
            new.writestr(info.filename, old.read(info), kind)
    assert torch.load(packed)["a"].shape == (1000,)
    with pytest.raises(WeightsError, match="its parts are compressed"):
        read_torch_file(packed)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize("wrapper", [WRAPPERS[0], WRAPPERS[-1]])
def test_a_dictionary_that_holds_itself_is_refused(tmp_path, save, wrapper):
    path, content = tmp_path / "a.pt", {}
    content[wrapper] = content
    save(content, path)
    with pytest.raises(WeightsError, match="without end"):
        read_torch_file(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: torch.zeros(3, device="meta"), "meta tensor"),
        (lambda: torch.eye(3).to_sparse(), "sparse tensor"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "quantised tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_without_plain_numbers_are_refused(tmp_path, make, words):
    path = tmp_path / "a.pt"
    torch.save({"good": torch.zeros(2), "bad": make()}, path)
    with pytest.raises(WeightsError, match=words) as caught:
        read_torch_file(path)
    assert "'bad'" in caught.value.message


def test_names_without_end_are_cut_in_messages(tmp_path):
    path, deep = tmp_path / "a.pt", ()
    for _ in range(100):
        deep = (deep,)
    for content in ({"x" * 10**6: 1}, {deep: torch.zeros(1)}):
        torch.save(content, path)
        with pytest.raises(WeightsError) as caught:
            read_torch_file(path)
        assert len(str(caught.value)) < 500 + len(str(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_pipes_and_devices_are_refused_unread(tmp_path, name):
    os.mkfifo(tmp_path / name)
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    for path in (tmp_path / name, tmp_path / f"zero-{name}"):
        with pytest.raises(WeightsError, match="a pipe or a device"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"__metadata__":{"config":"' + b"[" * 100_000 + b'","format_version":"1"}}',
        b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}',
    ],
    ids=["lists", "objects", "config", "shape"],
)
def test_deep_and_odd_headers_of_safetensors(tmp_path, header):
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        read_checkpoint(path)
    with path.open("rb") as file, contextlib.suppress(ValueError):  # that, or nothing
        read_header(file)
        file.seek(0)
        tensors_sha256(file)


def test_a_header_that_is_too_long(tmp_path):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write((10**8 - 1).to_bytes(8, "little") + b"{}")
        file.truncate(10**8)  # most of it is a hole
    with pytest.raises(WeightsError, match="header is too long"):
        read_checkpoint(path)


def test_tensors_that_share_bytes_are_not_read_again_and_again(tmp_path):
    entry = {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}
    header = json.dumps({f"t{i}": entry for i in range(50)}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(4000)
    with pytest.raises(ValueError, match="the same bytes"):
        tensors_sha256(io.BytesIO(content))
