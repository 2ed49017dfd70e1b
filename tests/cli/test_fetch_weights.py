"""`edsr fetch-weights` as a process of its own: exit codes, messages, and what is left behind.

Downloads are by the real clients, from servers on 127.0.0.1.
"""

import gzip
import io
import json
import os
import re
import signal
import time

import pytest
import safetensors.numpy

from edsr_cli.checkpoints.checkpoint import _OWN_METADATA, save_canonical
from edsr_cli.checkpoints.files import read_safetensors
from edsr_cli.checkpoints.store.cache import problem, tensors_sha256
from tests.checkpoints.store.conftest import (
    HUB_PATH,
    Done,
    Setup,
    hub_server,
    online,
    server,
    tiny,
    tiny_bytes,
    trusted,
)
from tests.checkpoints.store.server import Act, closed_port
from tests.cli.conftest import DEADLINE

__all__ = ["hub_server", "online", "server", "tiny", "tiny_bytes", "trusted"]

CANONICAL = "tiny-x2.safetensors"


@pytest.fixture
def hub(hub_server, tiny, monkeypatch) -> Setup:
    """`tiny` on the hub, which is HF_ENDPOINT."""
    hub_server.files[HUB_PATH] = tiny.content
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    tiny.source()
    return tiny


def assert_failed(setup: Setup, done, *words: str) -> None:
    """Exit code 3, one line that says why, and no file under a final name."""
    assert done.code == 3, done
    assert len(done.errors) == 1, done.stderr
    for word in words:
        assert word in done.errors[0], done.stderr
    assert setup.names() == []


