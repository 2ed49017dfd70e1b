"""The public Python API: pictures in, pictures out."""

import os
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
from PIL.Image import Image

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.stated import Stated
from edsr_cli.images import decode, from_pil, to_pil
from edsr_cli.images.provenance import provenance
from edsr_cli.inference import Pixels, Progress, Tile, Upscaler


def load(
    model: str | os.PathLike[str] = "edsr-free",
    scale: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    max_memory: int | None = None,
    *,
    layout: str | None = None,
    value_range: float | None = None,
    mean_shift: bool | None = None,
    residual_scale: float | None = None,
) -> "PictureUpscaler":
    """Load a model, ready to upscale pictures.

    Args:
        model: a model's name, or a file with weights.
        scale: the upscaling factor; None for a file's own, or 4.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: number format of the residual blocks: "fp32", "bf16", "fp16", or "auto" for
            bf16 where the device multiplies it natively and fp32 elsewhere.
        max_memory: bytes that the network may work in on the device; None to go by what is free.
        layout: of a file that could have several, such as "basicsr"; the rest is for such files,
            too, and None leaves it to the file, or to a trial.
        value_range: full range of the file's network, 255 or 1.
        mean_shift: whether it subtracts the mean colour.
        residual_scale: factor on its residual branches.

    Raises:
        WeightsError: the model is unknown, has no such scale, or its file cannot be used.
        UsageError: there is no such device, or it cannot use the precision; or what is said about
            a file makes no sense, or is said about a model that has a name.
    """
    stated = Stated(layout, value_range, mean_shift, residual_scale)
    loaded = load_network(os.fspath(model), scale, stated)
    upscaler = Upscaler(loaded.network, loaded.scale, device, precision, max_memory)
    return PictureUpscaler(upscaler, loaded.name)


class PictureUpscaler:
    """Upscales files, PIL images and NumPy arrays; made by `load`.

    Attributes:
        upscaler: the network with its device, number format and scale.
        model: the name of the model, which pictures carry in their metadata.
    """

    def __init__(self, upscaler: Upscaler, model: str) -> None:
        self.upscaler, self.model = upscaler, model

    @property
    def scale(self) -> int:
        """The upscaling factor."""
        return self.upscaler.scale

    @overload
    def __call__(
        self,
        picture: str | os.PathLike[str] | Image,
        ensemble: bool = ...,
        tile: Tile = ...,
        progress: Progress | None = ...,
    ) -> Image: ...

    @overload
    def __call__(
        self,
        picture: Pixels,
        ensemble: bool = ...,
        tile: Tile = ...,
        progress: Progress | None = ...,
    ) -> Pixels: ...

    def __call__(
        self,
        picture: str | os.PathLike[str] | Image | Pixels,
        ensemble: bool = False,
        tile: Tile = "auto",
        progress: Progress | None = None,
    ) -> Image | Pixels:
        """Upscale one picture.

        Args:
            picture: a path, a PIL image of any mode, or an RGB array of shape (H, W, 3), uint8
                (0..255) or uint16 (0..65535).
            ensemble: average the eight views of the geometric self-ensemble: better, and eight
                times the work.
            tile: columns of a panel in LR pixels, "none" for one panel, "auto" to split only
                where memory demands it. The result is the same.
            progress: called with the number of LR pixels that are done, and that there are.

        Returns:
            For an array, an array of the same type, (scale * H, scale * W, 3). Otherwise an RGB
            PIL image whose `info` has the input's colour profile, EXIF, XMP and resolution, true
            of the new size; the EXIF data names program, model and scale.

        Raises:
            PictureError: the file cannot be read as a picture.
            ValueError, TypeError: it is none of these.
            DeviceMemoryError: the smallest piece of the work does not fit in memory.
        """
        if isinstance(picture, np.ndarray):
            return self.upscaler.upscale(picture, ensemble, tile, progress=progress).pixels
        if isinstance(picture, (str, os.PathLike)):
            decoded = decode(Path(picture))
        elif isinstance(picture, Image):
            decoded = from_pil(picture)
        else:
            raise TypeError(
                "a picture must be a path, a PIL image or a NumPy array, not "
                f"{type(picture).__name__}"
            )
        upscaled = self.upscaler.upscale(decoded.pixels, ensemble, tile, "uint8", progress)
        record = provenance(self.model, self.scale)
        return to_pil(upscaled.pixels, replace(decoded.metadata, software=record))
