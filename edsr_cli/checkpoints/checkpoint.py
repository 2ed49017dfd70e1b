"""Hyper-parameters and tensors as read from a file, and what makes them right."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from edsr_cli.errors import WeightsError
from edsr_cli.model.networks import NetworkConfig

FLOAT_TYPES = (torch.float32, torch.float16, torch.bfloat16)

Shapes = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Checkpoint:
    """A network's hyper-parameters and weights.

    Attributes:
        config: hyper-parameters.
        state_dict: one fp32 tensor on the CPU for each key of the network, with the official keys.
        metadata: what the file says about itself: name, licence, origin, ...; may be empty.
    """

    config: NetworkConfig
    state_dict: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def fold_residual_scale(
    state_dict: Mapping[str, Tensor], config: NetworkConfig
) -> tuple[dict[str, Tensor], NetworkConfig]:
    """The same network with residual scale 1: the factor goes into the blocks' second convolution.

    s * (W x + b) = (s W) x + s b, so only rounding can differ.

    Args:
        state_dict: tensors under the official keys; not changed.
        config: their hyper-parameters.
    """
    factor = config.residual_scale
    if factor == 1.0:
        return dict(state_dict), config
    # Only residual blocks have a convolution at "body.2" of something: body.<i>.body.2 and, in
    # MDSR, pre_process.<k>.<j>.body.2. The body's own third block is body.2.body.<0 or 2>.
    ends = (".body.2.weight", ".body.2.bias")
    folded = {
        key: tensor * factor if key.endswith(ends) else tensor for key, tensor in state_dict.items()
    }
    return folded, replace(config, residual_scale=1.0)


def expected_shapes(config: NetworkConfig) -> Shapes:
    """Every key of a network's state dict with its shape, without building the network."""
    features = config.features

    def convolution(key: str, outputs: int, inputs: int, kernel: int) -> Shapes:
        yield f"{key}.weight", (outputs, inputs, kernel, kernel)
        yield f"{key}.bias", (outputs,)

    def upsampler(key: str, scale: int) -> Shapes:
        step = 3 if scale == 3 else 2
        for index in range(2 if scale == 4 else 1):  # a pixel shuffle stands between the two
            yield from convolution(f"{key}.{2 * index}", step * step * features, features, 3)

    yield from convolution("sub_mean", 3, 3, 1)
    yield from convolution("add_mean", 3, 3, 1)
    yield from convolution("head.0", features, 3, 3)
    for block in range(config.blocks):
        for part in (0, 2):
            yield from convolution(f"body.{block}.body.{part}", features, features, 3)
    yield from convolution(f"body.{config.blocks}", features, features, 3)
    if config.architecture == "edsr":
        yield from upsampler("tail.0", config.scales[0])
        yield from convolution("tail.1", 3, features, 3)
        return
    kernel = config.pre_process_kernel
    for branch, scale in enumerate(config.scales):
        for block in (0, 1):
            for part in (0, 2):
                yield from convolution(
                    f"pre_process.{branch}.{block}.body.{part}", features, features, kernel
                )
        yield from upsampler(f"upsample.{branch}", scale)
    yield from convolution("tail.0", 3, features, 3)


def checked_tensors(
    tensors: Mapping[str, Tensor], config: NetworkConfig, path: Path
) -> dict[str, Tensor]:
    """The tensors of a network in fp32, if they are exactly those that it needs.

    Args:
        tensors: fp32, fp16 or bf16 tensors under the official keys.
        config: the network they should fit.
        path: the file they come from or go to, for the message.

    Raises:
        WeightsError: as for `take_tensors`.
    """
    wanted = ((key, key, shape) for key, shape in expected_shapes(config))
    return take_tensors(tensors, wanted, path)


def take_tensors(
    tensors: Mapping[str, Tensor], wanted: Iterable[tuple[str, str, tuple[int, ...]]], path: Path
) -> dict[str, Tensor]:
    """Exactly the wanted tensors in fp32, under the official keys.

    Args:
        tensors: fp32, fp16 or bf16 tensors under the file's own keys.
        wanted: (official key, the file's key, shape) of each tensor.
        path: the file they come from or go to, for the message.

    Raises:
        WeightsError: a tensor is missing, is not part of the network, or has the wrong shape, type
            or values that are not finite. The message names file and tensor.
    """
    found: dict[str, Tensor] = {}
    used = set()
    for official, key, shape in wanted:
        # Checked one by one: a damaged file may ask for billions of blocks.
        if key not in tensors:
            raise WeightsError(f"tensor {key!r} is missing.", about=path)
        found[official] = _checked(tensors[key], f"{path}: tensor {key!r}", shape)
        used.add(key)
    for key in tensors:
        if key not in used:
            raise WeightsError(f"tensor {key!r} is not part of this network.", about=path)
    return found


def _checked(tensor: Tensor, what: str, shape: tuple[int, ...]) -> Tensor:
    if tuple(tensor.shape) != shape:
        raise WeightsError(f"{what} has shape {tuple(tensor.shape)}, not {shape}.")
    if tensor.dtype not in FLOAT_TYPES:
        raise WeightsError(f"{what} is of type {tensor.dtype}, not a float.")
    # A copy: tensors may look into a file that is changed or removed later.
    tensor = tensor.detach().to(torch.float32, copy=True).contiguous()
    if not tensor.isfinite().all():
        raise WeightsError(f"{what} has values that are not finite.")
    return tensor


def check_readable(path: Path) -> None:
    """Refuse early what is no file with something in it.

    Raises:
        WeightsError: the file is missing, is a folder, a pipe or a device, is empty or cannot be
            read.
    """
    if path.is_dir():
        raise WeightsError(f"{path} is a folder, not a weights file.")
    try:
        # Opening a pipe would wait for somebody who writes to it, and a device may never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise WeightsError(f"{path} is a pipe or a device, not a weights file.")
        with path.open("rb") as file:
            if not file.read(1):
                raise WeightsError(f"{path} is empty.")
    except FileNotFoundError as error:
        raise WeightsError("there is no such file.", about=path) from error
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path} cannot be read: {reason}.") from error
