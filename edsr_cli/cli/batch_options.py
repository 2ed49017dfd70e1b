"""Options of `edsr batch` alone."""

from typing import Annotated

import typer

from edsr_cli.cli import options
from edsr_cli.cli.values import parse_size

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

Devices = Annotated[
    str,
    typer.Option(
        "-d",
        "--device",
        metavar="DEVICE,...",
        help="auto, cpu, cuda, cuda:N or mps; several at once, such as cuda:0,cuda:1.",
        rich_help_panel=options.MACHINE,
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
        rich_help_panel=options.MACHINE,
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
        rich_help_panel=options.MACHINE,
    ),
]

Report = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="At the end, write what became of each file to FILE.json, or to FILE.html: a page "
        "with the failures, and with pictures before and after. Replaces an older report.",
        rich_help_panel=options.MESSAGES,
    ),
]
