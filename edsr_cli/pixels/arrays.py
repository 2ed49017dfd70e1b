"""Pictures as NumPy arrays."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edsr_cli.errors import DeviceMemoryError

_Array = TypeVar("_Array", bound=NDArray[Any])

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""RGB samples of shape (H, W, 3), uint8 in 0..255 or uint16 in 0..65535."""


def check_pixels(pixels: Pixels) -> tuple[int, int]:
    """Height and width of what should be a picture.

    Raises:
        TypeError, ValueError: it is not an array of the type or shape of `Pixels`.
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
        kind = getattr(pixels, "dtype", type(pixels).__name__)
        raise TypeError(f"a picture must be a uint8 or uint16 NumPy array, not {kind}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"a picture must have the shape (height, width, 3), not {pixels.shape}")
    return pixels.shape[0], pixels.shape[1]


def empty_pixels(height: int, width: int, dtype: np.dtype[Any], channels: int = 3) -> Pixels:
    """An array for a picture, (height, width, channels).

    Raises:
        DeviceMemoryError: there is not enough memory.
    """
    try:
        return np.empty((height, width, channels), dtype)
    except MemoryError as error:
        need = height * width * channels * dtype.itemsize / 1e9
        raise DeviceMemoryError(
            f"The output, {width} x {height} pixels, needs {need:.1f} GB of memory.",
            "Cut the picture into parts, take a smaller scale or a machine with more memory.",
        ) from error


def joined(parts: Sequence[_Array], *, sideways: bool) -> _Array:
    """Rows one below the other, (H, W, 3); what is only one part is not copied.

    Args:
        parts: at least one, of the same width.
        sideways: whether columns, not rows, lie together in their memory; they do so in what
            becomes of them, too. To copy them across takes 20 times as long.
    """
    if len(parts) == 1:
        return parts[0]
    if not sideways:
        return np.concatenate(parts)  # type: ignore[return-value]
    columns = [part.swapaxes(0, 1) for part in parts]
    return np.concatenate(columns, axis=1).swapaxes(0, 1)  # type: ignore[return-value]


def upright(pixels: _Array, orientation: int) -> _Array:
    """Turn pixels of shape (H, W, ...) as an EXIF orientation from 1 to 8 asks for."""
    view: NDArray[Any] = pixels
    if orientation >= 5:  # rows and columns are exchanged, before anything is flipped
        view = view.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        view = view[:, ::-1]
    if orientation in (3, 4, 7, 8):
        view = view[::-1]
    return np.ascontiguousarray(view)  # type: ignore[return-value]
