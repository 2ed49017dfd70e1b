"""From what was asked for to a training that may begin: pictures, network, folder."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edsr_cli.degradations.pictures import PictureDegradation, like
from edsr_cli.degradations.reduction import UNKNOWN, Bicubic, Given
from edsr_cli.degradations.reduction import choose as reduction_of
from edsr_cli.errors import UsageError
from edsr_cli.files.names import display_name
from edsr_cli.inference.engines.torch import devices
from edsr_cli.inference.processors import use_threads
from edsr_cli.model.config import NetworkConfig
from edsr_cli.options.definition import options_of
from edsr_cli.options.training import RecipeOptions, TrainOptions
from edsr_cli.progress import Progress, Unit
from edsr_cli.training.initial import initial_network, random_network
from edsr_cli.training.loading import load_photos
from edsr_cli.training.patches import Sampler, home
from edsr_cli.training.photos import Photos
from edsr_cli.training.recipe import preset, with_options
from edsr_cli.training.run import Run, RunFolder
from edsr_cli.training.state import Subject
from edsr_cli.training.trainer import Trainer
from edsr_cli.training.validation import Pairs, degraded_pairs, hold_out, pairs_in, pairs_of

logger = logging.getLogger(__name__)

_IN_RECIPE = {
    "max_time": "max_seconds",
    "batch": "batch_size",
    "patch": "patch_size",
    "clip": "clip_norm",
    "degrade": "degradation",
}
"""What options are called in a recipe, where that is something else."""


@contextmanager
def begun(options: TrainOptions, progress: Progress) -> Iterator[Run]:
    """A training as it was asked for, in its folder, which is held until the end of the block.

    `Run.begin` is to come next.

    Args:
        options: what was asked for.
        progress: told of the pictures that are read.

    Raises:
        UsageError, WeightsError, PictureError: it cannot begin.
    """
    use_threads(options.threads)
    config, recipe = preset(options.preset, options.scale)
    sources = [Path(name) for name in options.data]
    reduction, sources = reduction_of(options.degrade or "", sources, config.scales)
    if options.shrink > 1 and isinstance(reduction, Given):
        raise UsageError("--shrink does not go with LR pictures that are given.", "Leave it out.")
    changes = _changes(options)
    if reduction.identity != Bicubic().identity:
        changes["degradation"] = f"{UNKNOWN}:{reduction.identity}"
    recipe = with_options(recipe, **changes)
    target = devices.pick_device(options.device)
    folder = RunFolder(Path(options.output))
    folder.check(options.resume, options.overwrite)
    least = recipe.reach * max(config.scales)
    cache = None if options.cache is None else Path(options.cache)
    with progress("Reading pictures", 1, Unit.PICTURES) as report:
        photos = load_photos(
            sources, config.scales, least, cache, report, reduction, options.shrink
        )
    _describe(photos)
    degradation = recipe.patch_degradation
    learn, pairs = _validation(photos, config, options, like(reduction))
    pairs = degraded_pairs(pairs, degradation)
    if options.resume:
        network, start = random_network(config, recipe.seed), ""  # both come from the state
    else:
        network, start = initial_network(config, recipe.seed, options.init, options.init_scale)
    _describe_split(photos, learn, options.validate)
    subject = Subject(config, recipe, _data(photos, learn, options), _init(options), start)
    sampler = Sampler(
        learn,
        config.scales,
        recipe.batch_size,
        recipe.patch_size,
        recipe.seed,
        home(learn, target),
        degradation,
    )
    with folder.held():
        folder.check(options.resume, options.overwrite)  # what another process has done since
        trainer = Trainer(network, recipe, sampler, target, graph=options.cuda_graph)
        yield Run(folder, subject, trainer, pairs)


def _changes(options: RecipeOptions) -> dict[str, Any]:
    """What the options say of a recipe; None for nothing."""
    return {
        _IN_RECIPE.get(name, name): getattr(options, name) for name in options_of(RecipeOptions)
    }


def _init(options: TrainOptions) -> str | None:
    """What the weights come from, as it was asked for."""
    if options.init and options.init_scale:
        return f"{options.init} x{options.init_scale}"
    return options.init


def _data(photos: Photos, learn: Photos, options: TrainOptions) -> dict[str, Any]:
    """What is learnt from, as JSON-ready values."""
    data = learn.summary() | {"held_out": len(photos.photos) - len(learn.photos)}
    return data | {"shrink": options.shrink} if options.shrink > 1 else data


def _validation(
    photos: Photos, config: NetworkConfig, options: TrainOptions, degrade: PictureDegradation
) -> tuple[Photos, Pairs]:
    """The pictures to learn from, and what to measure PSNR on."""
    if options.validate is not None:
        folder = Path(options.validate)
        return photos, {scale: pairs_in(folder, scale, degrade) for scale in config.scales}
    learn, held = hold_out(photos, options.hold_out)
    return learn, {scale: pairs_of(held, scale) for scale in config.scales}


def _describe(photos: Photos) -> None:
    """Say what there is to learn from."""
    for remark in photos.skipped:
        logger.warning("Skipped: %s", remark)
    summary = photos.summary()
    logger.info(
        "%d pictures, %s megapixels; %d skipped.",
        summary["pictures"],
        summary["megapixels"],
        summary["skipped"],
    )


def _describe_split(photos: Photos, learn: Photos, folder: str | None) -> None:
    """Say what is learnt from, and what PSNR is measured on."""
    learnt = {photo.hr for photo in learn.photos}  # names may be there in several folders
    held = [photo.name for photo in photos.photos if photo.hr not in learnt]
    if folder is not None:
        rest = f"PSNR is measured on {display_name(Path(folder))}"
    elif held:
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        rest = f"PSNR is measured on {len(held)} held out: {', '.join(held[:3])}{more}"
    else:
        rest = "none is held out, so no PSNR is measured; --validate or --hold-out would do that"
    logger.info("Learning from %d; %s.", len(learn.photos), rest)
