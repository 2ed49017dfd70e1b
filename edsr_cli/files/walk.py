"""What is in folders: names in order, hidden ones told apart. Nothing is opened."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct


class Listing(Struct, frozen=True):
    """The names in a folder, each list in order.

    Attributes:
        files: everything that is no folder.
        folders: folders, and links to folders.
        hidden: those of both that a file manager would not show.
        links: those of the folders that lie elsewhere.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]
    hidden: frozenset[str]
    links: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> "Listing":
        """List a folder.

        Raises:
            OSError: it cannot be listed.
        """
        files: list[str] = []
        folders: list[str] = []
        hidden, links = set(), set()
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if _is_folder(entry) else files).append(entry.name)
                if _is_hidden(entry):
                    hidden.add(entry.name)
                if _is_link(entry):
                    links.add(entry.name)
        return cls(
            tuple(sorted(files)), tuple(sorted(folders)), frozenset(hidden), frozenset(links)
        )

    @property
    def shown(self) -> list[str]:
        """The files that are not hidden."""
        return [name for name in self.files if name not in self.hidden]


def files_below(folder: Path) -> Iterator[Path]:
    """The files in and below a folder, in order, folder by folder.

    Hidden files and folders are left out, links to folders are not followed, and what cannot be
    listed is empty.
    """
    try:
        listing = Listing.read(folder)
    except OSError:
        return
    for name in listing.shown:
        yield folder / name
    for name in listing.folders:
        if name not in listing.hidden and name not in listing.links:
            yield from files_below(folder / name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in circles, say: it will fail as a file, with a reason
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        if sys.platform == "win32":  # also junctions, for which Python asks only from 3.12 on
            tag = entry.stat(follow_symlinks=False).st_reparse_tag
            return tag in (stat.IO_REPARSE_TAG_SYMLINK, stat.IO_REPARSE_TAG_MOUNT_POINT)
        return entry.is_symlink()
    except OSError:
        return False


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return True
    if sys.platform == "win32":
        try:
            attributes = entry.stat(follow_symlinks=False).st_file_attributes
        except OSError:
            return False
        return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)
    return False