class TestHub:
    def test_success(self, hub, hub_server):
        done = hub.run("fetch-weights", "tiny", HF_TOKEN="hf_secret")
        assert done.code == 0, done
        assert hub.names() == [CANONICAL]
        assert "fetching hf://owner/tiny@0123" in done.stderr
        assert "licence of the weights: none stated" in done.stderr
        assert not done.stdout
        asked = [each for each in hub_server.requests if each.path == HUB_PATH]
        assert {each.headers["authorization"] for each in asked} == {"Bearer hf_secret"}
        assert {path.name for path in hub.cache.rglob("*") if path.is_file()} == {
            CANONICAL,
            "tiny-x2.lock",
            "tiny-x2.sha256",
        }

    def test_a_wrong_digest(self, hub, hub_server):
        """Right in size: the hub's own client accepts it."""
        hub_server.files[HUB_PATH] = hub.content[:-1] + b"?"
        done = hub.run("fetch-weights", "tiny")
        assert_failed(hub, done, f"expected sha256 {hub.sha256}, found ")
        assert not list(hub.home.rglob("*.pt"))
        assert [path.name for path in hub.cache.rglob("*")] == [".edsr", "tiny-x2.lock"]

    def test_a_digest_that_only_the_hub_states(self, hub, hub_server):
        hub.sources.clear()
        hub.source(sha256="")
        hub_server.acts[HUB_PATH] = [Act(body=hub.content[:-1] + b"?")]
        assert_failed(hub, hub.run("fetch-weights", "tiny"), f"expected sha256 {hub.sha256}")

    def test_a_missing_file_then_a_mirror(self, hub, hub_server, server):
        hub_server.files.clear()
        server.files["/tiny.pt"] = hub.content
        hub.source(f"{server.url}/tiny.pt")
        done = hub.run("fetch-weights", "tiny", "-v", "--json")
        assert done.code == 0, done
        assert "huggingface.co/owner/tiny: HTTP 404" in done.stderr
        assert json.loads(done.stdout)["source"] == f"{server.url}/tiny.pt"
        assert hub.names() == [CANONICAL]

    def test_a_cut_and_a_stalled_connection(self, hub, hub_server):
        hub_server.acts[HUB_PATH] = [Act(cut=1000), Act(cut=500, stall=3)]
        assert hub.run("fetch-weights", "tiny", HF_HUB_DOWNLOAD_TIMEOUT="1").code == 0
        assert hub.names() == [CANONICAL]
        assert not hub_server.acts[HUB_PATH]

    def test_limits_are_those_of_any_other_server(self, hub, hub_server):
        """Endless and compressed bodies, a server that never answers, one that wants a year."""
        endless = Act(body=bytes(4 << 20), headers={"Content-Length": str(10**15)})
        hub_server.acts[HUB_PATH] = [endless]
        assert_failed(hub, hub.run("fetch-weights", "tiny"), "too many for this model")
        unnamed = Act(body=bytes(4 << 20), drop=("Content-Length",))
        hub_server.acts[HUB_PATH] = [unnamed]
        assert_failed(hub, hub.run("fetch-weights", "tiny"), "wrong size: more than")
        packed = gzip.compress(bytes(1 << 26))
        hub_server.acts[HUB_PATH] = [Act(body=packed, headers={"Content-Encoding": "gzip"})]
        assert_failed(hub, hub.run("fetch-weights", "tiny"), "wrong digest")
        later = Act(status=503, headers={"Retry-After": "1000000000"})
        hub_server.acts[HUB_PATH] = [later]
        begin = time.monotonic()
        assert_failed(hub, hub.run("fetch-weights", "tiny"), "asks to wait 1000000000 s")
        hub_server.acts[HUB_PATH] = [Act(cut=0, stall=400)] * 9
        assert_failed(hub, hub.run("fetch-weights", "tiny"), "no data")
        assert time.monotonic() - begin < 300
        assert sum(path.stat().st_size for path in hub.parts()) < 1 << 20

    def test_limits_on_asking_for_a_digest(self, hub, hub_server):
        hub.sources.clear()
        hub.source(sha256="")
        hub_server.heads[HUB_PATH] = [Act(status=503, headers={"Retry-After": "1000000000"})]
        assert_failed(hub, hub.run("fetch-weights", "tiny"), "asks to wait 1000000000 s")
        hub_server.heads[HUB_PATH] = [Act(status=503, headers={"Retry-After": "0"})]
        assert hub.run("fetch-weights", "tiny").code == 0

    def test_the_token_stays_with_the_hub(self, hub, hub_server, server):
        """The file itself is often on another host."""
        server.files["/elsewhere"] = hub.content
        there = {"Location": f"{server.url}/elsewhere", "X-Linked-Etag": f'"{hub.sha256}"'}
        hub.sources.clear()
        hub.source(sha256="")
        hub_server.heads[HUB_PATH] = [Act(status=302, headers=there)]
        hub_server.acts[HUB_PATH] = [Act(status=302, headers=there)]
        assert hub.run("fetch-weights", "tiny", HF_TOKEN="hf_secret").code == 0
        assert [each.method for each in hub_server.requests] == ["HEAD", "GET"]
        assert all(each.headers["authorization"] for each in hub_server.requests)
        assert [each.method for each in server.requests] == ["GET"]
        assert "authorization" not in server.requests[0].headers

    def test_ctrl_c(self, hub, hub_server):
        hub_server.acts[HUB_PATH] = [Act(cut=500, stall=9)]
        process = hub.start("fetch-weights", "tiny")
        wait_until(lambda: not hub_server.acts[HUB_PATH])
        process.send_signal(signal.SIGINT)
        done = hub.end(process)
        assert (done.code, len(done.errors), hub.names()) == (130, 1, [])
        assert not list(hub.cache.rglob("*.pt"))

    def test_no_network(self, hub):
        begin = time.monotonic()
        done = hub.run("fetch-weights", "tiny", HF_ENDPOINT=f"http://127.0.0.1:{closed_port()}")
        assert_failed(hub, done, "huggingface.co/owner/tiny: Connection refused", "HTTPS_PROXY")
        assert time.monotonic() - begin < 60

    def test_the_clients_own_offline_switch(self, hub, hub_server):
        done = hub.run("fetch-weights", "tiny", HF_HUB_OFFLINE="1")
        assert_failed(hub, done, "offline")
        assert not hub_server.requests

    def test_a_full_disk(self, hub):
        done = run_with_small_files(hub)
        assert_failed(hub, done, "cannot be written", "larger than is allowed")


