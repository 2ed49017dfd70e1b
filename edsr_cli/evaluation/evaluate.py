"""Upscale the pictures of a data set, one at a time, and compare them with the originals."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import NDArray

from edsr_cli.datasets.benchmark import Benchmark, LoadedPair, Pair, load_pair
from edsr_cli.degradations.pictures import CLEAN, PictureDegradation
from edsr_cli.errors import EdsrError, ExitCode, PictureError
from edsr_cli.evaluation.metrics import SSIM_WINDOW
from edsr_cli.evaluation.saving import check_destination, destination
from edsr_cli.evaluation.scores import Scores, measure
from edsr_cli.files.names import display_name
from edsr_cli.images import DEFAULT_MAX_PIXELS, Metadata, write_picture
from edsr_cli.images.outputs import PNG
from edsr_cli.images.provenance import provenance
from edsr_cli.inference import Progress, Tile, Upscaler
from edsr_cli.pixels import resize
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.pixels.windows import ArrayWindow
from edsr_cli.restoration.networks import at_choice, choice_for

logger = logging.getLogger(__name__)

Shown = Callable[[Pair], AbstractContextManager[Progress | None]]
"""What to do around a picture; gives what to tell the progress to."""

Seen = Callable[["Result", LoadedPair, NDArray[np.uint8], NDArray[np.uint8]], None]
"""Takes what became of a picture, the pair, and the network's and the interpolated picture."""


class Settings(Struct, frozen=True):
    """What holds for every picture of a run.

    Attributes:
        model: the model's name, for results.
        ensemble: average the eight views of the geometric self-ensemble.
        tile: columns of a panel in LR pixels, "auto" or "none".
        border: pixels at each side that are not compared; None for what the data set asks for.
        max_pixels: refuse files with more pixels than this.
        save: the folder for SR pictures; None not to keep them.
        overwrite: replace SR pictures that exist.
        degrade: what LR pictures suffer first.
        restore: how much pictures are restored, for results: a number, or "auto" with the version
            of its thresholds.
    """

    model: str
    ensemble: bool = False
    tile: Tile = "auto"
    border: int | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS
    save: Path | None = None
    overwrite: bool = False
    degrade: PictureDegradation = CLEAN
    restore: str = "0"


