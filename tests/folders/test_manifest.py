import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edsr_cli.files import disk
from edsr_cli.folders import manifest as module
from edsr_cli.folders.manifest import Made, Manifest
from edsr_cli.jobs.ledger import FileState, LedgerError

MADE = Made("a.png", "a.jpg", FileState(5, 10**18), FileState(7, 2 * 10**18), "0123456789abcdef")

STATES = st.builds(FileState, st.integers(0, 2**60), st.integers(-(2**62), 2**62))
NAMES = st.text(min_size=1, max_size=9) | st.sampled_from(["two\nlines", "not \udcff", 'quo"te'])
MADES = st.builds(Made, NAMES, NAMES, STATES, STATES, NAMES, st.none() | NAMES, st.none() | STATES)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "manifest"


def written(path, *entries):
    manifest = Manifest(path)
    for made in entries:
        manifest.promise(made)
    manifest.close()
    return path.read_bytes()


def found(path, *names):
    manifest = Manifest(path, writable=False)
    try:
        return [manifest.find(name) for name in names]
    finally:
        manifest.close()


@given(st.lists(MADES, max_size=6))
def test_the_latest_line_of_each_output_is_found_again(tmp_path, entries):
    path = tmp_path / "manifest"
    path.unlink(missing_ok=True)
    half = len(entries) // 2
    written(path, *entries[:half])
    written(path, *entries[half:])
    latest = {made.output: made for made in entries}
    assert found(path, *latest) == list(latest.values())
    assert found(path, "never") == [latest.get("never")]
    assert all(line.isascii() for line in path.read_bytes().splitlines())


@given(MADES)
def test_lines(made):
    line = json.loads(json.dumps(made.to_line()))
    assert line["event"] == "made"
    assert Made.from_line(line) == made


def test_entries_are_found_at_once_also_by_the_run_that_makes_them(path):
    manifest = Manifest(path)
    assert manifest.find("a.png") is None
    manifest.promise(MADE)
    assert manifest.find("a.png") == MADE
    again = replace(MADE, result=FileState(8, 8), replaces=MADE.result)
    manifest.promise(again)
    assert manifest.find("a.png") == again
    manifest.close()
    manifest.close()


def test_a_cut_at_any_byte_loses_at_most_the_last_line(path):
    """And what is appended behind the cut is whole."""
    entries = [replace(MADE, output=name) for name in ("a", "two\nlines", "ü")]
    data = written(path, *entries)
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    extra = replace(MADE, output="extra")
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = sum(end - 1 <= cut for end in ends)  # the end of the line itself is no loss
        names = [made.output for made in entries]
        assert found(path, *names) == [*entries[:whole], *[None] * (3 - whole)], cut
        written(path, extra)
        assert found(path, *names, "extra") == [*entries[:whole], *[None] * (3 - whole), extra]


@given(st.data())
def test_damage_anywhere_costs_no_more_than_the_lines_it_hits(tmp_path, data):
    path = tmp_path / "manifest"
    path.unlink(missing_ok=True)
    entries = [replace(MADE, output=f"{i}") for i in range(4)]
    raw = bytearray(written(path, *entries))
    begin = data.draw(st.integers(0, len(raw) - 1))
    end = data.draw(st.integers(begin + 1, min(len(raw), begin + 300)))
    raw[begin:end] = data.draw(st.binary(max_size=40)) or bytes(end - begin)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(raw)
    starts = [sum(map(len, lines[:i])) for i in range(5)]
    for i, made in enumerate(found(path, *"0123")):
        # The line before, too, if its end was hit: the two are one then.
        touched = starts[i] <= end and begin < starts[i + 1]
        if not touched:
            assert made == entries[i], i
        elif made is not None:
            assert made.output == f"{i}"
    written(path, replace(MADE, output="new"))
    assert found(path, "new") == [replace(MADE, output="new")]


