"""A model is fetched: the right file, from the first source that has it."""

import hashlib
import io
import json
import re

import numpy as np
import pytest
import torch

from edsr_cli.checkpoints import registry, store
from edsr_cli.checkpoints.checkpoint import read_canonical
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.store import fetching
from edsr_cli.checkpoints.store.cache import cached_path, metadata, problem, seems_cached
from edsr_cli.checkpoints.store.https import Patience
from edsr_cli.checkpoints.store.local import find_local
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build
from tests.checkpoints.store.conftest import CONFIG, HUB_PATH
from tests.checkpoints.store.server import Act, closed_port

CANONICAL = "tiny-x2.safetensors"


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def tensors(content: bytes) -> dict[str, torch.Tensor]:
    return torch.load(io.BytesIO(content), weights_only=True)


def test_a_fetched_model_is_a_canonical_file_that_says_what_it_is(server, online):
    fetched = online.fetch()
    assert (fetched.how, fetched.path) == ("fetched", online.cache / CANONICAL)
    assert online.names() == [CANONICAL] and not online.parts()
    checkpoint = read_canonical(fetched.path)
    expected = tensors(online.content)
    assert checkpoint.config == CONFIG
    assert all(np.array_equal(checkpoint.tensors[key], expected[key]) for key in expected)
    assert {key: checkpoint.metadata[key] for key in ("name", "licence", "origin")} == {
        "name": "tiny",
        "licence": "none stated",
        "origin": "A test",
    }
    assert checkpoint.metadata["source"] == f"{server.url}/tiny.pt"
    assert checkpoint.metadata["source_sha256"] == online.sha256
    assert checkpoint.metadata["source_checked_by"] == "sha256"
    assert load_network(fetched.path).licence == "none stated"
    assert fetched.to_dict()["source_sha256"] == online.sha256


def test_a_network_of_another_convention_gives_the_same_pictures(server, tiny):
    """Like super-image's: for 0..1, residual scale 0.1, and mean tensors that are not used."""
    network = build(NetworkConfig("edsr", (2,), 2, 8, residual_scale=0.1)).eval()
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    server.files["/tiny.pt"] = file.getvalue()
    tiny.layout = "super-image"
    for old, new in (
        ("residual_scale = 1.0", "residual_scale = 0.1"),
        ("value_range = 255.0", "value_range = 1.0"),
        ("mean_shift = true", "mean_shift = false"),
    ):
        tiny.model = tiny.model.replace(old, new)
    tiny.source(f"{server.url}/tiny.pt", sha256=hashlib.sha256(file.getvalue()).hexdigest())
    fetched = load_network(tiny.fetch().path)
    picture = torch.rand(1, 3, 12, 12) * 255
    with torch.no_grad():
        for shift in (network.sub_mean, network.add_mean):
            shift.bias.zero_()
        expected = network(picture / 255) * 255
    torch.testing.assert_close(fetched.network(picture), expected, rtol=0, atol=255e-5)


def test_what_is_there_is_not_fetched_again(server, online):
    online.fetch()
    asked = len(server.requests)
    assert online.fetch().how == online.fetch(offline=True).how == "cached"
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("facts", "checked_by"),
    [
        ({"sha256_prefix": 8}, "first 8 digits of sha256"),
        ({"git_blob": True}, "git object id"),
        ({"size": True}, "sha256"),
    ],
)
@pytest.mark.parametrize("right", [True, False])
def test_every_kind_of_digest_is_checked(server, tiny, facts, checked_by, right):
    content = tiny.content
    server.files["/tiny.pt"] = content if right else content[:-1] + bytes([content[-1] ^ 1])
    if "size" in facts:
        facts = {"size": len(content)}
    elif "git_blob" in facts:
        facts = {"sha256": "", "git_blob": blob_id(content)}
    else:
        facts = {"sha256": "", "sha256_prefix": tiny.sha256[:8]}
    tiny.source(f"{server.url}/tiny.pt", **facts)
    if right:
        assert metadata(tiny.fetch().path)["source_checked_by"] == checked_by
        return
    with pytest.raises(WeightsError, match=r"wrong digest: expected .*, found [0-9a-f]{40}"):
        tiny.fetch()
    assert not tiny.names() and not tiny.parts()


def test_the_next_source_is_tried(server, tiny):
    server.files |= {"/wrong.pt": tiny.content[:-1] + b"?", "/right.pt": tiny.content}
    server.files["/short.pt"] = tiny.content[:-1]
    server.acts["/down.pt"] = [Act(status=503)] * 9
    for name in ("missing", "wrong", "short", "down", "right", "never"):
        tiny.source(f"{server.url}/{name}.pt", size=len(tiny.content))
    fetched = tiny.fetch()
    assert fetched.source == f"{server.url}/right.pt"
    assert not tiny.parts() and "/never.pt" not in {each.path for each in server.requests}


