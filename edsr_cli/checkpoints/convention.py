"""What weights expect and no state dict says: value range, mean shift and residual scale.

The canonical form has none of it: values in 0..255, mean tensors that are right for the weights,
residual scale 1. `to_canonical` folds the rest into the tensors.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Weights, fold_residual_scale
from edsr_cli.model.config import RGB_MEAN, RGB_RANGE, NetworkConfig

VALUE_RANGES = (255.0, 1.0)
MEAN_SHIFTS = (True, False)
RESIDUAL_SCALES = (1.0, 0.1)
"""What published weights were trained with, the likelier first."""


@dataclass(frozen=True)
class Convention:
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
