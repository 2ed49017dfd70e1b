"""Digests of files, and of tensors."""

import io
import shutil
import subprocess

import pytest
import torch
from safetensors.torch import save

from edsr_cli.checkpoints.registry import Source
from edsr_cli.checkpoints.store.cache import file_digests, mismatch, tensors_sha256


def test_digests_of_a_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"hello\n")
    found = file_digests(path)
    assert found.size == 6
    assert found.sha256 == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert found.git_blob == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
    if shutil.which("git"):
        asked = subprocess.run(["git", "hash-object", path], capture_output=True, text=True)
        assert asked.stdout.strip() == found.git_blob
    path.write_bytes(b"jello\n")
    assert file_digests(path).sha256 != found.sha256


def test_a_mismatch_shows_expected_and_found(tmp_path):
    (tmp_path / "a").write_bytes(b"hello\n")
    found = file_digests(tmp_path / "a")

    def source(**facts):
        return Source("url", "official", url="https://example.org/a", **facts)

    right = source(size=6, sha256=found.sha256, git_blob=found.git_blob)
    assert mismatch(right, found) == ""
    assert mismatch(source(sha256_prefix="5891b5b5"), found, found.sha256) == ""
    assert mismatch(source(size=7), found) == "wrong size: expected 7 bytes, found 6"
    for kind, digest, actual in (
        ("sha256", "0" * 64, found.sha256),
        ("sha256_prefix", "00000000", found.sha256),
        ("git_blob", "0" * 40, found.git_blob),
    ):
        text = mismatch(source(**{kind: digest}), found)
        assert digest in text and actual in text and text.startswith("wrong digest")
    assert "wrong digest" in mismatch(source(), found, "0" * 64)


TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(2)}


def digest(tensors, metadata=None) -> str:
    return tensors_sha256(io.BytesIO(save(tensors, metadata)))


def test_the_digest_of_tensors_does_not_depend_on_metadata_or_order():
    expected = digest(TENSORS)
    assert digest(dict(reversed(TENSORS.items())), {"name": "x"}) == expected


@pytest.mark.parametrize(
    "other",
    [
        {"b": TENSORS["b"], "a": torch.zeros(2)},
        {"b": TENSORS["b"].reshape(3, 2), "a": TENSORS["a"]},
        {"c": TENSORS["b"], "a": TENSORS["a"]},
        {"b": TENSORS["b"].view(torch.int32), "a": TENSORS["a"]},
        {"b": TENSORS["b"]},
    ],
)
def test_the_digest_of_tensors_covers_values_shapes_names_and_types(other):
    assert digest(other) != digest(TENSORS)


@pytest.mark.parametrize("cut", [0, 5, 20, -1])
def test_what_is_no_whole_file_has_no_digest(cut):
    with pytest.raises(ValueError, match=r"cut off|no safetensors"):
        tensors_sha256(io.BytesIO(save(TENSORS)[:cut]))


@pytest.mark.parametrize(
    "header", [b"[]", b"{}x", b'{"a": 1}', b'{"a": {"dtype": 1, "shape": 2, "data_offsets": 3}}']
)
def test_a_header_that_makes_no_sense_is_refused(header):
    with pytest.raises(ValueError):
        tensors_sha256(io.BytesIO(len(header).to_bytes(8, "little") + header))
