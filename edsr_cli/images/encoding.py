"""Pictures to files, and to Pillow."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, Literal, Self, TypeVar, cast

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import EdsrError, Kind, PictureError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.names import display_name
from edsr_cli.images.codecs import Encoder
from edsr_cli.images.codecs.animation import SequenceEncoder
from edsr_cli.images.colour.spaces import grey_profile
from edsr_cli.images.formats import codec_for
from edsr_cli.images.guard import limits
from edsr_cli.images.metadata.fitting import MEMORY, fit
from edsr_cli.images.metadata.xmp_truth import in_grey
from edsr_cli.images.picture import (
    DEFAULT_MAX_PIXELS,
    Metadata,
    OutputFormat,
    OutputOptions,
    OutputRequest,
)
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import at_depth
from edsr_cli.pixels.grey import joined
from edsr_cli.pixels.planes import Plane
from edsr_cli.pixels.windows import Region

_Encoder = TypeVar("_Encoder", bound=Encoder | SequenceEncoder)

_GREY_ROWS = 64  # joined at a time, to hold no second copy of the picture


class Closing(ABC, Generic[_Encoder]):
    """A file that is being written. As a context manager it closes itself, unless the block raises.

    Args:
        encoder: what writes it.
    """

    def __init__(self, encoder: _Encoder) -> None:
        self._encoder = encoder

    @abstractmethod
    def close(self) -> None:
        """Write what is left to be written; the file is neither flushed nor closed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.close()
        finally:
            self._encoder.abandon()  # which does nothing to what is finished


class PictureWriter(Closing[Encoder]):
    """A picture that is being written: a `Writable`, to be closed when all of it is there.

    `write` and `close` raise `PictureError` where encoding fails, and `OSError` where the file
    cannot be written to.

    Attributes:
        shape: (H, W, 3).
        dtype: of the pixels that it takes; samples have its full range.
        order: "any" or "rows", see `Writable`.
        notes: remarks for the user on what the format cannot hold, one line each; complete when it
            is closed.
    """

    def __init__(
        self, encoder: Encoder, output_format: OutputFormat, notes: tuple[str, ...]
    ) -> None:
        super().__init__(encoder)
        height, width, self._channels = encoder.shape
        self.shape, self.dtype = (height, width, 3), encoder.dtype
        self.order: Literal["any", "rows"] = encoder.order
        self.notes = notes
        self._format = output_format

    def write(self, region: Region, pixels: Pixels) -> None:
        """Put pixels, (h, w, 3) of the type `dtype`, where the region says.

        Where they are the whole picture they may not be copied: leave them alone until `close`.
        """
        with self._explained():
            if self._channels == 3:
                self._encoder.write(region, pixels)
                return
            for top in range(0, len(pixels), _GREY_ROWS):
                rows = pixels[top : top + _GREY_ROWS]
                first = region.top + top
                part = replace(region, top=first, bottom=first + len(rows))
                self._encoder.write(part, joined(rows))

    def close(self) -> None:
        with self._explained(), limits(DEFAULT_MAX_PIXELS):
            self.notes += self._encoder.finish()

    def _explained(self) -> AbstractContextManager[None]:
        height, width = self.shape[:2]
        return explained(width, height, self._format)


