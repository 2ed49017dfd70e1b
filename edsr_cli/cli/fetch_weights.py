"""`edsr fetch-weights`."""

from typing import TYPE_CHECKING, Annotated

import typer

from edsr_cli.cli import models, options
from edsr_cli.cli.downloads import Downloads
from edsr_cli.cli.terminal import Terminal
from edsr_cli.cli.values import parse_scale
from edsr_cli.errors import ExitCode, UsageError, WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from edsr_cli.checkpoints.registry import ModelRow
    from edsr_cli.checkpoints.store import Fetched

_SOURCES, _OUTPUT = "Where from, where to", "Messages"


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Models; see edsr models.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every model there is.")] = False,
    scale: Annotated[
        int | None,
        typer.Option(
            "-s",
            "--scale",
            metavar="2|3|4",
            parser=parse_scale,
            help="Only this scale. Default: all.",
        ),
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="List the models, as edsr models does.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Check what is here already, all of it if nothing is named."),
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Use no network; files in the cache folder are still recognised and converted. "
            "HF_HUB_OFFLINE=1 does the same.",
            rich_help_panel=_SOURCES,
        ),
    ] = False,
    allow_unverified: Annotated[
        bool,
        typer.Option(
            "--allow-unverified",
            help="When all other sources fail, take a file that cannot be checked because nobody "
            "has published its digest.",
            rich_help_panel=_SOURCES,
        ),
    ] = False,
    cache_dir: Annotated[
        str | None,
        typer.Option(
            "--cache-dir",
            metavar="DIR",
            help="Where to keep weights. Default: EDSR_CACHE, or the platform's cache folder.",
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object per network on stdout.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Download published weights, check them, and keep them.

    Every file is compared with its published digest before it is used. Nothing is fetched again
    that is here already.

    **Exit codes**: 0 everything asked for is here, 2 wrong usage, 3 something could not be fetched
    or is damaged, 130 interrupted.
    """
    if list_only:
        models.command(cache_dir, as_json)
        return

    from edsr_cli.checkpoints import registry
    from edsr_cli.checkpoints.store import cache_folder

    if bool(names) == everything and not (verify and not names):
        raise UsageError(
            "Name the models to fetch, or say --all.", f"Models: {', '.join(registry.names())}."
        )
    terminal = Terminal.with_flags(quiet, verbose)
    rows = registry.select(names, scale) if names else _all(registry.rows(), scale)
    folder = cache_folder(cache_dir)
    with terminal.log():
        if verify:
            good = [_verify(terminal, row, folder, bool(names), as_json) for row in rows]
        else:
            good = [
                _fetch(terminal, row, folder, offline, allow_unverified, as_json) for row in rows
            ]
    raise typer.Exit(ExitCode.DONE if all(good) else ExitCode.WEIGHTS)


def _all(rows: "tuple[ModelRow, ...]", scale: int | None) -> "tuple[ModelRow, ...]":
    return tuple(row for row in rows if scale is None or scale in row.scales)


def _fetch(
    terminal: Terminal,
    row: "ModelRow",
    folder: "Path",
    offline: bool,
    allow_unverified: bool,
    as_json: bool,
) -> bool:
    """Fetch one network and say how it went; whether it went well."""
    from edsr_cli.checkpoints.store import Options, fetch_row

    try:
        with Downloads(terminal, row) as downloads:
            fetched = fetch_row(
                row, folder, Options(offline, allow_unverified, begin=downloads.begin)
            )
    except WeightsError as error:
        terminal.error(str(error))
        if as_json:
            terminal.json({"name": row.name, "scales": row.scales, "error": str(error)})
        return False
    _report(terminal, fetched)
    if as_json:
        terminal.json(fetched.to_dict())
    return True


def _report(terminal: Terminal, fetched: "Fetched") -> None:
    label, path = fetched.row.label, fetched.path
    if fetched.how == "fetched":
        terminal.note(f"{label}: fetched, licence of the weights: {fetched.row.licence} -> {path}")
    elif fetched.how == "adopted":
        terminal.note(f"{label}: made from {fetched.source} -> {path}")
    else:
        terminal.note(f"{label}: {fetched.how}: {path}")


def _verify(
    terminal: Terminal, row: "ModelRow", folder: "Path", named: bool, as_json: bool
) -> bool:
    """Check one network's file and say what was found; whether that is as it should be."""
    from edsr_cli.checkpoints.store.local import verify_row

    verdict = verify_row(row, folder)
    if verdict.state == "missing" and not named:
        return True
    if verdict.state == "good":
        terminal.note(f"{row.label}: good, checked by {verdict.detail}: {verdict.path}")
    else:
        terminal.error(f"{row.label}: {verdict.state}: {verdict.path or folder}: {verdict.detail}")
    if as_json:
        terminal.json(verdict.to_dict())
    return verdict.state == "good"
