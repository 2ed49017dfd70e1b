"""A file of tensors, of whatever format -> tensors under the file's own keys.

The format is told by what is in the file, not by its name.
"""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edsr_cli.checkpoints.canonical import read_safetensors
from edsr_cli.checkpoints.checkpoint import check_readable
from edsr_cli.checkpoints.foreign import foreign_format
from edsr_cli.errors import WeightsError

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
"""What the names of weight files usually end in."""

_TORCH_STARTS = (b"PK\x03\x04", b"\x80")  # zip archive, pickle


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
        raise WeightsError(f"{path} is {kind}.", "Files of PyTorch and safetensors can be read.")
    if suffix not in SUFFIXES and not start.startswith(_TORCH_STARTS):
        raise WeightsError(
            f"{path} is not a weights file that can be used.",
            f"Names of such files end in {', '.join(SUFFIXES)}.",
        )
    from edsr_cli.checkpoints.torch_file import read_torch_file

    return read_torch_file(path), {}
