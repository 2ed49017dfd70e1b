"""Files and statements that are refused, and the tensor that is named as it is in the file."""

import re

import numpy as np
import pytest
import torch

from edsr_cli.checkpoints.checkpoint import read_canonical
from edsr_cli.checkpoints.convention import Stated
from edsr_cli.checkpoints.layouts import LAYOUTS
from edsr_cli.checkpoints.reader import read_checkpoint
from edsr_cli.errors import ExitCode, UsageError, WeightsError
from tests.checkpoints.published import (
    EDSR_FILES,
    ONE_OF_EACH,
    OfficialEdsr,
    SuperImageMdsr,
    prefixed,
    save_tiny,
)

pytestmark = pytest.mark.usefixtures("same_weights_every_time")


@pytest.mark.parametrize("kind", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_a_missing_or_misshapen_tensor_is_named_as_in_the_file(kind, tmp_path):
    path = tmp_path / "weights.pth"
    prefix = "generator." if kind.layout == "mmagic" else ""
    state_dict = kind.network(4, 2, 4, 1.0).state_dict()
    for key, tensor in state_dict.items():
        name = re.escape(repr(prefix + key))
        torch.save(kind.wrap({k: t for k, t in state_dict.items() if k != key}), path)
        with pytest.raises(WeightsError, match=rf"weights\.pth: tensor {name} is missing"):
            read_checkpoint(path, Stated(kind.layout, residual_scale=1.0))
        torch.save(kind.wrap({**state_dict, key: tensor[..., None, None]}), path)
        with pytest.raises(WeightsError, match=rf"weights\.pth: tensor {name} has (shape|\d dim)"):
            read_checkpoint(path, Stated(kind.layout, residual_scale=1.0))


@pytest.mark.parametrize("kind", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
@pytest.mark.parametrize("stray", ["body.9.something.weight", "extra", "upsampler.7.bias"])
def test_a_tensor_too_many_is_named_as_in_the_file(kind, stray, tmp_path):
    path = tmp_path / "weights.pth"
    save_tiny(kind, path, **{stray: torch.zeros(4)})
    prefix = "generator." if kind.layout == "mmagic" else ""
    with pytest.raises(WeightsError, match=re.escape(f"{prefix}{stray}' is not part of")):
        read_checkpoint(path, Stated(kind.layout, residual_scale=1.0))


def test_a_key_without_its_prefix_is_not_part_of_the_network(tmp_path):
    path = tmp_path / "weights.pt"
    state_dict = prefixed(OfficialEdsr(2, 2, 4, 1.0).state_dict(), "module.")
    torch.save(state_dict | {"head.0.bias": torch.zeros(4)}, path)
    with pytest.raises(WeightsError, match=r"tensor 'head\.0\.bias' is not part of"):
        read_checkpoint(path, Stated("official", residual_scale=1.0))


@pytest.mark.parametrize("absent", ["pre_process.3.0.body.0.0.weight", "upsample.3.0.0.weight"])
def test_a_branch_that_is_not_whole_is_named(absent, tmp_path):
    path = tmp_path / "weights.pt"
    state_dict = SuperImageMdsr(3, 2, 4).state_dict()
    del state_dict[absent]
    torch.save(state_dict, path)
    with pytest.raises(WeightsError, match=rf"tensor '{re.escape(absent)}' is missing"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "stated", "message"),
    [
        ({}, {"value_range": 1.0}, r"'(sub|add)_mean\.bias' is \[.*0\.\.1\. Give --value-range"),
        ({"add_mean.bias": torch.zeros(3)}, {}, r"'add_mean\.bias' is \[0\.0, 0\.0, 0\.0\]"),
        ({"sub_mean.weight": torch.ones(3, 3, 1, 1)}, {}, r"'sub_mean\.weight' is \[1\.0, 1\.0"),
    ],
)
def test_mean_tensors_that_are_used_must_be_right(changes, stated, message, tmp_path):
    path = tmp_path / "weights.pt"
    save_tiny(EDSR_FILES["official"], path, **changes)
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(path, Stated("official", residual_scale=1.0, **stated))
    # The same tensors do not matter where they are not used.
    shift = read_checkpoint(path, Stated("super-image")).tensors
    assert not shift["add_mean.bias"].any()
    assert np.array_equal(shift["sub_mean.weight"], np.eye(3).reshape(3, 3, 1, 1))


def test_random_weights_are_not_guessed_at(tmp_path):
    path = tmp_path / "weights.pt"
    save_tiny(EDSR_FILES["official"], path)
    with pytest.raises(WeightsError, match=r"not work in any known way.*--value-range") as caught:
        read_checkpoint(path)
    assert caught.value.exit_code == ExitCode.WEIGHTS
    assert "\n" not in str(caught.value)


def test_another_layout_than_the_stated_is_not_taken(tmp_path):
    path = tmp_path / "weights.pth"
    save_tiny(EDSR_FILES["basicsr"], path)
    with pytest.raises(WeightsError, match=r"not have the names of layout 'mmagic'.*of basicsr\."):
        read_checkpoint(path, Stated("mmagic"))
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"tensor 'conv_first\.weight' is missing"):
        read_checkpoint(path, Stated("mmagic"))
    with pytest.raises(WeightsError, match="do not have the names of an EDSR or MDSR network"):
        read_checkpoint(path)


def test_a_canonical_file_needs_no_statement_and_takes_none(tiny_file):
    assert read_checkpoint(tiny_file).metadata == read_canonical(tiny_file).metadata
    # What the registry knows of the bundled files is no contradiction.
    stated = {"value_range": 255.0, "mean_shift": True, "residual_scale": 1.0}
    assert read_checkpoint(tiny_file, Stated("canonical", **stated)).config.blocks == 2
    for wrong in ({"layout": "official"}, {"residual_scale": 0.1}):
        with pytest.raises(WeightsError, match="says by itself what it holds"):
            read_checkpoint(tiny_file, Stated(**wrong))


@pytest.mark.parametrize(
    "stated",
    [
        {"layout": "keras"},
        {"value_range": 65535},
        {"residual_scale": 0.0},
        {"residual_scale": float("nan")},
        {"residual_scale": float("inf")},
    ],
)
def test_nonsense_is_not_stated(stated, tiny_file):
    with pytest.raises(UsageError) as caught:
        read_checkpoint(tiny_file, Stated(**stated))
    assert caught.value.exit_code == ExitCode.USAGE
    if "layout" in stated:
        assert all(layout.name in caught.value.hint for layout in LAYOUTS)
