"""Read a file of `torch.save` without running the code that may be in it."""

import logging
import re
import reprlib
import warnings
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from edsr_cli.checkpoints.checkpoint import check_readable
from edsr_cli.checkpoints.foreign import foreign_archive
from edsr_cli.errors import WeightsError

logger = logging.getLogger(__name__)

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Entries that hold the state dict in the files of training programs, the one to prefer first:
BasicSR keeps a running average of the weights, which is what it means to be used."""

_MOST_WRAPPERS = 8

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 120  # characters


def read_torch_file(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a `.pt` or `.pth` state dict, under the file's own keys.

    Those of bf16, which NumPy does not know, are fp32.
    Of a dictionary with a state dict in it, see `WRAPPERS`, only that is given.

    Raises:
        WeightsError: the file is missing or damaged, asks for more than plain tensors, or holds
            something other than one flat dictionary of tensors.
    """
    check_readable(path)
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            # torch warns of pickles of an unusual protocol; they load, or fail below.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+\w)", str(error))
        if named:
            raise WeightsError(
                f"{path} was not loaded: it wants to use {named[1]!r}, and may only hold tensors.",
                "Loading such a file could run code. Save only the model's state_dict().",
            ) from error
        raise _damaged(path) from error
    except Exception as error:  # bytes at random make the unpickler fail in a dozen ways
        raise _damaged(path) from error
    return {
        key: _array(tensor, f"{path}: tensor {key!r}")
        for key, tensor in _unwrapped(content, path).items()
    }


def _array(tensor: Tensor, what: str) -> NDArray[Any]:
    """A tensor as an array."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype is torch.bfloat16:  # NumPy has no such type
        tensor = tensor.float()
    try:
        return tensor.numpy()
    except TypeError as error:
        raise WeightsError(f"{what} is of type {tensor.dtype}, not a float.") from error


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    """The state dict inside the dictionaries that training programs put around it."""
    for _ in range(_MOST_WRAPPERS):
        if not isinstance(content, dict):
            break
        inner = next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        logger.debug("%s: reading %r of %s", path, inner, ", ".join(map(_shown, content)))
        content = content[inner]
    else:  # a dictionary may even hold itself
        raise WeightsError(f"{path} is not a state dict: it holds dictionaries without end.")
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a state dict.")
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Tensor):
            kind = _special(value)
        else:
            kind = f"a {type(value).__name__}, not a tensor"
        if kind:
            raise WeightsError(
                f"{path} is not a flat state dict: its entry {_shown(key)} is {kind}."
            )
    if not content:
        raise WeightsError(f"{path} holds no tensors.")
    _check_sizes(content, path)
    return content


def _special(tensor: Tensor) -> str:
    """What a tensor is that has no plain numbers in memory; empty if it has."""
    for kind, found in (
        ("a meta tensor, which holds no numbers", tensor.is_meta),
        ("a quantised tensor", tensor.is_quantized),
        ("a sparse tensor", tensor.layout is not torch.strided),
        ("a nested tensor", tensor.is_nested),
        (f"a tensor on {tensor.device}", tensor.device.type != "cpu"),
    ):
        if found:
            return kind
    return ""


def _check_sizes(tensors: dict[str, Tensor], path: Path) -> None:
    """Refuse tensors that are larger than the file they come from.

    A view may repeat one number as often as it likes, and a copy of it would take all memory.
    """
    size = path.stat().st_size
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > size:
        raise WeightsError(
            f"{path} is not a plain state dict: its tensors stand for {total:,} bytes, and the file"
            f" has {size:,}.",
            "Save copies of the tensors instead of views: tensor.clone().",
        )


def _shown(key: object) -> str:
    """An entry's name for a message, however long or deep it is."""
    return _BRIEF.repr(key)


def _check_archive(path: Path) -> None:
    """Refuse a zip archive that something else than torch.save has written.

    `torch.save` compresses nothing, so that what is in the archive is no larger than the archive.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return
            entries = zipfile.ZipFile(file).infolist()
            size = path.stat().st_size
    except Exception as error:  # a damaged directory makes zipfile fail in as many ways
        raise _damaged(path) from error
    kind = foreign_archive([entry.filename for entry in entries])
    if kind:
        raise WeightsError(f"{path} is {kind}.")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise WeightsError(
            f"{path} was not loaded: its parts are compressed, and those of torch.save are not.",
            "Unpack the archive and pack it again without compression, or fetch the original.",
        )
    if sum(entry.file_size for entry in entries) > size:
        raise _damaged(path)


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is not a whole PyTorch file.", "It may be cut off, damaged or of another kind."
    )
