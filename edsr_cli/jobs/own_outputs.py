"""Telling earlier outputs among the inputs, where somebody says `edsr upscale *.png` again."""

import re
from collections.abc import Sequence
from pathlib import Path

from edsr_cli.errors import PictureError
from edsr_cli.images import FORMATS, probe
from edsr_cli.images.provenance import scale_of, stated_record
from edsr_cli.jobs.naming import STREAM

_MADE_UP = re.compile(r"(.+)_x([234])", re.DOTALL)
_SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
_SILENT = (".bmp",)  # formats that cannot say how they were made


def without_own(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """The inputs that are to be upscaled, and those that are outputs made of them.

    An output has the name that `assign_outputs` makes up, lies beside its source, which is an input
    too, and says of itself that this program made it, so many times larger. A format that cannot
    say so is known by its name and size. Somebody who names outputs alone wants them enlarged.
    """
    paths = [Path(name) for name in inputs if name != STREAM]
    sources: dict[tuple[Path, str], Path] = {}
    for path in paths:
        sources[path.parent, path.name] = path
        sources.setdefault((path.parent, path.stem), path)
    kept, own = [], []
    for name in inputs:
        path = Path(name)
        match = _MADE_UP.fullmatch(path.stem)
        if name != STREAM and match is not None and path.suffix.lower() in _SUFFIXES:
            source = sources.get((path.parent, match[1]))
            if source is not None and _is_made_of(path, source, int(match[2])):
                own.append(name)
                continue
        kept.append(name)
    return kept, own


def _is_made_of(path: Path, source: Path, scale: int) -> bool:
    record = stated_record(path)
    if record is not None:
        return scale_of(record) == scale
    if path.suffix.lower() not in _SILENT:
        return False
    try:
        large, small = probe(path), probe(source)
    except PictureError:
        return False
    return (large.width, large.height) == (small.width * scale, small.height * scale)
