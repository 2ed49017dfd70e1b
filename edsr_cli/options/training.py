"""What `train` takes."""

from collections.abc import Callable, Sequence

from edsr_cli.errors import UsageError
from edsr_cli.options import values
from edsr_cli.options.choices import Autocast, Preset, Schedule
from edsr_cli.options.definition import RECIPE, RUN, Options, again, group, option
from edsr_cli.options.network import Machine
from edsr_cli.options.pictures import Upscaling
from edsr_cli.options.values import Given, MaybePath, Path, Paths


@group
class RecipeOptions(Options):
    """What changes the paper's recipe; None leaves it. See `edsr_cli.training.recipe.Recipe`."""

    max_time: Given[float | str | None, float | None] = option(
        values.DURATION,
        "--max-time",
        "TIME",
        "Make updates for this wall time, such as 25m or 8h; the schedule is fitted to it. PSNR "
        "is measured before and after.",
        default=None,
    )
    degrade: str | None = option(
        values.TEXT,
        "--degrade",
        "SPEC",
        "What LR patches suffer: clean (the paper's), photo, or steps such as "
        "noise:0-10,jpeg:30-98; unknown, to take the LR_unknown pictures of DATA, or unknown:PATH "
        "with a kernel's file, or pictures to estimate it by.",
        default=None,
    )
    updates: int | None = option(
        values.WHOLE, "--updates", "N", "Updates in all.", panel=RECIPE, default=None
    )
    batch: int | None = option(
        values.WHOLE, "--batch", "N", "Patches in an update.", panel=RECIPE, default=None
    )
    patch: int | None = option(
        values.WHOLE,
        "--patch",
        "N",
        "Height and width of a patch in LR pixels.",
        panel=RECIPE,
        default=None,
    )
    learning_rate: float | None = option(
        values.NUMBER,
        "--lr --learning-rate",
        "X",
        "Learning rate of Adam.",
        panel=RECIPE,
        default=None,
    )
    betas: Given[Sequence[float] | None, tuple[float, float] | None] = option(
        values.BETAS, "--betas", "B1,B2", "Decay rates of Adam.", panel=RECIPE, default=None
    )
    epsilon: float | None = option(
        values.NUMBER,
        "--epsilon",
        "X",
        "What Adam adds to its divisor, in levels.",
        panel=RECIPE,
        default=None,
    )
    schedule: Given[str | None, Schedule | None] = option(
        values.SCHEDULE,
        "--schedule",
        "|".join(Schedule),
        "How the learning rate falls.",
        panel=RECIPE,
        default=None,
    )
    decay_every: int | None = option(
        values.WHOLE,
        "--decay-every",
        "N",
        "Updates between two steps.",
        panel=RECIPE,
        default=None,
    )
    decay_factor: float | None = option(
        values.NUMBER, "--decay-factor", "X", "Factor of a step.", panel=RECIPE, default=None
    )
    warmup: int | None = option(
        values.WHOLE,
        "--warmup",
        "N",
        "Updates until the full learning rate.",
        panel=RECIPE,
        default=None,
    )
    ema: float | None = option(
        values.NUMBER,
        "--ema",
        "X",
        "Decay of a moving average of the weights, which is then used.",
        panel=RECIPE,
        default=None,
    )
    clip: float | None = option(
        values.NUMBER,
        "--clip",
        "X",
        "Cut the gradient's norm down to this.",
        panel=RECIPE,
        default=None,
    )
    autocast: Given[str | None, Autocast | None] = option(
        values.AUTOCAST,
        "--autocast",
        "|".join(Autocast),
        "Number format of the convolutions.",
        panel=RECIPE,
        default=None,
    )
    channels_last: bool | None = option(
        values.FLAG,
        "--channels-last/--no-channels-last",
        "",
        "Memory layout of activations; a matter of speed.",
        panel=RECIPE,
        default=None,
    )
    seed: int | None = option(
        values.WHOLE, "--seed", "N", "Seed of all that is random.", panel=RECIPE, default=None
    )
    validate_every: int | None = option(
        values.WHOLE,
        "--validate-every",
        "N",
        "Updates between two measurements.",
        panel=RUN,
        default=None,
    )


@group
class _Subject(Options):
    data: Paths = option(
        values.PATHS, "", "FOLDER", "Pictures to learn from, at any depth.", kw_only=False
    )
    output: Path = option(values.PATH, "-o --output", "DIR", "Folder of the run.", kw_only=False)
    preset: Given[str, Preset] = option(
        values.PRESET,
        "-p --preset",
        "NAME",
        f"The network, as the paper has it: {', '.join(Preset)}.",
        default=Preset.EDSR_BASELINE,
    )
    scale: int | None = option(
        values.SCALE,
        "-s --scale",
        "2|3|4",
        "How many times the network enlarges; not for MDSR, which does it all.",
        default=None,
    )
    init: str | None = option(
        values.TEXT,
        "--init",
        "MODEL|FILE",
        "Start from these weights as far as they fit. The paper starts x3 and x4 from x2. MDSR "
        "takes the upsamplers of all scales of a MODEL, and the rest of x2. Default: random "
        "weights.",
        default=None,
    )
    init_scale: int | None = option(
        values.SCALE,
        "--init-scale",
        "2|3|4",
        "Which network of a MODEL. Default: as --scale.",
        default=None,
    )


@group
class TrainOptions(Machine, RecipeOptions, _Subject):
    """What `edsr train` takes."""

    validate: MaybePath = option(
        values.PATH,
        "--validate",
        "DATASET",
        "Measure PSNR on this data set, as edsr evaluate reads it. Default: on pictures held out "
        "from the folder.",
        default=None,
    )
    resume: bool = option(
        values.FLAG,
        "--resume",
        "",
        "Go on with the run in the folder; same options as then.",
        default=False,
    )
    overwrite: bool = option(
        values.FLAG, "--overwrite", "", "Replace a run that is in the folder.", default=False
    )
    hold_out: int | None = option(
        values.WHOLE,
        "--hold-out",
        "N",
        "Pictures to hold out if there is no --validate. Default: 8, at most a quarter.",
        panel=RUN,
        least=0,
        default=None,
    )
    shrink: int = option(
        values.WHOLE,
        "--shrink",
        "N",
        "Make pictures from JPEG files so many times smaller first, so that their artefacts go.",
        panel=RUN,
        least=1,
        most=8,
        default=1,
    )
    cache: MaybePath = option(
        values.PATH,
        "--cache",
        "DIR",
        "Keep the decoded pictures in this folder, for the next run and for sets larger than "
        "memory. Default: in memory.",
        panel=RUN,
        default=None,
    )
    cuda_graph: bool = option(
        values.FLAG,
        "--cuda-graph/--no-cuda-graph",
        "",
        "On an NVIDIA GPU, start all that an update does at once, as a CUDA graph; a matter of "
        "speed. Default: --cuda-graph.",
        panel=RUN,
        default=True,
    )
    name: str | None = option(
        values.TEXT,
        "--name",
        "TEXT",
        "Name of the model. Default: the folder's.",
        panel=RUN,
        default=None,
    )
    licence: str = option(
        values.TEXT,
        "--licence",
        "TEXT",
        "Licence of the weights, for their metadata.",
        panel=RUN,
        default="none stated",
    )
    origin: str = option(
        values.TEXT,
        "--origin",
        "TEXT",
        "Who made the weights, in a sentence, for their metadata.",
        panel=RUN,
        default="Trained with edsr train",
    )
    progress: Callable[[str, int, int], object] | None = again(Upscaling, "progress", default=...)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite exclude each other.")
