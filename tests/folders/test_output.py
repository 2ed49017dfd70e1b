import os
import subprocess
import sys

import pytest

from edsr_cli.errors import EdsrError, PictureError, UsageError
from edsr_cli.folders.manifest import FileState
from edsr_cli.folders.output import OutputFolder
from edsr_cli.folders.shards import WHOLE
from edsr_cli.jobs.ledger import state_of
from tests.files.leftovers import abandoned

posix = pytest.mark.skipif(os.name == "nt", reason="about folders of POSIX")


def test_a_folder_is_made_and_holds_two_files(tmp_path):
    folder = OutputFolder(tmp_path / "a" / "b")
    folder.check()
    folder.close()
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [
        WHOLE.manifest,
        WHOLE.lock,
    ]


def test_a_reader_makes_nothing(tmp_path):
    folder = OutputFolder(tmp_path / "a", writable=False)
    folder.check()
    assert folder.manifest.find("a.png") is None
    folder.close()
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys
from pathlib import Path
from edsr_cli.folders.ledger import OutputFolder
folder = OutputFolder(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_one_run_at_a_time(tmp_path, repository):
    """Even if the other one is killed, nobody has to clean up."""
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(repository)},
    )
    try:
        assert held.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="another run is at work"):
            OutputFolder(tmp_path)
        OutputFolder(tmp_path, writable=False).close()
    finally:
        held.kill()
        held.communicate()
    OutputFolder(tmp_path).close()


def test_in_one_process_too(tmp_path):
    first = OutputFolder(tmp_path)
    with pytest.raises(UsageError):
        OutputFolder(tmp_path)
    first.close()
    OutputFolder(tmp_path).close()


def test_folders_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EdsrError, match="cannot be made"):
        OutputFolder(tmp_path / "file")
    with pytest.raises(EdsrError, match="cannot be made"):
        OutputFolder(tmp_path / "file" / "new")
    (tmp_path / "taken" / WHOLE.manifest).mkdir(parents=True)
    with pytest.raises(EdsrError, match="cannot be kept"):
        OutputFolder(tmp_path / "taken")
    (tmp_path / "taken" / WHOLE.manifest).rmdir()
    OutputFolder(tmp_path / "taken").close()  # the lock was let go


@posix
def test_a_folder_that_goes_away_is_noticed(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "away")
    with pytest.raises(PictureError, match="has gone"):
        folder.check()
    (tmp_path / "out").mkdir()
    with pytest.raises(PictureError, match="replaced"):
        folder.check()
    (tmp_path / "out").rmdir()
    (tmp_path / "away").rename(tmp_path / "out")
    folder.check()
    folder.close()


def test_only_what_we_left_is_removed_and_only_once(tmp_path):
    leftover = abandoned(tmp_path)
    others = [f"{leftover.name}2", ".edsr-xyz.tmp", leftover.name[1:], "a.png"]
    for name in others:
        (tmp_path / name).touch()
    folder = OutputFolder(tmp_path)
    folder.tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*others, WHOLE.manifest, WHOLE.lock]
    )
    leftover.touch()
    folder.tidy(tmp_path)
    assert leftover.exists()
    folder.tidy(tmp_path / "missing")
    folder.close()


def test_folders_above_are_tidied_too(tmp_path):
    """A killed run may have left something in the output folder, though no picture goes there."""
    inside = tmp_path / "out" / "a" / "b"
    inside.mkdir(parents=True)
    for place in (inside, inside.parent, tmp_path / "out", tmp_path):
        abandoned(place)
    folder = OutputFolder(tmp_path / "out")
    folder.tidy(inside)
    folder.close()
    [left] = tmp_path.rglob("*.tmp")
    assert left.parent == tmp_path


WRITE = """
import sys
from pathlib import Path
from edsr_cli.files.atomic import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"content")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_is_writing_stays(tmp_path, repository):
    """An `edsr upscale`, say, or a batch in a folder above; when it is killed, it goes."""
    arguments = [sys.executable, "-c", WRITE, tmp_path / "a.png"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": str(repository)}
    for killed in (False, True):
        writer = subprocess.Popen(arguments, **pipes, env=environment)
        try:
            assert writer.stdout.readline() == b"writing\n"
            for _ in range(2):
                folder = OutputFolder(tmp_path)
                folder.tidy(tmp_path)
                folder.close()
            assert len(list(tmp_path.glob("*.tmp"))) == 1
            if killed:
                writer.kill()
        finally:
            writer.communicate()
        assert (tmp_path / "a.png").exists() != killed
        folder = OutputFolder(tmp_path)
        folder.tidy(tmp_path)
        folder.close()
        assert not list(tmp_path.glob("*.tmp"))
        (tmp_path / "a.png").unlink(missing_ok=True)


@posix
@pytest.mark.parametrize("name", [WHOLE.manifest, WHOLE.lock])
@pytest.mark.parametrize("writable", [True, False])
def test_links_and_pipes_in_the_place_of_its_files_are_refused(tmp_path, name, writable):
    """What a link leads to is neither changed nor read."""
    out, mine = tmp_path / "out", tmp_path / "mine.txt"
    out.mkdir()
    lines = b"a line of mine\n" * 5000
    mine.write_bytes(lines)
    for make in (
        lambda path: path.symlink_to(mine),
        lambda path: path.symlink_to(tmp_path / "nowhere"),
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
    ):
        make(out / name)
        if name == WHOLE.manifest or writable:
            with pytest.raises(EdsrError, match=r"this is a (link|device or a pipe), not a file"):
                OutputFolder(out, writable=writable)
        else:
            OutputFolder(out, writable=writable).close()
        (out / name).unlink()
    assert mine.read_bytes() == lines
    assert not (tmp_path / "nowhere").exists()
    OutputFolder(out).close()


def test_states(tmp_path):
    assert state_of(tmp_path / "missing") is None
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert state_of(path) == FileState(3, path.stat().st_mtime_ns)


@posix
def test_states_of_links(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    assert state_of(tmp_path / "link") == state_of(tmp_path / "file")
    assert state_of(tmp_path / "broken") == FileState(-1, -1)
