"""`edsr upscale`."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from edsr_cli.cli import interruption
from edsr_cli.cli.downloads import Downloads
from edsr_cli.cli.terminal import Terminal
from edsr_cli.cli.values import parse_count, parse_size, parse_tile
from edsr_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from edsr_cli.checkpoints.model_row import ModelRow
    from edsr_cli.inference import Tile, Upscaler
    from edsr_cli.jobs.naming import Task
    from edsr_cli.jobs.upscale import Result, Settings


class PrecisionName(StrEnum):
    """Values of --precision."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


_NETWORK, _MACHINE, _OUTPUT = "Network", "Memory and speed", "Messages"
_WEIGHTS = "Weights from elsewhere, given as a file with -m"


def command(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Pictures; - for standard input.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|DIR|-",
            help="Where to write; - for standard output. "
            "Default: {stem}_x{scale}.png beside each input.",
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            metavar="FORMAT",
            help="png, jpeg, webp, tiff, avif or bmp. Default: by the output's suffix, or png.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
    scale: Annotated[
        int | None,
        typer.Option(
            "-s",
            "--scale",
            min=2,
            max=4,
            help="2, 3 or 4. Default: 4, or that of a model file.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL|FILE",
            help="A model's name, or a file with weights.",
            rich_help_panel=_NETWORK,
        ),
    ] = "edsr-free",
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="Fetch the model if it is not here; see edsr fetch-weights.",
            rich_help_panel=_NETWORK,
        ),
    ] = False,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="LAYOUT",
            help="Whose naming and values the file has: official, torchsr, basicsr, mmagic, "
            "super-image, super-image-mdsr or transformers. Default: by its tensors' names and, "
            "where these leave anything open, by trying the network on a smooth gradient.",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    value_range: Annotated[
        int | None,
        typer.Option(
            "--value-range",
            metavar="255|1",
            help="Full range of the values that the file's network was trained with.",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    mean_shift: Annotated[
        bool | None,
        typer.Option(
            "--mean-shift/--no-mean-shift",
            help="Whether it was trained with the mean colour of DIV2K subtracted.",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    residual_scale: Annotated[
        float | None,
        typer.Option(
            "--residual-scale",
            metavar="R",
            help="Factor on the residual branches that it was trained with: 0.1 for the full "
            "EDSR, 1 for most others.",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option(
            "-x",
            "--ensemble",
            help="Average eight flipped and rotated views: better, eight times the work.",
            rich_help_panel=_NETWORK,
        ),
    ] = False,
    device: Annotated[
        str,
        typer.Option(
            "-d",
            "--device",
            metavar="DEVICE",
            help="auto, cpu, cuda, cuda:N or mps.",
            rich_help_panel=_MACHINE,
        ),
    ] = "auto",
    precision: Annotated[
        PrecisionName,
        typer.Option(
            "--precision",
            help="Number format of the residual blocks; auto is bf16 where it is fast, else fp32.",
            rich_help_panel=_MACHINE,
        ),
    ] = PrecisionName.AUTO,
    max_memory: Annotated[
        int | None,
        typer.Option(
            "--max-memory",
            metavar="SIZE",
            parser=parse_size,
            help="Memory that the network may work in, such as 500M or 2GiB; pictures and weights "
            "come on top. Default: by what is free.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    tile: Annotated[
        str,
        typer.Option(
            "-t",
            "--tile",
            metavar="auto|none|N",
            callback=parse_tile,
            help="Split into panels of N input columns; the result stays the same. "
            "auto: only where memory demands it.",
            rich_help_panel=_MACHINE,
        ),
    ] = "auto",
    max_pixels: Annotated[
        int | None,
        typer.Option(
            "--max-pixels",
            metavar="N",
            parser=parse_count,
            help="Refuse inputs with more pixels, such as 800M. Default: 268M.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "-n", "--dry-run", help="Print the plan and do nothing.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object per file on stdout.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print errors only.", rich_help_panel=_OUTPUT)
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print details.", rich_help_panel=_OUTPUT)
    ] = False,
) -> None:
    """Upscale pictures.

    Whatever the input (grey, palette, CMYK, 16-bit, with alpha), the output is 8-bit RGB with the
    input's colour profile and metadata.

    **Exit codes**: 0 all done, 1 some files failed, 2 wrong usage, 3 weights missing or
    damaged, 4 out of memory, 130 interrupted.
    """
    if quiet and verbose:
        raise UsageError("-q and -v exclude each other.")
    terminal = Terminal(verbosity=1 if verbose else -1 if quiet else 0)

    with interruption.held():
        from edsr_cli.checkpoints import store
        from edsr_cli.checkpoints.loader import load_network
        from edsr_cli.checkpoints.stated import Stated
        from edsr_cli.images import DEFAULT_MAX_PIXELS
        from edsr_cli.inference import Upscaler
        from edsr_cli.jobs.naming import assign_outputs
        from edsr_cli.jobs.upscale import Settings

    def find(row: "ModelRow") -> "Path":
        with Downloads(terminal, row) as shown:
            return store.resolve(row, download, options=store.Options(begin=shown.begin))

    with terminal.log():
        stated = Stated(layout, value_range, mean_shift, residual_scale)
        loaded = load_network(model, scale, stated, find)
        tasks = assign_outputs(inputs, output, loaded.scale, format_name)
        if tasks[0].destination is None and not dry_run:
            _check_stdout(as_json)
        upscaler = Upscaler(loaded.network, loaded.scale, device, precision.value, max_memory)
        columns: Tile = tile if not tile.isdigit() else int(tile)  # type: ignore[assignment]
        settings = Settings(
            loaded.name, ensemble, columns, max_pixels or DEFAULT_MAX_PIXELS, overwrite
        )
        _run(terminal, tasks, upscaler, settings, dry_run, as_json)


def _check_stdout(as_json: bool) -> None:
    """Refuse to write a picture where it would do harm."""
    if as_json:
        raise UsageError(
            "--json and the picture cannot both go to standard output.", "Give a file with -o."
        )
    if sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(
            "A picture cannot be written to a terminal.", "Give a file with -o, or use > or |."
        )


def _run(
    terminal: Terminal,
    tasks: "list[Task]",
    upscaler: "Upscaler",
    settings: "Settings",
    dry_run: bool,
    as_json: bool,
) -> None:
    from edsr_cli.jobs.upscale import Job, exit_code

    results = []
    for task in tasks:
        interruption.check()
        job = Job(task, upscaler, settings)
        if dry_run:
            result = job.plan()
        else:
            with terminal.progress(task.source_name, upscaler.scale**2) as progress:
                result = job.run(progress)
        results.append(result)
        _report(terminal, result)
        if as_json:
            terminal.json(result.to_dict())
    failed = sum(result.error is not None for result in results)
    if failed and len(results) > 1:
        terminal.error(f"{failed} of {len(results)} pictures failed.")
    raise typer.Exit(exit_code(results))


def _report(terminal: Terminal, result: "Result") -> None:
    for remark in result.notes:
        terminal.note(f"{result.input}: {remark}")
    if result.error is not None:
        terminal.error(result.error)
        return
    assert result.input_size and result.output_size
    width, height = result.output_size
    line = (
        f"{result.input} -> {result.output}: {result.input_size[0]} x {result.input_size[1]} -> "
        f"{width} x {height}"
    )
    plan = result.plan
    columns, rows = ("rows", "columns") if plan["transposed"] else ("columns", "rows")
    cut = (
        f"{plan['panels']} panel(s) of {plan['panel_width']} {columns}, {plan['strips']} strip(s) "
        f"of {plan['strip_rows']} {rows}, about {plan['memory_bytes'] / 1e6:.0f} MB, "
        f"{plan['multiply_adds'] / 1e9:.1f} GMAC"
    )
    made = f"{result.model} on {result.device} in {result.precision}"
    if result.status == "planned":
        terminal.note(f"{line}; {made}; {cut}")
        return
    terminal.note(
        f"{line} in {result.seconds:.1f} s ({width * height / result.seconds / 1e6:.2f} Mpixel/s)"
    )
    terminal.detail(f"{made}; {cut}")
