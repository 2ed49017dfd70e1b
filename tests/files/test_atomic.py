import errno
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from edsr_cli.errors import FileError, Kind, WeightsError
from edsr_cli.files import atomic, disk
from edsr_cli.files.atomic import atomic_write, check_writable

posix = pytest.mark.skipif(os.name == "nt", reason="about permissions and links of POSIX")


def write(path: Path, content: bytes = b"new", overwrite: bool = False) -> None:
    with atomic_write(path, overwrite) as file:
        file.write(content)


def refused(path: Path, words: str, overwrite: bool = False) -> None:
    with pytest.raises(FileError) as caught:
        write(path, overwrite=overwrite)
    assert words in caught.value.message and caught.value.hint
    assert "\n" not in str(caught.value) and ".tmp" not in str(caught.value)


def test_a_new_file(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
        assert not (tmp_path / "a").exists()
        [temporary] = tmp_path.iterdir()
        assert temporary.name.startswith(".") and temporary.suffix == ".tmp"
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    refused(path, "a: the file exists already")
    assert path.read_bytes() == b"old"
    write(path, overwrite=True)
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), OSError(28, "mine")])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_block_fails(error: BaseException, overwrite: bool, tmp_path: Path) -> None:
    if overwrite:
        (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(type(error)) as caught, atomic_write(tmp_path / "a", overwrite) as file:
        file.write(b"half" * 1_000_000)
        raise error
    assert caught.value is error
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([b"old"] if overwrite else [])


@posix
def test_when_no_more_files_can_be_opened_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "dup", fail)
    refused(tmp_path / "a", "too many files are open")
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_meanwhile_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="exists already"), atomic_write(tmp_path / "a") as file:
        file.write(b"mine")
        (tmp_path / "a").write_bytes(b"theirs")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"theirs"]


@contextmanager
def no_links(number: int) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise OSError(number, "no links")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", fail)
        patch.setattr(disk, "_system_function", lambda: None)
        yield


