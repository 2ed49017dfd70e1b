"""Room on disk that is mapped into memory, and given back whatever happens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edsr_cli.errors import FileError, Kind
from edsr_cli.files import scratch as module
from edsr_cli.files.scratch import scratch, scratch_directory, scratch_folder


def test_it_is_there_as_long_as_somebody_holds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(module.tempfile, "tempdir", None)
    room = scratch(5000)
    assert len(room) == 5000 and room[:] == bytes(5000)
    room[4990:] = b"0123456789"
    assert room[4995:] == b"56789"
    room.close()
    assert not list(tmp_path.iterdir())


def test_large_files_do_not_go_where_memory_may_be(monkeypatch):
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    if os.access("/var/tmp", os.W_OK):
        assert scratch_folder() == Path("/var/tmp")


@pytest.mark.parametrize("cause", ["spare", "refused"])
def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch, cause):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(module.tempfile, "tempdir", None)
    if cause == "spare":
        monkeypatch.setattr(module, "_SPARE_BYTES", 2**60)
    else:

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "_allocate", full)
    with pytest.raises(FileError, match=f"0.005 GB cannot be made in {tmp_path}") as caught:
        scratch(5_000_000)
    assert caught.value.kind is Kind.DISK_FULL and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows removes it when its last handle is closed")
def test_a_process_that_is_killed_leaves_none(tmp_path):
    code = (
        "import os; from edsr_cli.files.scratch import scratch\n"
        "room = scratch(2**20); room[:4] = b'abcd'\n"
        "print(os.listdir(os.environ['TMPDIR']), flush=True); os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == -9 and done.stdout.strip() == b"[]"
    assert not list(tmp_path.iterdir())


def test_a_folder_goes_with_its_owner(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(module.tempfile, "tempdir", None)
    script = (
        "import os\nfrom edsr_cli.files.scratch import scratch_directory\n"
        "with scratch_directory() as folder:\n"
        "    (folder / 'file').touch()\n"
        "    print(folder, flush=True)\n    input()\n    os._exit(9)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout and other.stdin
        theirs = Path(other.stdout.readline().strip())
        with scratch_directory() as ours:
            assert ours.is_dir() and (theirs / "file").exists(), "its owner is alive"
        assert not ours.exists()
        other.stdin.write("\n")
    assert theirs.is_dir(), "it was killed"
    with scratch_directory() as ours:
        assert list(tmp_path.iterdir()) == [ours]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("busy", [False, True], ids=["removed", "about to be removed"])
def test_a_folder_that_another_run_takes_for_abandoned(tmp_path, monkeypatch, busy):
    """It has been made, and is not locked yet."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(module.tempfile, "tempdir", None)
    acquire, taken = module.Lock.acquire, []

    def late(lock):
        if not taken:
            taken.append(lock._path.parent)
            if busy:
                raise module.BusyError
            lock._path.touch()
            module._remove_abandoned(lock._path.parent)
        acquire(lock)

    monkeypatch.setattr(module.Lock, "acquire", late)
    with scratch_directory() as folder:
        assert folder.is_dir() and folder not in taken
        module._remove_abandoned(folder)
        assert folder.is_dir(), "it is locked"
    assert not folder.exists()
