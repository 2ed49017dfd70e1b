"""What weights expect and no state dict says: value range, mean shift and residual scale.

The canonical form has none of it: values in 0..255, mean tensors that are right for the weights,
residual scale 1. `to_canonical` folds the rest into the tensors.

What is known of a file from outside, or stands in its mean tensors, leaves fewer to choose from.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from edsr_cli.checkpoints import layouts
from edsr_cli.checkpoints.checkpoint import Weights, fold_residual_scale
from edsr_cli.checkpoints.layouts import CANONICAL, MEAN_KEYS, Layout
from edsr_cli.errors import UsageError, WeightsError
from edsr_cli.model.config import RGB_MEAN, RGB_RANGE, NetworkConfig
from edsr_cli.text import did_you_mean

VALUE_RANGES = (255.0, 1.0)
MEAN_SHIFTS = (True, False)
RESIDUAL_SCALES = (1.0, 0.1)
"""What published weights were trained with, the likelier first."""


class Convention(Struct, frozen=True):
    """What a network's weights were trained with.

    Attributes:
        value_range: full range of input and output: 255, or 1.
        mean_shift: whether the mean colour is subtracted before the head and added at the end.
        residual_scale: factor on each residual branch.
    """

    value_range: float
    mean_shift: bool
    residual_scale: float

    def __str__(self) -> str:
        shift = "mean shift" if self.mean_shift else "no mean shift"
        return f"values in 0..{self.value_range:g}, {shift}, residual scale {self.residual_scale:g}"


def mean_tensors(value_range: float, mean_shift: bool) -> dict[str, NDArray[np.float32]]:
    """The four tensors of the two mean shifts, under the official keys; zeros for none."""
    mean = np.float32(value_range if mean_shift else 0) * np.array(RGB_MEAN, np.float32)
    unit = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    return {
        "sub_mean.weight": unit,
        "sub_mean.bias": -mean,
        "add_mean.weight": unit.copy(),
        "add_mean.bias": mean,
    }


@np.errstate(over="ignore")  # what is too large is found to be so
def to_canonical(
    tensors: Weights, config: NetworkConfig, convention: Convention
) -> tuple[dict[str, NDArray[Any]], NetworkConfig]:
    """The same network for values in 0..255, with residual scale 1 and with mean tensors.

    With r for the range, the head's W x + b is (W r / 255) (255 / r x) + b, and the last
    convolution's output times 255 / r is in 0..255 again. In between nothing changes. Zero padding
    is the same in both; this is also why the mean cannot be folded into the head's bias.

    Args:
        tensors: fp32 tensors under the official keys; not changed. Mean tensors are not looked at.
        config: their hyper-parameters; its residual scale is not looked at.
        convention: what they were trained with.
    """
    factor = RGB_RANGE / convention.value_range
    folded = {**tensors, **mean_tensors(RGB_RANGE, convention.mean_shift)}
    folded["head.0.weight"] = folded["head.0.weight"] / factor
    for key in (f"{config.last_convolution}.weight", f"{config.last_convolution}.bias"):
        folded[key] = folded[key] * factor
    scaled = replace(config, residual_scale=convention.residual_scale)
    return fold_residual_scale(folded, scaled)


class Stated(Struct, frozen=True):
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


NOTHING_STATED = Stated()


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
