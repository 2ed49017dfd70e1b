"""The four figures that a picture is given, and their means."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, fields
from numpy.typing import NDArray

from edsr_cli.evaluation.metrics import Channels, psnr, ssim


class Scores(Struct, frozen=True):
    """How close a picture is to its original, or the means of that over a data set.

    Attributes:
        psnr_y, psnr_rgb: in dB; infinite for equal pictures.
        ssim_y, ssim_rgb: at most 1.
    """

    psnr_y: float
    ssim_y: float
    psnr_rgb: float
    ssim_rgb: float

    def to_dict(self, prefix: str = "") -> dict[str, float | None]:
        """JSON-ready values; None for infinity, which JSON does not have."""
        return {
            prefix + name: round(value, 6) if math.isfinite(value) else None
            for name, value in asdict(self).items()
        }


def measure(image: NDArray[np.uint8], reference: NDArray[np.uint8], border: int) -> Scores:
    """Compare a picture with its original.

    Args:
        image, reference: (H, W, 3), RGB, 0..255.
        border: pixels to leave out on each side.

    Raises:
        ValueError: the pictures differ in size, or are too small for SSIM's window.
    """
    return Scores(
        psnr(image, reference, border=border, channels=Channels.Y),
        ssim(image, reference, border=border, channels=Channels.Y),
        psnr(image, reference, border=border, channels=Channels.RGB),
        ssim(image, reference, border=border, channels=Channels.RGB),
    )


def mean(scores: Sequence[Scores]) -> Scores:
    """The means over pictures: of decibels for PSNR, as in the papers.

    Args:
        scores: one picture's or more.
    """
    names = (field.name for field in fields(Scores))
    return Scores(**{name: fmean(getattr(each, name) for each in scores) for name in names})
