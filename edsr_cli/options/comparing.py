"""What `edsr compare` takes."""

from collections.abc import Callable
from typing import Any

from edsr_cli.errors import UsageError
from edsr_cli.options import values
from edsr_cli.options.definition import OUTPUT, Options, again, group, option
from edsr_cli.options.network import Scale
from edsr_cli.options.pictures import UpscaleOptions, Upscaling
from edsr_cli.options.values import MaybePath, Number, Paths, Settings, Texts


@group
class _Compared(Options):
    inputs: Paths = option(values.PATHS, "", "INPUT", "Pictures to enlarge.", kw_only=False)
    output: MaybePath = option(
        values.PATH,
        "-o --output",
        "FILE",
        "The page, FILE.html. Default: {stem}_compare.html beside the first input, if no --sheet "
        "is asked for. Replaces an older page.",
        default=None,
        kw_only=False,
    )


@group
class CompareOptions(Upscaling, Scale, _Compared):
    """What `edsr compare` takes."""

    # Several of what other commands take one of: each goes into a `Network` of its own.
    model: Paths = again(  # type: ignore[assignment]
        Scale,
        "model",
        kind=values.PATHS,
        text="A model's name, or a file with weights; may be given several times; none for "
        "finished pictures alone. Default: edsr-free.",
        default=(),
    )
    restore: Settings = again(  # type: ignore[assignment]
        Upscaling,
        "restore",
        kind=values.RESTORES,
        metavar="auto|0..1,...",
        text="How much to restore compressed and noisy pictures; several, such as 0,0.5,1, for "
        "a version each. Default: auto, for models that can do it.",
        default=(),
    )
    beside: Texts = option(
        values.TEXTS,
        "--with",
        "bicubic|nearest|FILE",
        "What to compare with: bicubic interpolation, the input's own pixels, or a finished "
        "picture of the output's size; may be given several times. Default: bicubic.",
        default=(),
    )
    reference: Paths = option(
        values.PATHS,
        "--reference",
        "FILE",
        "The original of the output's size, to measure against; one for each input.",
        default=(),
    )
    crop: Texts = option(
        values.CROPS,
        "--crop",
        "WxH+X+Y",
        "Take only this part of each input, in its pixels, such as 200x150+40+0; may be given "
        "several times.",
        default=(),
    )
    sheet: MaybePath = option(
        values.PATH,
        "--sheet",
        "FILE",
        "Write parts of the versions side by side to FILE.png, with labels: those of --crop, or "
        "where the versions differ most.",
        default=None,
    )
    max_embed: Number = option(
        values.SIZE,
        "--max-embed",
        "SIZE",
        "The largest page that has the pictures in it; for more, they go to a folder beside it. "
        "Default: 20M.",
        panel=OUTPUT,
        default=None,
    )
    overwrite: bool = again(
        Upscaling, "overwrite", text="Replace files that are no pages of edsr compare.", default=...
    )
    each: Callable[[Any], object] | None = again(UpscaleOptions, "each", default=...)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inputs:
            raise UsageError("There is no picture to compare.", "Give one, or several.")
        if self.reference and len(self.reference) != len(self.inputs):
            raise UsageError(
                f"--reference is for one input each: {len(self.inputs)} inputs, "
                f"{len(self.reference)} references."
            )
