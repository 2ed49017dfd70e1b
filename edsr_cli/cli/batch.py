"""`edsr batch`."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from edsr_cli.cli import interruption
from edsr_cli.cli.batch_progress import BatchProgress, endings
from edsr_cli.cli.options import Results, command
from edsr_cli.cli.terminal import JsonLines, Terminal
from edsr_cli.errors import ExitCode
from edsr_cli.options.folders import BatchOptions

if TYPE_CHECKING:
    from edsr_cli.api.batch import Prepared
    from edsr_cli.folders.roots import Root
    from edsr_cli.folders.run import Listener, State
    from edsr_cli.folders.summary import Summary
    from edsr_cli.jobs.record import Record


@command(BatchOptions, Results)
def batch(options: BatchOptions, results: Results) -> None:
    """Upscale folders of pictures.

    Reading, upscaling and writing go on at the same time. What is done is recorded in the output
    folder, so that the same command does only the rest, whatever ended it: Ctrl-C (once: finish the
    pictures at work; twice: stop at once), a full disk, a power cut.

    Exit codes: 0 all done, 1 some files failed, 2 wrong usage, 3 weights missing or damaged, 130
    interrupted.

    Examples:
      edsr batch photos/
          makes photos_x4/; said again, it does what is left
      edsr batch photos/ -o large/ -f webp
          to another folder, as WebP
      edsr batch photos/ --include '*.jpg' --exclude thumbs
          some of them
      edsr batch inbox/ --watch
          goes on with what arrives
      edsr batch photos/ --shard 3/16
          the third of sixteen parts, each on a machine of its own
      edsr batch --status photos_x4/
          what all of them have come to
    """
    terminal = Terminal.with_flags(results.quiet, results.verbose)
    if options.status:
        _tell(terminal, options, results)
    with terminal.starting(), interruption.held():
        from edsr_cli.api.batch import prepare
        from edsr_cli.api.opening import warm_up
        from edsr_cli.jobs import estimates

        if not options.dry_run:
            warm_up(options)

    with terminal.log():
        prepared = prepare(options, terminal.progress)
        if options.watch:
            names = _names(root.input_name for root in prepared.roots)
            where = _where(prepared.roots, "go to")
            terminal.note(f"Watching {names}, until Ctrl-C. {where}")
        lines, work = JsonLines(terminal), _Work()
        # A bar cannot be drawn where JSON goes.
        drawn = not (results.json and sys.stdout is not None and sys.stdout.isatty())
        listeners: list[Listener] = [_JsonListener(lines)] if results.json else []
        listeners += [work] if options.dry_run else []
        with BatchProgress(
            terminal, prepared.worker.scale, drawn=drawn and not options.dry_run
        ) as progress:
            summary = _go(terminal, prepared, [progress, *listeners], progress)
        if work.multiply_adds:
            speeds = [estimates.speed(upscaler) for upscaler in prepared.worker.upscalers]
            if speed := sum(filter(None, speeds)):
                terminal.note(estimates.in_all(work.multiply_adds / speed))
        _finish(terminal, summary, prepared.roots, options, lines.failed)


def _tell(terminal: Terminal, options: BatchOptions, results: Results) -> NoReturn:
    """Say what became of all pictures of output folders."""
    with terminal.starting(), interruption.held():
        from edsr_cli.api.batch import Told

    with terminal.log():
        told = Told.about(options)
        lines = JsonLines(terminal)
        listeners: list[Listener] = [_JsonListener(lines)] if results.json else []
        with BatchProgress(terminal, 1, drawn=False) as progress:
            summary = told.go([progress, *listeners])
        for status in told.folders:
            for part in status.parts if len(status.parts) > 1 or terminal.verbosity else ():
                terminal.note(str(part))
    failed = summary.failed or summary.planned or lines.failed
    raise typer.Exit(ExitCode.SOME_FAILED if failed else ExitCode.DONE)


def _go(
    terminal: Terminal, prepared: "Prepared", listeners: "list[Listener]", progress: BatchProgress
) -> "Summary":
    """Do it. The first signal lets it finish what is at work."""
    try:
        with interruption.polite(prepared.batch.ask_to_stop):
            return prepared.go(listeners)
    except interruption.StoppedError as stopped:
        if not prepared.batch.lingering:
            raise
        # A strip on a slow device would hold up the end, and nobody waits for it.
        progress.close()
        terminal.error(str(stopped))
        sys.stderr.flush()
        os._exit(stopped.exit_code)


def _finish(
    terminal: Terminal,
    summary: "Summary",
    roots: "Sequence[Root]",
    options: BatchOptions,
    lost: bool,
) -> None:
    """Say where the pictures are and how to go on, and end with the right exit code.

    Args:
        terminal: where to say it.
        summary: what the run came to.
        roots: the folders.
        options: what was asked for.
        lost: whether results could not be written to standard output.
    """
    if summary.planned:
        terminal.note(_where(roots, "would go to"))
    elif summary.done or summary.skipped:
        terminal.note(_where(roots, "are in"))
    number = interruption.arrived()
    if options.watch and number is not None:
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
            f"{_names(root.input_name for root in roots)} are of formats that cannot be read "
            f"({endings(summary)}). Convert them to PNG or JPEG first."
        )
    elif nothing:
        names = _names(root.input_name for root in roots)
        part = "" if options.shard is None else f" for shard {options.shard}"
        terminal.warning(f"There are no pictures to take in {names}{part}.")
    failed = summary.failed or lost or (nothing and summary.unread)
    raise typer.Exit(ExitCode.SOME_FAILED if failed else ExitCode.DONE)


def _where(roots: "Sequence[Root]", verb: str) -> str:
    """Says where the pictures are, or will be."""
    return f"The pictures {verb} {_names(root.output_name for root in roots)}."


def _names(folders: Iterable[str]) -> str:
    """Names of folders, the first few of them."""
    names = list(folders)
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


class _Work:
    """A listener that adds up what a dry run has planned."""

    def __init__(self) -> None:
        self.multiply_adds = 0.0

    def ended(self, record: "Record") -> None:
        self.multiply_adds += record.plan.get("multiply_adds", 0) if record.plan else 0

    def tick(self, state: "State") -> None:
        pass

    def finished(self, summary: "Summary") -> None:
        pass
