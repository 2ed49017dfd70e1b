"""What is to be upscaled, with what, and how: for pictures, folders, data sets and `load`."""

from collections.abc import Callable, Sequence
from typing import Any

from edsr_cli.errors import UsageError
from edsr_cli.options import values
from edsr_cli.options.choices import Chroma, Depth, Grey, Strip, TiffKind
from edsr_cli.options.definition import (
    CLUSTER,
    MACHINE,
    MESSAGES,
    OUTPUT,
    SIZE,
    WEIGHTS,
    WHICH,
    Options,
    again,
    group,
    option,
)
from edsr_cli.options.values import (
    Given,
    MaybePath,
    Number,
    Path,
    Paths,
    Setting,
    Sides,
    Texts,
    Tile,
)

_FORMATS = "png, jpeg, webp, tiff, avif or bmp"  # those of `images.formats`, which takes a while


@group
class Machine(Options):
    """What the work is done on."""

    device: str = option(
        values.TEXT,
        "-d --device",
        "DEVICE",
        "auto, cpu, cuda, cuda:N or mps.",
        panel=MACHINE,
        default="auto",
    )
    threads: Number = option(
        values.THREADS,
        "--threads",
        "N",
        "Threads that compute on the CPU. Default: as many as there are processors for, which in "
        "a container may be few; so does 0.",
        panel=MACHINE,
        least=0,
        most=1024,
        default=None,
    )


@group
class Model(Options):
    """A network, and what is known of its file."""

    model: Path = option(
        values.PATH,
        "-m --model",
        "MODEL|FILE",
        "A model's name, or a file with weights.",
        default="edsr-free",
    )
    layout: str | None = option(
        values.TEXT,
        "--layout",
        "LAYOUT",
        "Whose naming and values the file has: official, torchsr, basicsr, mmagic, super-image, "
        "super-image-mdsr or transformers. Default: by its tensors' names and, where these leave "
        "anything open, by trying the network on a smooth gradient.",
        panel=WEIGHTS,
        default=None,
    )
    value_range: float | None = option(
        values.VALUE_RANGE,
        "--value-range",
        "255|1",
        "Full range of the values that the file's network was trained with.",
        panel=WEIGHTS,
        default=None,
    )
    mean_shift: bool | None = option(
        values.FLAG,
        "--mean-shift/--no-mean-shift",
        "",
        "Whether it was trained with the mean colour of DIV2K subtracted.",
        panel=WEIGHTS,
        default=None,
    )
    residual_scale: float | None = option(
        values.NUMBER,
        "--residual-scale",
        "R",
        "Factor on the residual branches that it was trained with: 0.1 for the full EDSR, 1 for "
        "most others.",
        panel=WEIGHTS,
        default=None,
    )


@group
class Scale(Model):
    """A network, and how many times it enlarges."""

    scale: int | None = option(
        values.SCALE,
        "-s --scale",
        "2|3|4",
        "How many times to enlarge. Default: 4, or what a model file is for.",
        default=None,
    )


@group
class Network(Machine, Model):
    """A network on a device."""

    restore: Setting | None = option(
        values.RESTORE,
        "--restore",
        "auto|0..1",
        "How much to restore compressed and noisy pictures: 0 for not at all, 1 for all; auto "
        "goes by the picture. Default: auto, for models that can do it.",
        default=None,
    )
    download: bool = option(
        values.FLAG,
        "--download",
        "",
        "Fetch the model if it is not here; see edsr fetch-weights.",
        default=False,
    )
    precision: str = option(
        values.PRECISION,
        "--precision",
        "|".join(values.PrecisionName),
        "Number format of the residual blocks; auto is bf16 where PyTorch computes and the device "
        "multiplies it natively, else fp32.",
        panel=MACHINE,
        default="auto",
    )
    engine: str = option(
        values.ENGINE,
        "--engine",
        "|".join(values.EngineName),
        "Library that computes; auto is ncnn on CPUs in fp32, else PyTorch.",
        panel=MACHINE,
        default="auto",
    )
    max_memory: Number = option(
        values.SIZE,
        "--max-memory",
        "SIZE",
        "Memory that the network may work in, such as 500M or 2GiB; pictures and weights come on "
        "top. Default: by what is free.",
        panel=MACHINE,
        default=None,
    )


