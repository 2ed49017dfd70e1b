"""Temporary files: hidden, beside the file that they become, and told apart when they are left.

A process that is killed leaves its temporary file behind, and a later one clears it away. But what
another process is writing at the moment looks the same, so whoever writes such a file has locked
it, and its name says on which machine that was: where a folder is shared over a network, locks may
not be seen by others.
"""

import hashlib
import logging
import os
import platform
import re
import secrets
import stat
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from edsr_cli.files.lock import lock_descriptor
from edsr_cli.files.own import open_plain
from edsr_cli.text import one_line

logger = logging.getLogger(__name__)

FOREIGN_SECONDS = 86_400.0
"""For so long, a file of another machine that has not changed is taken to be at work."""

_NAME = re.compile(r"\.edsr-([0-9a-f]{4})([0-9a-f]{4})[0-9a-f]{8}\.tmp")
_ATTEMPTS = 20


def create(folder: Path) -> tuple[Path, int]:
    """Create a temporary file that nobody clears away before it is closed.

    Returns:
        Its path, and a descriptor for reading and writing.

    Raises:
        OSError, ValueError: that is not possible.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    for attempt in range(_ATTEMPTS):
        path = folder / f".edsr-{''.join(_machine())}{secrets.token_hex(4)}.tmp"
        try:
            descriptor = os.open(path, flags, 0o666)
        except FileExistsError:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        # On Windows a file that is open cannot be removed, and a lock would forbid to read it.
        if os.name == "nt" or (lock_descriptor(descriptor) is not False and os.path.lexists(path)):
            return path, descriptor
        os.close(descriptor)  # somebody was clearing up in just this moment
    raise FileNotFoundError(f"{folder}: what is written there is removed at once")


def remove_abandoned(folder: Path) -> list[Path]:
    """Remove the temporary files in a folder that no living process has; failures do not matter.

    Returns:
        The others, which somebody has, or may have.
    """
    left = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))
                if os.path.lexists(entry.path):
                    left.append(Path(entry.path))
    return left


def _remove_if_abandoned(path: Path) -> None:
    if os.name == "nt":
        path.unlink()  # it fails while anybody, on whatever machine, has opened it
        return
    descriptor = open_plain(path, os.O_RDWR)
    try:
        if _is_abandoned(path, descriptor):
            path.unlink()  # while it is locked: who creates one of this name sees that it has gone
            logger.debug("%s: left by a run that was killed; removed.", one_line(str(path)))
    finally:
        os.close(descriptor)


def _is_abandoned(path: Path, descriptor: int) -> bool:
    locked = lock_descriptor(descriptor)
    if locked is False:
        return False
    match = _NAME.fullmatch(path.name)
    assert match is not None
    host, boot = _machine()
    if locked and (match[1] == host or match[2] == boot):
        return True  # whoever wrote it was on this machine, where its lock would be seen
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or time.time() - status.st_mtime <= FOREIGN_SECONDS:
        return False
    return _now(path.parent) - status.st_mtime > FOREIGN_SECONDS  # our clock may be wrong


def _now(folder: Path) -> float:
    """The time by the clock of whoever keeps a folder, in seconds since 1970."""
    path, descriptor = create(folder)
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        path.unlink()


@cache
def _machine() -> tuple[str, str]:
    """Four digits each for the machine, and for this run of its system, which containers share."""
    return _digits(platform.node(), _content("/etc/machine-id")), _digits(
        _content("/proc/sys/kernel/random/boot_id")
    )


def _digits(*texts: str) -> str:
    text = "\n".join(texts)
    # What is unknown must not be equal to what is unknown elsewhere.
    return hashlib.sha256(text.encode()).hexdigest()[:4] if text.strip() else secrets.token_hex(2)


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
