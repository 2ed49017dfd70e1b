"""What a Linux container, or any group of processes, may use: memory and processors.

The kernel limits groups (cgroups) that are nested like folders, in two versions that may be there
side by side. `/proc/self/cgroup` says in which groups this process is, `/proc/self/mountinfo` where
their files are. Every group from ours up to the outermost that can be seen has limits of its own,
and all of them hold.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

ROOT = Path("/")

_NO_LIMIT = 1 << 60  # bytes; version 1 states the most that a number holds, in whole pages


class Group(Struct, frozen=True):
    """A group that this process is in.

    Attributes:
        folder: its files.
        unified: whether it is of version 2.
    """

    folder: Path
    unified: bool


def memory_left(root: Path = ROOT) -> int | None:
    """Bytes that the narrowest limit leaves; None if there is no limit.

    File contents that nobody has used lately are counted as free: the kernel drops them before it
    refuses memory.

    Args:
        root: where `proc` and the groups' files are; another one than "/" is for tests.
    """
    left = [_memory_left(group) for group in groups("memory", root)]
    return min((each for each in left if each is not None), default=None)


def processors(root: Path = ROOT) -> float | None:
    """How many processors' time may be used; None if there is no limit.

    Args:
        root: as for `memory_left`.
    """
    shares = [_processors(group) for group in groups("cpu", root)]
    return min((each for each in shares if each is not None), default=None)


@cache
def groups(controller: str, root: Path = ROOT) -> tuple[Group, ...]:
    """The groups of this process that may limit something, ours first, then those around it.

    They are looked for once; what they allow may change.

    Args:
        controller: "memory" or "cpu".
        root: as for `memory_left`.
    """
    return tuple(_groups(controller, root))


def _groups(controller: str, root: Path) -> Iterator[Group]:
    paths = {}  # the group's path, of version 2 (True) and 1 (False)
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, names, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not names:
            paths[True] = path
        elif controller in names.split(","):
            paths[False] = path
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        unified = kind[0] == "cgroup2"
        if unified not in paths or not (
            unified or (kind[0] == "cgroup" and controller in kind[2].split(","))
        ):
            continue
        top = root / _unescaped(fields[4]).lstrip("/")
        folder = _folder(paths[unified], _unescaped(fields[3]), top)
        while True:
            yield Group(folder, unified)
            if folder == top:
                break
            folder = folder.parent


def _folder(path: str, mounted: str, top: Path) -> Path:
    """Where a group's files are, if the group `mounted` is to be seen at `top`.

    A container often sees its own group at `top`, under whatever path the group has outside.
    """
    inner = path.removeprefix(mounted.rstrip("/") + "/") if path != mounted else ""
    if inner.startswith("/") or ".." in inner.split("/"):
        return top
    folder = top / inner
    return folder if os.path.isdir(folder) else top


def _memory_left(group: Group) -> int | None:
    # It is asked for each picture, and most groups have no limit: then nothing else is read.
    folder = group.folder
    if group.unified:
        limits = [_number(folder / "memory.max"), _number(folder / "memory.high")]
        current, inactive = "memory.current", "inactive_file"
    else:
        limits = [_number(folder / "memory.limit_in_bytes")]
        # That of groups around it, which may be out of sight.
        limits.append(_field(folder / "memory.stat", "hierarchical_memory_limit"))
        current, inactive = "memory.usage_in_bytes", "total_inactive_file"
    limit = min((each for each in limits if each is not None), default=_NO_LIMIT)
    if limit >= _NO_LIMIT or (used := _number(folder / current)) is None:
        return None
    cache = _field(folder / "memory.stat", inactive) or 0
    return max(0, limit - max(0, used - cache))


def _processors(group: Group) -> float | None:
    if group.unified:
        quota, _, period = _text(group.folder / "cpu.max").strip().partition(" ")
    else:
        quota = _text(group.folder / "cpu.cfs_quota_us").strip()
        period = _text(group.folder / "cpu.cfs_period_us").strip()
    if not (quota.isdecimal() and period.isdecimal()):  # "max", -1, or no such file
        return None
    return int(quota) / int(period) if int(quota) and int(period) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _field(path: Path, name: str) -> int | None:
    """A number in a file of lines such as "inactive_file 4096"."""
    found = re.search(rf"^{name} ([0-9]+)\s*$", _text(path), re.MULTILINE)
    return int(found[1]) if found else None


def _unescaped(text: str) -> str:
    """A path in mountinfo, where spaces and the like are octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
