import errno
import os
import time
from pathlib import Path

import pytest

from edsr_cli.files import lock, temporary
from edsr_cli.files.temporary import create, remove_abandoned
from tests.files.leftovers import abandoned

posix = pytest.mark.skipif(os.name == "nt", reason="Windows itself protects what is open")


def left(folder: Path) -> list[str]:
    remove_abandoned(folder)
    return sorted(path.name for path in folder.iterdir())


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    path, descriptor = create(tmp_path)
    other = abandoned(tmp_path)
    assert path != other and left(tmp_path) == [path.name]
    os.close(descriptor)
    assert left(tmp_path) == []


@posix
def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    path = abandoned(tmp_path)
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    path.rename(tmp_path / f"{path.name}.bak")
    path.symlink_to(target)
    os.mkfifo(tmp_path / path.with_name(path.name[:-8] + "0000.tmp"))
    names = sorted(each.name for each in tmp_path.iterdir())
    assert left(tmp_path) == names
    assert target.read_bytes() == b"mine"
    remove_abandoned(tmp_path / "missing")


def machine(monkeypatch: pytest.MonkeyPatch, host: str, boot: str) -> None:
    monkeypatch.setattr(temporary, "_machine", lambda: (host, boot))


@posix
@pytest.mark.parametrize(
    ("host", "boot", "goes"),
    [
        ("aaaa", "bbbb", True),
        ("aaaa", "0000", True),  # after a power cut
        ("0000", "bbbb", True),  # from another container
        ("0000", "0000", False),  # over the network: its lock may not be seen here
    ],
)
def test_what_another_machine_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, boot: str, goes: bool
) -> None:
    machine(monkeypatch, "aaaa", "bbbb")
    path = abandoned(tmp_path)
    machine(monkeypatch, host, boot)
    assert left(tmp_path) == ([] if goes else [path.name])
    if not goes:
        old = time.time() - temporary.FOREIGN_SECONDS - 60
        os.utime(path, (old, old))
        assert left(tmp_path) == []


@posix
@pytest.mark.parametrize("days", [-30, 30])
def test_what_another_machine_writes_is_left_alone_whatever_our_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    path = abandoned(tmp_path)
    machine(monkeypatch, "0000", "0000")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + days * 86_400)
    assert left(tmp_path) == [path.name]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@posix
def test_where_there_are_no_locks_only_what_is_old_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr(lock.fcntl, "flock", fail)
    path = abandoned(tmp_path)
    assert left(tmp_path) == [path.name]
    os.utime(path, (1e9, 1e9))
    assert left(tmp_path) == []


@posix
def test_a_file_that_is_cleared_away_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, taken = temporary.lock_descriptor, []

    def late(descriptor: int) -> bool | None:
        if not taken:
            taken.append(descriptor)
            [path] = tmp_path.iterdir()
            path.unlink()
        return take(descriptor)

    monkeypatch.setattr(temporary, "lock_descriptor", late)
    path, descriptor = create(tmp_path)
    os.close(descriptor)
    assert taken and path.exists()


def test_machines_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = temporary._machine.__wrapped__
    assert digits() == digits()
    before = digits()[0]
    monkeypatch.setattr("platform.node", lambda: "another")
    assert digits()[0] != before
