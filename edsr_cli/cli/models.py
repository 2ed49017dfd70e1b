"""`edsr models`."""

from typing import Annotated

import typer
from rich.table import Table

from edsr_cli.cli.terminal import Terminal


def command(
    cache_dir: Annotated[
        str | None,
        typer.Option(
            "--cache-dir",
            metavar="DIR",
            help="Where fetched weights are. Default: EDSR_CACHE, or the platform's cache folder.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per network, with all that is known."),
    ] = False,
) -> None:
    """List the models that have a name, and which of them are on this machine."""
    from edsr_cli.checkpoints.listing import listing
    from edsr_cli.checkpoints.store.cache import cache_folder

    listed = listing(cache_folder(cache_dir))
    if as_json:
        for model in listed:
            for values in model.to_dicts():
                Terminal().json(values)
        return
    table = Table(box=None)
    # The names are there to be copied, so they stay in one piece; the others may take more lines.
    table.add_column("model", no_wrap=True, min_width=max(len(model.name) for model in listed))
    for heading in ("scales", "size", "licence", "here", "PSNR in dB"):
        table.add_column(heading)
    for model in listed:
        table.add_row(model.name, model.scales, model.size, model.licence, model.cached, model.psnr)
    Terminal().table(table)
