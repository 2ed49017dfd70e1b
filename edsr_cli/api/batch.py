"""Upscale folders of pictures."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import fields, replace

from edsr_cli.api.checks import check_format, staged, stores_in
from edsr_cli.api.fetching import finder
from edsr_cli.api.opening import worker_spec
from edsr_cli.errors import UsageError
from edsr_cli.folders.globs import Choice
from edsr_cli.folders.recipe import Recipe, recipe_of
from edsr_cli.folders.roots import Root, assign_folders
from edsr_cli.folders.run import Batch, Listener, State
from edsr_cli.folders.scanning import Scanner, Source
from edsr_cli.folders.shards import Shard, parse_shard
from edsr_cli.folders.status import FolderStatus, run_line, tell
from edsr_cli.folders.summary import Summary
from edsr_cli.images import OutputFormat, format_for
from edsr_cli.jobs.naming import Namer, is_same
from edsr_cli.jobs.record import Record
from edsr_cli.jobs.spec import WorkerSpec
from edsr_cli.jobs.threads import choose_limits
from edsr_cli.jobs.worker import Worker
from edsr_cli.options.definition import takes
from edsr_cli.options.folders import BatchOptions
from edsr_cli.options.pictures import WAYS
from edsr_cli.options.reading import fields_of
from edsr_cli.progress import Called, Progress, calling
from edsr_cli.report import REPORT, About, Report

if TYPE_CHECKING:
    from edsr_cli.jobs.cluster import Site

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
        prints. With `status`, they are those of earlier runs, and `planned` counts what is missing.

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
    if options.status:
        return Told.about(options).go([listener])
    return prepare(options, calling(options.progress)).go([listener])


class Prepared(Struct, frozen=True):
    """A run over folders that may begin.

    Attributes:
        options: what was asked for.
        worker: who does it, or stands for those of a cluster.
        roots: the folders.
        recipe: what outputs are made with.
        site: the cluster where it is done, if not on this machine.
        batch: the run.
        scanner: finds the pictures.
        held: what is to be let go of at the end, such as the connection to a cluster.
    """

    options: BatchOptions
    worker: Worker
    roots: Sequence[Root]
    recipe: Recipe
    site: "Site | None"
    batch: Batch
    scanner: Scanner
    held: ExitStack

    @property
    def devices(self) -> str:
        """Where it is done, in words."""
        if self.site is not None:
            return f"{self.site.workers} workers on {self.site.cluster.address}"
        return ", ".join(each.engine.describe(each.device) for each in self.worker.upscalers)

    def go(self, listeners: Sequence[Listener]) -> Summary:
        """Do it, or plan it; see `Batch.run` for what is raised."""
        options = self.options
        with self.held, ExitStack() as stack:
            if options.dry_run:
                return self.batch.plan(self.scanner.walk(), listeners)
            if options.report is not None:
                size = self.worker.target.label
                about = _about(self.roots, self.recipe, size, self.devices, options.watch)
                report = Report(Path(options.report), about, options.overwrite, options.frame)
                listeners = [*listeners, stack.enter_context(report)]
            source, counting = self._sources()
            return self.batch.run(source, listeners, counting)

    def _sources(self) -> tuple[Source, Iterator[int] | None]:
        """Where tasks come from, and what to count them by."""
        if not self.options.watch:
            return self.scanner.walk(), self.scanner.count()
        from edsr_cli.folders.watching import Watcher

        return Watcher(self.scanner, self.roots).tasks(), None


def prepare(options: BatchOptions, progress: Progress) -> Prepared:
    """Load the model, and look whether all that was asked for goes together.

    Raises:
        UsageError, WeightsError: see `batch`.
    """
    output_format = _checked(options)
    choice = Choice(options.include, options.exclude)
    shard = parse_shard(options.shard)
    names = [name.strip() for name in options.device.split(",")]
    if names == ["all"]:
        from edsr_cli.inference.engines.listing import usable

        names = usable()
    spec = worker_spec(options, names)
    on_cluster = options.ray is not None and not options.dry_run
    # What this machine computes with says nothing about those that will.
    here = replace(spec, devices=("cpu",)) if on_cluster else spec
    worker = here.open(spec.load(finder(options.download, progress)))
    with ExitStack() as stack:
        staging = stack.enter_context(staged(options))
        roots = assign_folders(
            options.inputs, options.output, worker.target.label, options.recursive, staging
        )
        if on_cluster:
            site, recipe = _join(options, spec, output_format, stack)
        else:
            site, recipe = None, recipe_of(worker, output_format)
        namer = None if options.name is None else Namer(worker.target, options.name, worker.model)
        scanner = Scanner(
            roots, choice, output_format, recursive=options.recursive, namer=namer, shard=shard
        )
        run = _run(options, worker, roots, recipe, shard, site, namer)
        # Behind this nothing fails, or what is held would not be let go of.
        return Prepared(options, worker, roots, recipe, site, run, scanner, stack.pop_all())


def _checked(options: BatchOptions) -> OutputFormat | None:
    """Refuse what does not go together; gives the output format, or None for that of each input.

    Raises:
        UsageError: there is something.
    """
    if options.report is not None and options.dry_run:
        logger.info("A dry run writes no report.")
    elif options.report is not None:
        REPORT.check(Path(options.report), overwrite=options.overwrite)
    if options.name is not None and "stem" not in fields_of(options.name):
        raise UsageError("--name without {stem} would be one name for all pictures.")
    if options.ray is not None and stores_in(options):
        raise UsageError(
            "--ray is for folders that all machines see, not for stores: what comes of an object "
            "is kept on one machine until it is whole.",
            "Start a job array with --shard auto instead.",
        )
    if is_same(options.format):
        return None
    output_format = format_for(None, options.format)
    check_format(options, output_format)
    return output_format


def _join(
    options: BatchOptions, spec: WorkerSpec, output_format: OutputFormat | None, stack: ExitStack
) -> "tuple[Site, Recipe]":
    """Join the cluster until the stack ends; what its workers make outputs with comes from one."""
    from edsr_cli.jobs.cluster import Cluster, Site, ask_a_worker, connected

    assert options.ray is not None
    cluster = Cluster(
        address=options.ray,
        workers=options.ray_workers,
        cpus=options.worker_cpus,
        gpus=options.worker_gpus,
    )
    count = stack.enter_context(connected(cluster))
    recipe = ask_a_worker(spec, cluster, partial(recipe_of, output_format=output_format))
    return Site(spec, cluster, count), recipe


def _run(
    options: BatchOptions,
    worker: Worker,
    roots: Sequence[Root],
    recipe: Recipe,
    shard: Shard,
    site: "Site | None",
    namer: Namer | None,
) -> Batch:
    """The run, with all that holds for it."""
    settings: dict[str, Any] = {
        "include": list(options.include),
        "exclude": list(options.exclude),
        "recursive": options.recursive,
        "format": options.format,
    }
    if namer is not None:
        settings["namer"] = namer.to_dict()
    factor = worker.target.factor
    return Batch(
        worker=worker,
        folders=[root.folder for root in roots],
        goals={root.folder: root.goal for root in roots if root.goal is not None},
        recipe=recipe,
        limits=choose_limits(
            worker.upscalers,
            workers=options.workers,
            queue_bytes=options.max_queue,
            factor=None if factor is None else float(factor),
        ),
        checksum=options.checksum,
        fail_fast=options.fail_fast,
        watching=options.watch,
        shard=shard,
        run_line=lambda folder: run_line(roots, folder, shard=shard, settings=settings),
        site=site,
    )


class Told(Struct, frozen=True):
    """What became of all pictures in output folders.

    Attributes:
        options: what was asked for.
        folders: the output folders.
        held: what is to be let go of at the end.
    """

    options: BatchOptions
    folders: Sequence[FolderStatus]
    held: ExitStack

    @classmethod
    def about(cls, options: BatchOptions) -> "Told":
        """Read the manifests of the output folders: of `output`, or else of the `inputs`.

        Raises:
            UsageError: one of them is no output folder.
            LedgerError: a manifest cannot be read.
        """
        if options.report is not None:
            REPORT.check(Path(options.report), overwrite=options.overwrite)
        names = options.inputs if options.output is None else [options.output]
        with ExitStack() as stack:
            staging = stack.enter_context(staged(options, always=True))
            folders = [FolderStatus(name, staging) for name in names]
            return cls(options, folders, stack.pop_all())

    def go(self, listeners: Sequence[Listener]) -> Summary:
        """Tell it to listeners, and in a report if one is wanted."""
        with self.held, ExitStack() as stack:
            if self.options.report is not None:
                roots = [root for status in self.folders for root in status.roots]
                settings = {k: v for status in self.folders for k, v in status.settings.items()}
                about = About(*_places(roots), settings)
                report = Report(Path(self.options.report), about, self.options.overwrite)
                listeners = [*listeners, stack.enter_context(report)]
            return tell(self.folders, listeners)


_ALWAYS_TOLD = ("restore", "alpha")  # and what has no default
_TOLD_APART = ("model", "weights", *WAYS)
_NAMES = {"restore": "restoring", "ensemble": "self-ensemble", "strip": "metadata left out"}


def _about(roots: Sequence[Root], recipe: Recipe, size: str, devices: str, watch: bool) -> About:
    """What a report says about the run: of its recipe, what is not as it is by default."""
    settings = {
        "model": recipe.model,
        "weights": f"SHA-256 {recipe.weights}",
        "scale": size,
        "device": devices,
    }
    for each in fields(recipe):
        value = getattr(recipe, each.name)
        is_told = each.name in _ALWAYS_TOLD or value != each.default
        if is_told and each.name not in _TOLD_APART:
            words = ("no", "yes")[value] if isinstance(value, bool) else str(value)
            settings[_NAMES.get(each.name, each.name)] = words
    return About(*_places(roots), settings, watch)


def _places(roots: Sequence[Root]) -> tuple[tuple[Path | str, ...], tuple[Path | str, ...]]:
    """Input and output folders, or their addresses, for a report."""
    inputs = (root.origin.shown if root.origin else root.path for root in roots)
    outputs = (root.output_name if root.goal else root.folder / root.prefix for root in roots)
    return tuple(inputs), tuple(outputs)


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
