"""Options of the commands, by what they are about: one declaration each, whoever has them."""

from enum import StrEnum
from typing import Annotated

import typer

from edsr_cli.cli.values import parse_count, parse_size, parse_tile


class PrecisionName(StrEnum):
    """Values of --precision."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


# Panels of the help page.
_NETWORK, _MACHINE, _OUTPUT = "Network", "Memory and speed", "Messages"
_WEIGHTS = "Weights from elsewhere, given as a file with -m"

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT", help="Pictures; - for standard input.")
]

Datasets = Annotated[
    list[str],
    typer.Argument(
        metavar="DATASET",
        help="Folders: one with HR/ and LR_bicubic/X{2,3,4}/, as Set5 comes; DIV2K, as it comes; "
        "or one with pictures, from which LR is made by MATLAB's bicubic rule.",
    ),
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

Save = Annotated[
    str | None,
    typer.Option(
        "--save",
        metavar="DIR",
        help="Write the upscaled pictures there, such as DIR/Set5/X2/baby.png.",
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

Folders = Annotated[list[str], typer.Argument(metavar="INPUT_DIR", help="Folders of pictures.")]

Mirror = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        help="Where to write; with several inputs, to a folder in it for each. "
        "Default: INPUT_DIR_x{scale} beside each input.",
    ),
]

MirrorFormat = Annotated[
    str | None,
    typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        help="png, jpeg, webp, tiff, avif or bmp. Default: png.",
    ),
]

Recursive = Annotated[
    bool, typer.Option("--recursive/--no-recursive", help="Take the folders below, too.")
]

Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="Take only files such as '*.jpg' or '2024/**'; may be given several times.",
    ),
]

Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Leave out such files and folders; may be given several times.",
    ),
]

Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--overwrite",
        help="Skip what an earlier run has done, or make everything again and replace whatever "
        "is there.",
    ),
]

Checksum = Annotated[
    bool,
    typer.Option(
        "--checksum", help="Know inputs by their content, not by size and time of change."
    ),
]

Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Go on with pictures that arrive or change later, until Ctrl-C; each is taken when "
        "it has stopped growing.",
    ),
]

FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")]

Compression = Annotated[
    int | None,
    typer.Option(
        "--compression",
        metavar="0..9",
        min=0,
        max=9,
        help="How hard to compress PNG: 9 is smallest and slowest. Default: as small as 6, as "
        "fast as 1.",
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]

Scale = Annotated[
    int | None,
    typer.Option(
        "-s",
        "--scale",
        min=2,
        max=4,
        help="2, 3 or 4. Default: 4, or that of a model file.",
        rich_help_panel=_NETWORK,
    ),
]

Scales = Annotated[
    list[int] | None,
    typer.Option(
        "-s",
        "--scale",
        min=2,
        max=4,
        help="2, 3 or 4; may be given several times. Default: all that the model has.",
        rich_help_panel=_NETWORK,
    ),
]

Border = Annotated[
    int | None,
    typer.Option(
        "--border",
        metavar="N",
        min=0,
        help="Compare all but N pixels at each side. Default: the scale, or 6 more on DIV2K.",
    ),
]

Model = Annotated[
    str,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL|FILE",
        help="A model's name, or a file with weights.",
        rich_help_panel=_NETWORK,
    ),
]

Download = Annotated[
    bool,
    typer.Option(
        "--download",
        help="Fetch the model if it is not here; see edsr fetch-weights.",
        rich_help_panel=_NETWORK,
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
        rich_help_panel=_WEIGHTS,
    ),
]

ValueRange = Annotated[
    int | None,
    typer.Option(
        "--value-range",
        metavar="255|1",
        help="Full range of the values that the file's network was trained with.",
        rich_help_panel=_WEIGHTS,
    ),
]

MeanShift = Annotated[
    bool | None,
    typer.Option(
        "--mean-shift/--no-mean-shift",
        help="Whether it was trained with the mean colour of DIV2K subtracted.",
        rich_help_panel=_WEIGHTS,
    ),
]

ResidualScale = Annotated[
    float | None,
    typer.Option(
        "--residual-scale",
        metavar="R",
        help="Factor on the residual branches that it was trained with: 0.1 for the full "
        "EDSR, 1 for most others.",
        rich_help_panel=_WEIGHTS,
    ),
]

Ensemble = Annotated[
    bool,
    typer.Option(
        "-x",
        "--ensemble",
        help="Average eight flipped and rotated views: better, eight times the work.",
        rich_help_panel=_NETWORK,
    ),
]

Device = Annotated[
    str,
    typer.Option(
        "-d",
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps.",
        rich_help_panel=_MACHINE,
    ),
]

Devices = Annotated[
    str,
    typer.Option(
        "-d",
        "--device",
        metavar="DEVICE,...",
        help="auto, cpu, cuda, cuda:N or mps; several at once, such as cuda:0,cuda:1.",
        rich_help_panel=_MACHINE,
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(
        "-j",
        "--workers",
        metavar="N",
        min=1,
        help="Threads that read pictures, and as many that write them. Default: by the cores.",
        rich_help_panel=_MACHINE,
    ),
]

MaxQueue = Annotated[
    int | None,
    typer.Option(
        "--max-queue",
        metavar="SIZE",
        parser=parse_size,
        help="Memory for pictures that wait between reading, upscaling and writing. "
        "Default: by device and what is free.",
        rich_help_panel=_MACHINE,
    ),
]

BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        help="Pictures of one size that are upscaled at once, if as many are ready. Default: on "
        "a GPU, as many as keep it busy; on a CPU, 1.",
        rich_help_panel=_MACHINE,
    ),
]

Precision = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        help="Number format of the residual blocks; auto is bf16 where it is fast, else fp32.",
        rich_help_panel=_MACHINE,
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
        rich_help_panel=_MACHINE,
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
        rich_help_panel=_MACHINE,
    ),
]

MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        metavar="N",
        parser=parse_count,
        help="Refuse inputs with more pixels, such as 800M. Default: 268M.",
        rich_help_panel=_MACHINE,
    ),
]

DryRun = Annotated[
    bool,
    typer.Option("-n", "--dry-run", help="Print the plan and do nothing.", rich_help_panel=_OUTPUT),
]

AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON object per file on stdout.", rich_help_panel=_OUTPUT
    ),
]

Report = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="At the end, write what became of each file to FILE.json, or to FILE.html: a page "
        "with the failures, and with pictures before and after. Replaces the file.",
        rich_help_panel=_OUTPUT,
    ),
]

AsJsonScores = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Instead of tables, print one JSON object per picture and one per mean.",
        rich_help_panel=_OUTPUT,
    ),
]

Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print errors only.", rich_help_panel=_OUTPUT)
]

Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Print details.", rich_help_panel=_OUTPUT)
]
