"""Upscale folders of pictures."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edsr_cli.api.opening import open_network, put_on_device
from edsr_cli.checkpoints.checkpoint import weights_digest
from edsr_cli.errors import UsageError
from edsr_cli.images import DEFAULT_MAX_PIXELS, format_for
from edsr_cli.images.alpha import check_format
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.batch.globs import Choice
from edsr_cli.jobs.batch.limits import choose_limits
from edsr_cli.jobs.batch.recipe import Recipe
from edsr_cli.jobs.batch.record import Record
from edsr_cli.jobs.batch.roots import Root, assign_folders
from edsr_cli.jobs.batch.run import Batch, Listener, State
from edsr_cli.jobs.batch.scanning import Scanner
from edsr_cli.jobs.batch.summary import Summary
from edsr_cli.jobs.batch.tasks import Item, Source
from edsr_cli.jobs.upscale import Settings
from edsr_cli.options.definition import takes
from edsr_cli.options.pictures import BatchOptions
from edsr_cli.progress import Called, Progress, calling
from edsr_cli.report import About, Report, check_path
from edsr_cli.restoration.networks import restore_label, weights_of

logger = logging.getLogger(__name__)


@takes(BatchOptions)
def batch(options: BatchOptions) -> Summary:
    """Upscale folders of pictures, as `edsr batch` does.

    Reading, upscaling and writing go on at the same time. What is done is recorded in the output
    folder, so that the same call does only the rest, whatever ended it. Ctrl-C ends it at once,
    and leaves nothing half-written.

    Returns:
        What it came to: `done`, `skipped`, `failed` and `planned` count pictures, `failures` has
        the records of those that failed, `seconds` the time; `stopped` says why it ended early.
        `each` gets a record for every picture, whose `to_dict()` is what `edsr batch --json`
        prints.

    Raises:
        UsageError: the request makes no sense; nothing was done.
        WeightsError: the model is unknown or its file cannot be used.
        EdsrError: an output folder cannot be used, or another run is at work in it.
        TypeError, ValueError: an option is not what it should be; the message names it.

    Example:
        summary = edsr_cli.batch("photos", scale=2, include=["*.jpg"])
        print(f"{summary.done} done, {summary.failed} failed")
    """
    listener = _Calling(options.each, options.progress)
    return prepare(options, calling(options.progress)).go([listener])


@dataclass(frozen=True)
class Prepared:
    """A run over folders that may begin.

    Attributes:
        options: what was asked for.
        upscalers: one for each device.
        roots: the folders.
        recipe: what outputs are made with.
        batch: the run.
        scanner: finds the pictures.
    """

    options: BatchOptions
    upscalers: Sequence[Upscaler]
    roots: Sequence[Root]
    recipe: Recipe
    batch: Batch
    scanner: Scanner

    def go(self, listeners: Sequence[Listener]) -> Summary:
        """Do it, or plan it; see `Batch.run` for what is raised."""
        options = self.options
        if options.dry_run:
            return self.batch.plan(self.scanner.walk(), listeners)
        with ExitStack() as stack:
            if options.report is not None:
                about = _about(self.roots, self.recipe, self.upscalers, options.watch)
                report = Report(Path(options.report), about, options.overwrite)
                listeners = [*listeners, stack.enter_context(report)]
            source, counting = self._sources()
            return self.batch.run(source, listeners, counting)

    def _sources(self) -> tuple[Source, Iterator[Item] | None]:
        """Where tasks come from, and what to count them by."""
        if not self.options.watch:
            return self.scanner.walk(), self.scanner.walk()
        from edsr_cli.jobs.batch.watching import Watcher

        return Watcher(self.scanner, self.roots).tasks(), None


def prepare(options: BatchOptions, progress: Progress) -> Prepared:
    """Load the model, and look whether all that was asked for goes together.

    Raises:
        UsageError, WeightsError: see `batch`.
    """
    if options.report is not None and options.dry_run:
        logger.info("A dry run writes no report.")
    elif options.report is not None:
        check_path(Path(options.report), overwrite=options.overwrite)
    output_format = format_for(None, options.format)
    if options.compression is not None and output_format.name != "PNG":
        raise UsageError("--compression is for PNG.")
    check_format(options.alpha, output_format)
    choice = Choice(options.include, options.exclude)
    name, upscalers = _open(options, progress)
    first = upscalers[0]
    roots = assign_folders(options.inputs, options.output, first.scale, options.recursive)
    settings = Settings(
        name,
        options.ensemble,
        options.tile,
        options.max_pixels or DEFAULT_MAX_PIXELS,
        options.overwrite,
        options.compression,
        options.alpha,
    )
    recipe = Recipe(
        name,
        weights_digest(*weights_of(first)),
        first.scale,
        options.ensemble,
        first.precision.value,
        output_format.name,
        restore_label(first),
        options.alpha,
    )
    batch = Batch(
        upscalers,
        [root.folder for root in roots],
        settings,
        recipe,
        choose_limits(upscalers, options.workers, options.max_queue, options.batch_size),
        options.checksum,
        options.fail_fast,
        options.watch,
    )
    scanner = Scanner(roots, choice, output_format, options.recursive)
    return Prepared(options, upscalers, roots, recipe, batch, scanner)


def _open(options: BatchOptions, progress: Progress) -> tuple[str, list[Upscaler]]:
    """The model's name, and an upscaler for each device."""
    network = open_network(options, options.scale, progress)
    upscalers = [
        put_on_device(options, network, device.strip(), progress)
        for device in options.device.split(",")
    ]
    if len({upscaler.precision for upscaler in upscalers}) > 1:
        raise UsageError(
            "The devices would use different number formats, and so give different pictures.",
            "Choose one with --precision.",
        )
    return network.name, upscalers


def _about(
    roots: Sequence[Root], recipe: Recipe, upscalers: Sequence[Upscaler], watch: bool
) -> About:
    """What a report says about the run."""
    settings = {
        "model": recipe.model,
        "weights": f"SHA-256 {recipe.weights}",
        "scale": f"x{recipe.scale}",
        "restoring": recipe.restore,
        "self-ensemble": "yes" if recipe.ensemble else "no",
        "device": ", ".join(upscaler.engine.describe(upscaler.device) for upscaler in upscalers),
        "precision": recipe.precision,
        "format": recipe.format,
        "alpha": recipe.alpha,
    }
    folders = tuple(root.folder / root.prefix for root in roots)
    return About(tuple(root.path for root in roots), folders, settings, watch)


class _Calling:
    """A listener that calls functions."""

    def __init__(self, each: Callable[[Any], object] | None, progress: Called | None) -> None:
        self._each, self._progress = each, progress

    def ended(self, record: Record) -> None:
        if self._each is not None:
            self._each(record)

    def tick(self, state: State) -> None:
        if self._progress is not None:
            self._progress("pictures", state.summary.ended, state.total or state.fed)

    def finished(self, summary: Summary) -> None:
        if self._progress is not None:
            self._progress("pictures", summary.ended, summary.ended)
