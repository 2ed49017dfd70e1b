"""Options of `edsr evaluate` alone."""

from typing import Annotated

import typer

from edsr_cli.cli import options
from edsr_cli.cli.values import parse_restore, parse_scale

Datasets = Annotated[
    list[str],
    typer.Argument(
        metavar="DATASET",
        help="Folders: one with HR/ and LR_bicubic/X{2,3,4}/, as Set5 comes; DIV2K, as it comes; "
        "or one with pictures, from which LR is made by MATLAB's bicubic rule.",
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

Scales = Annotated[
    list[int] | None,
    typer.Option(
        "-s",
        "--scale",
        metavar="2|3|4",
        parser=parse_scale,
        help="How many times to enlarge; may be given several times. Default: all that the model "
        "has.",
    ),
]

RestoreScores = Annotated[
    str,
    typer.Option(
        "--restore",
        metavar="auto|0..1",
        callback=parse_restore,
        help="How much to restore compressed and noisy pictures; auto goes by the picture. "
        "Default: 0, since benchmarks measure the plain network.",
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

AsJsonScores = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Instead of tables, print one JSON object per picture and one per mean.",
        rich_help_panel=options.MESSAGES,
    ),
]

Degrade = Annotated[
    list[str] | None,
    typer.Option(
        "--degrade",
        metavar="SPEC",
        help="What LR pictures suffer first: jpeg:50, noise:5, photo, or steps such as "
        "blur:0.4,noise:2,jpeg:80; unknown, to take the set's LR_unknown pictures, or "
        "unknown:KERNEL. May be given several times.",
    ),
]

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw the gain over bicubic interpolation against JPEG quality, as PNG; without "
        "--degrade for clean pictures and qualities from 95 to 30.",
    ),
]