@group
class LoadOptions(Network, Scale):
    """What `load` takes."""

    model: Path = again(Model, "model", kw_only=False, default=...)
    scale: int | None = again(Scale, "scale", kw_only=False, default=...)
    device: str = again(Machine, "device", kw_only=False, default=...)
    precision: str = again(Network, "precision", kw_only=False, default=...)
    max_memory: Number = again(Network, "max_memory", kw_only=False, default=...)


@group
class Upscaling(Network):
    """How every picture is upscaled."""

    ensemble: bool = option(
        values.FLAG,
        "-x --ensemble",
        "",
        "Average eight flipped and rotated views: better, eight times the work.",
        default=False,
    )
    overwrite: bool = option(
        values.FLAG, "--overwrite", "", "Replace outputs that exist.", default=False
    )
    tile: Tile = option(
        values.TILE,
        "-t --tile",
        "auto|none|N",
        "Split into panels of N input columns; the result stays the same. auto: only where memory "
        "demands it.",
        panel=MACHINE,
        default="auto",
    )
    max_pixels: Number = option(
        values.COUNT,
        "--max-pixels",
        "N",
        "Refuse inputs with more pixels, such as 800M. Default: 268M.",
        panel=MACHINE,
        default=None,
    )
    progress: Callable[[str, int, int], object] | None = option(
        values.CALLBACK,
        None,
        "",
        "Called with what is at work, how much of it is done, and how much there is.",
        default=None,
    )


@group
class Size(Options):
    """How large outputs become."""

    scale: int | float | None = option(
        values.FACTOR,
        "-s --scale",
        "FACTOR",
        "How many times to enlarge: 2, 3, 4, or any other factor to 16, such as 1.5; less than 1 "
        "reduces. Default: 4, or what a model file is for.",
        panel=SIZE,
        default=None,
    )
    width: int | None = option(
        values.WHOLE, "--width", "N", "N pixels wide.", panel=SIZE, least=1, default=None
    )
    height: int | None = option(
        values.WHOLE, "--height", "N", "N pixels high.", panel=SIZE, least=1, default=None
    )
    max_side: int | None = option(
        values.WHOLE,
        "--max-side",
        "N",
        "The longer side of N pixels, such as 3840.",
        panel=SIZE,
        least=1,
        default=None,
    )
    fit: Sides = option(
        values.FIT,
        "--fit",
        "WxH",
        "As large as fits into so many pixels, such as 3840x2160.",
        panel=SIZE,
        default=None,
    )
    megapixels: float | None = option(
        values.POSITIVE, "--megapixels", "N", "N million pixels.", panel=SIZE, default=None
    )
    print: Sides = option(
        values.PAPER,
        "--print",
        "WxHcm",
        "As large as fits on a print, such as 30x20cm or 12x8in, lying as the picture does.",
        panel=SIZE,
        default=None,
    )
    dpi: float | None = option(
        values.DPI,
        "--dpi",
        "N",
        "Pixels per inch of a print, which outputs then state. Default: 300 for --print, or as "
        "the input says.",
        panel=SIZE,
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in WAYS if getattr(self, name) is not None]
        if len(given) > 1:
            first, second = (f"--{name.replace('_', '-')}" for name in given[:2])
            raise UsageError(f"{first} and {second} exclude each other.", "Give one size.")


WAYS = ("scale", "width", "height", "max_side", "fit", "megapixels", "print")
"""The options that say a size; one of them may be given."""


