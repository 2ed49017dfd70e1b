"""The arrays of training pictures on disk, for the next run and for sets larger than memory.

A folder holds hr.bin, x2.bin and so on, mapped into memory where they are used, and index.json,
which is written last: without it the folder is not used.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edsr_cli.errors import PictureError
from edsr_cli.images import atomic_write
from edsr_cli.images.source import display_name
from edsr_cli.training.photos import Photo, Photos

logger = logging.getLogger(__name__)

_VERSION = 1


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


def arrays(folder: Path | None, totals: Mapping[str, int]) -> dict[str, NDArray[np.uint8]]:
    """Arrays of these lengths, in memory or mapped from files in a folder."""
    if folder is None:
        return {key: np.empty(total, np.uint8) for key, total in totals.items()}
    name, hint = display_name(folder), "Choose another folder with --cache, or leave it out."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What is written to a mapped file on a full disk ends the process, without an exception.
        if (needed := sum(totals.values())) > shutil.disk_usage(folder).free:
            raise PictureError(f"{name}: the cache needs {needed / 1e9:.1f} GB of disk.", hint)
        return {
            key: np.memmap(folder / f"{key}.bin", np.uint8, "w+", shape=(total,))
            for key, total in totals.items()
        }
    except OSError as error:
        raise PictureError(
            f"{name}: the cache cannot be written ({error.strerror}).", hint
        ) from error


@contextmanager
def removed_on_failure(folder: Path | None) -> Iterator[None]:
    """Leave no cache behind that was not finished."""
    try:
        yield
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def complete(folder: Path, photos: Photos, arrays: Iterable[NDArray[np.uint8]]) -> None:
    """Complete the cache; without the index it would not be used."""
    for array in arrays:
        assert isinstance(array, np.memmap)
        array.flush()
    index = {
        "digest": photos.digest,
        "skipped": photos.skipped,
        "photos": [[p.name, p.height, p.width, p.hr, p.lr] for p in photos.photos],
    }
    with atomic_write(folder / "index.json", overwrite=True) as file:
        file.write(json.dumps(index).encode())


def read(folder: Path, scales: Sequence[int]) -> Photos | None:
    """What an earlier run has kept, if it is complete."""
    try:
        index = json.loads((folder / "index.json").read_bytes())
        photos = [
            Photo(name, height, width, hr, {int(scale): begin for scale, begin in lr.items()})
            for name, height, width, hr, lr in index["photos"]
        ]
        # "c": torch wants arrays that can be written to; what is written would not reach the file.
        hr = np.memmap(folder / "hr.bin", np.uint8, "c")
        lr = {scale: np.memmap(folder / f"x{scale}.bin", np.uint8, "c") for scale in scales}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    logger.debug("The pictures come from the cache %s.", display_name(folder))
    return Photos(photos, hr, dict(lr), index["skipped"], index["digest"])
