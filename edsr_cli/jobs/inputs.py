"""What the user has named as input: files, or something else that deserves better advice."""

import os
import re
from collections.abc import Sequence

from edsr_cli.errors import EdsrError, PictureError, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.jobs.naming import STREAM

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,15}://", re.IGNORECASE)
_PATTERN = re.compile(r"[*?]|\[.+\]")


def sort_inputs(inputs: Sequence[str]) -> tuple[list[str], dict[str, EdsrError]]:
    """The inputs that may be files, and what is wrong with the others; nothing is opened.

    A name that does not exist, and looks like nothing else either, counts as a file.

    Raises:
        UsageError: none may be a file; it is about the first.
    """
    files: list[str] = []
    refused: dict[str, EdsrError] = {}
    for name in inputs:
        error = _what_is_wrong(name)
        if error is None:
            files.append(name)
        else:
            refused[name] = error
    if refused and not files:
        first = next(iter(refused.values()))
        raise UsageError(first.what, first.hint, about=first.about)
    return files, refused


def address_error(name: str) -> UsageError | None:
    """The error for an address on the web in the place of a file or folder, if it is one."""
    if _ADDRESS.match(name) and not os.path.lexists(name):
        return UsageError(
            "this is an address, not something on this machine.",
            "Download it first.",
            about=display_name(b"", name),
        )
    return None


def _what_is_wrong(name: str) -> EdsrError | None:
    if name == STREAM:
        return None
    shown = display_name(b"", name)
    if address_error(name):
        return PictureError(
            "this is an address, not a file.",
            "Download it first, or send it through standard input: "
            "curl -s ADDRESS | edsr upscale - -o large.png",
            about=shown,
        )
    if not os.path.lexists(name):
        if _PATTERN.search(name):
            return PictureError("no file matches this pattern.", "Check the folder.", about=shown)
        return None
    if os.path.isdir(name):  # noqa: PTH112 - Path.is_dir fails for names that are too long
        return PictureError(
            "this is a folder, not a picture.", "For all that is in it: edsr batch.", about=shown
        )
    return None
