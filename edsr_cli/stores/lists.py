"""Lists of addresses in text files, taken as folders: what comes before a "/" is one."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from edsr_cli.errors import FileError, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.files.state import FileState
from edsr_cli.stores.addresses import check_address, is_address, is_file_name, is_web, shown
from edsr_cli.stores.store import Blob, Entry

_SUFFIX = ".txt"


def is_list(name: str) -> bool:
    """Whether a file may be such a list, going by its name."""
    return name.lower().endswith(_SUFFIX) and os.path.isfile(name)  # noqa: PTH113 - long names


class UrlList(Struct, frozen=True):
    """A list of addresses, which has the methods of a `Store` that an input needs.

    Attributes:
        path: the file.
        addresses: in it, by the name that each has as an input: host and path.
        tree: what is in each folder: names, each with whether that is a picture; a folder may have
            the name of one.
        below: the folder in it that this one is about.
    """

    path: Path
    addresses: dict[str, str]
    tree: dict[str, dict[tuple[str, bool], None]]
    below: str = ""

    def __hash__(self) -> int:
        return hash((self.path, self.below))

    @classmethod
    def read(cls, path: Path) -> "UrlList":
        """Read a file with an address on each line; empty lines, and those with "#", count not.

        Raises:
            FileError: it cannot be read.
            UsageError: a line is no address, or two name one picture.
        """
        shown = display_name(path)
        try:
            lines = path.read_text("utf-8-sig").splitlines()  # Windows puts a mark in front
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise FileError(f"it cannot be read ({reason}).", "Check it.", about=shown) from error
        found: dict[str, str] = {}
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith("#"):
                continue
            name = _name(line) if is_address(line) else ""
            if not name:
                what = f"line {number} is not the address of a picture."
                raise UsageError(what, "Check it.", about=shown)
            check_address(line)
            if found.setdefault(name, line) != line:
                what = f"line {number} names the same picture as one before it."
                raise UsageError(what, "Write each in one way.", about=shown)
        return cls(path, found, _tree(found))

    @property
    def shown(self) -> str:
        """Its name for people."""
        return display_name(self.path)

    def folder(self, below: str) -> "UrlList":
        """A folder in it; "" for itself."""
        return UrlList(self.path, self.addresses, self.tree, below)

    def blob(self, below: str, known: FileState | None = None) -> Blob:
        """An object in it, whose state is asked for when it is needed."""
        return Blob(self.addresses[f"{self.below}/{below}" if self.below else below])

    def entries(self) -> Iterator[Entry]:
        """What is in it."""
        for name, picture in self.tree.get(self.below, ()):
            yield Entry(name, FileState(0, 0) if picture else None)


def _tree(names: Iterable[str]) -> dict[str, dict[tuple[str, bool], None]]:
    tree: dict[str, dict[tuple[str, bool], None]] = {}
    for name in names:
        path, picture = name, True
        while path:
            path, _, last = path.rpartition("/")
            tree.setdefault(path, {})[last, picture] = None
            picture = False
    return tree


def _name(address: str) -> str:
    """What an address is called as an input, without what is secret in it; "" if it cannot be."""
    place, _, path = shown(address).partition("://")[2].partition("/")
    if is_web(address):
        place, path = place.rpartition("@")[2].replace(":", "_"), unquote(path.partition("?")[0])
    parts = [place, *filter(None, path.split("/"))]
    return "/".join(parts) if all(map(is_file_name, parts)) else ""
