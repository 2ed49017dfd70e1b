import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.files import disk
from edsr_cli.files.disk import rename_new, sync
from tests.cli.conftest import finish, start
from tests.files import poor
from tests.jobs.nearest import read_back, repeated, save_nearest

posix = pytest.mark.skipif(os.name == "nt", reason="about file systems of POSIX")

NO_LINKS = {"link": errno.EPERM, "linkat": errno.EPERM}
NOTHING_ATOMIC = NO_LINKS | {"renameat2": errno.EINVAL}


@pytest.fixture(params=["the system's", "links", "looking"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the three ways, the others not being there."""
    if request.param != "the system's":
        if os.name == "nt":
            pytest.skip("Windows has one way")
        monkeypatch.setattr(disk, "_system_function", lambda: None)
    if request.param == "looking":

        def fail(*_: object) -> None:
            raise OSError(errno.EPERM, "no links")

        monkeypatch.setattr(os, "link", fail)
    return str(request.param)


def test_a_name_that_is_free(way: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"content")
    rename_new(tmp_path / "old", tmp_path / "new\udcff" if os.name != "nt" else tmp_path / "new")
    [path] = tmp_path.iterdir()
    assert path.name.startswith("new") and path.read_bytes() == b"content"


def test_a_name_that_is_taken(way: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"content")
    (tmp_path / "new").write_bytes(b"theirs")
    for name in ("new", "folder", "link"):
        if name == "folder":
            (tmp_path / name).mkdir()
        if name == "link" and os.name != "nt":
            (tmp_path / name).symlink_to("nowhere")
        if os.path.lexists(tmp_path / name):
            with pytest.raises(FileExistsError):
                rename_new(tmp_path / "old", tmp_path / name)
    assert (tmp_path / "old").read_bytes() == b"content"
    assert (tmp_path / "new").read_bytes() == b"theirs"


def test_what_cannot_be(way: str, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    with pytest.raises(OSError, match="o such file") as caught:
        rename_new(tmp_path / "old", tmp_path / "missing" / "new")
    assert caught.value.errno == errno.ENOENT
    with pytest.raises((ValueError, OSError)):
        rename_new(tmp_path / "old", tmp_path / "a\0b")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="about these two")
def test_the_system_has_a_way() -> None:
    """Otherwise the tests above would have tried another."""
    assert disk._system_function() is not None


WRITE = """
import sys
from pathlib import Path
from edsr_cli.errors import FileError
from edsr_cli.files.atomic import atomic_write
try:
    with atomic_write(Path(sys.argv[1])) as file:
        file.write(b"content")
except FileError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return poor.library(tmp_path_factory.mktemp("poor"))


@pytest.mark.parametrize(
    ("calls", "killed", "said"),
    [
        ({}, False, ""),
        (NO_LINKS, False, ""),
        ({"renameat2": errno.ENOSYS}, False, ""),
        (NOTHING_ATOMIC, False, ""),
        (NOTHING_ATOMIC | {"flock": errno.ENOLCK}, False, ""),
        (NO_LINKS | {"renameat2": "KILL"}, True, ""),
        (NOTHING_ATOMIC | {"rename": "KILL"}, True, ""),
        (NOTHING_ATOMIC | {"rename": errno.ENOSPC}, False, "the disk is full"),
        (NO_LINKS | {"renameat2": errno.ENOSPC}, False, "the disk is full"),
    ],
)
def test_whatever_the_file_system_lacks_there_is_a_whole_file_or_none(
    library: Path,
    tmp_path: Path,
    repository: Path,
    calls: dict[str, int | str],
    killed: bool,
    said: str,
) -> None:
    """A placeholder would be left behind by a kill or a full disk."""
    done = subprocess.run(
        [sys.executable, "-c", WRITE, tmp_path / "a.png"],
        env=os.environ | {"PYTHONPATH": str(repository)} | poor.environment(library, **calls),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr
    assert said in done.stdout and bool(said) == bool(done.stdout)
    assert (tmp_path / "a.png").exists() == (not killed and not said)
    left = [path for path in tmp_path.iterdir() if path.name != "a.png"]
    assert [path.read_bytes() for path in left] == ([b"content"] if killed else [])


def test_a_batch_that_is_killed_there_goes_on(library: Path, tmp_path: Path) -> None:
    """Neither the place of the picture nor the manifest is in the way of the next run."""
    model = save_nearest(tmp_path / "nearest.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    poorest = NOTHING_ATOMIC | {"fsync": errno.EINVAL, "flock": errno.ENOSYS}
    batch = ("batch", "in", "-m", model, "-d", "cpu", "-j", "1")
    kills = poor.environment(library, **poorest, rename="KILL")
    killed = finish(start(*batch, cwd=tmp_path, env=kills, anew=True))
    assert killed.code == -signal.SIGKILL
    assert not (tmp_path / "in_x4" / "a.png").exists()
    kinder = poor.environment(library, **poorest)
    run = finish(start(*batch, cwd=tmp_path, env=kinder, anew=True))
    assert run.code == 0, run.err
    assert np.array_equal(np.asarray(read_back(tmp_path / "in_x4" / "a.png")), repeated(pixels))
    assert [line.split(": ")[2] for line in run.lines if line.startswith("warning: ")] == [
        "files cannot be locked there, so a second run in this folder would not be noticed.",
        "the disk does not confirm what is written there (Invalid argument). The files are "
        "complete, but a power cut might damage the last ones.",
    ]


@pytest.fixture
def descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "_warned", set())
    number = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(number, b"content" * 1000)
    yield number
    os.close(number)


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    if sys.platform == "darwin":
        monkeypatch.setattr("fcntl.fcntl", lambda number, *_: fail(number))


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


@pytest.mark.skipif(sys.platform == "win32", reason="has no fcntl")
@pytest.mark.parametrize("refused", [False, True])
def test_on_macos_the_disk_empties_its_own_cache(
    descriptor, tmp_path, monkeypatch, caplog, refused
) -> None:
    done = []

    def control(number: int, command: int) -> int:
        done.append((number, command))
        if refused:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("fcntl.F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr("fcntl.fcntl", control)
    monkeypatch.setattr(os, "fsync", done.append)
    sync(descriptor, tmp_path / "file")
    assert done == [(descriptor, 51), *([descriptor] if refused else [])]
    assert not caplog.messages


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
