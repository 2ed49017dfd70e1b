"""What is compared: versions of pictures, of one size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray


class Version(Struct, frozen=True, eq=False):
    """One version of a picture.

    Attributes:
        label: what to call it, different from those of the others.
        kind: "network", "bicubic", "nearest", "file" or "reference".
        pixels: (H, W, 3), RGB, 0..255: of the picture's size, or for "nearest" a whole number of
            times smaller.
        profile: the ICC profile of the pixels; None for sRGB.
        command: what makes it, for a shell; "" where nothing does.
        made: how a network made it: "model", "device", "precision", "restore" (0 to 1, or None)
            and "restore_reason", "seconds", and "memory_bytes", which was planned.
        scores: "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb" against the reference, None for infinity;
            empty where there is none.
    """

    label: str
    kind: str
    pixels: NDArray[np.uint8]
    profile: bytes | None = None
    command: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float | None] = field(default_factory=dict)

    def part(self, size: tuple[int, int], top: int, left: int, height: int, width: int) -> Any:
        """Pixels of a part of the picture.

        Args:
            size: width and height of the picture.
            top, left, height, width: of the part.

        Returns:
            (height, width, 3), uint8.
        """
        step = size[1] // len(self.pixels)
        if step == 1:
            return self.pixels[top : top + height, left : left + width]
        rows, columns = np.arange(top, top + height) // step, np.arange(left, left + width) // step
        return self.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][
            (rows - rows[0])[:, None], columns - columns[0]
        ]


class Comparison(Struct, frozen=True, eq=False):
    """A picture, or a part of one, in several versions.

    Attributes:
        name: of the file, with the part.
        input: the file.
        crop: the part, "WxH+X+Y" in pixels of the input; None for all of it.
        size: width and height of the versions, in pixels.
        scale: how many times larger than the input that is.
        border: pixels at each side that are not measured.
        versions: two or more; a reference is the last one.
    """

    name: str
    input: str
    crop: str | None
    size: tuple[int, int]
    scale: int
    border: int
    versions: Sequence[Version]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        versions = [
            {"label": each.label, "kind": each.kind, **each.made, **each.scores}
            for each in self.versions
        ]
        return {
            "input": self.input,
            "crop": self.crop,
            "output_size": list(self.size),
            "scale": self.scale,
            "border": self.border,
            "versions": versions,
        }
