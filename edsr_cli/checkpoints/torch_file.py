"""Read a file of `torch.save` without running the code that may be in it."""

import logging
import re
import warnings
import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from edsr_cli.checkpoints.checkpoint import check_readable
from edsr_cli.checkpoints.foreign import foreign_archive
from edsr_cli.errors import WeightsError

logger = logging.getLogger(__name__)

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Entries that hold the state dict in the files of training programs, the one to prefer first:
BasicSR keeps a running average of the weights, which is what it means to be used."""


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pt` or `.pth` state dict on the CPU, under the file's own keys.

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
    return _unwrapped(content, path)


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    """The state dict inside the dictionaries that training programs put around it."""
    while isinstance(content, dict):
        inner = next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        logger.debug("%s: reading %r of %s", path, inner, ", ".join(map(repr, content)))
        content = content[inner]
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a state dict.")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path} is not a flat state dict: its entry {key!r} is a {type(value).__name__},"
                " not a tensor."
            )
    if not content:
        raise WeightsError(f"{path} holds no tensors.")
    return content


def _check_archive(path: Path) -> None:
    """Refuse a zip archive that something else than torch.save has written."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return
            kind = foreign_archive(zipfile.ZipFile(file).namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # torch's own reader will find it damaged
    if kind:
        raise WeightsError(f"{path} is {kind}.")


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is not a whole PyTorch file.", "It may be cut off, damaged or of another kind."
    )
