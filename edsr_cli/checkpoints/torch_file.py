"""Read a file of `torch.save` without running the code that may be in it."""

import re
import warnings
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from edsr_cli.checkpoints.checkpoint import check_readable
from edsr_cli.errors import WeightsError


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a flat `.pt` or `.pth` state dict, on the CPU.

    Raises:
        WeightsError: the file is missing or damaged, asks for more than plain tensors, or holds
            something other than one flat dictionary of tensors.
    """
    check_readable(path)
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
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a state dict.")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path} is not a flat state dict: its entry {key!r} is a {type(value).__name__},"
                " not a tensor."
            )
    return content


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is not a whole PyTorch file.", "It may be cut off, damaged or of another kind."
    )
