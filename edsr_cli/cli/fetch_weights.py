"""`edsr fetch-weights`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from edsr_cli.cli.models import ModelsOptions, show
from edsr_cli.cli.options import Results, command
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import ExitCode, UsageError, WeightsError
from edsr_cli.options import values
from edsr_cli.options.definition import SOURCES, again, group, option
from edsr_cli.options.network import Scale

if TYPE_CHECKING:
    from pathlib import Path

    from edsr_cli.checkpoints.registry import ModelRow
    from edsr_cli.checkpoints.store.local import Fetched


@group
class FetchOptions(Results):
    """What `edsr fetch-weights` takes."""

    names: Sequence[str] = option(
        values.TEXTS, "", "NAME", "Models; see edsr models.", default=(), kw_only=False
    )
    all: bool = option(values.FLAG, "--all", "", "Every model there is.", default=False)
    scale: int | None = again(Scale, "scale", text="Only this scale. Default: all.", default=...)
    list: bool = option(
        values.FLAG, "--list", "", "List the models, as edsr models does.", default=False
    )
    verify: bool = option(
        values.FLAG,
        "--verify",
        "",
        "Check what is here already, all of it if nothing is named.",
        default=False,
    )
    offline: bool = option(
        values.FLAG,
        "--offline",
        "",
        "Use no network; files in the cache folder are still recognised and converted. "
        "HF_HUB_OFFLINE=1 does the same.",
        panel=SOURCES,
        default=False,
    )
    allow_unverified: bool = option(
        values.FLAG,
        "--allow-unverified",
        "",
        "When all other sources fail, take a file that cannot be checked because nobody has "
        "published its digest.",
        panel=SOURCES,
        default=False,
    )
    cache_dir: str | None = again(
        ModelsOptions,
        "cache_dir",
        text="Where to keep weights. Default: EDSR_CACHE, or the platform's cache folder.",
        panel=SOURCES,
        default=...,
    )
    json: bool = again(
        Results, "json", text="Print one JSON object per network on stdout.", default=...
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = self.names or self.all or self.scale is not None
        if self.list and (chosen or self.verify or self.offline or self.allow_unverified):
            raise UsageError("--list lists all models, and goes with --cache-dir and --json only.")
        if self.verify and (self.offline or self.allow_unverified):
            raise UsageError("--verify goes with neither --offline nor --allow-unverified.")
        if self.offline and self.allow_unverified:
            raise UsageError("--offline and --allow-unverified exclude each other.")


@command(FetchOptions)
def fetch_weights(options: FetchOptions) -> None:
    """Download published weights, check them, and keep them.

    Every file is compared with its published digest before it is used. Nothing is fetched again
    that is here already.

    Exit codes: 0 everything asked for is here, 2 wrong usage, 3 something could not be fetched or
    is damaged, 130 interrupted.

    Examples:
      edsr fetch-weights edsr -s 4
          downloads one model for one scale
      edsr fetch-weights --verify
          checks again what was kept
    """
    if options.list:
        show(options.cache_dir, options.json)
        return
    names = list(options.names)

    from edsr_cli.checkpoints import registry
    from edsr_cli.checkpoints.store import cache_folder

    if bool(names) == options.all and not (options.verify and not names):
        raise UsageError(
            "Name the models to fetch, or say --all.", f"Models: {', '.join(registry.names())}."
        )
    terminal = Terminal.with_flags(options.quiet, options.verbose)
    rows = registry.select(names, options.scale) if names else _all(registry.rows(), options.scale)
    folder = cache_folder(options.cache_dir)
    with terminal.log():
        if options.verify:
            good = [_verify(terminal, row, folder, bool(names), options.json) for row in rows]
        else:
            good = [_fetch(terminal, row, folder, options) for row in rows]
    raise typer.Exit(ExitCode.DONE if all(good) else ExitCode.WEIGHTS)


def _all(rows: "tuple[ModelRow, ...]", scale: int | None) -> "tuple[ModelRow, ...]":
    return tuple(row for row in rows if scale is None or scale in row.scales)


def _fetch(
    terminal: Terminal,
    row: "ModelRow",
    folder: "Path",
    options: FetchOptions,
) -> bool:
    """Fetch one network and say how it went; whether it went well."""
    from edsr_cli.api.fetching import Fetching
    from edsr_cli.checkpoints.store.fetching import Options, fetch_row

    try:
        with Fetching(row, terminal.progress) as fetching:
            how = Options(options.offline, options.allow_unverified, begin=fetching.begin)
            fetched = fetch_row(row, folder, how)
    except WeightsError as error:
        terminal.error(str(error))
        if options.json:
            terminal.json({"name": row.name, "scales": row.scales, "error": str(error)})
        return False
    _report(terminal, fetched)
    if options.json:
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