def test_when_all_fail_each_ones_reason_is_told(server, tiny):
    server.files["/wrong.pt"] = b"something else"
    tiny.source(f"{server.url}/missing.pt")
    tiny.source(f"{server.url}/wrong.pt")
    with pytest.raises(WeightsError) as caught:
        tiny.fetch()
    found = hashlib.sha256(b"something else").hexdigest()
    assert caught.value.message == (
        "tiny x2 could not be fetched: 127.0.0.1: HTTP 404 Not Found; 127.0.0.1: wrong digest:"
        f" expected sha256 {tiny.sha256}, found {found}."
    )
    assert str(tiny.cache) in caught.value.hint
    assert not tiny.names()


def test_what_several_sources_say_is_told_once(server, tiny):
    for name in ("a", "b"):
        tiny.source(f"{server.url}/{name}.pt")
    tiny.source(f"{server.url.replace('127.0.0.1', 'localhost')}/c.pt")
    with pytest.raises(
        WeightsError, match=r"127\.0\.0\.1, localhost: HTTP 404 Not Found\."
    ) as caught:
        tiny.fetch()
    assert "HTTPS_PROXY" not in caught.value.hint


def test_a_damaged_beginning_of_an_earlier_run_costs_one_more_download(server, online):
    server.acts["/tiny.pt"] = [Act(cut=1000), *[Act(status=503)] * 2]
    with pytest.raises(WeightsError, match="HTTP 503"):
        online.fetch()
    (part,) = online.parts()
    part.write_bytes(bytes(1000))
    assert online.fetch().how == "fetched"
    assert server.ranges()[-2:] == ["bytes=1000-", None]


class TestUnverified:
    @pytest.fixture
    def unverified(self, server, tiny):
        server.files["/tiny.pt"] = tiny.content
        tiny.source(f"{server.url}/tiny.pt", sha256="")
        return tiny

    def test_a_file_without_a_digest_is_not_asked_for(self, server, unverified):
        with pytest.raises(WeightsError, match="--allow-unverified also takes the file of 127"):
            unverified.fetch()
        assert not server.requests

    def test_it_can_be_allowed_and_says_so(self, unverified):
        path = unverified.fetch(allow_unverified=True).path
        assert metadata(path)["source_checked_by"] == "nothing"

    def test_it_comes_after_all_that_can_be_checked(self, server, unverified):
        server.files["/checked.pt"] = unverified.content
        unverified.source(f"{server.url}/checked.pt")
        assert unverified.fetch(allow_unverified=True).source.endswith("checked.pt")

    def test_it_must_hold_the_network_all_the_same(self, server, unverified):
        other = io.BytesIO()
        torch.save(build(NetworkConfig("edsr", (2,), 3, 8)).state_dict(), other)
        for content in (other.getvalue(), b"no weights", b""):
            server.files["/tiny.pt"] = content
            with pytest.raises(WeightsError, match="could not be fetched"):
                unverified.fetch(allow_unverified=True)
            assert not unverified.names()

    def test_a_file_put_into_the_folder_is_no_excuse(self, unverified):
        unverified.cache.mkdir()
        (unverified.cache / "tiny.pt").write_bytes(unverified.content)
        with pytest.raises(WeightsError, match="offline"):
            unverified.fetch(offline=True)


def test_the_tensors_can_be_pinned_whatever_the_source(server, online):
    pinned = metadata(online.fetch().path)["tensors_sha256"]
    (online.cache / CANONICAL).unlink()
    for digest, ends_well in ((pinned, True), ("0" * 64, False)):
        online.sources.insert(0, f"tensors_sha256 = '{digest}'")
        if ends_well:
            assert online.fetch().how == "fetched"
            (online.cache / CANONICAL).unlink()
        else:
            with pytest.raises(WeightsError, match=f"wrong tensors: expected sha256 {digest}"):
                online.fetch()
        del online.sources[0]


class TestHandPlaced:
    def test_a_file_is_known_by_its_digest_whatever_its_name(self, server, online):
        online.cache.mkdir()
        (online.cache / "some name.bin").write_bytes(online.content)
        fetched = online.fetch(offline=True)
        assert fetched.how == "adopted" and not server.requests
        assert online.names() == ["some name.bin", CANONICAL]
        assert metadata(fetched.path)["source_sha256"] == online.sha256

    def test_another_file_of_that_name_is_not(self, online):
        online.cache.mkdir()
        for name in ("tiny.pt", CANONICAL):
            (online.cache / name).write_bytes(online.content[:-1] + b"?")
        with pytest.raises(WeightsError, match=r"is not in .*cache, and this is offline"):
            online.fetch(offline=True)

    def test_a_canonical_file_from_another_cache_is_taken_under_any_name(self, server, online):
        path = online.fetch().path
        path.rename(path.with_name("Copy of it.safetensors"))
        assert online.fetch(offline=True).path.name == "Copy of it.safetensors"


