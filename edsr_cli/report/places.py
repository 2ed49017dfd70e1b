"""Where pages and reports go, and whether what is there may be replaced."""

import os
import re
from pathlib import Path

from msgspec import Struct

from edsr_cli.errors import UsageError
from edsr_cli.files.atomic import check_name, check_writable
from edsr_cli.files.names import display_name
from edsr_cli.files.own import beginning

JSON, PAGE = (".json",), (".html", ".htm")
"""Endings of names."""

_HEAD_BYTES = 4096
_PAGE_BEGINS = rb"<!doctype html>\n(<(?!title)[^>]*>\n){1,9}<title>"


class Written(Struct, frozen=True):
    """A kind of file that this program writes.

    Attributes:
        what: what it is, and who makes it.
        option: what its name is given with.
        suffixes: the endings that its name may have.
        endings: the same in a sentence.
        marks: how such files begin, all that this program has ever written.
        advice: what to do about somebody else's file.
    """

    what: str
    option: str
    suffixes: tuple[str, ...]
    endings: str
    marks: tuple[bytes, ...]
    advice: str

    def is_at(self, path: Path) -> bool:
        """Whether there is such a file, or an empty one."""
        head = beginning(path, _HEAD_BYTES)
        return head is not None and (not head or any(re.match(mark, head) for mark in self.marks))

    def check(self, path: Path, overwrite: bool = False) -> None:
        """Find out, before the work, whether such a file can be written.

        Args:
            path: the file.
            overwrite: whether it may replace a file that is none of these.

        Raises:
            UsageError: its ending is another, it cannot be written, or it would replace somebody
                else's file.
        """
        name = display_name(path)
        if path.suffix.lower() not in self.suffixes:
            raise UsageError(f"{self.what} is {self.endings}.", self._ending, about=name)
        if os.path.isdir(path):
            raise UsageError("this is a folder.", f"Give {self.option} a file.", about=name)
        check_name(path, UsageError)
        if os.path.lexists(path) and not overwrite and not self.is_at(path):
            raise UsageError(
                f"this file is not {self.what}, and would be replaced.", self.advice, about=name
            )
        check_writable(path.parent, UsageError)

    @property
    def _ending(self) -> str:
        return f"Let its name end in {' or '.join(s for s in self.suffixes if s != '.htm')}."


REPORT = Written(
    "a report of edsr batch",
    "--report",
    JSON + PAGE,
    "JSON or a page",
    (rb'\{\s*"version": "[^"]*",\s*"inputs": \[', _PAGE_BEGINS + rb"edsr batch: "),
    "Give --report another name, or replace it, and all pictures, with --overwrite.",
)
COMPARISON = Written(
    "a page of edsr compare",
    "-o",
    PAGE,
    "HTML",
    (_PAGE_BEGINS + rb"edsr compare: ",),
    "Give -o another name, or replace it with --overwrite.",
)
EVALUATION = Written(
    "a page of edsr evaluate",
    "--html",
    PAGE,
    "HTML",
    (_PAGE_BEGINS + rb"edsr evaluate: ",),
    "Give --html another name, or replace it with --overwrite.",
)
TRAINING = Written(
    "a page of edsr train",
    "-o",
    PAGE,
    "HTML",
    (_PAGE_BEGINS + rb"edsr train: ",),
    "Give -o another folder, or replace it with --overwrite.",
)
SHEET = Written(
    "a sheet of edsr compare",
    "--sheet",
    (".png",),
    "a PNG picture",
    (rb"(?!)",),  # a picture is not told from another one
    "Give --sheet another name, or replace it with --overwrite.",
)
