"""Where SR pictures are kept, if they are."""

import os
from collections.abc import Iterable
from pathlib import Path

from edsr_cli.datasets.benchmark import Benchmark, Pair
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.files.names import display_name


def destination(folder: Path, benchmark: Benchmark, pair: Pair) -> Path:
    """The file for a picture's SR version: FOLDER/Set5/X2/baby.png."""
    return folder / benchmark.name / f"X{pair.scale}" / f"{pair.name}.png"


def refuse_conflicts(folder: Path, benchmarks: Iterable[Benchmark], scales: Iterable[int]) -> None:
    """Find out before the work whether every SR picture would get a file of its own.

    Raises:
        UsageError: `folder` is a file, two pictures would be written to one file, or one would
            replace a picture of a data set.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UsageError(f"{display_name(folder)} is not a folder.", "Give another one to --save.")
    work = [
        (benchmark, pair)
        for benchmark in benchmarks
        for scale in scales
        for pair in benchmark.pairs(scale)
    ]
    inputs = {_identity(path) for _, pair in work for path in (pair.hr, pair.lr) if path}
    writers: dict[str, Path] = {}
    for benchmark, pair in work:
        path = destination(folder, benchmark, pair)
        identity = _identity(path)
        if identity in inputs:
            raise UsageError(
                f"{display_name(path)} is in the data set and would be replaced.",
                "Give another folder to --save.",
            )
        other = writers.setdefault(identity, pair.hr)
        if other != pair.hr:
            raise UsageError(
                f"{display_name(other)} and {display_name(pair.hr)} would both be saved to "
                f"{display_name(path)}.",
                "Evaluate them in two runs with different folders.",
            )


def check_destination(path: Path, overwrite: bool) -> None:
    """Make the folder of a file, and find out before the work whether the file may be written.

    Raises:
        PictureError: the folder cannot be made, or the file exists and may not be replaced.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(
            f"it cannot be written ({error.strerror}).",
            "Give another folder to --save.",
            about=display_name(path),
        ) from error
    if os.path.lexists(path) and not overwrite:
        raise PictureError(
            "the file exists already.", "To replace it, add --overwrite.", about=display_name(path)
        )


def _identity(path: Path) -> str:
    """Equal for paths that name one file."""
    return os.path.normcase(os.path.realpath(path))
