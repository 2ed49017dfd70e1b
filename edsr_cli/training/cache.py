"""The arrays of training pictures on disk, for the next run and for sets larger than memory.

A folder holds the arrays, mapped into memory where they are used, and index.json, which names them
and is written last: without it the folder is not used. Several trainings may share a folder: one of
them makes it while the others wait, and nobody removes what another one uses.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from edsr_cli.errors import FileError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.lock import Lock
from edsr_cli.files.names import display_name
from edsr_cli.files.own import check_plain
from edsr_cli.files.reasons import FULL
from edsr_cli.training.photos import Photo, Photos

logger = logging.getLogger(__name__)

_VERSION = 1
_INDEX, _LOCK = "index.json", "lock"
_ARRAY = re.compile(r"(hr|x[234])(-[0-9a-f]{8})?\.bin")  # those without digits are of old versions
_HINT = "Choose another folder with --cache, or leave it out."
_PIECE = bytes(1 << 20)


def digest(
    files: Iterable[tuple[str, Path]],
    scales: Sequence[int],
    least: int,
    times: bool,
    way: Sequence[object] = (),
) -> str:
    """Identifies what the arrays will hold, by names and sizes of the files, or times as well.

    `way` is what else is done to the pictures; nothing for the paper's way.
    """
    lines = [json.dumps([_VERSION, sorted(scales), least, *way])]
    for name, path in files:
        try:
            found = path.stat()
        except OSError:
            continue
        lines.append(json.dumps([name, found.st_size] + [found.st_mtime_ns] * times))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class Making(Struct):
    """Arrays that are being made.

    Attributes:
        folder: where; None for in memory.
        alone: whether no other training can be making them at the same time.
        names: the file of each array.
    """

    folder: Path | None
    alone: bool = False
    names: dict[str, str] = field(default_factory=dict)

    def arrays(self, totals: Mapping[str, int]) -> dict[str, NDArray[np.uint8]]:
        """Arrays of these lengths, in memory or mapped from files.

        Raises:
            FileError: they cannot be made, for example as the disk is full.
        """
        if self.folder is None:
            return {key: np.empty(total, np.uint8) for key, total in totals.items()}
        with _explained(self.folder):
            if self.alone:
                _tidy(self.folder)
            if (needed := sum(totals.values())) > shutil.disk_usage(self.folder).free:
                raise FileError(
                    f"the cache needs {needed / 1e9:.1f} GB of disk.",
                    _HINT,
                    about=display_name(self.folder),
                )
            token = secrets.token_hex(4)
            self.names = {key: f"{key}-{token}.bin" for key in totals}
            for key, total in totals.items():
                _reserve(self.folder / self.names[key], total)
            return {
                key: np.memmap(self.folder / self.names[key], np.uint8, "r+", shape=(total,))
                for key, total in totals.items()
            }

    def complete(self, photos: Photos, arrays: Mapping[str, NDArray[np.uint8]]) -> None:
        """Complete the cache, if there is one; without the index it would not be used."""
        if self.folder is None:
            return
        for array in arrays.values():
            assert isinstance(array, np.memmap)
            with _explained(self.folder):
                array.flush()
        index = {
            "digest": photos.digest,
            "skipped": photos.skipped,
            "files": self.names,
            "bytes": {key: len(array) for key, array in arrays.items()},
            "photos": [[p.name, p.height, p.width, p.hr, p.lr] for p in photos.photos],
        }
        with atomic_write(self.folder / _INDEX, overwrite=True) as file:
            file.write(json.dumps(index).encode())
        self.names = {}  # they are the cache's from here on


@contextmanager
def making(folder: Path | None) -> Iterator[Making]:
    """Keep other trainings from making the same cache, and leave nothing behind of half of one.

    What another training has made meanwhile can be read in the block.

    Args:
        folder: the cache; None for arrays in memory.

    Raises:
        FileError: the folder cannot be written to.
    """
    making = Making(folder)
    if folder is None:
        yield making
        return
    name = display_name(folder)
    lock = Lock(folder / _LOCK, "two trainings may make the cache at the same time")
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.wait(f"{name}: another training is making this cache; waiting for it.")
        making.alone = lock.works
    try:
        yield making
    finally:
        for left in making.names.values():
            with suppress(OSError):  # on Windows, what is mapped stays until the next run
                (folder / left).unlink(missing_ok=True)
        lock.release()


def _tidy(folder: Path) -> None:
    """Remove what killed trainings have left in a cache that is about to be made anew.

    Should a living one have mapped it, the system keeps it for that one, or does not remove it.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if _ARRAY.fullmatch(path.name):
                with suppress(OSError):
                    path.unlink()


