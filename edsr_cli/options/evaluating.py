"""What `edsr evaluate` takes."""

from collections.abc import Callable, Sequence
from typing import Any

from edsr_cli.options import values
from edsr_cli.options.definition import Options, again, group, option
from edsr_cli.options.network import Network
from edsr_cli.options.pictures import UpscaleOptions, Upscaling
from edsr_cli.options.reading import Setting
from edsr_cli.options.values import Given, MaybePath, Paths, Texts


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
        "the worst first; these can be looked at. Replaces an older page.",
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
