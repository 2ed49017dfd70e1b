"""What the user has named as input: files, or something else that deserves better advice.

Among the files may be earlier outputs, where somebody says `edsr upscale *.png` again.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from edsr_cli.errors import EdsrError, PictureError, UsageError
from edsr_cli.images import FORMATS, probe
from edsr_cli.images.provenance import scale_of, stated_record
from edsr_cli.jobs.task import STREAM
from edsr_cli.stores.addresses import is_address, scheme_of, shown
from edsr_cli.text import one_line

_PATTERN = re.compile(r"[*?]|\[.+\]")
_MADE_UP = re.compile(r"(.+)_(?:x([0-9.]{1,9})|([0-9]{1,9})x([0-9]{1,9}))", re.DOTALL)
_SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
_SILENT = frozenset(
    suffix for each in FORMATS if not each.names_its_maker for suffix in each.suffixes
)


def sort_inputs(
    inputs: Sequence[str], *, stores: bool = False
) -> tuple[list[str], dict[str, EdsrError]]:
    """The inputs that may be files, and what is wrong with the others; nothing is opened.

    A name that does not exist, and looks like nothing else either, counts as a file.

    Args:
        inputs: what the user has named.
        stores: whether addresses of objects in stores count as files, too.

    Raises:
        UsageError: none may be a file; it is about the first.
    """
    files: list[str] = []
    refused: dict[str, EdsrError] = {}
    for name in inputs:
        error = None if stores and is_address(name) else _what_is_wrong(name)
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
    if scheme_of(name) and not os.path.lexists(name):
        return UsageError(
            "this is an address, not something on this machine.",
            "Download it first.",
            about=shown(name),
        )
    return None


def _what_is_wrong(name: str) -> EdsrError | None:
    if name == STREAM:
        return None
    if address_error(name):
        return PictureError(
            "this is an address, not a file.",
            "Say where the output goes with -o, or send it through standard input: "
            "curl -s ADDRESS | edsr upscale - -o large.png",
            about=shown(name),
        )
    if not os.path.lexists(name):
        if _PATTERN.search(name):
            return PictureError(
                "no file matches this pattern.", "Check the folder.", about=one_line(name)
            )
        return None
    if os.path.isdir(name):  # noqa: PTH112 - Path.is_dir fails for names that are too long
        return PictureError(
            "this is a folder, not a picture.",
            "For all that is in it: edsr batch.",
            about=one_line(name),
        )
    return None


def without_own(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """The inputs that are to be upscaled, and those that are outputs made of them.

    An output has the name that `Namer` makes up if it is not told another, lies beside its source,
    which is an input too, and says of itself that this program made it, so many times larger. A
    format that cannot say so is known by its name and size. Somebody who names outputs alone wants
    them enlarged.
    """
    paths = [Path(name) for name in inputs if name != STREAM and not is_address(name)]
    sources: dict[tuple[Path, str], Path] = {}
    for path in paths:
        sources[path.parent, path.name] = path
        sources.setdefault((path.parent, path.stem), path)
    kept, own = [], []
    for name in inputs:
        path = Path(name)
        match = _MADE_UP.fullmatch(path.stem)
        if match is not None and path.suffix.lower() in _SUFFIXES:
            source = sources.get((path.parent, match[1]))
            if source is not None and _is_made_of(path, source, match):
                own.append(name)
                continue
        kept.append(name)
    return kept, own


def _is_made_of(path: Path, source: Path, match: re.Match[str]) -> bool:
    """Whether a file is an output, going by what its name says: a factor, or a size in pixels."""
    record = stated_record(path)
    if record is None and path.suffix.lower() not in _SILENT:
        return False
    try:
        factor = float(match[2]) if match[2] else None
        if record is not None and factor is not None:
            return scale_of(record) == factor
        large, small = probe(path), probe(source)
    except (ValueError, PictureError):
        return False
    if factor is None:
        return (large.width, large.height) == (int(match[3]), int(match[4]))
    return all(
        abs(new - factor * old) <= 1
        for new, old in ((large.width, small.width), (large.height, small.height))
    )
