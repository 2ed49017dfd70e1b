"""A network's hyper-parameters and weights, and the project's own file of them.

The file, called canonical, is a safetensors file (no code can be in it) which says by itself what
it holds. It has the official keys, is made for RGB in 0..255, has the mean tensors, and the
residual scale folded in. Tensors are in fp32; or kernels are in fp16, which halves the file, and
biases and means, which are few and large, still in fp32. Whatever they are stored in, they are read
as fp32. Its metadata are strings:

    format_version  "1"
    config          `NetworkConfig.to_dict` as JSON, with residual_scale 1
    name            what the model is called
    licence         SPDX identifier, or "none stated"
    origin          who made the weights, in one sentence

and any others that whoever wrote it wants to keep.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import DTypeLike, NDArray

from edsr_cli.checkpoints.files import read_safetensors
from edsr_cli.errors import WeightsError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.model.config import NetworkConfig

Weights = Mapping[str, NDArray[Any]]
"""Arrays under the keys of a state dict."""

FORMAT_VERSION = "1"
REQUIRED_METADATA = ("name", "licence", "origin")
KERNEL_TYPES = (np.dtype(np.float32), np.dtype(np.float16))
_OWN_METADATA = ("format_version", "config")


class Checkpoint(Struct, frozen=True):
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
        found[official] = _checked(tensors[key], path, key, shape)
        used.add(key)
    for key in tensors:
        if key not in used:
            raise WeightsError(f"tensor {key!r} is not part of this network.", about=path)
    return found


def _checked(
    tensor: NDArray[Any], path: Path, key: str, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    if tensor.shape != shape:
        raise WeightsError(f"tensor {key!r} has shape {tensor.shape}, not {shape}.", about=path)
    if tensor.dtype not in (np.float32, np.float16):
        raise WeightsError(
            f"tensor {key!r} is of type {tensor.dtype}, not fp16 or fp32.", about=path
        )
    # A copy: arrays may look into a file that is changed or removed later.
    tensor = np.array(tensor, np.float32, order="C")
    if not np.isfinite(tensor).all():
        raise WeightsError(f"tensor {key!r} has values that are not finite.", about=path)
    return tensor


def save_canonical(
    path: Path,
    tensors: Weights,
    config: NetworkConfig,
    metadata: Mapping[str, str],
    dtype: DTypeLike = np.float32,
) -> None:
    """Write a canonical file; the same weights and metadata always give the same bytes.

    The file appears under its name only when it is complete; an older one is replaced.

    Args:
        path: the file to write.
        tensors: fp32 or fp16 arrays under the official keys, for RGB in 0..255.
        config: their hyper-parameters. Any residual scale is folded into the tensors.
        metadata: at least name, licence and origin.
        dtype: what kernels are stored in, fp32 or fp16.

    Raises:
        ValueError: a required metadata string is missing, or one that the format itself sets is
            given; or `dtype` is another one.
        WeightsError: the tensors are not those of `config`, one is too large for fp16, or the file
            cannot be written.
    """
    missing = [key for key in REQUIRED_METADATA if not metadata.get(key)]
    if missing or any(key in metadata for key in _OWN_METADATA):
        raise ValueError(
            f"metadata must have {', '.join(REQUIRED_METADATA)} and must not have"
            f" {', '.join(_OWN_METADATA)}, but have {', '.join(metadata) or 'nothing'}"
        )
    dtype = np.dtype(dtype)
    if dtype not in KERNEL_TYPES:
        raise ValueError(f"kernels are stored in fp32 or fp16, not in {dtype}")
    folded, config = fold_residual_scale(checked_tensors(tensors, config, path), config)
    stored = {key: _stored(tensor, dtype, path, key) for key, tensor in folded.items()}
    strings = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "config": json.dumps(config.to_dict(), sort_keys=True),
    }
    content = _with_sorted_metadata(safetensors.numpy.save(stored, metadata=strings))
    with atomic_write(path, overwrite=True, error=WeightsError) as file:
        file.write(content)


def is_canonical(metadata: Mapping[str, str]) -> bool:
    """Whether a safetensors file with these metadata says that it is a canonical one."""
    return all(key in metadata for key in _OWN_METADATA)


def read_canonical(path: Path) -> Checkpoint:
    """Read and check a canonical file.

    Returns:
        The checkpoint; its metadata are the file's strings without format_version and config.

    Raises:
        WeightsError: the file is missing, damaged or of another kind, or its tensors are not
            exactly those of the network that it names.
    """
    return checked_canonical(*read_safetensors(path), path)


def checked_canonical(tensors: Weights, metadata: Mapping[str, str], path: Path) -> Checkpoint:
    """`read_canonical` for a file that has been read.

    Args:
        tensors, metadata: what `read_safetensors` gave.
        path: the file, for messages.
    """
    strings = dict(metadata)
    version = strings.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise WeightsError(
            "it is a safetensors file, but not one of edsr's"
            + (f" in format {FORMAT_VERSION} (it is in {version!r})." if version else "."),
            about=path,
        )
    for key in REQUIRED_METADATA:
        if not strings.get(key):
            raise WeightsError(f"its metadata have no {key!r}.", about=path)
    config = _config(strings.pop("config", ""), path)
    return Checkpoint(config, checked_tensors(tensors, config, path), strings)


def _stored(tensor: NDArray[Any], dtype: np.dtype[Any], path: Path, key: str) -> NDArray[Any]:
    """A tensor in the type that it is stored in."""
    if tensor.ndim == 1:  # a bias or a mean: 114.4 in fp16 would be 0.03 levels off
        return tensor
    with np.errstate(over="ignore"):
        stored = tensor.astype(dtype)
    if not np.isfinite(stored).all():
        raise WeightsError(
            f"tensor {key!r} has values beyond the {np.finfo(dtype).max:.0f} of fp16.",
            "Store it in fp32.",
            about=path,
        )
    return stored


def _config(text: str, path: Path) -> NetworkConfig:
    """The hyper-parameters in a file's metadata."""
    try:
        config = NetworkConfig.from_dict(json.loads(text))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise WeightsError(f"its metadata describe no network ({error}).", about=path) from error
    if config.residual_scale != 1.0:
        raise WeightsError(
            f"its metadata give residual_scale {config.residual_scale}, which should be"
            " folded into the tensors.",
            about=path,
        )
    return config


def _with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file with its metadata in order.

    The library writes them in an order that changes from run to run, and so would the digest.
    The file starts with the header's length as 8 bytes, then comes the header, a JSON object padded
    with spaces; the tensors' offsets count from the header's end.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
