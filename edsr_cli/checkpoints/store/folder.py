"""The cache folder: where it is, how files in it are called, and who may write there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edsr_cli.checkpoints.model_row import ModelRow
from edsr_cli.checkpoints.store.errors import cannot_write
from edsr_cli.errors import WeightsError
from edsr_cli.files.lock import Lock

VARIABLE = "EDSR_CACHE"
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
    try:
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and path.is_file():
                found.append((path, path.stat().st_size))
    except OSError:
        pass
    return found


def speeds_file(folder: Path) -> Path:
    """Where it is noted how fast devices are; neither the file nor the folder need exist."""
    return folder / _WORK / "speeds.json"


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
