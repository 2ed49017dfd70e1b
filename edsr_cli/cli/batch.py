"""`edsr batch`."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import batch_options, interruption, options
from edsr_cli.cli.batch_progress import BatchProgress
from edsr_cli.cli.batch_table import endings
from edsr_cli.cli.downloads import finder
from edsr_cli.cli.json_lines import JsonLines
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from edsr_cli.checkpoints.stated import Stated
    from edsr_cli.inference import Tile, Upscaler
    from edsr_cli.jobs.batch.recipe import Recipe
    from edsr_cli.jobs.batch.record import Record
    from edsr_cli.jobs.batch.report import About
    from edsr_cli.jobs.batch.roots import Root
    from edsr_cli.jobs.batch.run import Batch, Listener, State
    from edsr_cli.jobs.batch.scanning import Scanner
    from edsr_cli.jobs.batch.summary import Summary
    from edsr_cli.jobs.batch.tasks import Item, Source


def command(
    inputs: batch_options.Folders,
    output: batch_options.Mirror = None,
    scale: options.Scale = None,
    format_name: batch_options.MirrorFormat = None,
    model: options.Model = "edsr-free",
    restore: options.Restore = None,
    ensemble: options.Ensemble = False,
    include: batch_options.Include = None,
    exclude: batch_options.Exclude = None,
    recursive: batch_options.Recursive = True,
    resume: batch_options.Resume = True,
    watch: batch_options.Watch = False,
    dry_run: options.DryRun = False,
    download: options.Download = False,
    checksum: batch_options.Checksum = False,
    fail_fast: batch_options.FailFast = False,
    report: batch_options.Report = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    device: batch_options.Devices = "auto",
    precision: options.Precision = options.PrecisionName.AUTO,
    workers: batch_options.Workers = None,
    threads: options.Threads = None,
    max_memory: options.MaxMemory = None,
    max_queue: batch_options.MaxQueue = None,
    batch_size: batch_options.BatchSize = None,
    tile: options.Tile = "auto",
    max_pixels: options.MaxPixels = None,
    compression: options.Compression = None,
    alpha: options.Alpha = "drop",
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    mean_shift: options.MeanShift = None,
    residual_scale: options.ResidualScale = None,
) -> None:
    """Upscale folders of pictures.

    Reading, upscaling and writing go on at the same time. What is done is recorded in the output
    folder, so that the same command does only the rest, whatever ended it: Ctrl-C (once: finish the
    pictures at work; twice: stop at once), a full disk, a power cut.

    **Exit codes**: 0 all done, 1 some files failed, 2 wrong usage, 3 weights missing or
    damaged, 130 interrupted.
    """
    if watch and dry_run:
        raise UsageError("--watch and --dry-run exclude each other.")
    terminal = Terminal.with_flags(quiet, verbose)

    with terminal.starting(), interruption.held():
        from edsr_cli.checkpoints.stated import Stated
        from edsr_cli.images import DEFAULT_MAX_PIXELS, format_for
        from edsr_cli.images.alpha import check_format
        from edsr_cli.inference.processors import use_threads
        from edsr_cli.jobs import estimate
        from edsr_cli.jobs.batch.globs import Choice
        from edsr_cli.jobs.batch.limits import choose_limits
        from edsr_cli.jobs.batch.recipe import Recipe, weights_digest
        from edsr_cli.jobs.batch.report import Report, check_path
        from edsr_cli.jobs.batch.roots import assign_folders
        from edsr_cli.jobs.batch.run import Batch
        from edsr_cli.jobs.batch.scanning import Scanner
        from edsr_cli.jobs.upscale import Settings
        from edsr_cli.restoration.networks import networks_of, restore_label

    with terminal.log():
        use_threads(threads)
        if report is not None:
            if dry_run:
                terminal.note("A dry run writes no report.")
                report = None
            else:
                check_path(Path(report), overwrite=not resume)
        output_format = format_for(None, format_name or "png")
        if compression is not None and output_format.name != "PNG":
            raise UsageError("--compression is for PNG.")
        check_format(alpha, output_format)
        choice = Choice(include or (), exclude or ())
        stated = Stated(layout, value_range, mean_shift, residual_scale)
        name, upscalers = _load(
            terminal, model, scale, stated, download, restore, device, precision.value, max_memory
        )
        first = upscalers[0]
        roots = assign_folders(inputs, output, first.scale, recursive)
        columns: Tile = tile if not tile.isdigit() else int(tile)  # type: ignore[assignment]
        pixels = max_pixels or DEFAULT_MAX_PIXELS
        settings = Settings(name, ensemble, columns, pixels, not resume, compression, alpha)
        recipe = Recipe(
            name,
            weights_digest(*networks_of(first)),
            first.scale,
            ensemble,
            first.precision.value,
            output_format.name,
            restore_label(first),
            alpha,
        )
        limits = choose_limits(upscalers, workers, max_queue, batch_size)
        folders = [root.folder for root in roots]
        batch = Batch(upscalers, folders, settings, recipe, limits, checksum, fail_fast, watch)
        scanner = Scanner(roots, choice, output_format, recursive)
        source, counting = _sources(scanner, roots, watch)
        with ExitStack() as stack:
            lines = JsonLines(terminal)
            listeners: list[Listener] = [_JsonListener(lines)] if as_json else []
            if report is not None:
                about = _about(roots, recipe, upscalers, watch)
                listeners.append(stack.enter_context(Report(Path(report), about, not resume)))
            if watch:
                terminal.note(f"Watching {_names(inputs)}, until Ctrl-C. {_where(roots, 'go to')}")
            work = _WorkListener()
            listeners += [work] if dry_run else []
            summary = _run(
                terminal, batch, source, counting, listeners, first.scale, dry_run, as_json
            )
        if work.multiply_adds:
            speeds = [estimate.speed(upscaler) for upscaler in upscalers]
            if speed := sum(filter(None, speeds)):
                terminal.note(estimate.in_all(work.multiply_adds / speed))
        _finish(terminal, summary, roots, watch, lines.failed)


def _load(
    terminal: Terminal,
    model: str,
    scale: int | None,
    stated: "Stated",
    download: bool,
    restore: str | None,
    device: str,
    precision: str,
    max_memory: int | None,
) -> "tuple[str, list[Upscaler]]":
    """The model's name, and an upscaler for each device."""
    from edsr_cli.checkpoints.loader import load_network
    from edsr_cli.restoration.networks import as_setting, find_restoration, make_upscaler

    find = finder(terminal, download)
    loaded = load_network(model, scale, stated, find)
    restoration = find_restoration(loaded, model, as_setting(restore), find)
    upscalers = [
        make_upscaler(loaded, restoration, name.strip(), precision, max_memory)
        for name in device.split(",")
    ]
    if len({upscaler.precision for upscaler in upscalers}) > 1:
        raise UsageError(
            "The devices would use different number formats, and so give different pictures.",
            "Choose one with --precision.",
        )
    return loaded.name, upscalers