LINE = MADE.to_line()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        '{"event": "made"}',
        '{"event": ["made"]}',
        json.dumps(LINE | {"source": [1]}),
        json.dumps(LINE | {"source": [1, 2, 3]}),
        json.dumps(LINE | {"source": None}),
        json.dumps(LINE | {"source": ["1", 2]}),
        json.dumps(LINE | {"result": [1.5, 2]}),
        json.dumps(LINE | {"result": [True, 2]}),
        json.dumps(LINE | {"output": 5}),
        json.dumps(LINE | {"recipe": None}),
        json.dumps(LINE | {"sha256": 5}),
        json.dumps(LINE | {"event": "later"}),
    ],
)
def test_lines_of_another_kind_are_passed_over(path, line):
    path.write_bytes(line.encode() + b"\n\xff\xfe\x00\n" + b"\0" * 50 + b"\n")
    assert found(path, "a.png") == [None]
    written(path, MADE)
    assert found(path, "a.png") == [MADE]


def test_lines_of_later_versions_may_say_more(path):
    path.write_text(json.dumps(LINE | {"more": 1}) + "\n")
    assert found(path, "a.png") == [MADE]


def test_every_promise_is_on_the_disk_when_it_is_given(path, monkeypatch):
    synced = []
    fsync = os.fsync

    def look(descriptor):
        fsync(descriptor)
        synced.append(path.stat().st_size)

    monkeypatch.setattr("os.fsync", look)
    manifest = Manifest(path)
    for i in range(3):
        manifest.promise(replace(MADE, output=f"{i}"))
        assert synced[-1] == path.stat().st_size and len(synced) == i + 1
    manifest.remark("failed", {"reason": "no"})
    assert synced[-1] < path.stat().st_size  # nothing depends on it
    manifest.close()
    assert synced[-1] == path.stat().st_size


def test_threads_share_the_disk(path, monkeypatch):
    """While one waits for the disk, others add their lines, and the next turn is for all."""
    fsync, turns = os.fsync, []
    busy, go_on = threading.Event(), threading.Event()

    def slow(descriptor):
        turns.append(path.read_bytes().count(b"\n"))
        if len(turns) == 1:
            busy.set()
            assert go_on.wait(10)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", slow)
    manifest = Manifest(path)
    entries = [replace(MADE, output=f"{i}") for i in range(9)]
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(manifest.promise, entries[0])
        assert busy.wait(10)
        rest = [pool.submit(manifest.promise, made) for made in entries[1:]]
        while path.read_bytes().count(b"\n") < 9:
            pass
        assert not any(future.done() for future in rest)
        go_on.set()
        for future in [first, *rest]:
            future.result(10)
    assert turns == [1, 9]
    assert [manifest.find(made.output) for made in entries] == entries
    manifest.close()


@given(st.lists(st.lists(MADES, max_size=4), min_size=2, max_size=4))
def test_threads_never_mix_their_lines(tmp_path, lists):
    path = tmp_path / "manifest"
    path.unlink(missing_ok=True)
    manifest = Manifest(path)
    with ThreadPoolExecutor(len(lists)) as pool:
        list(pool.map(lambda entries: [manifest.promise(made) for made in entries], lists))
    manifest.close()
    lines = [Made.from_line(json.loads(line)) for line in path.read_bytes().splitlines()]
    for entries in lists:
        positions = iter(lines)
        assert all(made in positions for made in entries)  # each thread's, in its order
    assert len(lines) == sum(map(len, lists))


def test_superseded_lines_are_cleared_away_at_the_start(path, monkeypatch):
    monkeypatch.setattr(module, "_SPARE_LINES", 3)
    manifest = Manifest(path)
    manifest.remember_recipe("r", {"model": "m"})
    manifest.close()
    versions = [replace(MADE, result=FileState(i, i)) for i in range(5)]
    written(path, replace(MADE, output="b"), *versions, replace(MADE, output="c"))
    with path.open("ab") as file:
        file.write(b'{"event": "failed"}\nnonsense\n{"torn')
    before = path.read_bytes()
    assert found(path, "a.png") == [versions[-1]]  # a reader changes nothing
    assert path.read_bytes() == before
    manifest = Manifest(path)
    assert path.read_bytes().count(b"\n") == 4
    new = replace(MADE, output="new")
    manifest.promise(new)
    manifest.remember_recipe("r", {"model": "m"})  # it is known already
    manifest.close()
    assert path.read_bytes().count(b"\n") == 5
    assert found(path, "a.png", "b", "c", "new") == [
        versions[-1],
        replace(MADE, output="b"),
        replace(MADE, output="c"),
        new,
    ]
    events = [json.loads(line)["event"] for line in path.read_bytes().splitlines()]
    assert events == ["recipe", *["made"] * 4]


