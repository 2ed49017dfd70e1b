import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.checkpoints.torch_file import read_torch_file
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
@pytest.mark.parametrize("beside_tensors", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, save, beside_tensors):
    victim = tmp_path / "victim"
    path = tmp_path / "evil.pt"
    evil = Malicious(victim)
    save({"weight": torch.zeros(2), "evil": evil} if beside_tensors else evil, path)
    with pytest.raises(WeightsError) as caught:
        read_torch_file(path)
    assert not victim.exists()
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.WEIGHTS
    # The file is really dangerous: whoever trusts it creates the folder.
    if save is save_zip:
        assert f"{os.mkdir.__module__}.mkdir" in caught.value.message
        torch.load(path, weights_only=False)
        assert victim.is_dir()


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
        ({"params": {"a": torch.zeros(3)}}, "entry 'params' is a dict, not a tensor"),
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