@group
class Outputs(Upscaling, Size):
    """What is written for every picture."""

    dry_run: bool = option(
        values.FLAG,
        "-n --dry-run",
        "",
        "Print the plan, with memory and time, and make nothing.",
        default=False,
    )
    frame: int | None = option(
        values.WHOLE,
        "--frame",
        "N",
        "Which frame of an animation or page of a document to take, from 1. Default: the first, "
        "with a remark where there are more.",
        panel=WHICH,
        least=1,
        default=None,
    )
    alpha: str = option(
        values.ALPHA,
        "--alpha",
        "drop|keep|COLOUR",
        "What becomes of transparency: drop the alpha channel; keep it, enlarged beside the "
        "colours; or lay the picture on a colour such as white or '#ff8000'.",
        panel=OUTPUT,
        default="drop",
    )
    compression: int | None = option(
        values.WHOLE,
        "--compression",
        "0..9",
        "How hard to compress PNG: 9 is smallest and slowest. Default: as small as 6, as fast as "
        "1.",
        panel=OUTPUT,
        least=0,
        most=9,
        default=None,
    )
    quality: int | None = option(
        values.WHOLE,
        "--quality",
        "1..100",
        "Quality of JPEG, AVIF and WebP, which is lossy then. Default: 95 for JPEG, 90 for AVIF, "
        "lossless for WebP.",
        panel=OUTPUT,
        least=1,
        most=100,
        default=None,
    )
    lossless: bool = option(
        values.FLAG,
        "--lossless",
        "",
        "Refuse formats with loss; WebP is lossless anyway.",
        panel=OUTPUT,
        default=False,
    )
    chroma: Chroma | None = option(
        values.CHROMA,
        "--chroma",
        "420|444",
        "Resolution of colours in JPEG and AVIF: a quarter of luma's, or the same. Default: 444.",
        panel=OUTPUT,
        default=None,
    )
    depth: Given[Depth | str | int, Depth] = option(
        values.DEPTH,
        "--depth",
        "auto|8|16",
        "Bits a channel; auto for those of the input, as far as the format has them. PNG and TIFF "
        "have 16.",
        panel=OUTPUT,
        default=Depth.AUTO,
    )
    grey: Given[Grey | str, Grey] = option(
        values.GREY,
        "--grey",
        "auto|rgb",
        "What greyscale becomes: greyscale in PNG, JPEG and TIFF; or always RGB.",
        panel=OUTPUT,
        default=Grey.AUTO,
    )
    tiff: Given[TiffKind | str | None, TiffKind | None] = option(
        values.TIFF,
        "--tiff",
        "strips|tiled|pyramid",
        "How pixels lie in a TIFF: in strips; in tiles; or in tiles with smaller copies, for "
        "viewers. Default: strips.",
        panel=OUTPUT,
        default=None,
    )
    strip: Strip = option(
        values.STRIP,
        "--strip",
        "none|gps|all",
        "Metadata to leave out: where the picture was taken; or all but what colours need.",
        panel=OUTPUT,
        default=Strip.NONE,
    )
    keep_times: bool = option(
        values.FLAG,
        "--keep-times",
        "",
        "Give outputs the time of change of their inputs.",
        panel=OUTPUT,
        default=False,
    )
    name: str | None = option(
        values.TEMPLATE,
        "--name",
        "NAME",
        "Names of outputs, such as '{stem}_{scale}x{ext}'; also with {width}, {height}, {model}.",
        panel=OUTPUT,
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quality is not None and self.lossless:
            raise UsageError("--quality and --lossless exclude each other.")


@group
class _Pictures(Options):
    inputs: Paths = option(
        values.PATHS, "", "INPUT", "Pictures; - for standard input.", kw_only=False
    )
    output: MaybePath = option(
        values.PATH,
        "-o --output",
        "FILE|DIR|-",
        "Where to write; - for standard output. Default: {stem}_x{scale}.png beside each input, or "
        "{stem}_{width}x{height}.png.",
        default=None,
        kw_only=False,
    )
    format: str | None = option(
        values.TEXT,
        "-f --format",
        "FORMAT",
        f"{_FORMATS}. With same, that of the input. Default: by the output's suffix, or png.",
        default=None,
    )


@group
class UpscaleOptions(Outputs, _Pictures):
    """What `edsr upscale` takes."""

    resume: bool = option(
        values.FLAG,
        "--resume",
        "",
        "Keep finished rows in a file beside the output until that is done, and go on behind those "
        "of a run that was interrupted or killed.",
        default=False,
    )
    each: Callable[[Any], object] | None = option(
        values.CALLBACK, None, "", "Called with every result as it comes.", default=None
    )


@group
class _Folders(Options):
    inputs: Paths = option(values.PATHS, "", "INPUT_DIR", "Folders of pictures.", kw_only=False)
    output: MaybePath = option(
        values.PATH,
        "-o --output",
        "DIR",
        "Where to write; with several inputs, to a folder in it for each. Default: "
        "INPUT_DIR_x{scale}, or such as INPUT_DIR_max3840, beside each input.",
        default=None,
        kw_only=False,
    )
    format: str = option(
        values.TEXT,
        "-f --format",
        "FORMAT",
        f"{_FORMATS}. With same, that of each input.",
        default="png",
    )


@group
class BatchOptions(Outputs, _Folders):
    """What `edsr batch` takes."""

    device: str = again(
        Machine,
        "device",
        metavar="DEVICE,...",
        text="auto, cpu, cuda, cuda:N or mps; several at once, such as cuda:0,cuda:1; or all GPUs "
        "that work, by the word all (see edsr devices).",
        default=...,
    )
    overwrite: bool = again(
        Upscaling,
        "overwrite",
        flags="--overwrite/--resume",
        text="Make everything again and replace whatever is there. Default: --resume, skip what "
        "an earlier run has done.",
        default=...,
    )
    include: Texts = option(
        values.TEXTS,
        "--include",
        "GLOB",
        "Take only files such as '*.jpg' or '2024/**'; may be given several times.",
        panel=WHICH,
        default=(),
    )
    exclude: Texts = option(
        values.TEXTS,
        "--exclude",
        "GLOB",
        "Leave out such files and folders; may be given several times.",
        panel=WHICH,
        default=(),
    )
    recursive: bool = option(
        values.FLAG,
        "--recursive/--no-recursive",
        "",
        "Take the folders below, too. Default: --recursive.",
        panel=WHICH,
        default=True,
    )
    watch: bool = option(
        values.FLAG,
        "--watch",
        "",
        "Go on with pictures that arrive or change later, until Ctrl-C; each is taken when it has "
        "stopped growing.",
        default=False,
    )
    checksum: bool = option(
        values.FLAG,
        "--checksum",
        "",
        "Know inputs by their content, not by size and time of change.",
        panel=WHICH,
        default=False,
    )
    shard: str | None = option(
        values.TEXT,
        "--shard",
        "K/N|auto",
        "Do the Kth of N parts of all pictures; the others are for other processes, on any machine "
        "that sees the folders. auto goes by a job array of SLURM or Kubernetes.",
        panel=WHICH,
        default=None,
    )
    ray: str | None = option(
        values.TEXT,
        "--ray",
        "ADDRESS",
        "Work on a cluster of Ray whose machines see the same folders: the address of its head, "
        "auto for the one that this machine belongs to, or local for this machine alone.",
        panel=CLUSTER,
        default=None,
    )
    ray_workers: int | None = option(
        values.WHOLE,
        "--ray-workers",
        "N",
        "Workers on the cluster. Default: as many as have room.",
        panel=CLUSTER,
        least=1,
        default=None,
    )
    worker_cpus: float = option(
        values.NUMBER,
        "--worker-cpus",
        "X",
        "CPUs that each of them takes. Default: 1; see --threads for what it uses.",
        panel=CLUSTER,
        default=1.0,
    )
    worker_gpus: float = option(
        values.NUMBER,
        "--worker-gpus",
        "X",
        "GPUs that each of them takes. Default: 0.",
        panel=CLUSTER,
        default=0.0,
    )
    status: bool = option(
        values.FLAG,
        "--status",
        "",
        "Tell what became of all pictures of an output folder, of every shard, and make nothing.",
        default=False,
    )
    fail_fast: bool = option(
        values.FLAG, "--fail-fast", "", "Stop at the first failure.", default=False
    )
    report: MaybePath = option(
        values.PATH,
        "--report",
        "FILE",
        "At the end, write what became of each file to FILE.json, or to FILE.html: a page with "
        "the failures, and with pictures before and after. Replaces an older report.",
        panel=MESSAGES,
        default=None,
    )
    workers: int | None = option(
        values.WHOLE,
        "-j --workers",
        "N",
        "Threads that read pictures, and as many that write them. Default: by the cores.",
        panel=MACHINE,
        least=1,
        default=None,
    )
    max_queue: Number = option(
        values.SIZE,
        "--max-queue",
        "SIZE",
        "Memory for pictures that wait between reading, upscaling and writing. Default: by device "
        "and what is free.",
        panel=MACHINE,
        default=None,
    )
    each: Callable[[Any], object] | None = again(UpscaleOptions, "each", default=...)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.watch and self.dry_run:
            raise UsageError("--watch and --dry-run exclude each other.")
        if self.status and (self.watch or self.dry_run or self.shard):
            raise UsageError("--status goes with neither --watch, --dry-run nor --shard.")
        if min(self.worker_cpus, self.worker_gpus) < 0:
            raise UsageError("--worker-cpus and --worker-gpus are 0 at least.")
        if self.shard and self.report is not None:
            raise UsageError(
                "With --shard, each part would replace the others' report.",
                "When all have ended: edsr batch --status OUTPUT_DIR --report FILE.",
            )


@group
class _Datasets(Options):
    datasets: Paths = option(
        values.PATHS,
        "",
        "DATASET",
        "Folders: one with HR/ and LR_bicubic/X{2,3,4}/, as Set5 comes; DIV2K, as it comes; or "
        "one with pictures, from which LR is made by MATLAB's bicubic rule.",
        kw_only=False,
    )
    scale: Given[int | Sequence[int], tuple[int, ...]] = option(
        values.SCALES,
        "-s --scale",
        "2|3|4",
        "How many times to enlarge; may be given several times. Default: all that the model has.",
        default=(),
    )


@group
class EvaluateOptions(Upscaling, _Datasets):
    """What `edsr evaluate` takes."""

    restore: Setting | None = again(
        Network,
        "restore",
        default=0.0,
        text="How much to restore compressed and noisy pictures; auto goes by the picture. "
        "Default: 0, since benchmarks measure the plain network.",
    )
    precision: str = again(Network, "precision", default="fp32")
    degrade: Texts = option(
        values.TEXTS,
        "--degrade",
        "SPEC",
        "What LR pictures suffer first: jpeg:50, noise:5, photo, or steps such as "
        "blur:0.4,noise:2,jpeg:80; unknown, to take the set's LR_unknown pictures, or "
        "unknown:KERNEL. May be given several times.",
        default=(),
    )
    save: MaybePath = option(
        values.PATH,
        "--save",
        "DIR",
        "Write the upscaled pictures there, such as DIR/Set5/X2/baby.png.",
        default=None,
    )
    plot: MaybePath = option(
        values.PATH,
        "--plot",
        "FILE",
        "Draw the gain over bicubic interpolation against JPEG quality, as PNG; without --degrade "
        "for clean pictures and qualities from 95 to 30.",
        default=None,
    )
    html: MaybePath = option(
        values.PATH,
        "--html",
        "FILE",
        "Write a page with the means beside bicubic and published figures, and with every picture, "
        "the worst first. Replaces an older page.",
        default=None,
    )
    border: int | None = option(
        values.WHOLE,
        "--border",
        "N",
        "Compare all but N pixels at each side. Default: the scale, or 6 more on DIV2K.",
        least=0,
        default=None,
    )
    each: Callable[[Any], object] | None = again(UpscaleOptions, "each", default=...)
