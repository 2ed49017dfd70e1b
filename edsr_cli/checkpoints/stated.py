"""What is known of a weight file from outside, and the conventions that are left open by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from edsr_cli.checkpoints import layouts
from edsr_cli.checkpoints.checkpoint import Weights
from edsr_cli.checkpoints.convention import (
    MEAN_SHIFTS,
    RESIDUAL_SCALES,
    VALUE_RANGES,
    Convention,
    mean_tensors,
)
from edsr_cli.checkpoints.layouts import MEAN_KEYS, Layout
from edsr_cli.checkpoints.model_row import CANONICAL
from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.text import did_you_mean


@dataclass(frozen=True)
class Stated:
    """What the caller knows of a file; None is open.

    Attributes:
        layout: a name of `layouts.LAYOUTS`, or "canonical".
        value_range, mean_shift, residual_scale: see `Convention`; they go before the layout's.

    Raises:
        UsageError: there is no such layout, or a number makes no sense.
    """

    layout: str | None = None
    value_range: float | None = None
    mean_shift: bool | None = None
    residual_scale: float | None = None

    def __post_init__(self) -> None:
        names = [each.name for each in layouts.LAYOUTS]
        if self.layout not in (None, CANONICAL, *names):
            raise UsageError(
                f"There is no layout {self.layout!r}.",
                f"{did_you_mean(str(self.layout), names)} Layouts: {', '.join(names)}.".lstrip(),
            )
        if self.value_range not in (None, *VALUE_RANGES):
            raise UsageError(f"The value range must be 255 or 1, not {self.value_range:g}.")
        scale = self.residual_scale
        if scale is not None and not 0 < scale < float("inf"):
            raise UsageError(f"The residual scale must be positive, not {scale:g}.")

    def candidates(self, possible: Sequence[Layout]) -> list[Convention]:
        """The conventions that a file of one of these layouts may have."""

        def values(name: str, every: tuple[Any, ...]) -> tuple[Any, ...]:
            known = getattr(self, name)
            if known is not None:
                return (known,)
            own = {getattr(layout, name) for layout in possible}
            return every if None in own or len(own) > 1 else tuple(own)

        return [
            Convention(*each)
            for each in product(
                values("value_range", VALUE_RANGES),
                values("mean_shift", MEAN_SHIFTS),
                values("residual_scale", RESIDUAL_SCALES),
            )
        ]


def agreeing_with_mean(
    candidates: Sequence[Convention],
    tensors: Weights,
    names: Mapping[str, str],
    path: Path,
) -> list[Convention]:
    """Those conventions that fit the mean tensors which a file stores.

    A network that shifts does so by what it stores. One that does not may store it all the same.

    Args:
        candidates: the conventions to choose from.
        tensors: the file's tensors under the official keys, those of the mean shifts among them.
        names: the file's own keys for the official ones of the mean shifts.
        path: the file, for messages.

    Raises:
        WeightsError: none fits. The message names a tensor.
    """
    wrong = [_wrong_mean(each, tensors) for each in candidates]
    fitting = [each for each, key in zip(candidates, wrong, strict=True) if not key]
    if fitting:
        return fitting
    key = wrong[0]
    values = [round(value, 3) for value in tensors[key].ravel().tolist()]
    raise WeightsError(
        f"tensor {names[key]!r} is {values}, which is not the mean colour of DIV2K for"
        f" values in 0..{candidates[0].value_range:g}.",
        "Give --value-range or --no-mean-shift if the network is for another range, or does not"
        " use this tensor.",
        about=path,
    )


def _wrong_mean(convention: Convention, tensors: Weights) -> str:
    """The official key of a mean tensor that does not fit the convention; empty if all do."""
    if not convention.mean_shift:
        return ""
    expected = mean_tensors(convention.value_range, convention.mean_shift)
    for key in MEAN_KEYS:
        tolerance = convention.value_range / 500 if key.endswith(".bias") else 1e-3
        if not np.allclose(tensors[key], expected[key], rtol=0, atol=tolerance):
            return key
    return ""
