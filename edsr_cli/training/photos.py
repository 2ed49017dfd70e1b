"""The training pictures in memory: every HR picture and its LR versions, as plain bytes.

They are kept in flat arrays, which a GPU can hold as they are, and a patch is a set of indices into
them. So a batch is cut by one gather per array, on whatever device the arrays are.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.datasets.bicubic import downscale
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.images import READ_SUFFIXES, atomic_write, decode, probe
from edsr_cli.images.rounding import to_uint8
from edsr_cli.images.source import display_name

logger = logging.getLogger(__name__)

_INDEX_VERSION = 1


@dataclass(frozen=True)
class Photo:
    """Where a picture lies in the arrays.

    Attributes:
        name: its path below the folder it came from.
        height, width: in HR pixels.
        hr: index of its first sample in the HR array.
        lr: for each scale, the index of its first sample in that scale's LR array.
    """

    name: str
    height: int
    width: int
    hr: int
    lr: dict[int, int]


@dataclass(frozen=True)
class Photos:
    """Training pictures.

    Attributes:
        photos: where each one lies.
        hr: all HR samples, flat uint8, each picture as (H, W, 3).
        lr: for each scale, all LR samples, each picture as (H // scale, W // scale, 3), made from
            the whole HR picture by MATLAB's bicubic rule, as those of DIV2K were.
        skipped: a line for every file that could not be used, with the reason.
        digest: identifies the pictures: the same files give the same digest.
    """

    photos: list[Photo]
    hr: NDArray[np.uint8]
    lr: dict[int, NDArray[np.uint8]]
    skipped: list[str] = field(default_factory=list)
    digest: str = ""

    def picture(self, index: int) -> NDArray[np.uint8]:
        """The HR picture of that index, (H, W, 3)."""
        photo = self.photos[index]
        samples = photo.height * photo.width * 3
        return self.hr[photo.hr : photo.hr + samples].reshape(photo.height, photo.width, 3)

    def small_picture(self, index: int, scale: int) -> NDArray[np.uint8]:
        """The LR picture of that index, (H // scale, W // scale, 3)."""
        photo = self.photos[index]
        height, width, begin = photo.height // scale, photo.width // scale, photo.lr[scale]
        return self.lr[scale][begin : begin + height * width * 3].reshape(height, width, 3)

    def summary(self) -> dict[str, Any]:
        """What went in, as JSON-ready values."""
        return {
            "pictures": len(self.photos),
            "megapixels": round(sum(p.height * p.width for p in self.photos) / 1e6, 2),
            "skipped": len(self.skipped),
            "digest": self.digest,
        }


def find_pictures(sources: Sequence[Path]) -> list[tuple[str, Path]]:
    """All files with a picture's suffix in and below some folders, with names, in fixed order.

    Hidden files and folders are left out, and links to folders are not followed.

    Raises:
        UsageError: a source does not exist, or there are no pictures.
    """
    found = []
    for source in sources:
        if source.is_file():
            found.append((source.name, source))
            continue
        if not source.is_dir():
            raise UsageError(f"There is no folder {display_name(source)}.", "Check the name.")
        for folder, folders, files in os.walk(source):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(folder, name)
                if not name.startswith(".") and path.suffix.lower() in READ_SUFFIXES:
                    found.append((path.relative_to(source).as_posix(), path))
    if not found:
        names = ", ".join(display_name(source) for source in sources)
        raise UsageError(f"There are no pictures in {names}.", "Check the name.")
    return found


def load_photos(
    sources: Sequence[Path],
    scales: Sequence[int],
    least: int,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Photos:
    """Read all pictures of some folders and make their LR versions.

    Args:
        sources: folders, searched with all that is below, or files.
        scales: the scales to make LR pictures for.
        least: skip pictures that are narrower or lower than this, in HR pixels.
        cache: a folder in which to keep the arrays: they are mapped from there instead of being
            held in memory, and are found there the next time. None keeps them in memory.
        progress: called with the pictures that are done, and that there are.

    Raises:
        UsageError: a source does not exist, or no picture in it can be used.
        PictureError: the cache cannot be written.
    """
    files = find_pictures(sources)
    folder = None if cache is None else cache / _digest(files, scales, least, times=True)
    if folder is not None and (kept := _read_cache(folder, scales)) is not None:
        return kept
    usable, skipped = _probe(files, least)
    photos, totals = _lay_out(usable, scales)
    digest = _digest(files, scales, least, times=False)
    if not photos:
        raise UsageError(
            f"None of the {len(files)} pictures can be used; the first: {skipped[0]}",
            f"They must be at least {least} pixels wide and high.",
        )
    arrays = {key: _array(folder, key, total) for key, total in totals.items()}
    result = Photos(photos, arrays["hr"], {s: arrays[f"x{s}"] for s in scales}, skipped, digest)
    result = _fill(result, [path for _, path, _, _ in usable], progress)
    if not result.photos:
        raise UsageError(f"No picture can be used; the first: {result.skipped[0]}")
    if folder is not None:
        _write_cache(folder, result, arrays.values())
    return result


def _probe(
    files: Iterable[tuple[str, Path]], least: int
) -> tuple[list[tuple[str, Path, int, int]], list[str]]:
    """Names, paths, heights and widths of what is large enough, and remarks on the others."""
    usable, skipped = [], []
    for name, path in files:
        try:
            info = probe(path)
        except PictureError as error:
            skipped.append(str(error))
            continue
        if min(info.width, info.height) < least:
            skipped.append(
                f"{display_name(path)}: {info.width} x {info.height} pixels are less than a patch."
            )
        else:
            usable.append((name, path, info.height, info.width))
    return usable, skipped


def _lay_out(
    usable: Iterable[tuple[str, Path, int, int]], scales: Sequence[int]
) -> tuple[list[Photo], dict[str, int]]:
    """Give every picture its place; the lengths of the arrays come second."""
    totals = {"hr": 0} | {f"x{scale}": 0 for scale in scales}
    photos = []
    for name, _, height, width in usable:
        starts = {scale: totals[f"x{scale}"] for scale in scales}
        photos.append(Photo(name, height, width, totals["hr"], starts))
        totals["hr"] += height * width * 3
        for scale in scales:
            totals[f"x{scale}"] += (height // scale) * (width // scale) * 3
    return photos, totals


def _fill(
    photos: Photos, paths: Sequence[Path], progress: Callable[[int, int], None] | None
) -> Photos:
    """Decode every picture to its place. A bad one leaves a hole that nothing refers to."""

    def read(index: int) -> str | None:
        photo = photos.photos[index]
        try:
            pixels = to_uint8(decode(paths[index]).pixels)
        except PictureError as error:
            return str(error)
        if pixels.shape[:2] != (photo.height, photo.width):
            return f"{display_name(paths[index])}: it has changed while it was read."
        photos.picture(index)[:] = pixels
        for scale in photos.lr:
            photos.small_picture(index, scale)[:] = downscale(pixels, scale)
        return None

    good, skipped = [], list(photos.skipped)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for index, remark in enumerate(pool.map(read, range(len(photos.photos)))):
            if remark is None:
                good.append(photos.photos[index])
            else:
                skipped.append(remark)
            if progress is not None:
                progress(index + 1, len(photos.photos))
    return Photos(good, photos.hr, photos.lr, skipped, photos.digest)


def _digest(
    files: Iterable[tuple[str, Path]], scales: Sequence[int], least: int, times: bool
) -> str:
    """Identifies what the arrays will hold, by names and sizes of the files, or times as well."""
    lines = [json.dumps([_INDEX_VERSION, sorted(scales), least])]
    for name, path in files:
        try:
            found = path.stat()
        except OSError:
            continue
        lines.append(json.dumps([name, found.st_size] + [found.st_mtime_ns] * times))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _array(folder: Path | None, key: str, total: int) -> NDArray[np.uint8]:
    if folder is None:
        return np.empty(total, np.uint8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return np.memmap(folder / f"{key}.bin", np.uint8, "w+", shape=(total,))
    except OSError as error:
        raise PictureError(
            f"{display_name(folder)}: the cache cannot be written ({error.strerror}).",
            "Choose another folder with --cache, or leave it out.",
        ) from error


def _write_cache(folder: Path, photos: Photos, arrays: Iterable[NDArray[np.uint8]]) -> None:
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


def _read_cache(folder: Path, scales: Sequence[int]) -> Photos | None:
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
