"""From folders of pictures to the arrays that batches are cut from."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edsr_cli.degradations.reduction import Bicubic, Given, Reduction
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.files.walk import files_below
from edsr_cli.images import READ_SUFFIXES, decode, probe
from edsr_cli.inference import processors
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.pixels.resize import downscale
from edsr_cli.training import cache
from edsr_cli.training.photos import Photo, Photos

_BICUBIC = Bicubic()
_LOSSY = ("JPEG", "MPO")  # formats whose artefacts a reduction takes away


def find_pictures(sources: Sequence[Path]) -> list[tuple[str, Path]]:
    """All files with a picture's suffix in and below some folders, with names, in fixed order.

    Hidden files and folders are left out, and links to folders are not followed.

    Raises:
        UsageError: a source does not exist, or there are no pictures.
    """
    found = []
    for source in sources:
        if os.path.isfile(source):  # noqa: PTH113 - false, not an error, whatever the name
            found.append((source.name, source))
            continue
        if not os.path.isdir(source):  # noqa: PTH112
            raise UsageError(f"There is no folder {display_name(source)}.", "Check the name.")
        found += [
            (path.relative_to(source).as_posix(), path)
            for path in files_below(source)
            if path.suffix.lower() in READ_SUFFIXES
        ]
    if not found:
        names = ", ".join(display_name(source) for source in sources)
        raise UsageError(f"There are no pictures in {names}.", "Check the name.")
    return found


def load_photos(
    sources: Sequence[Path],
    scales: Sequence[int],
    least: int,
    cache_folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    reduction: Reduction = _BICUBIC,
    shrink: int = 1,
) -> Photos:
    """Read all pictures of some folders and make their LR versions.

    Args:
        sources: folders, searched with all that is below, or files.
        scales: the scales to make LR pictures for.
        least: skip pictures that are narrower or lower than this, in HR pixels.
        cache_folder: where to keep the arrays: they are mapped from there instead of being
            held in memory, and are found there the next time. None keeps them in memory.
        progress: called with the pictures that are done, and that there are.
        reduction: gives the LR versions.
        shrink: make pictures from JPEG files so many times smaller first, by MATLAB's bicubic rule,
            so that their own artefacts go.

    Raises:
        UsageError: a source does not exist, or no picture in it can be used.
        FileError: the cache cannot be written.
    """
    files = find_pictures(sources)
    way = [] if reduction == _BICUBIC and shrink == 1 else [reduction.identity, shrink]
    folder = None
    if cache_folder is not None:
        given = reduction.files.values() if isinstance(reduction, Given) else ()
        read = [*files, *((path.name, path) for path in given)]
        folder = cache_folder / cache.digest(read, scales, least, True, way)
    if folder is not None and (kept := cache.read(folder, scales)) is not None:
        return kept
    with cache.making(folder) as making:
        if folder is not None and (kept := cache.read(folder, scales, warn=True)) is not None:
            return kept  # another training has made it meanwhile
        usable, skipped = _probe(files, least, shrink)
        photos, totals = _lay_out(usable, scales)
        digest = cache.digest(files, scales, least, False, way)
        if not photos:
            raise UsageError(
                f"None of the {len(files)} pictures can be used; the first: {skipped[0]}",
                f"They must be at least {least} pixels wide and high.",
            )
        arrays = making.arrays(totals)
        result = Photos(photos, arrays["hr"], {s: arrays[f"x{s}"] for s in scales}, skipped, digest)
        paths = [path for _, path, _, _ in usable]
        result = _fill(result, paths, partial(_read, shrink=shrink), reduction, progress)
        if not result.photos:
            raise UsageError(f"No picture can be used; the first: {result.skipped[0]}")
        making.complete(result, arrays)
    return result


def _probe(
    files: Iterable[tuple[str, Path]], least: int, shrink: int
) -> tuple[list[tuple[str, Path, int, int]], list[str]]:
    """Names, paths, heights and widths of what is large enough, and remarks on the others."""
    usable, skipped = [], []
    for name, path in files:
        try:
            info = probe(path)
        except PictureError as error:
            skipped.append(str(error))
            continue
        divisor = shrink if info.format in _LOSSY else 1
        height, width = info.height // divisor, info.width // divisor
        if min(width, height) < least:
            smaller = f", made {divisor} times smaller," if divisor > 1 else ""
            skipped.append(
                f"{display_name(path)}: {info.width} x {info.height} pixels{smaller} are less than "
                "a patch."
            )
        else:
            usable.append((name, path, height, width))
    return usable, skipped


def _read(path: Path, shrink: int) -> NDArray[np.uint8]:
    """The pixels of a picture, made smaller if it comes from a JPEG file."""
    picture = decode(path)
    pixels = to_uint8(picture.pixels)
    return downscale(pixels, shrink) if picture.source_format in _LOSSY and shrink > 1 else pixels


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
    photos: Photos,
    paths: Sequence[Path],
    read: Callable[[Path], NDArray[np.uint8]],
    reduction: Reduction,
    progress: Callable[[int, int], None] | None,
) -> Photos:
    """Decode every picture to its place. A bad one leaves a hole that nothing refers to."""

    def fill(index: int) -> str | None:
        photo, path = photos.photos[index], paths[index]
        try:
            pixels = read(path)
            if pixels.shape[:2] != (photo.height, photo.width):
                return f"{display_name(path)}: it has changed while it was read."
            for scale in photos.lr:
                photos.small_picture(index, scale)[:] = reduction(path, pixels, scale)
        except PictureError as error:
            return str(error)
        photos.picture(index)[:] = pixels
        return None

    good, skipped = [], list(photos.skipped)
    pool = ThreadPoolExecutor(min(8, processors.available()))
    try:
        for index, remark in enumerate(pool.map(fill, range(len(photos.photos)))):
            if remark is None:
                good.append(photos.photos[index])
            else:
                skipped.append(remark)
            if progress is not None:
                progress(index + 1, len(photos.photos))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C should not wait for all that is left
    return Photos(good, photos.hr, photos.lr, skipped, photos.digest)
