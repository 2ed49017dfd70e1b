"""Pictures put together from the bands of rows that decoders give, from the top.

In memory; or in a file on disk, where they are larger than that, and have to be turned; or not at
all, where rows can be decoded as they are asked for.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edsr_cli.files.scratch import scratch
from edsr_cli.images.alpha import DROPPED, UNCOVERED
from edsr_cli.images.colour import Converted, transparency_note
from edsr_cli.images.colour.icc import is_linear
from edsr_cli.images.guard import guarded
from edsr_cli.images.picture import Metadata, Picture
from edsr_cli.pixels.arrays import upright
from edsr_cli.pixels.depth import dtype_of
from edsr_cli.pixels.planes import Beside, Plane
from edsr_cli.pixels.windows import ArrayWindow, Readable, RowsWindow

_BAND_BYTES = 2**21  # of RGB that are decoded at a time
_SMALL = 8  # so many bands are not worth a file


class Wanted(NamedTuple):
    """How a picture is to be read.

    Attributes:
        name: what to call it in messages.
        max_pixels: the limit on its width times its height.
        alpha: whether to give alpha, too, instead of a remark that it was dropped.
        grey: whether greyscale is to keep its values and its profile; see `to_rgb`.
        streamed: whether it may be too large for memory; see `decoding.OpenPicture.read`.
    """

    name: str
    max_pixels: int
    alpha: bool = False
    grey: bool = False
    streamed: bool = False


class Decoded(NamedTuple):
    """A picture that has been put together: as `Converted`, with a window on its pixels."""

    window: Readable
    profile: bytes | None
    notes: list[str]
    alpha: Plane | None
    grey: bool

    def picture(self, metadata: Metadata, notes: list[str], source: str, bits: int) -> Picture:
        """The picture with all that belongs to it.

        Args:
            metadata: those of the picture, but for the profile and the size.
            notes: remarks on them.
            source: the format of the file as Pillow calls it.
            bits: bits per channel of the colours in the file.
        """
        height, width = self.window.shape[:2]
        profile = self.profile
        metadata = replace(metadata, icc_profile=profile, size=(width, height))
        notes = self.notes + notes
        if bits > 8 and self.window.dtype == np.uint8:
            notes.insert(0, f"{bits}-bit colours read as 8-bit")
        return Picture(
            self.window,
            metadata,
            tuple(notes),
            source,
            alpha=self.alpha,
            grey=self.grey,
            # What goes beyond white (HDR) has a curve of its own.
            linear=profile is not None and metadata.hdr is None and is_linear(profile),
        )


class _Allocate(Protocol):
    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]: ...


def band_rows(width: int, bits: int) -> int:
    """How many rows of so many pixels, of channels of so many bits, to decode at a time."""
    return max(1, _BAND_BYTES // (width * 3 * dtype_of(bits).itemsize))


def put_together(
    begin: Callable[[], Iterator[Converted]],
    size: tuple[int, int],
    orientation: int,
    wanted: Wanted,
    *,
    loaded: bool = False,
) -> Decoded:
    """Make an upright picture of bands.

    Args:
        begin: gives the bands as stored, from the top, with alpha; each has all columns. It is
            called again where rows have to be decoded a second time.
        size: width and height as stored.
        orientation: the EXIF orientation, 1 to 8.
        wanted: how. Of what is streamed only the first band is decoded now, if possible; but all
            of them where a remark on alpha depends on it, and a small picture is kept in memory
            all the same.
        loaded: whether the bands are parts of what is in memory now, and shall not stay there.

    Raises:
        FileError: there is no room for a scratch file.
        EOFError: there are too few bands.
        ValueError: they are not those of a picture of that size.
        Exception: what `begin` raises.
    """
    width, height = size
    shape = (height, width, 3)
    bands = begin()
    first = next(bands)
    if first.pixels.shape[1] != width or len(first.pixels) > height:
        raise ValueError("the rows are not those of the picture")
    if wanted.streamed and first.pixels.itemsize * 3 * width * height > _SMALL * _BAND_BYTES:
        if len(first.pixels) < height and orientation == 1 and not loaded:
            return _by_rows(first, bands, begin, shape, wanted)
        return _filled(first, bands, size, orientation, wanted, _on_disk)
    if len(first.pixels) < height:
        return _filled(first, bands, size, orientation, wanted, np.empty)
    note = None if wanted.alpha else transparency_note(first.pixels, first.alpha)
    notes = [*([note] if note else []), *first.notes]
    alpha = upright(first.alpha, orientation) if first.alpha is not None and wanted.alpha else None
    window = ArrayWindow(upright(first.pixels, orientation))
    return Decoded(window, first.profile, notes, alpha, first.grey)


def _filled(
    first: Converted,
    others: Iterator[Converted],
    size: tuple[int, int],
    orientation: int,
    wanted: Wanted,
    allocate: _Allocate,
) -> Decoded:
    width, height = size if orientation < 5 else size[::-1]
    dtype = first.pixels.dtype
    pixels = allocate((height, width, 3), dtype)
    alpha = None
    if first.alpha is not None and wanted.alpha:
        alpha = allocate((height, width), dtype)

    def kept() -> Iterator[Converted]:
        top = 0
        for band in chain([first], others):
            bottom = top + len(band.pixels)
            as_stored(pixels, orientation)[top:bottom] = band.pixels
            if alpha is not None:
                as_stored(alpha, orientation)[top:bottom] = band.alpha
            yield band
            top = bottom
            del band  # which may be large
        if top < size[1]:
            raise EOFError("the rows end too early")

    notes = _remarks(kept(), wanted)
    return Decoded(ArrayWindow(pixels), first.profile, notes, alpha, first.grey)


def _by_rows(
    first: Converted,
    others: Iterator[Converted],
    begin: Callable[[], Iterator[Converted]],
    shape: tuple[int, int, int],
    wanted: Wanted,
) -> Decoded:
    dtype, file_in_use = first.pixels.dtype, threading.Lock()

    def bands() -> Iterator[Converted]:
        return _guarded(begin(), shape, wanted, file_in_use)

    window = RowsWindow(shape, dtype, lambda: _ahead(band.pixels for band in bands()))
    notes, alpha = first.notes, None
    if first.alpha is not None and wanted.alpha:

        def both() -> Iterator[NDArray[Any]]:
            return _ahead(_joined(band) for band in bands())

        alpha = Beside(shape[:2], dtype, both)
    elif first.alpha is not None:
        notes = _remarks(chain([first], others), wanted)
    return Decoded(window, first.profile, notes, alpha, first.grey)


def _joined(band: Converted) -> NDArray[Any]:
    """Colours, and alpha behind them, (h, W, 4)."""
    assert band.alpha is not None  # as in the first
    return np.dstack((band.pixels, band.alpha))


def _remarks(bands: Iterator[Converted], wanted: Wanted) -> list[str]:
    """What is to be said of bands, of which none is kept."""
    losses, notes = set(), dict[str, None]()
    for band in bands:
        if not wanted.alpha:
            losses.add(transparency_note(band.pixels, band.alpha))
        notes |= dict.fromkeys(band.notes)
        del band  # which may be large
    loss = [note for note in (UNCOVERED, DROPPED) if note in losses][:1]
    return [*loss, *notes]


def as_stored(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of an upright picture, (H, W, ...), in which it lies as it is stored.

    It is the inverse of `edsr_cli.pixels.arrays.upright`, without a copy.
    """
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture.swapaxes(0, 1) if orientation >= 5 else picture


