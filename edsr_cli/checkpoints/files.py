"""Weight files of every format -> arrays under the file's own keys, without running code.

The format is told by what is in a file, not by its name. What is of another kind is recognised as
far as it can be, so that a message can say what it is.
"""

import json
import logging
import re
import reprlib
import stat
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from edsr_cli.errors import WeightsError
from edsr_cli.text import one_line

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
"""What the names of weight files usually end in."""

_TORCH_STARTS = (b"PK\x03\x04", b"\x80")  # zip archive, pickle

_LONGEST_HEADER = 10**7
"""Bytes of a safetensors file's header; that of the largest network here has 30,000."""

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?", "U8": "u1", "I8": "i1",
    "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8", "I64": "<i8",
}  # fmt: skip
"""Those of safetensors that NumPy knows."""
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Entries that hold the state dict in the files of training programs, the one to prefer first:
BasicSR keeps a running average of the weights, which is what it means to be used."""

_MOST_WRAPPERS = 8

_CUT_OR_DAMAGED = "It may be cut off, damaged or of another kind."

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 120  # characters

# (regular expression for the start of such a file, what it is)
_STARTS = (
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them"),
    (rb"\x1f\x8b", "a gzip archive: unpack it first"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (rb"Rar!", "a RAR archive: unpack it first"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"version https://git-lfs", "a Git LFS pointer, which stands for the file: download that"),
    (rb"\s*<(!doctype html|html)", "a web page: the download went wrong"),
    # Torch7 begins with the number of a type, 3 (table) or 4 (object), and the index of the first
    # object, 1: in four bytes each, or as text.
    (rb"[\x03\x04]\0{3}\x01\0{3}|[34]\n1\n", "a Torch7 file (.t7)"),
    (rb".{4}TFL3", "a TensorFlow Lite model"),
    # Two protocol buffers: ONNX has its version and the producer's name in front, a TensorFlow
    # graph its first node, which begins with its name.
    (rb"\x08[\x01-\x7f]\x12", "an ONNX model"),
    (rb"\x0a[\x80-\xff]{0,2}[\0-\x7f]\x0a", "a TensorFlow graph (.pb), such as those of OpenCV"),
    # The oldest files of PyTorch are such archives too, and cannot be read without running code.
    (rb".{257}ustar", "a tar archive: unpack it first"),
)

# (regular expression for part of a key, the network that has such keys)
_NETWORKS = (
    (r"(^|\.)attention\.(ca|sa)\.", "MDSR with attention (BAM)"),
    (r"(^|\.)conv_du\.|(^|\.)rcab\.", "RCAN"),
    (r"(^|\.)relative_position_bias_table$", "SwinIR or another Swin transformer"),
    (r"(^|\.)(rdb|RDB)\d\.", "ESRGAN (RRDBNet)"),
    (r"(^|\.)(RDBs|SFENet1|sfe1)\.", "RDN"),
    (r"(^|\.)imnet\.", "LIIF, of which EDSR is only the encoder"),
    (r"(^|\.)csa\.gamma$|(^|\.)la\.gamma$", "HAN"),
    (r"(^|\.)(upconv1|conv_hr|HRconv)\.|(^|\.)upsample1\.", "SRResNet (MSRResNet)"),
    (r"\.running_mean$", "a network with batch normalisation, such as SRResNet"),
    (r"\.weight_g$", "a network with weight normalisation, such as WDSR"),
)


def check_readable(path: Path) -> None:
    """Refuse early what is no file with something in it.

    Raises:
        WeightsError: the file is missing, is a folder, a pipe or a device, is empty or cannot be
            read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise WeightsError("it is a folder, not a weights file.", about=path)
        # Opening a pipe would wait for somebody who writes to it, and a device may never end.
        if not stat.S_ISREG(mode):
            raise WeightsError("it is a pipe or a device, not a weights file.", about=path)
        with path.open("rb") as file:
            if not file.read(1):
                raise WeightsError("it is empty.", about=path)
    except FileNotFoundError as error:
        raise WeightsError("there is no such file.", about=path) from error
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"it cannot be read: {reason}.", about=path) from error


def read_tensor_file(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors of a file of torch.save or a safetensors file, and the latter's metadata.

    Raises:
        WeightsError: the file is missing, damaged or of another kind, which is said if it is
            known, or it asks for more than plain tensors.
    """
    check_readable(path)
    with path.open("rb") as file:
        start = file.read(512)
    suffix = path.suffix.lower()
    # A safetensors file begins with the length of its header, 8 bytes, and the header, JSON.
    if suffix == ".safetensors" or start[8:9] == b"{":
        return read_safetensors(path)
    kind = foreign_format(start)
    if kind:
        raise WeightsError(
            f"it is {kind}.", "Files of PyTorch and safetensors can be read.", about=path
        )
    if suffix not in SUFFIXES and not start.startswith(_TORCH_STARTS):
        raise WeightsError(
            "it is not a weights file that can be used.",
            f"Names of such files end in {', '.join(SUFFIXES)}.",
            about=path,
        )
    return read_torch_file(path), {}


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
        if length > _LONGEST_HEADER:
            raise WeightsError(
                "it is not a whole safetensors file (its header is too long).",
                _CUT_OR_DAMAGED,
                about=path,
            )
    try:
        # The library makes sure that the header makes sense; it reads no bf16 without torch.
        with safe_open(path, framework="np") as checked:
            keys, strings = list(checked.keys()), dict(checked.metadata() or {})
        content = np.memmap(path, np.uint8, "r")
        header = json.loads(bytes(content[8 : 8 + length]))
    # RecursionError, MemoryError: a header that is deep, or more than there is room for.
    except (SafetensorError, OSError, ValueError, RecursionError, MemoryError) as error:
        reason = one_line(" ".join(str(error).split())[:200]) or type(error).__name__
        raise WeightsError(
            f"it is not a whole safetensors file ({reason}).", _CUT_OR_DAMAGED, about=path
        ) from error
    return {key: _tensor(content[8 + length :], header[key], path, key) for key in keys}, strings


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


def read_torch_file(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a `.pt` or `.pth` state dict, under the file's own keys.

    Those of bf16, which NumPy does not know, are fp32. Of a dictionary with a state dict in it, see
    `WRAPPERS`, only that is given. Imports torch.

    Raises:
        WeightsError: the file is missing or damaged, asks for more than plain tensors, or holds
            something other than one flat dictionary of tensors.
    """
    import torch

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
                f"it was not loaded: it wants to use {named[1]!r}, and may only hold tensors.",
                "Loading such a file could run code. Save only the model's state_dict().",
                about=path,
            ) from error
        raise _damaged(path) from error
    except Exception as error:  # bytes at random make the unpickler fail in a dozen ways
        raise _damaged(path) from error
    return {key: _array(tensor, path, key) for key, tensor in _unwrapped(content, path).items()}


