"""What an output was made with, as far as its pixels depend on it."""

import hashlib
import json
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, fields

from edsr_cli.checkpoints.checkpoint import weights_digest
from edsr_cli.images import OutputFormat
from edsr_cli.jobs.naming import SAME
from edsr_cli.jobs.worker import Worker
from edsr_cli.restoration.networks import restore_label, weights_of


class Recipe(Struct, frozen=True, kw_only=True):
    """The model and the options that pixels depend on.

    How hard a PNG is compressed is none of them, and neither are the device, the memory and the
    panels: they change at most the last bits of sums. An option that is added gets a default here,
    the value with which outputs are as they were without it.

    Attributes:
        model: the model's name; it is for people, the weights count.
        weights: SHA-256 of the weights.
        scale: how many times larger outputs are; None where their size is said in another way.
        ensemble: whether the eight views are averaged.
        precision: number format of the residual blocks.
        format: name of the output format.
        restore: how much pictures are restored, a number, or "auto" with the version of its
            thresholds; "0" for not at all.
        alpha: what becomes of transparency: "drop", "keep" or a colour as "#rrggbb".
        width, height, max_side, fit, megapixels, print, dpi: the size, as the options of these
            names say it.
        quality, lossless, chroma: how outputs are compressed, where their format leaves a choice.
        strip: which metadata are left out.
        depth: bits a channel, where the format leaves a choice. What was made before there was one
            has 8 everywhere, but is not made again for the few inputs that have more.
        grey: what becomes of greyscale, where the format leaves a choice; the same holds.
        tiff: how pixels lie in a TIFF.
        frame, frames: which frame or page is taken, or "all"; None for the first.
    """

    model: str
    weights: str
    scale: float | None
    ensemble: bool
    precision: str
    format: str
    restore: str = "0"
    alpha: str = "drop"
    width: int | None = None
    height: int | None = None
    max_side: int | None = None
    fit: tuple[float, float] | None = None
    megapixels: float | None = None
    print: tuple[float, float] | None = None
    dpi: float | None = None
    quality: int | None = None
    lossless: bool = False
    chroma: str | None = None
    strip: str = "none"
    depth: str = "auto"
    grey: str = "auto"
    tiff: str | None = None
    frame: int | None = None
    frames: str | None = None

    @property
    def identity(self) -> str:
        """16 digits that are equal for equal recipes, whatever the model is called."""
        values = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            # Outputs that were made before there was an option were made with its default.
            if each.name != "model" and getattr(self, each.name) != each.default
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def recipe_of(worker: Worker, output_format: OutputFormat | None) -> Recipe:
    """What a worker makes outputs with, of a format, or of that of each input.

    Raises:
        WeightsError, UsageError: a network that pictures may need cannot be had.
    """
    options, first = worker.options, worker.upscalers[0]
    used = worker.all_networks()
    by_factor = worker.target.factor is not None
    return Recipe(
        model=worker.model,
        weights=weights_digest(*(weights for each in used for weights in weights_of(each))),
        scale=(options.scale or first.scale) if by_factor else None,
        ensemble=options.ensemble,
        precision=first.precision.value,
        format=SAME if output_format is None else output_format.name,
        restore=restore_label(*used),
        alpha=options.alpha,
        width=options.width,
        height=options.height,
        max_side=options.max_side,
        fit=options.fit,
        megapixels=options.megapixels,
        print=options.print,
        dpi=options.dpi,
        quality=options.quality,
        lossless=options.lossless,
        chroma=options.chroma,
        strip=options.strip,
        depth=options.depth,
        grey=options.grey,
        tiff=options.tiff,
        frame=options.frame,
        frames=options.frames,
    )
