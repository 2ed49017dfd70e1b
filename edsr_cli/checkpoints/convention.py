"""What weights expect and no state dict says: value range, mean shift and residual scale.

The canonical form has none of it: values in 0..255, mean tensors that are right for the weights,
residual scale 1. `to_canonical` folds the rest into the tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edsr_cli.checkpoints.checkpoint import fold_residual_scale
from edsr_cli.model.networks import RGB_MEAN, RGB_RANGE, NetworkConfig

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


def mean_tensors(value_range: float, mean_shift: bool) -> dict[str, Tensor]:
    """The four tensors of the two mean shifts, under the official keys; zeros for none."""
    mean = (value_range if mean_shift else 0.0) * torch.tensor(RGB_MEAN)
    return {
        "sub_mean.weight": torch.eye(3).view(3, 3, 1, 1),
        "sub_mean.bias": -mean,
        "add_mean.weight": torch.eye(3).view(3, 3, 1, 1),
        "add_mean.bias": mean,
    }


def to_canonical(
    tensors: Mapping[str, Tensor], config: NetworkConfig, convention: Convention
) -> tuple[dict[str, Tensor], NetworkConfig]:
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
    last = "tail.1" if config.architecture == "edsr" else "tail.0"
    folded = {**tensors, **mean_tensors(RGB_RANGE, convention.mean_shift)}
    folded["head.0.weight"] = folded["head.0.weight"] / factor
    for key in (f"{last}.weight", f"{last}.bias"):
        folded[key] = folded[key] * factor
    scaled = replace(config, residual_scale=convention.residual_scale)
    return fold_residual_scale(folded, scaled)
