import errno
import os
import threading
from pathlib import Path

import pytest

from edsr_cli.files import lock as module
from edsr_cli.files.lock import BusyError, Lock
from edsr_cli.files.own import NotPlainError

posix = pytest.mark.skipif(os.name == "nt", reason="about POSIX")


def test_one_at_a_time(tmp_path: Path) -> None:
    first, second = (Lock(tmp_path / "lock", "") for _ in range(2))
    first.acquire()
    with pytest.raises(BusyError):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()
    assert (tmp_path / "lock").read_bytes() == b""


def test_waiting_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (Lock(tmp_path / "lock", "") for _ in range(2))
    first.wait("not said")
    thread = threading.Timer(0.35, first.release)
    thread.start()
    second.wait("waiting")
    thread.join()
    assert caplog.messages == ["waiting"]
    with pytest.raises(BusyError):
        first.acquire()
    second.release()


@posix
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL])
def test_without_locks_it_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.fcntl, "flock", fail)
    lock = Lock(tmp_path / "lock", "two would not see each other")
    lock.acquire()
    lock.release()
    [message] = caplog.messages
    assert message == (
        f"{tmp_path}: files cannot be locked there, so two would not see each other."
    )


@posix
def test_only_a_plain_file_is_locked(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("mine")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(NotPlainError):
            Lock(tmp_path / name, "").acquire()
    assert (tmp_path / "mine").read_bytes() == b"mine"
    with pytest.raises(OSError, match="folder"):
        Lock(tmp_path, "").acquire()
