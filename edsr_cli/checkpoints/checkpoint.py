"""Hyper-parameters and tensors as read from a file, and what makes them right."""

import hashlib
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.errors import WeightsError
from edsr_cli.model.config import NetworkConfig

Weights = Mapping[str, NDArray[Any]]
"""Arrays under the keys of a state dict."""


@dataclass(frozen=True)
class Checkpoint:
    """A network's hyper-parameters and weights.

    Attributes:
        config: hyper-parameters.
        tensors: a writable fp32 array for each key of the network, with the official keys.
        metadata: what the file says about itself: name, licence, origin, ...; may be empty.
    """

    config: NetworkConfig
    tensors: dict[str, NDArray[np.float32]]
    metadata: dict[str, str] = field(default_factory=dict)


def weights_digest(*checkpoints: Checkpoint) -> str:
    """SHA-256 of all weights, with their names and shapes.

    It stands in the manifests of batches: when it changes, every picture is made again.
    """
    digest = hashlib.sha256()
    for checkpoint in checkpoints:
        for name, tensor in sorted(checkpoint.tensors.items()):
            # The type is as torch says it, which took this digest first.
            digest.update(f"{name} torch.{tensor.dtype} {tensor.shape}\n".encode())
            digest.update(tensor.tobytes())
    return digest.hexdigest()


def fold_residual_scale(
    tensors: Weights, config: NetworkConfig
) -> tuple[dict[str, NDArray[Any]], NetworkConfig]:
    """The same network with residual scale 1: the factor goes into the blocks' second convolution.

    s * (W x + b) = (s W) x + s b, so only rounding can differ.

    Args:
        tensors: those under the official keys; not changed.
        config: their hyper-parameters.
    """
    factor = config.residual_scale
    if factor == 1.0:
        return dict(tensors), config
    # Only residual blocks have a convolution at "body.2" of something: body.<i>.body.2 and, in
    # MDSR, pre_process.<k>.<j>.body.2. The body's own third block is body.2.body.<0 or 2>.
    ends = (".body.2.weight", ".body.2.bias")
    folded = {
        key: tensor * factor if key.endswith(ends) else tensor for key, tensor in tensors.items()
    }
    return folded, replace(config, residual_scale=1.0)


def checked_tensors(
    tensors: Weights, config: NetworkConfig, path: Path
) -> dict[str, NDArray[np.float32]]:
    """The tensors of a network in fp32, if they are exactly those that it needs.

    Args:
        tensors: fp32 or fp16 tensors under the official keys.
        config: the network they should fit.
        path: the file they come from or go to, for the message.

    Raises:
        WeightsError: as for `take_tensors`.
    """
    wanted = ((key, key, shape) for key, shape in config.shapes())
    return take_tensors(tensors, wanted, path)


def take_tensors(
    tensors: Weights, wanted: Iterable[tuple[str, str, tuple[int, ...]]], path: Path
) -> dict[str, NDArray[np.float32]]:
    """Exactly the wanted tensors in fp32, under the official keys.

    Args:
        tensors: fp32 or fp16 tensors under the file's own keys.
        wanted: (official key, the file's key, shape) of each tensor.
        path: the file they come from or go to, for the message.

    Raises:
        WeightsError: a tensor is missing, is not part of the network, or has the wrong shape, type
            or values that are not finite. The message names file and tensor.
    """
    found = {}
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


def _checked(tensor: NDArray[Any], what: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if tensor.shape != shape:
        raise WeightsError(f"{what} has shape {tensor.shape}, not {shape}.")
    if tensor.dtype not in (np.float32, np.float16):
        raise WeightsError(f"{what} is of type {tensor.dtype}, not a float.")
    # A copy: arrays may look into a file that is changed or removed later.
    tensor = np.array(tensor, np.float32, order="C")
    if not np.isfinite(tensor).all():
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
