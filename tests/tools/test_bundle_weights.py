"""The script is run as its docstring says."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from edsr_cli.checkpoints.checkpoint import read_canonical
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build, tensors_of
from tests import forking

ABOUT = ("--name", "tiny", "--licence", "CC0-1.0", "--origin", "random")


@pytest.fixture
def convert(repository, tmp_path):
    def run(source, *options):
        tool = repository / "tools" / "bundle_weights.py"
        return forking.run(
            [sys.executable, tool, source, "out.safetensors", *options],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return run


def test_a_training_is_bundled_with_its_metadata(convert, tmp_path):
    from edsr_cli.checkpoints.checkpoint import save_canonical

    config = NetworkConfig("edsr", (2,), 2, 16)
    metadata = {"name": "a", "licence": "b", "origin": "c", "training": "{}"}
    save_canonical(tmp_path / "in.safetensors", tensors_of(build(config)), config, metadata)
    done = convert("in.safetensors", "--name", "tiny")
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "out.safetensors").read_bytes()
    assert done.stdout.splitlines() == [
        'file = "out.safetensors"',
        f"size = {len(content)}",
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
    ]
    assert len(content) < 0.6 * (tmp_path / "in.safetensors").stat().st_size
    assert read_canonical(tmp_path / "out.safetensors").metadata == metadata | {"name": "tiny"}


def test_a_state_dict_is_bundled_with_what_is_said_of_it(convert, tmp_path):
    network = build(NetworkConfig("edsr", (4,), 2, 4))
    torch.save(network.state_dict(), tmp_path / "in.pt")
    stated = ("--layout", "official", "--value-range", "255", "--mean-shift")
    stated += ("--residual-scale", "1")
    done = convert("in.pt", *stated, *ABOUT)
    assert done.returncode == 0, done.stderr
    read = read_canonical(tmp_path / "out.safetensors")
    assert read.config == network.config
    assert read.metadata == {"name": "tiny", "licence": "CC0-1.0", "origin": "random"}
    for key, tensor in tensors_of(network).items():
        assert np.allclose(read.tensors[key], tensor, rtol=2**-11, atol=1e-7)


def test_what_is_missing_is_said(convert, tmp_path):
    done = convert("none.pt", *ABOUT)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such file" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out.safetensors").exists()
