import errno
import os
from pathlib import Path

import pytest

from edsr_cli.files import sync as module
from edsr_cli.files.sync import sync


@pytest.fixture
def descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_warned", set())
    number = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(number, b"content" * 1000)
    yield number
    os.close(number)


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM])
def test_where_it_is_not_there_one_warning_is_enough(
    descriptor, tmp_path, monkeypatch, caplog, number
) -> None:
    failing(monkeypatch, number)
    for _ in range(3):
        sync(descriptor, tmp_path / "file")
    [message] = caplog.messages
    assert message.startswith(f"{tmp_path}: the disk does not confirm")
    assert os.strerror(number) in message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error(descriptor, tmp_path, monkeypatch, caplog, number) -> None:
    failing(monkeypatch, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        sync(descriptor, tmp_path / "file")
    assert not caplog.messages


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="cannot read past the memory")
@pytest.mark.parametrize("begin", [0, 6000])
def test_a_disk_that_reports_a_failure_is_believed_if_the_content_is_not_there(
    descriptor, tmp_path, monkeypatch, caplog, begin
) -> None:
    failing(monkeypatch, errno.EIO)
    sync(descriptor, tmp_path / "file", begin)  # it is there
    assert len(caplog.messages) == 1

    def lose(number: int, *_: int) -> None:
        os.pwrite(number, b"?", 6500)

    monkeypatch.setattr(os, "posix_fadvise", lose)
    with pytest.raises(OSError, match="Input/output error"):
        sync(descriptor, tmp_path / "file", begin)