class TestDamaged:
    @pytest.mark.parametrize("where", [0, 0.5, 0.999])
    def test_a_damaged_file_is_not_used_and_fetched_anew(self, online, where):
        path = online.fetch().path
        content = bytearray(path.read_bytes())
        content[int(where * len(content))] ^= 1
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="offline"):
            online.fetch(offline=True)
        assert online.fetch().how == "fetched"
        assert problem(path, online.row) == ""

    @pytest.mark.parametrize("length", [0, 7, 100, 20_000])
    def test_a_cut_file_is_not_used(self, online, length):
        path = online.fetch().path
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(WeightsError, match="offline"):
            online.fetch(offline=True)


class TestCached:
    @pytest.mark.parametrize("change", ["blocks = 3", "features = 9", "scales = [3]", 'name = "b"'])
    def test_a_file_of_another_network_is_not_taken_for_this_one(self, online, change):
        path = online.fetch().path
        key = change.split(" = ")[0]
        online.model = re.sub(f"^{key} = .*$", change, online.model, flags=re.MULTILINE)
        assert "does not hold" in problem(path, online.row)
        assert cached_path(online.row, online.cache) is None
        assert seems_cached(online.row, online.cache) is None

    def test_a_look_at_the_length_is_enough_for_a_list(self, online):
        path = online.fetch().path
        whole = path.read_bytes()
        assert seems_cached(online.row, online.cache) == path
        for content in (whole[:-1], whole + b"?"):
            path.write_bytes(content)
            assert seems_cached(online.row, online.cache) is None
            assert "wrong size: expected" in problem(path, online.row)


class TestInterface:
    """What the loader calls."""

    @pytest.fixture
    def table(self, online, monkeypatch):
        row = online.row
        monkeypatch.setattr("edsr_cli.checkpoints.registry.rows", lambda: (row,))
        monkeypatch.setattr("edsr_cli.checkpoints.store.https.USUAL", Patience(attempts=1))
        return row

    def test_a_model_that_is_not_here_says_how_to_fetch_it(self, online, table, server):
        assert find_local(table, online.cache) is None
        with pytest.raises(WeightsError) as caught:
            store.resolve(table, cache_dir=online.cache)
        assert caught.value.exit_code == 3
        assert "edsr fetch-weights tiny -s 2" in caught.value.hint
        assert "--download" in caught.value.hint
        assert not server.requests

    def test_it_is_fetched_if_that_is_wanted(self, online, table):
        path = store.resolve(table, download=True, cache_dir=online.cache)
        assert find_local(table, online.cache).path == path
        assert online.fetch().path == path
        assert store.resolve(table, cache_dir=online.cache) == path


def test_the_bundled_model_needs_no_cache(tmp_path):
    fetched = fetching.fetch_row(
        registry.find("edsr-free", 2), tmp_path / "none", fetching.Options()
    )
    assert fetched.how == "bundled"
    assert fetched.path.name == "edsr-free-x2.safetensors"
    assert not (tmp_path / "none").exists()


def test_a_source_out_of_reach_is_told_in_one_line_with_what_to_do(trusted, tiny):
    tiny.source(f"https://127.0.0.1:{closed_port()}/tiny.pt")
    with pytest.raises(WeightsError) as caught:
        tiny.fetch()
    assert "127.0.0.1: Connection refused." in caught.value.message
    assert "HTTPS_PROXY" in caught.value.hint


def test_a_file_in_the_hubs_own_cache_is_used(tiny, trusted, monkeypatch, tmp_path):
    from huggingface_hub import constants

    commit = HUB_PATH.split("/")[4]
    snapshot = tmp_path / "hub" / "models--owner--tiny" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    tiny.source()
    (snapshot / "tiny.pt").write_bytes(tiny.content[:-1] + b"?")
    with pytest.raises(WeightsError, match="offline"):
        tiny.fetch(offline=True)
    (snapshot / "tiny.pt").write_bytes(tiny.content)
    assert tiny.fetch(offline=True).how == "adopted"
    # Without a published digest, the one that the hub stated, which is in a link's name, will do.
    (tiny.cache / CANONICAL).unlink()
    tiny.sources.clear()
    tiny.source(sha256="")
    with pytest.raises(WeightsError, match="offline"):
        tiny.fetch(offline=True)
    blob = tmp_path / "hub" / tiny.sha256
    (snapshot / "tiny.pt").rename(blob)
    (snapshot / "tiny.pt").symlink_to(blob)
    fetched = tiny.fetch(offline=True)
    assert metadata(fetched.path)["source_checked_by"] == "sha256 stated by the server"
    assert json.dumps(fetched.to_dict())
