"""A bucket on a real S3 server, behind a proxy, for tests of stores."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edsr_cli.stores import store
from edsr_cli.stores.store import Store
from tests.stores.server import Proxy

_NUMBERS = itertools.count(1)
KEY, SECRET = "a-key-for-tests", "a-secret-for-tests"


@pytest.fixture(scope="session")
def server() -> Iterator[Proxy]:
    """The server, behind a proxy."""
    pytest.importorskip("s3fs", reason="needs edsr-cli[cloud]")
    moto = pytest.importorskip("moto.server", reason="needs moto, an S3 server for tests")
    real = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    real.start()
    proxy = Proxy(real.get_host_and_port())
    forget()
    yield proxy
    proxy.close()
    real.stop()


@dataclass
class Bucket:
    """An empty bucket.

    Attributes:
        proxy: what is in front of its server.
        name: its name.
        environment: what tells programs where the server is, and who they are.
    """

    proxy: Proxy
    name: str
    environment: dict[str, str]

    @property
    def address(self) -> str:
        """Its address."""
        return f"s3://{self.name}"

    def fill(self, folder: Path, below: str) -> None:
        """Put the files of a folder into it."""
        for path in folder.rglob("*"):
            if path.is_file():
                key = f"{below}/{path.relative_to(folder).as_posix()}"
                Store(self.address).blob(key).put_bytes(path.read_bytes())

    def content(self, below: str) -> dict[str, bytes]:
        """All objects below a folder, but for manifests."""
        found: dict[str, bytes] = {}
        folder = Store(f"{self.address}/{below}")
        for entry in list(folder.entries()):
            if entry.state is not None:
                found[entry.name] = next(folder.read_all([entry.name]))
            elif not entry.name.startswith("."):
                inner = self.content(f"{below}/{entry.name}")
                found |= {f"{entry.name}/{name}": content for name, content in inner.items()}
        return found

    def manifests(self, below: str) -> dict[str, bytes]:
        """The objects of all manifests in a folder."""
        folder = Store(f"{self.address}/{below}")
        parts = [entry.name for entry in folder.entries(".edsr") if entry.state is None]
        return {k: v for part in parts for k, v in self.content(f"{below}/{part}").items()}


@pytest.fixture
def bucket(server: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket, and an environment in which `s3://` leads there; pauses are short."""
    name = f"bucket-{next(_NUMBERS)}"
    environment = {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "no_proxy": "127.0.0.1",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(store, "PAUSES", (0.01, 0.02, 0.03, 0.04, 0.05))
    store._tried("s3://", lambda fs: fs.call_s3("create_bucket", Bucket=name))
    server.clear()
    yield Bucket(server, name, environment)
    server.clear()


@pytest.fixture
def settings(bucket: Bucket) -> Iterator[Callable[[], None]]:
    """What makes changes of the environment, and of fsspec's settings, count in a test."""
    yield forget
    forget()


def forget() -> None:
    """Forget connections, and what they were made with."""
    import s3fs

    store._file_system.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
