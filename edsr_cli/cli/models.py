"""`edsr models`."""

from edsr_cli.cli.options import command
from edsr_cli.cli.terminal import Terminal
from edsr_cli.options import values
from edsr_cli.options.definition import Options, group, option


@group
class ModelsOptions(Options):
    """What `edsr models` takes."""

    cache_dir: str | None = option(
        values.PATH,
        "--cache-dir",
        "DIR",
        "Where fetched weights are. Default: EDSR_CACHE, or the platform's cache folder.",
        default=None,
    )
    json: bool = option(
        values.FLAG,
        "--json",
        "",
        "Print one JSON object per network, with all that is known.",
        default=False,
    )


@command(ModelsOptions)
def models(options: ModelsOptions) -> None:
    """List the models that have a name, and which of them are on this machine.

    Examples:
      edsr models
          the table
      edsr upscale photo.jpg -m mdsr-free
          uses one of them
    """
    show(options.cache_dir, options.json)


def show(cache_dir: str | None, as_json: bool) -> None:
    """Print the models."""
    from edsr_cli.checkpoints.listing import listing
    from edsr_cli.checkpoints.store.cache import cache_folder

    listed = listing(cache_folder(cache_dir))
    if as_json:
        for model in listed:
            for values in model.to_dicts():
                Terminal().json(values)
        return
    from rich.table import Table

    table = Table(box=None)
    # The names are there to be copied, so they stay in one piece; the others may take more lines.
    table.add_column("model", no_wrap=True, min_width=max(len(model.name) for model in listed))
    for heading in ("scales", "size", "licence", "here", "PSNR in dB"):
        table.add_column(heading)
    for model in listed:
        table.add_row(model.name, model.scales, model.size, model.licence, model.cached, model.psnr)
    Terminal().table(table)
