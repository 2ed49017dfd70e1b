"""A tiny model, servers that have it, and a cache folder."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.registry import ModelRow
from edsr_cli.checkpoints.store.cache import problem
from edsr_cli.checkpoints.store.fetching import Options, fetch_row
from edsr_cli.checkpoints.store.https import Patience
from edsr_cli.checkpoints.store.local import Fetched
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build
from tests import forking
from tests.checkpoints.store.command import PATIENCE
from tests.checkpoints.store.server import CERTIFICATE, Server, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_PATH = f"/owner/tiny/resolve/{COMMIT}/tiny.pt"
CONFIG = NetworkConfig("edsr", (2,), 2, 8)

ROW = """
[[model]]
name = "tiny"
scales = [2]
architecture = "edsr"
blocks = 2
features = 8
residual_scale = 1.0
value_range = 255.0
mean_shift = true
licence = "none stated"
origin = "A test"
psnr = []
"""


@pytest.fixture(scope="session")
def tiny_bytes() -> bytes:
    """A published file: the state dict of a tiny EDSR x2 in the official layout, about 40 kB."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state_dict = build(CONFIG).state_dict()
    file = io.BytesIO()
    torch.save(state_dict, file)
    return file.getvalue()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the test server's certificate a trusted one, and clear what else has an influence."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("HF_") or name == "EDSR_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture
def server(trusted: None) -> Iterator[Server]:
    """An HTTPS server, whose certificate is trusted."""
    with serving(tls=True) as running:
        yield running


@pytest.fixture
def hub_server(trusted: None) -> Iterator[Server]:
    """An HTTP server for HF_ENDPOINT."""
    with serving(tls=False) as running:
        yield running


@dataclass
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


class Setup:
    """A registry of one model, a cache folder, and ways to fetch the one into the other."""

    def __init__(self, folder: Path, repository: Path, content: bytes) -> None:
        self.cache, self.repository, self.content = folder / "cache", repository, content
        self.registry, self.home = folder / "registry.toml", folder / "hf"
        self.model, self.layout, self.sources = ROW, "official", list[str]()
        self.processes: list[subprocess.Popen[str]] = []
        self.sha256 = hashlib.sha256(content).hexdigest()

    def source(self, url: str = "", **facts: Any) -> None:
        """Add a source: a URL, or the repository on the hub server."""
        facts = {"sha256": self.sha256} | facts
        if url:
            facts = {"kind": "url", "url": url} | facts
        else:
            place = {"repo": "owner/tiny", "revision": COMMIT, "file": "tiny.pt"}
            facts = {"kind": "huggingface"} | place | facts
        lines = [f"{key} = {value!r}" for key, value in facts.items() if value != ""]
        self.sources.append("\n".join(["[[model.sources]]", f"layout = '{self.layout}'", *lines]))

    @property
    def row(self) -> ModelRow:
        self.registry.write_text("\n\n".join([self.model, *self.sources]), encoding="utf-8")
        return registry.read_registry(self.registry)[0]

    def fetch(self, **options: Any) -> Fetched:
        """Fetch in this process."""
        options = {"patience": Patience(*PATIENCE)} | options
        return fetch_row(self.row, self.cache, Options(**options))

    def start(
        self, *arguments: str, anew: bool = False, **environment: str
    ) -> subprocess.Popen[str]:
        """Start the command in a process of its own; `anew`, or as `tests.forking` does."""
        assert self.row
        program = (sys.executable, "-m", "tests.checkpoints.store.command", str(self.registry))
        environment = {"EDSR_CACHE": str(self.cache), "HF_HOME": str(self.home)} | environment
        process = (subprocess.Popen if anew else forking.Popen)(
            (*program, *arguments),
            cwd=self.repository,
            env=os.environ | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, **environment: str) -> Done:
        """Run the command in a process of its own."""
        return self.end(self.start(*arguments, **environment))

    def end(self, process: "subprocess.Popen[str]") -> Done:
        """Wait for the end of a command."""
        stdout, stderr = process.communicate(timeout=600)
        assert "Traceback" not in stderr, stderr
        return Done(process.returncode, stdout, stderr)

    def names(self) -> list[str]:
        """The visible files in the cache; every one with a model's name must be whole."""
        if not self.cache.exists():
            return []
        visible = [path for path in self.cache.iterdir() if path.name[0] != "."]
        for path in visible:
            if path.suffix == ".safetensors":
                assert problem(path, self.row) == ""
        return sorted(path.name for path in visible)

    def parts(self) -> list[Path]:
        """What is left of downloads that did not end well."""
        return [path for path in self.cache.rglob("*.part") if path.is_file()]


@pytest.fixture
def tiny(tmp_path: Path, repository: Path, tiny_bytes: bytes) -> Iterator[Setup]:
    setup = Setup(tmp_path, repository, tiny_bytes)
    yield setup
    for process in setup.processes:
        with process:  # closes its pipes
            process.kill()


@pytest.fixture
def online(server: Server, tiny: Setup) -> Setup:
    """`tiny` with one source that works."""
    server.files["/tiny.pt"] = tiny.content
    tiny.source(f"{server.url}/tiny.pt")
    return tiny
