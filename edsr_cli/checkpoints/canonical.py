"""The project's own weight file, which says by itself what it holds.

It is a safetensors file (no code can be in it) with the official keys, made for RGB in 0..255, with
the mean tensors, and with the residual scale folded in. Tensors are in fp32; or kernels are in
fp16, which halves the file, and biases and means, which are few and large, still in fp32. Whatever
they are stored in, they are read as fp32. Its metadata are strings:

    format_version  "1"
    config          `NetworkConfig.to_dict` as JSON, with residual_scale 1
    name            what the model is called
    licence         SPDX identifier, or "none stated"
    origin          who made the weights, in one sentence

and any others that whoever wrote it wants to keep.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import DTypeLike, NDArray
from safetensors import SafetensorError, safe_open

from edsr_cli.checkpoints.checkpoint import (
    Checkpoint,
    Weights,
    check_readable,
    checked_tensors,
    fold_residual_scale,
)
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import NetworkConfig

FORMAT_VERSION = "1"
LONGEST_HEADER = 10**7
"""Bytes of a safetensors file's header; that of the largest network here has 30,000."""
REQUIRED_METADATA = ("name", "licence", "origin")
KERNEL_TYPES = (np.dtype(np.float32), np.dtype(np.float16))
_OWN_METADATA = ("format_version", "config")

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?", "U8": "u1", "I8": "i1",
    "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8", "I64": "<i8",
}  # fmt: skip
"""Those of safetensors that NumPy knows."""


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
    # Only who writes needs it; reading weights should not wait for the picture libraries.
    from edsr_cli.files.atomic import atomic_write

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
    stored = {
        key: _stored(tensor, dtype, f"{path}: tensor {key!r}") for key, tensor in folded.items()
    }
    strings = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "config": json.dumps(config.to_dict(), sort_keys=True),
    }
    content = _with_sorted_metadata(safetensors.numpy.save(stored, metadata=strings))
    with atomic_write(path, overwrite=True, error=WeightsError) as file:
        file.write(content)


def read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors and the metadata strings of any safetensors file.

    Returns:
        Arrays that look into the file, but for those of bf16, which NumPy does not know: they are
        fp32. And the strings.

    Raises:
        WeightsError: the file is missing, damaged or of another kind, or has a type of numbers that
            no network has.
    """
    check_readable(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            raise WeightsError(
                f"{path} is not a whole safetensors file (its header is too long).",
                "It may be cut off, damaged or of another kind.",
            )
    try:
        # The library makes sure that the header makes sense; it reads no bf16 without torch.
        with safe_open(path, framework="np") as checked:
            keys, strings = list(checked.keys()), dict(checked.metadata() or {})
        content = np.memmap(path, np.uint8, "r")
        header = json.loads(bytes(content[8 : 8 + length]))
    # RecursionError, MemoryError: a header that is deep, or more than there is room for.
    except (SafetensorError, OSError, ValueError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            f"{path} is not a whole safetensors file ({reason}).",
            "It may be cut off, damaged or of another kind.",
        ) from error
    return {key: _tensor(content[8 + length :], header[key], path, key) for key in keys}, strings


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
            f"{path} is a safetensors file, but not one of edsr's"
            + (f" in format {FORMAT_VERSION} (it is in {version!r})." if version else ".")
        )
    for key in REQUIRED_METADATA:
        if not strings.get(key):
            raise WeightsError(f"its metadata have no {key!r}.", about=path)
    config = _config(strings.pop("config", ""), path)
    return Checkpoint(config, checked_tensors(tensors, config, path), strings)


def _tensor(
    content: NDArray[np.uint8], entry: Mapping[str, Any], path: Path, key: str
) -> NDArray[Any]:
    """The tensor that an entry of a safetensors header describes, in what follows the header."""
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind == "BF16":  # the upper half of fp32
        upper = content[begin:end].view("<u2").astype(np.uint32)
        return (upper << 16).view(np.float32).reshape(shape)
    if kind not in _TYPES:
        raise WeightsError(f"tensor {key!r} is of type {kind}, not a float.", about=path)
    found: NDArray[Any] = content[begin:end].view(_TYPES[kind])
    return found.reshape(shape)


def _stored(tensor: NDArray[Any], dtype: np.dtype[Any], what: str) -> NDArray[Any]:
    """A tensor in the type that it is stored in."""
    if tensor.ndim == 1:  # a bias or a mean: 114.4 in fp16 would be 0.03 levels off
        return tensor
    with np.errstate(over="ignore"):
        stored = tensor.astype(dtype)
    if not np.isfinite(stored).all():
        raise WeightsError(
            f"{what} has values beyond the {np.finfo(dtype).max:.0f} of fp16.",
            "Store it in fp32.",
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
