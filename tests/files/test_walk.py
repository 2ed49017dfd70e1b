import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edsr_cli.files import walk
from edsr_cli.files.walk import Listing, files_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2", "b/1", "b/c/3", "a", ".hidden/4", ".5", "z"):
        path = tmp_path / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "top"


def test_a_folder_is_listed_in_order(folder: Path) -> None:
    listing = Listing.read(folder)
    assert listing.files == (".5", "a", "z") and listing.folders == (".hidden", "b")
    assert listing.hidden == {".5", ".hidden"} and listing.shown == ["a", "z"]
    with pytest.raises(FileNotFoundError):
        Listing.read(folder / "missing")


def test_files_come_before_the_folders_beside_them(folder: Path) -> None:
    found = [path.relative_to(folder).as_posix() for path in files_below(folder)]
    assert found == ["a", "z", "b/1", "b/2", "b/c/3"]
    assert list(files_below(folder / "missing")) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_links(folder: Path) -> None:
    (folder / "b" / "round").symlink_to(folder)
    (folder / "b" / "loop").symlink_to("loop")
    (folder / "b" / "nowhere").symlink_to("missing")
    listing = Listing.read(folder / "b")
    assert listing.folders == ("c", "round")
    # A link that leads nowhere will fail as a file, with a reason.
    assert {"loop", "nowhere"} < set(listing.files)
    assert {"round"} == set(listing.folders) & listing.links
    assert folder / "b" / "c" / "3" in files_below(folder)
    assert not any("round" in path.parts for path in files_below(folder))


def test_junctions_of_windows_are_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the tags that Windows gives with the names, with every Python."""
    tags = {"IO_REPARSE_TAG_SYMLINK": 0xA000000C, "IO_REPARSE_TAG_MOUNT_POINT": 0xA0000003}
    for name, tag in tags.items():
        monkeypatch.setattr(stat, name, tag, raising=False)
    given = {"b": tags["IO_REPARSE_TAG_MOUNT_POINT"], "z": 0x9000001A}  # that of OneDrive's files

    class Entry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.is_dir = entry.name, entry.is_dir

        def stat(self, *, follow_symlinks: bool) -> SimpleNamespace:
            assert not follow_symlinks
            tag = given.get(self.name, 0)
            return SimpleNamespace(st_reparse_tag=tag, st_file_attributes=0)

    class Entries(list[Entry]):
        def __enter__(self) -> "Entries":
            return self

        def __exit__(self, *exception: object) -> None:
            pass

    scandir: Any = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: Entries(map(Entry, scandir(path))))
    monkeypatch.setattr(walk.sys, "platform", "win32")
    assert Listing.read(folder).links == {"b"}
    assert [path.name for path in files_below(folder)] == ["a", "z"]
