"""The key layout of the authors' PyTorch release, which is also that of `edsr_cli.networks`.

State dicts of this layout say nothing about themselves, so the hyper-parameters are inferred from
keys and shapes. The residual scale leaves no trace in either: the authors train with 0.1 for the
full EDSR (32 blocks, 256 features) and with 1 for everything else.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from edsr_cli.checkpoints.checkpoint import Checkpoint, checked_tensors
from edsr_cli.errors import WeightsError
from edsr_cli.networks import RGB_MEAN, RGB_RANGE, NetworkConfig


def is_official(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the keys are those of this layout, as far as the first look goes."""
    return {"sub_mean.bias", "add_mean.bias", "head.0.weight", "body.0.body.0.weight"} <= set(
        tensors
    )


def read_official(tensors: Mapping[str, Tensor], path: Path) -> Checkpoint:
    """Check a state dict of this layout and infer its hyper-parameters.

    Args:
        tensors: a flat state dict.
        path: the file that it comes from, for messages.

    Returns:
        The checkpoint, with its residual scale not yet folded and without metadata.

    Raises:
        WeightsError: the tensors are not exactly those of an EDSR or MDSR network for RGB in
            0..255. The message names file and tensor.
    """
    config = infer_config(tensors, path)
    checked = checked_tensors(tensors, config, path)
    mean = RGB_RANGE * torch.tensor(RGB_MEAN)
    for key, expected in (("sub_mean.bias", -mean), ("add_mean.bias", mean)):
        # The same tensors for another range would load, and give a picture of noise.
        if not torch.allclose(checked[key], expected, rtol=0, atol=0.5):
            raise WeightsError(
                f"{path}: tensor {key!r} is {[round(v, 3) for v in checked[key].tolist()]}: these"
                " weights were not trained for values in 0..255 with the mean colour of DIV2K."
            )
    return Checkpoint(config, checked)


def infer_config(tensors: Mapping[str, Tensor], path: Path) -> NetworkConfig:
    """The hyper-parameters that fit a state dict's keys and shapes.

    Raises:
        WeightsError: the tensors are of no EDSR or MDSR network of scales 2, 3 or 4.
    """
    head = _weight(tensors, "head.0", path)
    features, colours = head.shape[0], head.shape[1]
    if colours != 3:
        raise WeightsError(f"{path} is for pictures of {colours} channels; only RGB can be used.")
    _weight(tensors, "body.0.body.0", path)
    blocks = _count(tensors, "body.{}.body.0.weight")
    if not any(key.startswith("pre_process.") for key in tensors):
        scales = [_scale(tensors, "tail.0", features, path)]
        residual_scale = 0.1 if (blocks, features) == (32, 256) else 1.0
        architecture = "edsr"
    else:
        _weight(tensors, "upsample.0.0", path)
        branches = _count(tensors, "upsample.{}.0.weight")
        scales = [_scale(tensors, f"upsample.{each}", features, path) for each in range(branches)]
        residual_scale = 1.0
        architecture = "mdsr"
    try:
        return NetworkConfig(architecture, tuple(scales), blocks, features, residual_scale)
    except ValueError as error:
        raise WeightsError(f"{path} holds no network that can be used: {error}.") from error


def _scale(tensors: Mapping[str, Tensor], key: str, features: int, path: Path) -> int:
    """The scale of the upsampler at a key: one pixel shuffle by 3, or one or more by 2."""
    outputs = _weight(tensors, f"{key}.0", path).shape[0]
    if outputs == 9 * features:
        return 3
    if outputs == 4 * features:
        steps = _count(tensors, key + ".{}.weight", step=2)
        return int(2**steps)
    raise WeightsError(
        f"{path}: tensor '{key}.0.weight' has {outputs} outputs, which is no upsampler of"
        f" {features} features."
    )


def _count(tensors: Mapping[str, Tensor], pattern: str, step: int = 1) -> int:
    """How many of the numbered keys 0, step, 2 * step, ... there are without a gap."""
    count = 0
    while pattern.format(count * step) in tensors:
        count += 1
    return count


def _weight(tensors: Mapping[str, Tensor], key: str, path: Path) -> Tensor:
    """The weight of a convolution, which must be there and have four dimensions."""
    weight = tensors.get(f"{key}.weight")
    if weight is None:
        raise WeightsError(f"{path}: tensor '{key}.weight' is missing.")
    if weight.dim() != 4:
        raise WeightsError(f"{path}: tensor '{key}.weight' has {weight.dim()} dimensions, not 4.")
    return weight
