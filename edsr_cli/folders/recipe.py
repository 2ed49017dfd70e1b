"""What an output was made with, as far as its pixels depend on it."""

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from edsr_cli.checkpoints.checkpoint import weights_digest
from edsr_cli.images import OutputFormat
from edsr_cli.jobs.worker import Worker
from edsr_cli.restoration.networks import restore_label, weights_of


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The model and the options that pixels depend on.

    How hard a PNG is compressed is none of them, and neither are the device, the memory and the
    panels: they change at most the last bits of sums. An option that is added gets a default here,
    the value with which outputs are as they were without it.

    Attributes:
        model: the model's name; it is for people, the weights count.
        weights: SHA-256 of the weights.
        scale: the upscaling factor.
        ensemble: whether the eight views are averaged.
        precision: number format of the residual blocks.
        format: name of the output format.
        restore: how much pictures are restored, a number, or "auto" with the version of its
            thresholds; "0" for not at all.
        alpha: what becomes of transparency: "drop", "keep" or a colour as "#rrggbb".
    """

    model: str
    weights: str
    scale: int
    ensemble: bool
    precision: str
    format: str
    restore: str = "0"
    alpha: str = "drop"

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
        return dict(vars(self))


def recipe_of(worker: Worker, output_format: OutputFormat) -> Recipe:
    """What a worker makes outputs of a format with."""
    first = worker.upscalers[0]
    return Recipe(
        model=worker.model,
        weights=weights_digest(*weights_of(first)),
        scale=first.scale,
        ensemble=worker.options.ensemble,
        precision=first.precision.value,
        format=output_format.name,
        restore=restore_label(first),
        alpha=worker.options.alpha,
    )