def run_with_small_files(setup: Setup) -> Done:
    """Run the command where no file may grow beyond 20 kB, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        process = setup.start("fetch-weights", "tiny", anew=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return setup.end(process)


class TestHttps:
    def test_success_with_progress_in_plain_lines(self, online, server):
        done = online.run("fetch-weights", "tiny", "-s", "2", "--json")
        assert done.code == 0, done
        assert online.names() == [CANONICAL]
        assert f"tiny x2: fetching {server.url}/tiny.pt" in done.stderr
        assert "\x1b" not in done.stderr
        told = json.loads(done.stdout)
        assert (told["name"], told["scales"], told["status"]) == ("tiny", [2], "fetched")
        assert told["source_sha256"] == online.sha256

        asked = len(server.requests)
        done = online.run("fetch-weights", "--all", "--offline")
        assert (done.code, len(server.requests)) == (0, asked)
        assert f"tiny x2: cached: {online.cache / CANONICAL}" in done.stderr

    def test_a_wrong_digest(self, online, server):
        server.files["/tiny.pt"] = online.content[:-1] + b"?"
        done = online.run("fetch-weights", "tiny")
        assert_failed(online, done, f"expected sha256 {online.sha256}, found ")
        assert not online.parts()

    def test_a_wrong_size(self, online, server):
        online.sources.clear()
        online.source(f"{server.url}/tiny.pt", size=99)
        assert_failed(online, online.run("fetch-weights", "tiny"), "expected 99 bytes, found ")

    def test_a_server_that_is_down(self, online, server):
        server.acts["/tiny.pt"] = [Act(status=503, headers={"Retry-After": "0"})] * 9
        assert_failed(online, online.run("fetch-weights", "tiny"), "HTTP 503")
        assert len(server.requests) == 3

    def test_a_server_that_stalls(self, online, server):
        server.acts["/tiny.pt"] = [Act(cut=500, stall=9)] * 9
        assert_failed(online, online.run("fetch-weights", "tiny"), "no data for 1 s")

    def test_a_certificate(self, online):
        done = online.run("fetch-weights", "tiny", SSL_CERT_FILE="/dev/null")
        assert_failed(online, done, "certificate was not accepted", "SSL_CERT_FILE")

    def test_no_network(self, trusted, tiny):
        tiny.source(f"https://127.0.0.1:{closed_port()}/tiny.pt")
        done = tiny.run("fetch-weights", "tiny")
        assert_failed(tiny, done, "Connection refused", str(tiny.cache))

    def test_offline_without_a_cached_file(self, online, server):
        assert_failed(online, online.run("fetch-weights", "tiny", "--offline"), "offline")
        assert not server.requests

    def test_the_hubs_offline_switch_holds_for_every_source(self, online, server):
        done = online.run("fetch-weights", "tiny", HF_HUB_OFFLINE="1")
        assert_failed(online, done, "offline")
        assert not server.requests

    def test_a_full_disk(self, online):
        done = run_with_small_files(online)
        assert_failed(online, done, "cannot be written", "larger than is allowed")
        assert not online.parts()

    def test_a_full_disk_when_it_is_converted(self, online, tiny_bytes):
        """The part fits, the canonical file does not."""
        online.cache.mkdir()
        (online.cache / "by hand.pt").write_bytes(tiny_bytes)
        assert_failed_after_hand_placing(online, run_with_small_files(online))

    def test_a_folder_that_cannot_be_made(self, online, tmp_path):
        (tmp_path / "file").touch()
        done = online.run("fetch-weights", "tiny", "--cache-dir", str(tmp_path / "file" / "cache"))
        assert_failed(online, done, "cannot be written")


def assert_failed_after_hand_placing(setup: Setup, done) -> None:
    assert done.code == 3 and len(done.errors) == 1, done
    assert "cannot be written" in done.errors[0]
    assert setup.names() == ["by hand.pt"]


def test_ctrl_c_and_going_on(online, server):
    server.acts["/tiny.pt"] = [Act(cut=5000, stall=20)]
    process = online.start("fetch-weights", "tiny")
    wait_until(lambda: [path for path in online.parts() if path.stat().st_size == 5000])
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert not stdout and "Traceback" not in stderr
    assert len(re.findall("^error: Interrupted", stderr, re.MULTILINE)) == 1
    assert online.names() == []
    assert online.fetch().how == "fetched"
    assert server.ranges() == [None, "bytes=5000-"]


def test_two_processes_at_once(online, server):
    """One of them downloads, the other waits and takes what is there then."""
    server.acts["/tiny.pt"] = [Act(stall=1, cut=5000)]
    processes = [online.start("fetch-weights", "tiny") for _ in range(2)]
    ends = [process.communicate(timeout=DEADLINE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    told = sorted(stderr.splitlines()[-1].split()[2].rstrip(":,") for _, stderr in ends)
    assert told == ["cached", "fetched"]
    assert server.ranges() == [None, "bytes=5000-"]
    assert online.names() == [CANONICAL]


def test_a_killed_process_leaves_no_lock(online, server):
    server.acts["/tiny.pt"] = [Act(cut=5000, stall=20)]
    process = online.start("fetch-weights", "tiny")
    wait_until(online.parts)
    process.kill()
    process.communicate(timeout=DEADLINE)
    begin = time.monotonic()
    assert online.fetch().how == "fetched"
    assert time.monotonic() - begin < 60


def wait_until(happened) -> None:
    deadline = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_verify(online):
    assert online.run("fetch-weights", "--verify").code == 0
    done = online.run("fetch-weights", "--verify", "tiny")
    assert_failed(online, done, "missing", "edsr fetch-weights tiny -s 2")
    path = online.fetch().path
    done = online.run("fetch-weights", "--verify", "--json")
    assert done.code == 0 and json.loads(done.stdout)["status"] == "good"
    assert "good, checked by sha256" in done.stderr
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = online.run("fetch-weights", "--verify", "--json")
    assert done.code == 3 and json.loads(done.stdout)["status"] == "damaged"
    assert len(done.errors) == 1 and "expected sha256" in done.errors[0]


def test_an_exchanged_file_is_noticed_although_it_fits_itself(online):
    path = online.fetch().path
    assert "unchanged since" in online.run("fetch-weights", "--verify").stderr
    tensors, metadata = read_safetensors(path)
    tensors = {key: tensor + 1e-3 for key, tensor in tensors.items()}
    digest = tensors_sha256(io.BytesIO(safetensors.numpy.save(tensors)))
    metadata = {key: value for key, value in metadata.items() if key not in _OWN_METADATA}
    config = online.row.config
    save_canonical(path, tensors, config, metadata | {"tensors_sha256": digest})
    assert problem(path, online.row) == ""
    done = online.run("fetch-weights", "--verify", "--json")
    assert done.code == 3 and json.loads(done.stdout)["status"] == "damaged"
    assert "wrong digest" in done.errors[0] and "edsr fetch-weights tiny" in done.errors[0]
    # Copied from another machine's cache, it has no record here, and nothing more is claimed.
    (path.parent / ".edsr" / "tiny-x2.sha256").unlink()
    done = online.run("fetch-weights", "--verify")
    assert done.code == 0 and "what it says of itself" in done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_in_the_cache_is_no_file(online):
    online.cache.mkdir()
    os.mkfifo(online.cache / CANONICAL)
    done = online.run("fetch-weights", "--verify")
    assert done.code == 3 and "not a regular file" in done.errors[0]
    assert online.run("upscale", "x.png", "-m", "tiny").code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Name the models to fetch, or say --all. Models: tiny."),
        (("tiny", "--all"), 2, "or say --all"),
        (("tiny", "-q", "-v"), 2, "exclude each other"),
        (("--list", "tiny"), 2, "--list lists all models"),
        (("--list", "-s", "2"), 2, "--list lists all models"),
        (("--verify", "--offline"), 2, "--verify goes with neither"),
        (("tiny", "--offline", "--allow-unverified"), 2, "exclude each other"),
        (("other",), 3, "There is no model 'other'. Models: tiny."),
        (("tiny", "-s", "3"), 3, "'tiny' has no scale x3. It has x2."),
    ],
)
def test_a_wrong_request(online, server, arguments, code, words):
    done = online.run("fetch-weights", *arguments)
    assert done.code == code and len(done.errors) == 1
    assert words in done.errors[0]
    assert not server.requests


def test_upscale_names_the_command_to_fetch_a_model_or_fetches_it(online, server, tmp_path):
    from PIL import Image

    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.new("RGB", (9, 7), (90, 120, 150)).save(source)
    arguments = ("upscale", str(source), "-o", str(target), "-m", "tiny", "-s", "2")
    done = online.run(*arguments)
    assert done.code == 3, done
    assert done.errors == [
        line
        for line in done.errors
        if "edsr fetch-weights tiny -s 2" in line and "--download" in line
    ]
    assert not target.exists() and not server.requests

    done = online.run(*arguments, "--download")
    assert done.code == 0, done
    assert f"tiny x2: fetching {server.url}/tiny.pt" in done.stderr
    with Image.open(target) as picture:
        assert picture.size == (18, 14)
    asked = len(server.requests)
    assert online.run(*arguments, "--overwrite").code == 0
    assert len(server.requests) == asked

    server.files["/tiny.pt"] = online.content[:-1] + b"?"
    for file in online.cache.glob("*.safetensors"):
        file.unlink()
    done = online.run(*arguments, "--overwrite", "--download")
    assert done.code == 3 and "expected sha256" in done.errors[0], done
