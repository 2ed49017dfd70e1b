"""Weight files to read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from edsr_cli.checkpoints.checkpoint import save_canonical
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build, tensors_of

METADATA = {"name": "tiny", "licence": "CC0-1.0", "origin": "random"}


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """Small networks gain nothing from threads, and lose much when other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """A canonical file of a tiny EDSR x2 network, 2 blocks of 4 features."""
    path = tmp_path / "tiny.safetensors"
    config = NetworkConfig("edsr", (2,), 2, 4)
    save_canonical(path, tensors_of(build(config)), config, METADATA)
    return path


@pytest.fixture
def rewrite(tiny_file: Path) -> Callable[..., Path]:
    """Write `tiny_file` again with some of its metadata or tensors changed; None removes one.

    This goes around `save_canonical`, which refuses to write what is wrong.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    def write(
        metadata: dict[str, str | None] | None = None,
        tensors: dict[str, torch.Tensor | None] | None = None,
    ) -> Path:
        with safe_open(tiny_file, framework="pt") as file:
            strings = file.metadata() | (metadata or {})
            contents = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        contents |= tensors or {}
        save_file(
            {key: value for key, value in contents.items() if value is not None},
            tiny_file,
            {key: value for key, value in strings.items() if value is not None} or None,
        )
        return tiny_file

    return write


@pytest.fixture
def same_weights_every_time() -> Iterator[None]:
    """Random weights are the same whichever tests run before."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
