"""The training pictures in memory: every HR picture and its LR versions, as plain bytes.

They are kept in flat arrays, which a GPU can hold as they are, and a patch is a set of indices into
them. So a batch is cut by one gather per array, on whatever device the arrays are.
"""

from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray


class Photo(Struct, frozen=True):
    """Where a picture lies in the arrays.

    Attributes:
        name: its path below the folder it came from.
        height, width: in HR pixels.
        hr: index of its first sample in the HR array.
        lr: for each scale, the index of its first sample in that scale's LR array.
    """

    name: str
    height: int
    width: int
    hr: int
    lr: dict[int, int]


class Photos(Struct, frozen=True):
    """Training pictures.

    Attributes:
        photos: where each one lies.
        hr: all HR samples, flat uint8, each picture as (H, W, 3).
        lr: for each scale, all LR samples, each picture as (H // scale, W // scale, 3): of the
            whole HR picture, by MATLAB's bicubic rule, as those of DIV2K, or another reduction.
        skipped: a line for every file that could not be used, with the reason.
        digest: identifies the pictures: the same files give the same digest.
    """

    photos: list[Photo]
    hr: NDArray[np.uint8]
    lr: dict[int, NDArray[np.uint8]]
    skipped: list[str] = field(default_factory=list)
    digest: str = ""

    def picture(self, index: int) -> NDArray[np.uint8]:
        """The HR picture of that index, (H, W, 3)."""
        photo = self.photos[index]
        samples = photo.height * photo.width * 3
        return self.hr[photo.hr : photo.hr + samples].reshape(photo.height, photo.width, 3)

    def small_picture(self, index: int, scale: int) -> NDArray[np.uint8]:
        """The LR picture of that index, (H // scale, W // scale, 3)."""
        photo = self.photos[index]
        height, width, begin = photo.height // scale, photo.width // scale, photo.lr[scale]
        return self.lr[scale][begin : begin + height * width * 3].reshape(height, width, 3)

    def summary(self) -> dict[str, Any]:
        """What went in, as JSON-ready values."""
        return {
            "pictures": len(self.photos),
            "megapixels": round(sum(p.height * p.width for p in self.photos) / 1e6, 2),
            "skipped": len(self.skipped),
            "digest": self.digest,
        }
