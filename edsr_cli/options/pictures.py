"""How pictures are upscaled, how large, and what is written: what `edsr upscale` takes."""

from collections.abc import Callable
from typing import Any

from edsr_cli.errors import UsageError
from edsr_cli.options import values
from edsr_cli.options.choices import FORMATS, Chroma, Depth, Frames, Grey, Strip, TiffKind
from edsr_cli.options.definition import (
    MACHINE,
    OUTPUT,
    SIZE,
    WHICH,
    Options,
    group,
    option,
)
from edsr_cli.options.network import Network
from edsr_cli.options.reading import Tile
from edsr_cli.options.values import Given, MaybePath, Paths, Sides


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
    frames: Given[Frames | str | None, Frames | None] = option(
        values.FRAMES,
        "--frames",
        "all",
        "Make all frames of an animation larger, with their durations, for GIF, WebP and PNG; or "
        "all pages of a document, for TIFF.",
        panel=WHICH,
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
        "Quality of JPEG and AVIF, and of WebP and JPEG XL, which are lossy then. Default: 95 for "
        "JPEG, 90 for AVIF, lossless for the others.",
        panel=OUTPUT,
        least=1,
        most=100,
        default=None,
    )
    lossless: bool = option(
        values.FLAG,
        "--lossless",
        "",
        "Refuse formats with loss; WebP and JPEG XL are lossless anyway.",
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
        "Bits a channel; auto for those of the input, as far as the format has them. PNG, TIFF and "
        "JPEG XL have 16.",
        panel=OUTPUT,
        default=Depth.AUTO,
    )
    grey: Given[Grey | str, Grey] = option(
        values.GREY,
        "--grey",
        "auto|rgb",
        "What greyscale becomes: greyscale, in all formats but WebP; or always RGB.",
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
        if self.frame is not None and self.frames is not None:
            raise UsageError("--frame and --frames exclude each other.")


@group
class _Pictures(Options):
    inputs: Paths = option(
        values.PATHS,
        "",
        "INPUT",
        "Pictures; - for standard input. Also https://... and s3://... .",
        kw_only=False,
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
        f"{FORMATS}. With same, that of the input. Default: by the output's suffix, or png.",
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