def _sources(
    scanner: "Scanner", roots: "Sequence[Root]", watch: bool
) -> "tuple[Source, Iterator[Item] | None]":
    """Where tasks come from, and what to count them by."""
    if not watch:
        return scanner.walk(), scanner.walk()
    from edsr_cli.jobs.batch.watching import Watcher

    return Watcher(scanner, roots).tasks(), None


def _about(
    roots: "Sequence[Root]", recipe: "Recipe", upscalers: "Sequence[Upscaler]", watch: bool
) -> "About":
    """What a report says about the run."""
    from edsr_cli.jobs.batch.report import About

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


def _run(
    terminal: Terminal,
    batch: "Batch",
    source: "Source",
    counting: "Iterator[Item] | None",
    listeners: "list[Listener]",
    scale: int,
    dry_run: bool,
    as_json: bool,
) -> "Summary":
    # A bar cannot be drawn where JSON goes.
    bar = not (as_json and sys.stdout is not None and sys.stdout.isatty())
    with BatchProgress(terminal, scale, bar and not dry_run) as progress:
        listeners = [progress, *listeners]
        try:
            with interruption.polite(batch.ask_to_stop):
                if dry_run:
                    return batch.plan(source, listeners)
                return batch.run(source, listeners, counting)
        except interruption.StoppedError as stopped:
            if not batch.lingering:
                raise
            # A strip on a slow device would hold up the end, and nobody waits for it.
            progress.close()
            terminal.error(str(stopped))
            sys.stderr.flush()
            os._exit(stopped.exit_code)


def _finish(
    terminal: Terminal, summary: "Summary", roots: "Sequence[Root]", watch: bool, lost: bool
) -> None:
    """Say where the pictures are and how to go on, and end with the right exit code.

    Args:
        terminal: where to say it.
        summary: what the run came to.
        roots: the folders.
        watch: whether it was to go on until it was interrupted.
        lost: whether results could not be written to standard output.
    """
    if summary.planned:
        terminal.note(_where(roots, "would go to"))
    elif summary.done or summary.skipped:
        terminal.note(_where(roots, "are in"))
    number = interruption.arrived()
    if watch and number is not None:
        interruption.ignore()  # this is the end that it was to have
        terminal.note("Watching has ended; the same command goes on with what is new by then.")
        raise typer.Exit(interruption.exit_code(number))
    if summary.stopped is not None:
        terminal.note("Some pictures are left. To do the rest, run the same command again.")
    interruption.check()
    nothing = not summary.ended and summary.stopped is None
    if nothing and summary.unread:
        terminal.error(
            f"No picture could be taken: the {sum(summary.unread.values()):,} in "
            f"{_names(root.path for root in roots)} are of formats that cannot be read "
            f"({endings(summary)}). Convert them to PNG or JPEG first."
        )
    elif nothing:
        terminal.warning(f"There are no pictures to take in {_names(r.path for r in roots)}.")
    failed = summary.failed or lost or (nothing and summary.unread)
    raise typer.Exit(ExitCode.SOME_FAILED if failed else ExitCode.DONE)


def _where(roots: "Sequence[Root]", verb: str) -> str:
    """Says where the pictures are, or will be."""
    return f"The pictures {verb} {_names(root.folder / root.prefix for root in roots)}."


def _names(paths: Iterable[Path | str]) -> str:
    """Names of folders, the first few of them."""
    names = [str(path) for path in paths]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class _JsonListener:
    """A listener that prints an object for each file."""

    def __init__(self, lines: JsonLines) -> None:
        self._lines = lines

    def ended(self, record: "Record") -> None:
        self._lines.write(record.to_dict())

    def tick(self, state: "State") -> None:
        pass

    def finished(self, summary: "Summary") -> None:
        pass


class _WorkListener:
    """A listener that adds up what a dry run has planned."""

    def __init__(self) -> None:
        self.multiply_adds = 0.0

    def ended(self, record: "Record") -> None:
        self.multiply_adds += record.plan.get("multiply_adds", 0) if record.plan else 0

    def tick(self, state: "State") -> None:
        pass

    def finished(self, summary: "Summary") -> None:
        pass