def read(folder: Path, scales: Sequence[int], warn: bool = False) -> Photos | None:
    """What an earlier run has kept, if it is complete; a damaged cache is as good as none.

    Args:
        folder: the cache.
        scales: the scales that are needed.
        warn: whether to say that it is damaged.
    """
    if not os.path.lexists(folder / _INDEX):
        return None
    try:
        check_plain(folder / _INDEX)
        index = json.loads((folder / _INDEX).read_bytes())
        photos = [_photo(values, scales) for values in index["photos"]]
        arrays = {key: _mapped(folder, index, key) for key in ("hr", *(f"x{s}" for s in scales))}
        result = Photos(
            photos,
            arrays["hr"],
            {scale: arrays[f"x{scale}"] for scale in scales},
            [_text(line) for line in index["skipped"]],
            _text(index["digest"]),
        )
        _check_places(result)
    # JSON can be anything: deep, of other types, with numbers that no array can have.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError,
            RecursionError) as error:  # fmt: skip
        message = "%s: this cache is damaged (%s), and is made anew."
        logger.log(logging.WARNING if warn else logging.DEBUG, message, display_name(folder), error)
        return None
    logger.debug("The pictures come from the cache %s.", display_name(folder))
    return result


def _photo(values: Any, scales: Sequence[int]) -> Photo:
    name, height, width, hr, lr = values
    starts = {scale: lr[str(scale)] for scale in scales}
    for number in (height, width, hr, *starts.values()):
        if type(number) is not int or number < 0:
            raise TypeError("not a place in an array")
    return Photo(_text(name), height, width, hr, starts)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _mapped(folder: Path, index: Any, key: str) -> NDArray[np.uint8]:
    name = index.get("files", {}).get(key, f"{key}.bin")
    match = _ARRAY.fullmatch(name)
    if match is None or match[1] != key:
        raise ValueError(f"{name!r} is no name of an array")
    found = check_plain(folder / name).st_size
    if found != index.get("bytes", {}).get(key, found):
        raise ValueError(f"{name} has {found} bytes")
    # "c": torch wants arrays that can be written to; what is written would not reach the file.
    return np.memmap(folder / name, np.uint8, "c")


def _check_places(photos: Photos) -> None:
    """Make sure that every picture lies inside of the arrays."""
    for photo in photos.photos:
        places = [(1, photo.hr, photos.hr)]
        places += [(scale, photo.lr[scale], photos.lr[scale]) for scale in photos.lr]
        for scale, begin, array in places:
            if begin + (photo.height // scale) * (photo.width // scale) * 3 > len(array):
                raise ValueError(f"{photo.name!r} lies outside of the arrays")


def _reserve(path: Path, total: int) -> None:
    """Make a file whose bytes have their places on the disk.

    What is written to a mapped file on a full disk ends the process, without an exception.
    """
    with path.open("xb", buffering=0) as file:
        if os.name == "nt":  # where the size of a file is always its place
            file.truncate(total)
            return
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, total)
                return
            except OSError as error:
                if error.errno in FULL:
                    raise
                # Not every file system can; a file of zeros is the same, only slower.
        file.seek(0)
        for begin in range(0, total, len(_PIECE)):
            rest = memoryview(_PIECE)[: total - begin]
            while rest:
                rest = rest[file.write(rest) :]


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(
            f"the cache cannot be written ({error.strerror}).", _HINT, about=display_name(folder)
        ) from error
