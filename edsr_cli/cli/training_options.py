"""Options of `edsr train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edsr_cli.cli.values import parse_betas, parse_duration, parse_scale
from edsr_cli.training.choices import Autocast, Preset, Schedule

_RECIPE, _RUN = "Recipe (default: the paper's)", "Details of the run"
_EVERYDAY = None  # the panel that comes first


def _option(panel: str | None, flags: str, text: str, **more: Any) -> Any:
    return typer.Option(*flags.split(), help=text, rich_help_panel=panel, **more)


Pictures = Annotated[
    list[Path], typer.Argument(metavar="FOLDER", help="Pictures to learn from, at any depth.")
]

Folder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the run.")]

PresetName = Annotated[
    Preset,
    typer.Option(
        "-p", "--preset", metavar="|".join(Preset), help="The network, as the paper has it."
    ),
]

Scale = Annotated[
    int | None,
    typer.Option(
        "-s",
        "--scale",
        metavar="2|3|4",
        parser=parse_scale,
        help="How many times the network enlarges; not for MDSR, which does it all.",
    ),
]

Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="MODEL|FILE",
        help="Start from these weights as far as they fit. The paper starts x3 and x4 from "
        "x2. MDSR takes the upsamplers of all scales of a MODEL, and the rest of x2. Default: "
        "random weights.",
    ),
]

InitScale = Annotated[
    int | None,
    typer.Option(
        "--init-scale",
        metavar="2|3|4",
        parser=parse_scale,
        help="Which network of a MODEL. Default: as --scale.",
    ),
]

Updates = Annotated[int | None, _option(_RECIPE, "--updates", "Updates in all.", metavar="N")]

MaxTime = Annotated[
    float | None,
    _option(
        _EVERYDAY,
        "--max-time",
        "Stop after this wall time, such as 25m or 8h; the schedule is fitted to it.",
        metavar="TIME",
        parser=parse_duration,
    ),
]

Batch = Annotated[int | None, _option(_RECIPE, "--batch", "Patches in an update.", metavar="N")]

Patch = Annotated[
    int | None,
    _option(_RECIPE, "--patch", "Height and width of a patch in LR pixels.", metavar="N"),
]

LearningRate = Annotated[
    float | None,
    _option(
        _RECIPE, "--lr --learning-rate", "Learning rate of Adam; also --learning-rate.", metavar="X"
    ),
]

Betas = Annotated[
    # Typer takes a tuple for two values; to it, this is one value that becomes something.
    Any,
    _option(_RECIPE, "--betas", "Decay rates of Adam.", metavar="B1,B2", parser=parse_betas),
]

Epsilon = Annotated[
    float | None,
    _option(_RECIPE, "--epsilon", "What Adam adds to its divisor, in levels.", metavar="X"),
]

ScheduleName = Annotated[
    Schedule | None,
    _option(_RECIPE, "--schedule", "How the learning rate falls.", metavar="|".join(Schedule)),
]

DecayEvery = Annotated[
    int | None, _option(_RECIPE, "--decay-every", "Updates between two steps.", metavar="N")
]

DecayFactor = Annotated[
    float | None, _option(_RECIPE, "--decay-factor", "Factor of a step.", metavar="X")
]

Warmup = Annotated[
    int | None, _option(_RECIPE, "--warmup", "Updates until the full learning rate.", metavar="N")
]

Ema = Annotated[
    float | None,
    _option(
        _RECIPE,
        "--ema",
        "Decay of a moving average of the weights, which is then used.",
        metavar="X",
    ),
]

Clip = Annotated[
    float | None, _option(_RECIPE, "--clip", "Cut the gradient's norm down to this.", metavar="X")
]

AutocastName = Annotated[
    Autocast | None,
    _option(
        _RECIPE, "--autocast", "Number format of the convolutions.", metavar="|".join(Autocast)
    ),
]

ChannelsLast = Annotated[
    bool | None,
    _option(
        _RECIPE,
        "--channels-last/--no-channels-last",
        "Memory layout of activations; a matter of speed.",
    ),
]

Degrade = Annotated[
    str | None,
    _option(
        _EVERYDAY,
        "--degrade",
        "What LR patches suffer: clean (the paper's), photo, or steps such as "
        "noise:0-10,jpeg:30-98; unknown, to take the LR_unknown pictures of "
        "DATA, or unknown:PATH with a kernel's file, or pictures to estimate it by.",
        metavar="SPEC",
    ),
]

Shrink = Annotated[
    int,
    _option(
        _RUN,
        "--shrink",
        "Make pictures from JPEG files so many times smaller first, so that their artefacts go.",
        min=1,
        max=8,
        metavar="N",
    ),
]

Seed = Annotated[int | None, _option(_RECIPE, "--seed", "Seed of all that is random.", metavar="N")]

Validate = Annotated[
    Path | None,
    _option(
        _EVERYDAY,
        "--validate",
        "Measure PSNR on this data set, as edsr evaluate reads it. Default: on pictures held "
        "out from the folder.",
        metavar="DATASET",
    ),
]

HeldOut = Annotated[
    int | None,
    _option(
        _RUN,
        "--hold-out",
        "Pictures to hold out if there is no --validate. Default: 8, at most a quarter.",
        metavar="N",
        min=0,
    ),
]

ValidateEvery = Annotated[
    int | None, _option(_RUN, "--validate-every", "Updates between two measurements.", metavar="N")
]

Cache = Annotated[
    Path | None,
    _option(
        _RUN,
        "--cache",
        "Keep the decoded pictures in this folder, for the next run and for sets larger than "
        "memory. Default: in memory.",
        metavar="DIR",
    ),
]

CudaGraph = Annotated[
    bool,
    _option(
        _RUN,
        "--cuda-graph/--no-cuda-graph",
        "On an NVIDIA GPU, start all that an update does at once, as a CUDA graph; a matter of "
        "speed.",
    ),
]

Resume = Annotated[
    bool, _option(_EVERYDAY, "--resume", "Go on with the run in the folder; same options as then.")
]

Overwrite = Annotated[
    bool, _option(_EVERYDAY, "--overwrite", "Replace a run that is in the folder.")
]

Name = Annotated[
    str | None, _option(_RUN, "--name", "Name of the model. Default: the folder's.", metavar="TEXT")
]

Origin = Annotated[
    str,
    _option(
        _RUN, "--origin", "Who made the weights, in a sentence, for their metadata.", metavar="TEXT"
    ),
]

Licence = Annotated[
    str, _option(_RUN, "--licence", "Licence of the weights, for their metadata.", metavar="TEXT")
]