OPENED = Path("/proc/self/fd")


@pytest.mark.skipif(not OPENED.is_dir(), reason="tells which files are open")
@pytest.mark.parametrize("busy", [False, True], ids=["alone", "read by others"])
def test_superseded_lines_where_open_files_cannot_be_replaced(path, monkeypatch, busy):
    """As on Windows. A manifest that others read stays as it is."""
    replace_file = os.replace

    def replaced(source, target):
        if busy or any(os.path.realpath(link) == str(target) for link in OPENED.iterdir()):
            raise PermissionError(errno.EACCES, "Access is denied")
        replace_file(source, target)

    monkeypatch.setattr(module, "_SPARE_LINES", 3)
    monkeypatch.setattr(os, "replace", replaced)
    before = written(path, *[MADE] * 6)
    after = written(path, replace(MADE, output="b"))
    assert after.count(b"\n") == (7 if busy else 2) and after.startswith(before) is busy
    assert found(path, "a.png", "b") == [MADE, replace(MADE, output="b")]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_somebody_elses_file_of_its_name_keeps_its_lines(path):
    lines = b"a line of mine\n" * 3000
    path.write_bytes(lines)
    written(path, MADE)
    assert path.read_bytes().startswith(lines)
    assert found(path, "a.png") == [MADE]


def test_a_file_without_end_is_refused(path):
    """Holes take no room on the disk, and would be read for days."""
    with path.open("wb") as file:
        file.truncate(1 << 40)
    for writable in (True, False):
        with pytest.raises(LedgerError, match=r"lines that no run has written.*Move it away"):
            Manifest(path, writable=writable)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EIO])
def test_a_disk_that_does_not_confirm_what_is_written(path, monkeypatch, caplog, number):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(disk, "_warned", set())
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        written(path, MADE, replace(MADE, output="b"))
    assert found(path, "a.png", "b") == [MADE, replace(MADE, output="b")]
    [message] = caplog.messages
    assert str(path.parent) in message and os.strerror(number) in message


def test_a_disk_that_is_full_when_it_is_to_be_closed(path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    manifest = Manifest(path)
    manifest.remark("failed", {"reason": "no"})
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(LedgerError, match="No space left"):
            manifest.close()


def test_recipes_are_told_once(path):
    for _ in range(2):
        manifest = Manifest(path)
        manifest.remember_recipe("x", {"model": "a"})
        manifest.remember_recipe("x", {"model": "a"})
        manifest.close()
    [line] = path.read_bytes().splitlines()
    assert json.loads(line) == {"event": "recipe", "recipe": "x", "model": "a"}


def test_a_full_disk(path, monkeypatch):
    """A line that was cut short does not spoil the next one."""
    manifest = Manifest(path)
    manifest.promise(replace(MADE, output="first"))
    write, room = os.write, [30]

    def limited(descriptor, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(descriptor, bytes(data)[: room[0]])
        room[0] -= count
        return count

    monkeypatch.setattr("os.write", limited)
    with pytest.raises(LedgerError, match="No space left") as caught:
        manifest.promise(MADE)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert str(path) in str(caught.value)
    monkeypatch.setattr("os.write", write)
    manifest.promise(replace(MADE, output="last"))
    assert manifest.find("a.png") is None
    assert manifest.find("last") == replace(MADE, output="last")
    manifest.close()
    assert found(path, "first", "a.png", "last") == [
        replace(MADE, output="first"),
        None,
        replace(MADE, output="last"),
    ]


def test_files_that_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "manifest"):
        with pytest.raises(LedgerError, match="cannot be kept"):
            Manifest(path)
    assert found(tmp_path / "manifest", "a") == [None]
    assert list(tmp_path.iterdir()) == []


def test_names_with_one_hash_are_told_apart(path, monkeypatch):
    monkeypatch.setattr(module, "_key", lambda output: 5)
    manifest = Manifest(path)
    manifest.promise(MADE)
    manifest.promise(replace(MADE, output="b"))
    assert manifest.find("a.png") is None and manifest.find("b") is not None
    manifest.close()
