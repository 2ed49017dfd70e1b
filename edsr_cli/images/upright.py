"""Loading a TIFF as it is stored."""

from typing import Any, TypeVar

from numpy.typing import NDArray
from PIL import Image

_Array = TypeVar("_Array", bound=NDArray[Any])


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
