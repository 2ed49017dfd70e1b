"""One fixed blur kernel and decimation: the unknown degradation of NTIRE 2017's second track.

A kernel is all there is to know about it: LR pixel (i, j) is the sum of the HR pixels around it,
weighted by the kernel. It comes from a file, or from pictures that are there in both sizes: the
weights that make LR from HR with the least squared error are the solution of a linear system.
"""

import hashlib
import io
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.files.names import display_name

LARGEST = 63
"""HR pixels that a kernel may be wide: what is wider is hardly meant as one."""

_LEAST_SHARE = 1e-6  # of the mean diagonal: keeps the system solvable where pictures are smooth
_GREATEST_FILE = 1 << 20  # bytes
_TINY = float(np.finfo(np.float64).tiny)


class Kernel(Struct, frozen=True, eq=False):
    """What makes an LR pixel from the HR pixels around it.

    Attributes:
        weights: (K, K) float64 with a sum of 1. LR pixel (i, j) of scale s takes the K x K HR
            pixels that begin at row s * i - (K - s) // 2 and the same column: where K - s is even,
            they lie evenly around its area.
    """

    weights: NDArray[np.float64]

    def downscale(self, pixels: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
        """Make a picture smaller; beyond its border it is mirrored.

        Args:
            pixels: (H, W, 3), 0..255.
            scale: HR pixels to an LR pixel, in each direction.

        Returns:
            (H // scale, W // scale, 3), 0..255.

        Raises:
            ValueError: the picture is smaller than an LR pixel.
        """
        height, width = (size // scale for size in pixels.shape[:2])
        if not height or not width:
            raise ValueError(f"pixels of shape {pixels.shape} do not fill an LR pixel at x{scale}")
        size = len(self.weights)
        padded = _around(pixels[: height * scale, : width * scale], size, scale)
        total = np.zeros((height, width, 3))
        for (row, column), weight in np.ndenumerate(self.weights):
            if weight:
                rows = slice(row, row + (height - 1) * scale + 1, scale)
                columns = slice(column, column + (width - 1) * scale + 1, scale)
                total += weight * padded[rows, columns]
        return np.clip(np.floor(total + 0.5), 0, 255).astype(np.uint8)

    @property
    def digest(self) -> str:
        """Identifies the kernel."""
        return hashlib.sha256(np.round(self.weights, 7).tobytes()).hexdigest()[:16]


def normalised(weights: NDArray[np.float64], name: str) -> Kernel:
    """A kernel whose weights have a sum of 1.

    Raises:
        UsageError: they are not a square of finite numbers with a sum above 0, or too many.
    """
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not weights.size:
        raise UsageError(f"a kernel is a square, not {weights.shape}.", about=name)
    if len(weights) > LARGEST:
        raise UsageError(f"a kernel has at most {LARGEST} x {LARGEST} weights.", about=name)
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(weights).all() or not _TINY < total < np.inf:
        raise UsageError("the weights of a kernel must be finite, with a sum above 0.", about=name)
    return Kernel(weights / total)


def read_kernel(path: Path) -> Kernel:
    """Read a kernel: NumPy's .npy, text with a row of numbers a line, or a grey picture.

    Raises:
        UsageError: the file is missing, or holds no kernel.
    """
    name = display_name(path)
    try:
        content = io.BytesIO(_content(path, name))
        if path.suffix.lower() == ".npy":
            weights = _read_array(content)
        elif path.suffix.lower() in (".txt", ".csv"):
            delimiter = "," if path.suffix.lower() == ".csv" else None
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of a file without numbers
                weights = np.loadtxt(content, delimiter=delimiter, ndmin=2, encoding="utf-8")
        else:
            with Image.open(content) as picture:
                if max(picture.size) > LARGEST:
                    raise ValueError(f"it has {picture.width} x {picture.height} pixels")
                grey = picture if picture.mode.startswith(("I", "F")) else picture.convert("L")
                weights = np.asarray(grey)
        return normalised(np.asarray(weights, np.float64), name)
    except UnidentifiedImageError as error:
        raise UsageError(f"{name} holds no kernel (not a picture).", _HINT) from error
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"the kernel cannot be read ({reason}).", _HINT, about=name) from error
    except _DAMAGE as error:
        raise UsageError(f"{name} holds no kernel ({error}).", _HINT) from error


def _content(path: Path, name: str) -> bytes:
    """The bytes of a file that must be a plain one, and small."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{name} is not a file.", _HINT)
    with path.open("rb") as file:
        content = file.read(_GREATEST_FILE + 1)
    if len(content) > _GREATEST_FILE:
        raise UsageError(f"{name} is too large for a kernel.")
    return content


def _read_array(file: BinaryIO) -> NDArray[np.float64]:
    """A kernel from NumPy's format; what its header claims is looked at before memory is taken."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
    read = np.lib.format.read_array_header_2_0 if version == (2, 0) else read
    if read is None:
        raise ValueError(f"an array in version {version} of the format")
    shape, _, kind = read(file)
    if len(shape) != 2 or max(shape) > LARGEST or kind.kind not in "biuf":
        raise ValueError(f"an array of shape {shape} and type {kind}")
    file.seek(0)
    return np.asarray(np.load(file, allow_pickle=False), np.float64)


_DAMAGE = (ValueError, EOFError, SyntaxError, MemoryError, OverflowError, TokenError, UserWarning)
_HINT = "Give a .npy file, text with a row of numbers a line, or a grey picture."


def estimate(
    pairs: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    scale: int,
    size: int | None = None,
) -> Kernel:
    """The kernel that makes LR pictures from HR pictures with the least squared error.

    Args:
        pairs: HR (scale * h, scale * w, 3) and LR (h, w, 3), 0..255.
        scale: HR pixels to an LR pixel, in each direction.
        size: HR pixels that the kernel is wide; default: 6 LR pixels and an even margin.

    Raises:
        PictureError: the pictures do not tell: they are too small, or show nothing.
    """
    size = 6 * scale + (scale % 2) if size is None else size
    gram, target = np.zeros((size * size, size * size)), np.zeros(size * size)
    for hr, lr in pairs:
        inner = -(-size // scale)  # LR pixels along the border, where HR pixels are missing
        height, width = lr.shape[:2]
        if min(height, width) <= 2 * inner:
            continue
        offset = (size - scale) // 2
        windows = np.lib.stride_tricks.sliding_window_view(hr, (size, size), (0, 1))
        chosen = windows[inner * scale - offset :: scale, inner * scale - offset :: scale]
        chosen = chosen[: height - 2 * inner, : width - 2 * inner]
        wanted = lr[inner : height - inner, inner : width - inner]
        for row in range(len(chosen)):  # a row at a time: each pixel has a whole window
            rows = chosen[row].reshape(-1, size * size).astype(np.float64) - 127.5
            gram += rows.T @ rows
            target += rows.T @ (wanted[row].reshape(-1) - 127.5)
    ridge = gram.trace() / len(gram) * _LEAST_SHARE
    if not ridge:
        raise PictureError("No pair of pictures is large enough to tell the kernel by.")
    weights = np.linalg.solve(gram + ridge * np.eye(len(gram)), target).reshape(size, size)
    try:
        return normalised(weights, "the estimated kernel")
    except UsageError as error:
        raise PictureError(f"The pictures tell no kernel: {error}") from error


def _around(pixels: NDArray[np.uint8], size: int, scale: int) -> NDArray[np.uint8]:
    """A picture with what a kernel needs around it, mirrored as often as it takes."""
    before = (size - scale) // 2
    after = max(size - scale - before, 0)
    inner = pixels[max(-before, 0) :, max(-before, 0) :]  # a small kernel begins inside
    before = max(before, 0)
    return np.pad(inner, ((before, after), (before, after), (0, 0)), "symmetric")