class Result(Struct):
    """What became of one picture.

    Attributes:
        dataset, picture: names.
        scale: the upscaling factor.
        model, ensemble, device, precision: what it was made with; precision as it ended up.
        border: pixels at each side that were not compared.
        lr: "given", or "made" from the original.
        degradation: what LR suffered, or "clean".
        scores: of the network's picture; None if it failed.
        bicubic: of bicubic interpolation; None if it failed.
        seconds: time for upscaling alone.
        saved: the file that the SR picture was written to.
        restore, restore_reason: how much the picture was restored, 0 to 1, and why; None where the
            model has no second network for that.
        notes: remarks about the files.
        error: what went wrong and what to do, if it failed.
        exit_code: the exit code that this result stands for.
    """

    dataset: str
    picture: str
    scale: int
    model: str
    ensemble: bool
    device: str
    precision: str
    border: int
    lr: str
    degradation: str
    scores: Scores | None = None
    bicubic: Scores | None = None
    seconds: float = 0.0
    saved: str | None = None
    restore: float | None = None
    restore_reason: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    exit_code: ExitCode = ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; the scores are beside the rest, and left out if there are none."""
        apart = ("scores", "bicubic", "seconds", "exit_code")
        values: dict[str, Any] = {"kind": "picture"}
        values |= {name: value for name, value in asdict(self).items() if name not in apart}
        if self.scores and self.bicubic:
            values |= self.scores.to_dict() | self.bicubic.to_dict("bicubic_")
        return values | {"seconds": round(self.seconds, 3)}


def evaluate(
    benchmark: Benchmark,
    upscaler: Upscaler,
    settings: Settings,
    shown: Shown | None = None,
    seen: Seen | None = None,
) -> Iterator[Result]:
    """Evaluate a network on a data set; one picture is in memory at a time.

    Args:
        benchmark: the data set.
        upscaler: the network, at the scale to evaluate.
        settings: see `Settings`.
        shown: see `Shown`.
        seen: see `Seen`; called for pictures that do not fail.

    Raises:
        UsageError: the data set's folder cannot be read. A picture that fails is a `Result`.
    """
    for pair in benchmark.pairs(upscaler.scale):
        with shown(pair) if shown else nullcontext() as progress:
            result = evaluate_picture(benchmark, pair, upscaler, settings, progress, seen)
        yield result


def evaluate_picture(
    benchmark: Benchmark,
    pair: Pair,
    upscaler: Upscaler,
    settings: Settings,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Result:
    """Upscale one picture, round it to 8 bits, and compare it. Does not raise.

    Args:
        benchmark: the data set that the picture is of.
        pair: the picture.
        upscaler: the network, at the pair's scale.
        settings: see `Settings`.
        progress: called with the LR pixels that are done, and that there are.
        seen: see `Seen`.
    """
    result = Result(
        dataset=benchmark.name,
        picture=pair.name,
        scale=pair.scale,
        model=settings.model,
        ensemble=settings.ensemble,
        device=str(upscaler.device),
        precision=upscaler.precision.value,
        border=benchmark.border(pair.scale) if settings.border is None else settings.border,
        lr="made" if pair.lr is None else "given",
        degradation=settings.degrade.name,
    )
    try:
        path = settings.save and destination(settings.save, benchmark, pair)
        _evaluate(result, pair, upscaler, settings, path, progress, seen)
    except Exception as error:  # one picture must not end the others
        _explain(result, error, display_name(pair.hr))
    return result


def _evaluate(
    result: Result,
    pair: Pair,
    upscaler: Upscaler,
    settings: Settings,
    path: Path | None,
    progress: Progress | None,
    seen: Seen | None,
) -> None:
    loaded = settings.degrade(pair, load_pair(pair, settings.max_pixels))
    result.notes = loaded.notes
    _check_size(loaded, pair, result.border)
    if path is not None:
        check_destination(path, settings.overwrite)
    begin = time.perf_counter()
    choice = choice_for(upscaler, ArrayWindow(loaded.lr), loaded.compression)
    if choice is not None:
        result.restore, result.restore_reason = choice.strength, choice.reason
    chosen = at_choice(upscaler, choice)
    upscaled = chosen.upscale(loaded.lr, settings.ensemble, settings.tile, "uint8", progress)
    result.seconds = time.perf_counter() - begin
    result.precision = upscaled.precision.value
    sr = to_uint8(upscaled.pixels)
    if path is not None:
        record = Metadata(software=provenance(settings.model, pair.scale))
        write_picture(path, sr, PNG, record, settings.overwrite)
        result.saved = str(path)
    scores = measure(sr, loaded.hr, result.border)
    interpolated = resize.upscale(loaded.lr, pair.scale)
    simple = measure(interpolated, loaded.hr, result.border)
    result.scores, result.bicubic = scores, simple
    if seen is not None:
        seen(result, loaded, sr, interpolated)


def _check_size(loaded: LoadedPair, pair: Pair, border: int) -> None:
    """Refuse a picture that cannot be compared before any work is done on it."""
    height, width = loaded.hr.shape[:2]
    least = SSIM_WINDOW + 2 * border
    if min(height, width) < least:
        raise PictureError(
            f"{width} x {height} pixels are too few to compare; with a "
            f"border of {border} pixels, {least} x {least} are needed.",
            about=display_name(pair.hr),
        )


def _explain(result: Result, error: Exception, name: str) -> None:
    """Put into words what went wrong."""
    if isinstance(error, EdsrError):
        result.error = str(error) if isinstance(error, PictureError) else f"{name}: {error}"
        result.exit_code = error.exit_code
        cause = error.__cause__
    else:
        detail = " ".join(str(error).split())
        result.error = f"{name}: unexpected {type(error).__name__}: {detail}"
        result.exit_code = ExitCode.SOME_FAILED
        cause = error
    if cause is not None:
        logger.debug("What is behind the error below:", exc_info=cause)
