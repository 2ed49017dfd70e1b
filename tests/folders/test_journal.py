"""Manifests in a store, which is here a dictionary."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest
from msgspec.structs import replace

from edsr_cli.errors import Kind
from edsr_cli.files.state import ON_ITS_WAY, FileState
from edsr_cli.folders import journal
from edsr_cli.folders.journal import Journal, journals
from edsr_cli.folders.ledger import is_result
from edsr_cli.folders.manifest import Made, Manifest
from edsr_cli.folders.shards import WHOLE, Shard
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.stores.failures import StoreError
from edsr_cli.stores.store import Entry

MADE = Made("a.png", "a.jpg", FileState(5, 7, "tag"), FileState(7, ON_ITS_WAY), "0123456789abcdef")


@dataclass
class Memory:
    """What `Journal` asks of a store."""

    objects: dict[str, bytes] = field(default_factory=dict)
    below: str = ""
    broken: bool = False

    def folder(self, below):
        return Memory(self.objects, f"{self.below}{below}/", self.broken)

    def entries(self, beginning=""):
        rest = {k[len(self.below) :] for k in self.objects if k.startswith(self.below + beginning)}
        for name in {name.partition("/")[0]: "/" in name for name in rest}.items():
            yield Entry(name[0], None if name[1] else FileState(1, 1))

    def read_all(self, names):
        return [self.objects[self.below + name] for name in names]

    def blob(self, name):
        return _Blob(self, self.below + name)


@dataclass
class _Blob:
    store: Memory
    name: str

    def put_bytes(self, data):
        if self.store.broken:
            raise StoreError("it is gone.", "Look.", about="s3://x", kind=Kind.PERMISSION)
        self.store.objects[self.name] = data


def opened(store, path, shard=WHOLE):
    Journal(store, shard).fetch(path)
    return Manifest(path, keep=Journal(store, shard).keep)


def test_lines_are_there_before_a_promise_returns(tmp_path):
    store = Memory()
    manifest = opened(store, tmp_path / "one")
    manifest.promise(MADE)
    (name,) = store.objects
    assert name.startswith(".edsr-manifest.jsonl/") and store.objects[name].count(b"\n") == 1
    manifest.amend(replace(MADE, result=FileState(7, 8, "other")))
    assert store.objects[name].count(b"\n") == 1, "that costs no request"
    manifest.promise(replace(MADE, output="b.png"))
    assert len(store.objects) == 1 and store.objects[name].count(b"\n") == 3
    again = opened(store, tmp_path / "two")  # as if the first had been killed
    assert again.find("a.png").result == FileState(7, 8, "other")
    assert again.find("a.png").source.version == "tag" and again.find("b.png") is not None
    again.promise(replace(MADE, output="c.png"))
    assert len(store.objects) == 2, "a run leaves the objects of others alone"
    assert journals(store) == [WHOLE]


def shifted(year):
    """A clock that is wrong by years."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(year, 1, 2, 3, 4, 5, tzinfo=tz)

    return Shifted


def test_the_last_line_counts_whatever_clocks_say(tmp_path, monkeypatch):
    """The first run is on a machine whose clock is ahead by years, the third on one behind."""
    store = Memory()
    for number, year in enumerate((2100, 2026, 1990)):
        monkeypatch.setattr(journal, "datetime", shifted(year))
        manifest = opened(store, tmp_path / f"{number}")
        manifest.promise(replace(MADE, result=FileState(number, 1)))
        manifest.close()
    assert len(store.objects) == 3
    assert opened(store, tmp_path / "again").find("a.png").result == FileState(2, 1)


def test_objects_do_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_LINES", 3)
    store = Memory()
    manifest = opened(store, tmp_path / "one", Shard(2, 3))
    for number in range(8):
        manifest.promise(replace(MADE, output=f"{number}.png"))
    manifest.close()
    assert [content.count(b"\n") for content in store.objects.values()] == [3, 3, 2]
    again = opened(store, tmp_path / "two", Shard(2, 3))
    assert all(again.find(f"{number}.png") for number in range(8))
    assert journals(store) == [Shard(2, 3)]


def test_a_torn_object_costs_its_last_line(tmp_path):
    store = Memory({".edsr-manifest.jsonl/1.jsonl": b'{"event": "ma'})
    opened(store, tmp_path / "one").promise(MADE)
    assert opened(store, tmp_path / "two").find("a.png") == MADE


def test_a_store_that_cannot_be_written_to(tmp_path):
    store = Memory(broken=True)
    manifest = opened(store, tmp_path / "one")
    with pytest.raises(LedgerError, match=r"s3://x: the list of what is done cannot be kept") as it:
        manifest.promise(MADE)
    assert it.value.hint == "Look."


def test_what_arrived_without_being_heard_of_is_ours():
    assert is_result(FileState(7, 99, "new"), MADE)
    assert not is_result(FileState(8, 99, "new"), MADE)
    older = FileState(7, 3, "old")
    assert not is_result(older, replace(MADE, replaces=older))
    assert is_result(FileState(7, 99, "new"), replace(MADE, replaces=older))
