"""Which network computes, on what: for everything that upscales, and for `load`."""

from edsr_cli.options import values
from edsr_cli.options.definition import MACHINE, WEIGHTS, Options, again, group, option
from edsr_cli.options.reading import Setting
from edsr_cli.options.values import Number, Path


@group
class Machine(Options):
    """What the work is done on."""

    device: str = option(
        values.TEXT,
        "-d --device",
        "DEVICE",
        "auto, cpu, cuda, cuda:N, mps; or vulkan, vulkan:N (see edsr devices).",
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
    """A network on a device, and what it may be given."""

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
    max_pixels: Number = option(
        values.COUNT,
        "--max-pixels",
        "N",
        "Refuse inputs with more pixels, such as 800M. Default: 268M.",
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
    max_pixels: Number = again(
        Network,
        "max_pixels",
        text="Refuse files with more pixels, such as 800M. Default: 268M.",
        default=...,
    )
