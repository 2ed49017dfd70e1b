"""Pictures that are kept whole until they are encoded."""

from collections.abc import Callable
from typing import BinaryIO, Literal, Protocol

from msgspec.structs import replace

from edsr_cli.images.picture import OutputRequest
from edsr_cli.pixels.arrays import Pixels, empty_pixels
from edsr_cli.pixels.depth import spread_over
from edsr_cli.pixels.windows import Region, Writable


class Encoder(Writable, Protocol):
    """A picture that is being written to a file."""

    def finish(self) -> tuple[str, ...]:
        """Write what is left to be written; remarks on what was found out only now."""

    def abandon(self) -> None:
        """Give it up instead, and let go of all that is held."""


class WholeEncoder:
    """A picture that is kept whole until it is encoded.

    Args:
        file: where to write.
        request: see `Codec.create`.
        encode: writes the picture; see `Codec.encode`.
    """

    order: Literal["any", "rows"] = "any"

    def __init__(
        self,
        file: BinaryIO,
        request: OutputRequest,
        encode: Callable[[Pixels, BinaryIO, OutputRequest], tuple[str, ...]],
    ) -> None:
        self.shape, self.dtype = request.shape, request.dtype
        if request.alpha is not None:
            request = replace(request, alpha=spread_over(request.alpha[:], self.dtype))
        self._file, self._request, self._encode = file, request, encode
        self._pixels: Pixels | None = None
        self._owned = True  # whether nobody else holds them

    def write(self, region: Region, pixels: Pixels) -> None:
        """Put pixels where the region says; a whole picture is taken as it is, not copied."""
        height, width, channels = self.shape
        if pixels.shape == self.shape and pixels.flags.c_contiguous:
            self._pixels, self._owned = pixels, False
            return
        if self._pixels is None:
            self._pixels = empty_pixels(height, width, self.dtype, channels)
        elif not self._owned:
            self._pixels = self._pixels.copy()
        self._owned = True
        self._pixels[region.top : region.bottom, region.left : region.right] = pixels

    def finish(self) -> tuple[str, ...]:
        """Encode the picture."""
        assert self._pixels is not None, "nothing was written"
        pixels = self._pixels
        self.abandon()
        return self._encode(pixels, self._file, self._request)

    def abandon(self) -> None:
        """Let go of the picture."""
        self._pixels = None


class Sink:
    """The part of a file that Pillow's encoders need.

    With a real file Pillow's C code writes to the descriptor itself, and a full disk comes out as
    "encoder error -2". Without `fileno` it goes through `write`, which says what is wrong.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write
        self.flush = file.flush