def _on_disk(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.ndarray(shape, dtype, buffer=scratch(size))


def _guarded(
    bands: Iterator[Converted],
    shape: tuple[int, int, int],
    wanted: Wanted,
    file_in_use: threading.Lock,
) -> Iterator[Converted]:
    """The same, decoded under guard, which other work between two bands is not.

    Nobody else decodes meanwhile; between two bands a decoder lets others move the file.
    """
    left = shape[0]
    while left:
        with file_in_use, guarded(wanted.name, wanted.max_pixels):
            band = next(bands, None)
            if band is None:
                raise EOFError("the rows end too early")
            if band.pixels.shape[1:] != shape[1:] or len(band.pixels) > left:
                raise ValueError("the rows are not those of the picture")
        left -= len(band.pixels)
        yield band


def _ahead(bands: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """The same, each decoded while the one before is worked on."""
    decoder = ThreadPoolExecutor(1, "edsr-decode")
    try:
        try:
            coming = decoder.submit(next, bands, None)
        except RuntimeError:  # the system has no thread for us
            yield from bands
            return
        while (band := coming.result()) is not None:
            coming = decoder.submit(next, bands, None)
            yield band
    finally:
        # Nobody waits for the thread: who lets go of this unread may be the garbage collector, in
        # the middle of the start of another thread, whose locks the end of ours would want.
        decoder.shutdown(wait=False, cancel_futures=True)