@contextmanager
def explained(width: int, height: int, output_format: OutputFormat) -> Iterator[None]:
    """Turn what an encoder raises into a `PictureError`, but for failures of the file."""
    name = output_format.name
    try:
        yield
    except EdsrError:
        raise
    except MemoryError as error:
        raise PictureError(
            f"there is not enough memory to write {width} x {height} pixels as {name}.",
            "Write it as TIFF, which needs the least.",
            kind=Kind.MEMORY,
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file; Pillow's own have no number
        detail = " ".join(str(error).split())
        raise PictureError(
            f"it cannot be written as {name} ({detail}).", "Write it as PNG instead."
        ) from error


def create_picture(
    file: BinaryIO,
    output_format: OutputFormat,
    request: OutputRequest,
) -> PictureWriter:
    """Begin to write a picture to a binary file.

    What the metadata say in pixels becomes true of the picture that is written; see `fitting`.

    Args:
        file: where to write; a pipe will do. It is neither flushed nor closed.
        output_format: the format to write.
        request: what is wanted. The bits are those that the picture has: the format decides what
            becomes of them, see `OutputFormat.bits` and the writer's `dtype`. Where it is to be
            grey and the format has that, the three channels that the writer is given become one.

    Raises:
        PictureError: the format cannot hold a picture of that size, or alpha.
    """
    request, notes = fitted(output_format, request)
    encoder = codec_for(output_format).create(file, request)
    return PictureWriter(encoder, output_format, notes)


def fitted(
    output_format: OutputFormat, request: OutputRequest
) -> tuple[OutputRequest, tuple[str, ...]]:
    """What a format can hold of what is asked for, and remarks on what it cannot.

    Raises:
        PictureError: it cannot hold a picture of that size, or alpha.
    """
    output_format.check_size(*request.size)
    if request.alpha is not None and not output_format.alpha:
        raise PictureError(
            f"{output_format.name} cannot hold an alpha channel.", "Write it as PNG instead."
        )
    metadata, notes = fit(request.metadata, output_format, *request.size)
    grey = request.grey and output_format.grey
    if request.alpha is not None and not output_format.grey_alpha:
        grey = False
    if grey:
        metadata, grey, more = _in_grey(metadata)
        notes += more
    bits = output_format.bits(request.bits)
    return replace(request, metadata=metadata, bits=bits, grey=grey), notes


def _in_grey(metadata: Metadata) -> tuple[Metadata, bool, tuple[str, ...]]:
    """The metadata of greyscale, whether it can be that by its profile, and a remark if not."""
    profile = metadata.icc_profile
    try:
        if profile is not None and profile[16:20] != b"GRAY":
            profile = grey_profile(profile)
    except ValueError:
        return metadata, False, ("written as RGB: its ICC profile is for that, and tints grey",)
    packet = None if metadata.xmp is None else in_grey(metadata.xmp)
    return replace(metadata, icc_profile=profile, xmp=packet), True, ()


def encode(
    pixels: Pixels,
    output_format: OutputFormat,
    metadata: Metadata,
    file: BinaryIO,
    options: OutputOptions = OutputOptions(),  # noqa: B008 - frozen
    alpha: Plane | None = None,
    grey: bool = False,
) -> tuple[str, ...]:
    """Write a whole picture to a binary file; see `create_picture`.

    Args:
        pixels: RGB, shape (H, W, 3), uint8 in 0..255 or uint16 in 0..65535, rounded to the depth
            that the format gets.
        output_format, file: see `create_picture`.
        metadata, options, alpha, grey: see `OutputRequest`.

    Returns:
        Remarks for the user on what the format cannot hold, one line each.

    Raises:
        PictureError: the format cannot hold a picture of that size, or alpha, or encoding fails.
        OSError: `file` cannot be written to.
    """
    pixels, request = _asked(pixels, output_format, metadata, options, alpha, grey)
    with create_picture(file, output_format, request) as writer:
        writer.write(Region(0, len(pixels), 0, pixels.shape[1]), pixels)
    return writer.notes


def write_picture(
    path: Path,
    pixels: Pixels,
    output_format: OutputFormat,
    metadata: Metadata,
    overwrite: bool = False,
    options: OutputOptions = OutputOptions(),  # noqa: B008 - frozen
    commit: Callable[[os.stat_result], None] | None = None,
    check: Callable[[], None] | None = None,
    alpha: Plane | None = None,
    grey: bool = False,
    mtime_ns: int | None = None,
) -> tuple[str, ...]:
    """Write a picture to a file that appears complete or not at all; see `atomic_write`.

    Args:
        path: the file to write.
        pixels: RGB, shape (H, W, 3), uint8 in 0..255 or uint16 in 0..65535.
        output_format: the format to write, whatever the ending of `path`.
        metadata: what to put beside the pixels.
        overwrite: whether a file of that name may be replaced.
        options, alpha, grey: see `OutputRequest`.
        commit, mtime_ns: see `atomic_write`.
        check: called before each piece is written. What it raises ends the work, and passes
            unchanged if it is no `Exception`.

    Returns:
        Remarks for the user on what the format cannot hold, one line each.

    Raises:
        PictureError: the file exists and may not be replaced, cannot be written, or the picture
            does not fit into the format. Nothing is left behind.
    """
    pixels, request = _asked(pixels, output_format, metadata, options, alpha, grey)
    with picture_file(
        path,
        output_format,
        request,
        overwrite=overwrite,
        commit=commit,
        check=check,
        mtime_ns=mtime_ns,
    ) as writer:
        writer.write(Region(0, len(pixels), 0, pixels.shape[1]), pixels)
    return writer.notes


def _asked(
    pixels: Pixels,
    output_format: OutputFormat,
    metadata: Metadata,
    options: OutputOptions,
    alpha: Plane | None,
    grey: bool,
) -> tuple[Pixels, OutputRequest]:
    """A whole picture with the depth that its file will have, and what is asked of that."""
    stored = 8 * pixels.dtype.itemsize
    pixels = at_depth(pixels, output_format.bits(stored))
    height, width = pixels.shape[:2]
    return pixels, OutputRequest((width, height), metadata, options, alpha, stored, grey)


@contextmanager
def picture_file(
    path: Path,
    output_format: OutputFormat,
    request: OutputRequest,
    *,
    overwrite: bool = False,
    commit: Callable[[os.stat_result], None] | None = None,
    check: Callable[[], None] | None = None,
    mtime_ns: int | None = None,
) -> Iterator[PictureWriter]:
    """Give a writer whose picture becomes a file when the block ends well; see `atomic_write`.

    Args:
        path: the file to write.
        output_format: the format to write, whatever the ending of `path`.
        request: what is wanted; see `create_picture`.
        overwrite: whether a file of that name may be replaced.
        commit, mtime_ns: see `atomic_write`.
        check: called before each piece is written. What it raises ends the work, and passes
            unchanged if it is no `Exception`.

    Raises:
        PictureError: the file exists and may not be replaced, cannot be written, or the picture
            does not fit into the format. Nothing is left behind. What the block raises passes
            unchanged.
    """
    with (
        written(path, overwrite=overwrite, commit=commit, check=check, mtime_ns=mtime_ns) as file,
        create_picture(file, output_format, request) as writer,
    ):
        yield writer


@contextmanager
def written(
    path: Path,
    *,
    overwrite: bool = False,
    commit: Callable[[os.stat_result], None] | None = None,
    check: Callable[[], None] | None = None,
    mtime_ns: int | None = None,
) -> Iterator[BinaryIO]:
    """Give a file to write to, that appears when the block ends well; see `picture_file`."""
    with atomic_write(path, overwrite, PictureError, commit, mtime_ns) as file:
        try:
            yield file if check is None else cast(BinaryIO, _Checked(file, check))
        except PictureError as error:
            if error.about:  # of another file
                raise
            raise PictureError(
                error.message, error.hint, about=display_name(path), kind=error.kind
            ) from error


def to_pil(
    pixels: Pixels,
    metadata: Metadata = Metadata(),  # noqa: B008 - frozen
    alpha: NDArray[np.uint8] | None = None,
) -> Image.Image:
    """A Pillow image with pixels of shape (H, W, 3) and metadata in its `info`.

    Its mode is "RGB", or "RGBA" with alpha.

    Args:
        pixels: uint8 in 0..255, or uint16 in 0..65535, which is rounded to 8 bits.
        metadata: what to put into `info`, by Pillow's names, made true of these pixels. What has no
            name of its own there (texts, IPTC, the program) goes into EXIF and XMP.
        alpha: shape (H, W); None for none.
    """
    image = Image.fromarray(at_depth(pixels, MEMORY.bits(8 * pixels.dtype.itemsize)))
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    metadata, _ = fit(metadata, MEMORY, image.width, image.height)
    values = {
        "icc_profile": metadata.icc_profile,
        "exif": b"Exif\0\0" + metadata.exif if metadata.exif else None,
        "xmp": metadata.xmp,
        "dpi": metadata.dpi,
    }
    image.info.update({key: value for key, value in values.items() if value is not None})
    return image


class _Checked:
    """A file that asks before each write whether to go on."""

    def __init__(self, file: BinaryIO, check: Callable[[], None]) -> None:
        self._file, self._check = file, check

    def write(self, data: bytes) -> int:
        self._check()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
