"""Pixels turned upright."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_Array = TypeVar("_Array", bound=NDArray[Any])


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


def load_as_stored(image: Image.Image) -> None:
    """Load the pixels of a TIFF, turned by the orientation in its tags alone.

    Where the tags have none, Pillow would go by the XMP, which it shall not.
    """
    xmp = image.info.pop("xmp", None)
    try:
        image.load()
    finally:
        if xmp is not None:
            image.info["xmp"] = xmp
