"""Digests: of files, and of the tensors in a safetensors file. Imports no torch."""

import errno
import hashlib
import json
import operator
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from edsr_cli.checkpoints.model_row import Source

_CHUNK = 2**20  # bytes
_LONGEST_HEADER = 10**7  # bytes; that of the largest network here has 30,000


@dataclass(frozen=True)
class FileDigests:
    """What identifies the bytes of a file.

    Attributes:
        size: length in bytes.
        sha256: 64 hexadecimal digits.
        git_blob: git's object id: the SHA-1 of "blob", the length, a null byte, and the bytes.
    """

    size: int
    sha256: str
    git_blob: str


def file_digests(path: Path) -> FileDigests:
    """Read a file once and take its digests; a file that has not changed is not read again.

    Raises:
        OSError: the file cannot be read.
    """
    status = path.stat()
    return _digests(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digests(path: Path, size: int, _changed: int) -> FileDigests:
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open_file(path) as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            blob.update(chunk)
    return FileDigests(size, sha256.hexdigest(), blob.hexdigest())


def mismatch(source: Source, found: FileDigests, stated_sha256: str = "") -> str:
    """How a file differs from what is known of a source's; empty if it does not.

    Args:
        source: where the file should be from.
        found: the file's digests.
        stated_sha256: what the server says its digest is, where nothing was published.
    """
    if source.size is not None and found.size != source.size:
        return f"wrong size: expected {source.size} bytes, found {found.size}"
    prefix = source.sha256_prefix
    for kind, expected, actual in (
        ("sha256", source.sha256, found.sha256),
        ("sha256", prefix and prefix + "...", found.sha256),
        ("git object id", source.git_blob, found.git_blob),
        ("sha256", stated_sha256, found.sha256),
    ):
        if expected and not actual.startswith(expected.removesuffix("...")):
            return f"wrong digest: expected {kind} {expected}, found {actual}"
    return ""


def checked_by(source: Source, stated_sha256: str = "") -> str:
    """What `mismatch` compares, in words for a file's metadata."""
    if source.sha256:
        return "sha256"
    if source.sha256_prefix:
        return "first 8 digits of sha256"
    if source.git_blob:
        return "git object id"
    return "sha256 stated by the server" if stated_sha256 else "nothing"


def open_file(path: Path) -> BinaryIO:
    """Open a file to read, but no pipe, which could wait for ever, and no device.

    Raises:
        OSError: it is no file, or cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return path.open("rb")


def read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where its tensors start.

    Raises:
        ValueError: it has none that makes sense.
        OSError: it cannot be read.
    """
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= _LONGEST_HEADER:
        raise ValueError("it is no safetensors file")
    text = file.read(length)
    if len(text) != length:
        raise ValueError("it is cut off")
    try:
        header = json.loads(text)
    except RecursionError as error:
        raise ValueError("its header makes no sense") from error
    if not isinstance(header, dict):
        raise ValueError("it is no safetensors file")
    return header, 8 + length


def tensors_sha256(file: BinaryIO) -> str:
    """The digest of the tensors in a safetensors file, whatever its metadata and their order are.

    For each tensor by name: its name, type and shape as a line of JSON, and its bytes.

    Raises:
        ValueError: it is no whole safetensors file.
        OSError: it cannot be read.
    """
    header, start = read_header(file)
    header.pop("__metadata__", None)
    digest = hashlib.sha256()
    room = file.seek(0, os.SEEK_END) - start
    for name, entry in sorted(header.items()):
        try:
            (begin, end), described = entry["data_offsets"], (entry["dtype"], entry["shape"])
            digest.update(json.dumps([name, *described]).encode() + b"\n")
            file.seek(start + operator.index(begin))
            left = operator.index(end) - begin
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"its entry {name[:80]!r} makes no sense") from error
        room -= left  # tensors that share bytes would be read again and again
        if left < 0:
            raise ValueError(f"its entry {name[:80]!r} makes no sense")
        if room < 0:
            raise ValueError("it is cut off, or some of its tensors are the same bytes")
        while left > 0:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                raise ValueError("it is cut off")
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
