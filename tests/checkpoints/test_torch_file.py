import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.checkpoints.torch_file import WRAPPERS, read_torch_file
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
    assert all(torch.equal(read[key], tensor) for key, tensor in tensors.items())


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
    assert torch.equal(read_torch_file(path)["a"], state_dict["a"])


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