@posix
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_system_without_hard_links(number: int, tmp_path: Path) -> None:
    with no_links(number):
        write(tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"new"
        refused(tmp_path / "a", "exists")
        with pytest.raises(FileError, match="exists"), atomic_write(tmp_path / "b") as file:
            file.write(b"mine")
            (tmp_path / "b").write_bytes(b"theirs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b"theirs"


@pytest.mark.parametrize("way", ["rename", "link", "look"])
def test_of_many_writers_one_wins(way: str, tmp_path: Path) -> None:
    barrier, results = threading.Barrier(8), []

    def work(number: int) -> None:
        try:
            with atomic_write(tmp_path / "a") as file:
                file.write(b"%d" % number * 1000)
                barrier.wait(20)
            results.append(number)
        except FileError as error:
            assert "exists already" in error.message

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    with pytest.MonkeyPatch.context() as patch:
        if way != "rename":
            patch.setattr(disk, "_system_function", lambda: None)
        if way == "look":
            patch.setattr(os, "link", _unsupported)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 1
    assert (tmp_path / "a").read_bytes() == b"%d" % results[0] * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def _unsupported(*_: object) -> None:
    raise OSError(errno.ENOTSUP, "no links")


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_of_a_new_file_follow_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


@posix
def test_permissions_of_a_replaced_file_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    write(tmp_path / "a", overwrite=True)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    link.symlink_to(target)
    refused(link, "exists")  # even though it leads nowhere
    write(link, overwrite=True)
    assert link.is_symlink() and target.read_bytes() == b"new"
    write(link, b"newer", overwrite=True)
    assert link.is_symlink() and target.read_bytes() == b"newer"
    assert len(list(tmp_path.rglob("*"))) == 3


@posix
def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    refused(tmp_path / "loop", "loop: it cannot be written", overwrite=True)


@posix
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "not a file", overwrite=True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    refused(Path("/dev/null"), "not a file", overwrite=True)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "there is a folder of that name", overwrite=True)


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for overwrite in (False, True):
        refused(tmp_path / "missing" / "a", "folder does not exist", overwrite)
        refused(tmp_path / "file" / "a", "folder is not a folder", overwrite)
        refused(tmp_path / ("x" * 300) / "a", "name is too long", overwrite)


def test_a_name_that_cannot_be_one(tmp_path: Path) -> None:
    for overwrite in (False, True):
        refused(tmp_path / "a\0b", "cannot be written", overwrite)


@posix
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_name_that_is_too_long(overwrite: bool, tmp_path: Path) -> None:
    refused(tmp_path / ("x" * 256), "too long", overwrite)
    write(tmp_path / ("x" * 255), overwrite=overwrite)
    assert len(list(tmp_path.iterdir())) == 1


@posix
def test_a_folder_removed_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    missing = pytest.raises(FileError, match="folder does not exist")
    with missing, atomic_write(folder / "a") as file:
        file.write(b"new")
        [temporary] = folder.iterdir()
        temporary.unlink()
        folder.rmdir()
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(atomic._RawFile):
        def write(self, data: Any, /) -> int:
            self.failure = OSError(errno.ENOSPC, "No space left on device")
            raise self.failure

    monkeypatch.setattr(atomic, "_RawFile", Full)
    for content in (b"small", b"large" * 1_000_000):
        full = r"a: it cannot be written: the disk is full\."
        with pytest.raises(FileError, match=full) as caught:
            write(tmp_path / "a", content)
        assert caught.value.kind is Kind.DISK_FULL
    assert list(tmp_path.iterdir()) == []


@posix
def test_the_content_reaches_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    synced, renamed = os.fsync, atomic.rename_new
    kinds = {True: "folder", False: "file"}

    def sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        done.append((kinds[stat.S_ISDIR(status.st_mode)], status.st_size))
        synced(descriptor)

    def rename(*names: Path) -> None:
        done.append(("rename", 0))
        renamed(*names)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(atomic, "rename_new", rename)
    write(tmp_path / "a")
    assert [name for name, _ in done] == ["file", "rename", "folder"] and done[0][1] == 3


def test_a_commit_sees_the_finished_file_before_it_has_its_name(tmp_path: Path) -> None:
    seen = []

    def commit(status: os.stat_result) -> None:
        assert not (tmp_path / "a").exists()
        seen.append((status.st_size, status.st_mtime_ns, status.st_mode))

    with atomic_write(tmp_path / "a", commit=commit) as file:
        file.write(b"content")
    status = (tmp_path / "a").stat()
    assert seen == [(7, status.st_mtime_ns, status.st_mode)]


@pytest.mark.parametrize("error", [KeyError("bug"), OSError(errno.ENOSPC, "full"), SystemExit()])
def test_a_commit_that_fails_changes_nothing(error: BaseException, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def commit(status: os.stat_result) -> None:
        raise error

    with (
        pytest.raises(type(error)) as caught,
        atomic_write(tmp_path / "a", overwrite=True, commit=commit) as file,
    ):
        file.write(b"new")
    assert caught.value is error
    assert (tmp_path / "a").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_found_full_in_the_end(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    refused(tmp_path / "a", "disk")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_that_somebody_removes_is_what_is_blamed(tmp_path: Path) -> None:
    missing = pytest.raises(FileError, match=r"a: .*its temporary file has been removed")
    with missing, atomic_write(tmp_path / "a") as file:
        file.write(b"new")
        if os.name == "nt":
            pytest.skip("an open file stays")
        [temporary] = tmp_path.iterdir()
        temporary.unlink()
    assert list(tmp_path.iterdir()) == []


def test_errors_of_another_class(tmp_path: Path) -> None:
    missing = pytest.raises(WeightsError, match="folder does not exist")
    with missing, atomic_write(tmp_path / "missing" / "a", error=WeightsError):
        pass
    with pytest.raises(WeightsError):
        check_writable(tmp_path / "missing", WeightsError)


@posix
def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    """Else a batch would run out of them, and what it has written would stay locked."""
    write(tmp_path / "warm up")
    before = psutil.Process().num_fds()
    write(tmp_path / "a")
    write(tmp_path / "a", overwrite=True)
    refused(tmp_path / "a", "exists already")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "b"):
        raise ZeroDivisionError
    check_writable(tmp_path)
    assert psutil.Process().num_fds() == before


def test_check_writable(tmp_path: Path) -> None:
    check_writable(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="missing: there is no such folder"):
        check_writable(tmp_path / "missing")
    with pytest.raises(FileError, match="not a folder"):
        check_writable(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@posix
def test_a_folder_without_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="no permission"):
            check_writable(tmp_path)
        refused(tmp_path / "a", "no permission")
    finally:
        tmp_path.chmod(0o700)


@posix
def test_a_read_only_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("only root can mount a read-only disk")
    try:
        with pytest.raises(FileError, match="the disk is read-only") as caught:
            check_writable(tmp_path)
        assert caught.value.kind is Kind.PERMISSION
        refused(tmp_path / "a", "the disk is read-only")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