def _array(tensor: "Tensor", path: Path, key: str) -> NDArray[Any]:
    """A tensor as an array."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    kind = str(tensor.dtype).removeprefix("torch.")
    try:
        return (tensor.float() if kind == "bfloat16" else tensor).numpy()
    except TypeError as error:
        raise WeightsError(f"tensor {key!r} is of type {kind}, not a float.", about=path) from error


def _unwrapped(content: object, path: Path) -> "dict[str, Tensor]":
    """The state dict inside the dictionaries that training programs put around it."""
    from torch import Tensor

    for _ in range(_MOST_WRAPPERS):
        if not isinstance(content, dict):
            break
        inner = next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        logger.debug("%s: reading %r of %s", path, inner, ", ".join(map(_shown, content)))
        content = content[inner]
    else:  # a dictionary may even hold itself
        raise WeightsError("it is not a state dict: it holds dictionaries without end.", about=path)
    if not isinstance(content, dict):
        raise WeightsError(f"it holds a {type(content).__name__}, not a state dict.", about=path)
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Tensor):
            kind = _special(value)
        else:
            kind = f"a {type(value).__name__}, not a tensor"
        if kind:
            raise WeightsError(
                f"it is not a flat state dict: its entry {_shown(key)} is {kind}.", about=path
            )
    if not content:
        raise WeightsError("it holds no tensors.", about=path)
    _check_sizes(content, path)
    return content


def _special(tensor: "Tensor") -> str:
    """What a tensor is that has no plain numbers in memory; empty if it has."""
    for kind, found in (
        ("a meta tensor, which holds no numbers", tensor.is_meta),
        ("a quantised tensor", tensor.is_quantized),
        ("a sparse tensor", str(tensor.layout) != "torch.strided"),
        ("a nested tensor", tensor.is_nested),
        (f"a tensor on {tensor.device}", tensor.device.type != "cpu"),
    ):
        if found:
            return kind
    return ""


def _check_sizes(tensors: "dict[str, Tensor]", path: Path) -> None:
    """Refuse tensors that are larger than the file they come from.

    A view may repeat one number as often as it likes, and a copy of it would take all memory.
    """
    size = path.stat().st_size
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > size:
        raise WeightsError(
            f"it is not a plain state dict: its tensors stand for {total:,} bytes, and the file"
            f" has {size:,}.",
            "Save copies of the tensors instead of views: tensor.clone().",
            about=path,
        )


def _shown(key: object) -> str:
    """An entry's name for a message, however long or deep it is."""
    return _BRIEF.repr(key)


def _check_archive(path: Path) -> None:
    """Refuse a zip archive that something else than torch.save has written.

    `torch.save` compresses nothing, so that what is in the archive is no larger than the archive.
    """
    import zipfile  # here, because our own files are none

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
        raise WeightsError(f"it is {kind}.", about=path)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise WeightsError(
            "it was not loaded: its parts are compressed, and those of torch.save are not.",
            "Unpack the archive and pack it again without compression, or fetch the original.",
            about=path,
        )
    if sum(entry.file_size for entry in entries) > size:
        raise _damaged(path)


def _damaged(path: Path) -> WeightsError:
    return WeightsError("it is not a whole PyTorch file.", _CUT_OR_DAMAGED, about=path)


def foreign_format(start: bytes) -> str:
    """What a file is that begins with these bytes; empty if it may hold weights for PyTorch."""
    return next(
        (
            kind
            for start_of, kind in _STARTS
            if re.match(start_of, start, re.DOTALL | re.IGNORECASE)
        ),
        "",
    )


def foreign_archive(names: Collection[str]) -> str:
    """What a zip archive with these files in it is; empty if it may be one of torch.save."""
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        scripted = any(name.endswith("/constants.pkl") for name in names)
        return "a TorchScript program, not a state dict" if scripted else ""
    if any(name.endswith(".weights.h5") for name in names):
        return "a Keras model"
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    return "a zip archive, but not of PyTorch: unpack it first"


def foreign_network(keys: Iterable[str]) -> str:
    """The network that has such keys; empty if none that is known here."""
    keys = list(keys)
    for pattern, name in _NETWORKS:
        if any(re.search(pattern, key) for key in keys):
            return name
    if keys and all(re.fullmatch(r"(module\.)?body\.\d+\.(weight|bias)", key) for key in keys):
        return "the compact network of Real-ESRGAN (SRVGGNetCompact)"
    return ""
