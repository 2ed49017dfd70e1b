"""The cache folder: where it is, how files in it are called, who may write there, what they hold.

A canonical file says by itself what it is, so its name does not matter, and a file copied from
another machine's cache will do.
"""

import errno
import hashlib
import json
import operator
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.checkpoints.registry import ModelRow, Source
from edsr_cli.errors import WeightsError
from edsr_cli.files.lock import Lock
from edsr_cli.files.reasons import why_not_cached

VARIABLE = "EDSR_CACHE"
SUFFIX = ".safetensors"
_CHUNK = 2**20  # bytes
_LONGEST_HEADER = 10**7  # bytes; that of the largest network here has 30,000
_WORK = ".edsr"  # inside the cache folder: what is being downloaded, and locks


def cache_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    r"""The folder of fetched weights; it need not exist.

    It is `chosen`, else $EDSR_CACHE, else what the platform has for such files:
    `$XDG_CACHE_HOME/edsr` or `~/.cache/edsr`, on macOS `~/Library/Caches/edsr`, on Windows
    `%LOCALAPPDATA%\edsr\Cache`.

    Raises:
        WeightsError: none of these is set and there is no home folder.
    """
    named = chosen or os.environ.get(VARIABLE)
    try:
        if named:
            return Path(named).expanduser().absolute()
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / "edsr" / "Cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "edsr"
        # The XDG specification wants relative paths to be ignored.
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (base if base.is_absolute() else Path.home() / ".cache") / "edsr"
    except RuntimeError as error:  # pathlib's way to say that there is no home folder
        raise WeightsError(
            "There is no home folder to keep weights in.", f"Set {VARIABLE} to a folder."
        ) from error


def slug(row: ModelRow) -> str:
    """A row's name in file names: "edsr-x2", or "mdsr-x234" for several scales."""
    return f"{row.name}-x{''.join(map(str, row.scales))}"


def canonical_path(folder: Path, row: ModelRow) -> Path:
    """The file that a fetched model is written to."""
    return folder / f"{slug(row)}.safetensors"


def visible_files(folder: Path) -> list[tuple[Path, int]]:
    """The files right in the cache folder, with their sizes in bytes, without hidden ones.

    There are none if the folder cannot be read.
    """
    found = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            with suppress(OSError):  # it has gone meanwhile, or leads nowhere
                status = path.stat()
                if stat.S_ISREG(status.st_mode) and not path.name.startswith("."):
                    found.append((path, status.st_size))
    return found


def notes_folder(folder: Path) -> Path:
    """Where it is noted what was found out about the machine; it need not exist."""
    return folder / _WORK


def speeds_file(folder: Path) -> Path:
    """Where it is noted how fast devices are; neither the file nor the folder need exist."""
    return notes_folder(folder) / "speeds.json"


def work_folder(folder: Path, row: ModelRow) -> Path:
    """Create and return the folder for the parts of a row's downloads.

    Raises:
        WeightsError: it cannot be created.
    """
    work = folder / _WORK / slug(row)
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(work, error) from error
    return work


def remember(folder: Path, row: ModelRow, tensors_sha256: str) -> None:
    """Note the digest of a model's tensors, outside of the file that says it of itself, too."""
    with suppress(OSError):  # without the note, less can be verified later
        _note(folder, row).write_text(tensors_sha256 + "\n", encoding="ascii")


def remembered(folder: Path, row: ModelRow) -> str:
    """The digest that was noted when a model was fetched; empty if none was."""
    note = _note(folder, row)
    try:
        return note.read_text(encoding="ascii").strip() if note.is_file() else ""
    except (OSError, ValueError):
        return ""


def _note(folder: Path, row: ModelRow) -> Path:
    return folder / _WORK / f"{slug(row)}.sha256"


@contextmanager
def locked(folder: Path, row: ModelRow) -> Iterator[None]:
    """Let one process at a time fetch a row; others wait here.

    The lock is the operating system's: it ends with the process, however that ends, and a lock file
    that is left over locks nothing.

    Raises:
        WeightsError: no lock can be had in this folder.
    """
    path = work_folder(folder, row).with_suffix(".lock")
    lock = Lock(path, "a second process that fetches this model would not be noticed")
    try:
        lock.wait(f"another process is fetching {row.label}; waiting for it")
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield
    finally:
        lock.release()


def cannot_write(path: Path, error: OSError) -> WeightsError:
    """The error for the user when the cache cannot be written."""
    reason, hint = why_not_cached(error)
    return WeightsError(f"it cannot be written: {reason}.", hint, about=path)


def cached_path(row: ModelRow, folder: Path) -> Path | None:
    """A whole canonical file of a model; its digest is taken (0.1 to 0.5 s for 170 MB)."""
    return next((path for path in _candidates(row, folder) if not problem(path, row)), None)


def seems_cached(row: ModelRow, folder: Path) -> Path | None:
    """A canonical file of a model, by a look at its header and length only."""
    return next((path for path in _candidates(row, folder) if not _described(path, row)), None)


def damaged_path(row: ModelRow, folder: Path) -> tuple[Path, str] | None:
    """The file that has a model's name in the cache, if it is not to be used, and the reason."""
    path = canonical_path(folder, row)
    reason = problem(path, row) if os.path.exists(path) else ""
    return (path, reason) if reason else None


def problem(path: Path, row: ModelRow) -> str:
    """What is wrong with a canonical file of a model; empty if nothing is."""
    reason = _described(path, row)
    if reason:
        return reason
    try:
        with open_file(path) as file:
            header, _ = read_header(file)
            file.seek(0)
            found = tensors_sha256(file)
    except (OSError, ValueError) as error:
        return _text(error)
    expected = header["__metadata__"]["tensors_sha256"]
    if found != expected:
        return f"wrong digest: expected sha256 {expected} of the tensors, found {found}"
    if row.tensors_sha256 and found != row.tensors_sha256:
        return f"wrong digest: expected sha256 {row.tensors_sha256} of the tensors, found {found}"
    return ""


def metadata(path: Path) -> dict[str, str]:
    """The strings that a canonical file states about itself; empty if it cannot be read."""
    try:
        with open_file(path) as file:
            found = read_header(file)[0].get("__metadata__")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _candidates(row: ModelRow, folder: Path) -> list[Path]:
    """Files that may be this model's, the one with its name first."""
    own = canonical_path(folder, row)
    others = [path for path, _ in visible_files(folder) if path.suffix.lower() == SUFFIX]
    return [own, *(path for path in others if path != own)]


def _described(path: Path, row: ModelRow) -> str:
    """What is wrong with what a file says about itself, and with its length."""
    try:
        with open_file(path) as file:
            header, start = read_header(file)
            length = os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        return _text(error)
    stated = header.pop("__metadata__", None)
    if not isinstance(stated, dict) or "tensors_sha256" not in stated:
        return "it is not a file of this cache"
    config = replace(row.config, residual_scale=1.0).to_dict()
    if stated.get("name") != row.name or _config(stated) != config:
        return f"it does not hold {row.label}"
    try:
        end = start + max(entry["data_offsets"][1] for entry in header.values())
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return "its header makes no sense"
    if length != end:
        return f"wrong size: expected {end} bytes, found {length}"
    return ""


def _config(stated: dict[str, Any]) -> Any:
    try:
        return json.loads(stated["config"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _text(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # Both JSON that is none and bytes that are no text are ValueErrors of many words.
    return str(error) if type(error) is ValueError else "its header makes no sense"


class FileDigests(Struct, frozen=True):
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
