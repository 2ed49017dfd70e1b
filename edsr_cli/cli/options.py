"""Options that several commands have, and those of `edsr upscale`: one declaration each."""

from enum import StrEnum
from typing import Annotated

import typer

from edsr_cli.cli.values import (
    parse_alpha,
    parse_count,
    parse_restore,
    parse_scale,
    parse_size,
    parse_tile,
)


class PrecisionName(StrEnum):
    """Values of --precision."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


# Panels of the help page.
OUTPUT, MACHINE, MESSAGES = "Details of the output", "Memory and speed", "Messages"
WEIGHTS = "Weights from elsewhere, given as a file with -m"

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT", help="Pictures; - for standard input.")
]

Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE|DIR|-",
        help="Where to write; - for standard output. "
        "Default: {stem}_x{scale}.png beside each input.",
    ),
]

Format = Annotated[
    str | None,
    typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        help="png, jpeg, webp, tiff, avif or bmp. Default: by the output's suffix, or png.",
    ),
]

Compression = Annotated[
    int | None,
    typer.Option(
        "--compression",
        metavar="0..9",
        min=0,
        max=9,
        help="How hard to compress PNG: 9 is smallest and slowest. Default: as small as 6, as "
        "fast as 1.",
        rich_help_panel=OUTPUT,
    ),
]

Alpha = Annotated[
    str,
    typer.Option(
        "--alpha",
        metavar="drop|keep|COLOUR",
        callback=parse_alpha,
        help="What becomes of transparency: drop the alpha channel; keep it, enlarged beside the "
        "colours; or lay the picture on a colour such as white or '#ff8000'.",
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]

Scale = Annotated[
    int | None,
    typer.Option(
        "-s",
        "--scale",
        metavar="2|3|4",
        parser=parse_scale,
        help="How many times to enlarge. Default: 4, or what a model file is for.",
    ),
]

Model = Annotated[
    str,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL|FILE",
        help="A model's name, or a file with weights.",
    ),
]

Download = Annotated[
    bool,
    typer.Option(
        "--download",
        help="Fetch the model if it is not here; see edsr fetch-weights.",
    ),
]

Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="LAYOUT",
        help="Whose naming and values the file has: official, torchsr, basicsr, mmagic, "
        "super-image, super-image-mdsr or transformers. Default: by its tensors' names and, "
        "where these leave anything open, by trying the network on a smooth gradient.",
        rich_help_panel=WEIGHTS,
    ),
]

ValueRange = Annotated[
    int | None,
    typer.Option(
        "--value-range",
        metavar="255|1",
        help="Full range of the values that the file's network was trained with.",
        rich_help_panel=WEIGHTS,
    ),
]

MeanShift = Annotated[
    bool | None,
    typer.Option(
        "--mean-shift/--no-mean-shift",
        help="Whether it was trained with the mean colour of DIV2K subtracted.",
        rich_help_panel=WEIGHTS,
    ),
]

ResidualScale = Annotated[
    float | None,
    typer.Option(
        "--residual-scale",
        metavar="R",
        help="Factor on the residual branches that it was trained with: 0.1 for the full "
        "EDSR, 1 for most others.",
        rich_help_panel=WEIGHTS,
    ),
]

Ensemble = Annotated[
    bool,
    typer.Option(
        "-x",
        "--ensemble",
        help="Average eight flipped and rotated views: better, eight times the work.",
    ),
]

Restore = Annotated[
    str | None,
    typer.Option(
        "--restore",
        metavar="auto|0..1",
        callback=parse_restore,
        help="How much to restore compressed and noisy pictures: 0 for not at all, 1 for all; auto "
        "goes by the picture. Default: auto, for models that can do it.",
    ),
]

Device = Annotated[
    str,
    typer.Option(
        "-d",
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps.",
        rich_help_panel=MACHINE,
    ),
]

Precision = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        metavar="|".join(PrecisionName),
        help="Number format of the residual blocks; auto is bf16 where it is fast, else fp32.",
        rich_help_panel=MACHINE,
    ),
]

MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        parser=parse_size,
        help="Memory that the network may work in, such as 500M or 2GiB; pictures and weights "
        "come on top. Default: by what is free.",
        rich_help_panel=MACHINE,
    ),
]

Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=0,
        max=1024,
        help="Threads that compute on the CPU. Default: as many as there are processors for, "
        "which in a container may be few; so does 0.",
        rich_help_panel=MACHINE,
    ),
]

Tile = Annotated[
    str,
    typer.Option(
        "-t",
        "--tile",
        metavar="auto|none|N",
        callback=parse_tile,
        help="Split into panels of N input columns; the result stays the same. "
        "auto: only where memory demands it.",
        rich_help_panel=MACHINE,
    ),
]

MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        metavar="N",
        parser=parse_count,
        help="Refuse inputs with more pixels, such as 800M. Default: 268M.",
        rich_help_panel=MACHINE,
    ),
]

DryRun = Annotated[
    bool,
    typer.Option("-n", "--dry-run", help="Print the plan, with memory and time, and make nothing."),
]

AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON object per file on stdout.", rich_help_panel=MESSAGES
    ),
]

Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print errors only.", rich_help_panel=MESSAGES)
]

Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Print details.", rich_help_panel=MESSAGES)
]
