"""Models that are ready to upscale: pictures in, pictures out, in memory."""

import logging
import os
from pathlib import Path
from typing import overload

import numpy as np
from msgspec.structs import replace
from PIL.Image import Image

from edsr_cli.api.opening import open_upscaler
from edsr_cli.files.names import display_name
from edsr_cli.images import DEFAULT_MAX_PIXELS, decode, from_pil, to_pil
from edsr_cli.images.alpha import DROP, UNCOVERED, applied, resized
from edsr_cli.images.formats import tell_pillow
from edsr_cli.images.picture import Compression
from edsr_cli.images.provenance import provenance
from edsr_cli.inference import Progress, Tile, Upscaler
from edsr_cli.inference.upscaler import check_tile
from edsr_cli.options.definition import options_of, takes
from edsr_cli.options.network import LoadOptions
from edsr_cli.options.pictures import Outputs
from edsr_cli.options.values import ALPHA
from edsr_cli.pixels.arrays import Pixels, check_pixels, empty_pixels
from edsr_cli.pixels.transfer import for_network
from edsr_cli.pixels.windows import ArrayWindow, Readable
from edsr_cli.progress import calling
from edsr_cli.restoration.choice import Choice
from edsr_cli.restoration.networks import at_choice, choice_for
from edsr_cli.restoration.words import describe

logger = logging.getLogger(__name__)


@takes(LoadOptions)
def load(options: LoadOptions) -> "PictureUpscaler":
    """Load a model, ready to upscale pictures.

    Raises:
        WeightsError: the model is unknown, has no such scale, or its file cannot be used.
        UsageError: there is no such device, or it cannot use the precision; or what is said about
            a file makes no sense, or is said about a model that has a name; or the model cannot
            restore.
        TypeError, ValueError: an argument is not what it should be; the message names it.

    The upscaler may be used by any number of threads at the same time. Of processes, each should
    load its own: after `fork`, what it computes on a CPU it computes with one thread, because the
    others do not live on in the child, and a GPU cannot be used there at all. The start methods
    "spawn" and "forkserver" of `multiprocessing` have no such limits.

    Pillow opens all formats that are read here from then on, HEIC and JPEG XL too where what they
    take is installed.

    Example:
        upscaler = edsr_cli.load("edsr-free", scale=4, device="cpu")
        upscaler("photo.jpg").save("large.png")
    """
    tell_pillow()
    network, upscaler = open_upscaler(options, options.scale, calling(None))
    return PictureUpscaler(upscaler, network.name, options.max_pixels or DEFAULT_MAX_PIXELS)


class PictureUpscaler:
    """Upscales files, PIL images and NumPy arrays; made by `load`.

    Attributes:
        upscaler: the network with its device, number format and scale.
        model: the model's name, or what its file states, or the file's name.
        max_pixels: files with more pixels are refused.
    """

    def __init__(
        self, upscaler: Upscaler, model: str = "", max_pixels: int = DEFAULT_MAX_PIXELS
    ) -> None:
        self.upscaler, self.model, self.max_pixels = upscaler, model, max_pixels

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.model or 'of no name'} x{self.scale} on "
            f"{self.upscaler.device} in {self.upscaler.precision.value}>"
        )

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
        *,
        alpha: str = ...,
        frame: int | None = ...,
    ) -> Image: ...

    @overload
    def __call__(
        self,
        picture: Pixels,
        ensemble: bool = ...,
        tile: Tile = ...,
        progress: Progress | None = ...,
        *,
        alpha: str = ...,
    ) -> Pixels: ...

    def __call__(
        self,
        picture: str | os.PathLike[str] | Image | Pixels,
        ensemble: bool = False,
        tile: Tile = "auto",
        progress: Progress | None = None,
        *,
        alpha: str = "drop",
        frame: int | None = None,
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
            alpha: what becomes of transparency: "drop"; "keep", enlarged beside the colours; or a
                colour such as "white" or "#ff8000" to lay the picture on. Arrays have none.
            frame: of a file, which frame or page to take, from 1; None for the first. Of a PIL
                image it is always the current one, and not to be given.

        Returns:
            For an array, an array of the same type, (scale * H, scale * W, 3). Otherwise an RGB
            PIL image (RGBA if alpha was there and is kept) whose `info` has the input's colour
            profile, EXIF, XMP and resolution, true of the new size; the EXIF data names program,
            model and scale.

        Raises:
            PictureError: the file cannot be read as a picture, has no such frame, or more pixels
                than `max_pixels`.
            ValueError, TypeError: it is none of these, `tile` is no width, `alpha` no setting, or
                `frame` no number of one, or given of something else than a file.
            DeviceMemoryError: the smallest piece of the work does not fit in memory.
        """
        check_tile(tile)
        alpha = ALPHA.check("alpha", alpha)
        if frame is not None:
            frame = options_of(Outputs)["frame"].checked("frame", frame)
            if isinstance(picture, (np.ndarray, Image)):
                raise ValueError(
                    "frame is of files: an image's current one is taken, an array is one"
                )
        if isinstance(picture, np.ndarray):
            check_pixels(picture)
            upscaler = at_choice(self.upscaler, self._choice(ArrayWindow(picture)))
            return upscaler.upscale(picture, ensemble, tile, progress=progress).pixels
        if isinstance(picture, (str, os.PathLike)):
            decoded = decode(Path(picture), self.max_pixels, keep_alpha=alpha != DROP, frame=frame)
        elif isinstance(picture, Image):
            decoded = from_pil(picture, keep_alpha=alpha != DROP)
        else:
            raise TypeError(
                "a picture must be a path, a PIL image or a NumPy array, not "
                f"{type(picture).__name__}"
            )
        if UNCOVERED in decoded.notes:
            name = "the given image" if isinstance(picture, Image) else display_name(Path(picture))
            logger.warning("%s: %s; alpha='keep' or alpha='white' does not.", name, UNCOVERED)
        decoded = applied(decoded, alpha)
        choice = self._choice(decoded.window, decoded.compression, linear=decoded.linear)
        upscaler = at_choice(self.upscaler, choice)
        height, width = (self.scale * side for side in decoded.window.shape[:2])
        pixels = empty_pixels(height, width, np.dtype(np.uint8))
        source, target = for_network(decoded.window, ArrayWindow(pixels), linear=decoded.linear)
        upscaler.upscale_into(source, target, ensemble=ensemble, tile=tile, progress=progress)
        record = provenance(self.model, self.scale, choice.strength if choice else None)
        kept = None if decoded.alpha is None else resized(decoded.alpha, width, height)[:]
        return to_pil(pixels, replace(decoded.metadata, software=record), kept)

    def _choice(
        self, picture: Readable, stated: Compression | None = None, *, linear: bool = False
    ) -> Choice | None:
        choice = choice_for(self.upscaler, picture, stated, linear=linear)
        if choice is not None:
            logger.debug("The picture: %s.", describe(choice.strength, choice.reason))
        return choice
