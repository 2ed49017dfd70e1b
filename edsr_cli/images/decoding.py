"""Pictures from files, from bytes and from Pillow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace
from PIL import Image, UnidentifiedImageError

from edsr_cli.errors import PictureError
from edsr_cli.files.names import display_name
from edsr_cli.images.bands import Wanted
from edsr_cli.images.codecs import Codec, Opened, Rows
from edsr_cli.images.codecs.raw_rows import tiles_of
from edsr_cli.images.colour import DAMAGED
from edsr_cli.images.formats import MAGIC_BYTES, codec_of, codec_that_opens, open_image
from edsr_cli.images.guard import (
    check_frame,
    check_frames,
    check_pixels,
    guarded,
    only_the_first,
)
from edsr_cli.images.picture import DEFAULT_MAX_PIXELS, Metadata, Picture, PictureInfo
from edsr_cli.images.source import Source, not_a_picture, open_source

_NO_END = "the end of the file is missing, but what is there is a whole picture"


class OpenPicture:
    """A picture of which the header has been read; its file is open.

    Both `info` and `read` raise `PictureError` where the picture cannot be read, and nothing else.
    """

    def __init__(self, opened: Opened, name: str, max_pixels: int) -> None:
        self._opened, self._name, self._max_pixels = opened, name, max_pixels

    @cached_property
    def info(self) -> PictureInfo:
        """What the header says."""
        with guarded(self._name, self._max_pixels):
            return self._opened.info()

    def read(
        self, *, keep_alpha: bool = False, keep_grey: bool = False, streamed: bool = False
    ) -> Picture:
        """The picture: its window, (H, W, 3), turned upright, and all that belongs to it.

        Of an animation or a document, it is the first frame, if none was chosen.

        Args:
            keep_alpha: whether to give alpha, too, instead of a remark that it was dropped.
            keep_grey: whether the pixels of greyscale are to keep its values, and its profile,
                because it will be written as greyscale.
            streamed: whether not to keep the pixels in memory. Where `info.streams` says so they
                are decoded while the window is read, as long as this is open, and what is wrong
                with them is raised there; this should not be read again meanwhile. All others are
                decoded into a scratch file (`TMPDIR`).
        """
        if streamed:
            _ = self.info  # while nobody else reads the file
        wanted = Wanted(self._name, self._max_pixels, keep_alpha, keep_grey, streamed)
        with guarded(self._name, self._max_pixels):
            return self._opened.read(wanted)

    def frames(self, *, keep_alpha: bool = False, keep_grey: bool = False) -> Iterator[Picture]:
        """All frames or pages, each when it is asked for; see `read`.

        Those of an animation are whole pictures, with what they lie on, of one size. Their metadata
        are those of the first.

        Raises:
            PictureError: there are more than `MAX_FRAMES`, or more pixels in all of them than the
                limit; or one cannot be read.
        """
        wanted = Wanted(self._name, self._max_pixels, keep_alpha, keep_grey)
        numbers, pixels = self.info.all_frames, 0
        for number in numbers:
            with guarded(self._name, self._max_pixels):
                picture = self._opened.read_frame(wanted, number)
            height, width = picture.window.shape[:2]
            pixels += width * height
            check_frames(self._name, len(numbers), pixels, self._max_pixels)
            yield picture


@contextmanager
def open_picture(
    source: Source,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    *,
    name: str | None = None,
    frame: int | None = None,
) -> Iterator[OpenPicture]:
    """Open a picture and read its header; its pixels are not decoded.

    Args:
        source: see `Source`.
        max_pixels: the largest width times height that is accepted; larger pictures are refused
            before anything is decoded.
        name: what to call it in messages; by default the path, or "standard input". Of what has no
            path its ending tells of formats that nothing else tells of.
        frame: the number of a frame or page, from 1; None for the first, with a remark where there
            are more.

    Raises:
        PictureError: it cannot be read as a picture, is too large, or has no such frame.
    """
    suffix = Path(source if isinstance(source, Path) else name or "").suffix.lower()
    name = display_name(source if isinstance(source, Path) else b"", name)
    with open_source(source, name) as file:
        with guarded(name, max_pixels):
            opened = _open(file, suffix, name, max_pixels, frame)
        yield OpenPicture(opened, name, max_pixels)


def probe(
    source: Source,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    *,
    name: str | None = None,
    frame: int | None = None,
) -> PictureInfo:
    """What the header of a picture says; see `open_picture`."""
    with open_picture(source, max_pixels, name=name, frame=frame) as picture:
        return picture.info


def decode(
    source: Source,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    *,
    name: str | None = None,
    keep_alpha: bool = False,
    keep_grey: bool = False,
    frame: int | None = None,
) -> Picture:
    """Open a picture and read it; see `open_picture` and `OpenPicture.read`."""
    with open_picture(source, max_pixels, name=name, frame=frame) as picture:
        return picture.read(keep_alpha=keep_alpha, keep_grey=keep_grey)


def from_pil(image: Image.Image, keep_alpha: bool = False) -> Picture:
    """Take a picture from Pillow, of any mode; it is turned upright where its EXIF data says so.

    The current frame is used. The image is loaded, or its file read, but otherwise left alone.

    Args:
        image: the image.
        keep_alpha: whether to give alpha, too, instead of a remark that it was dropped.

    Raises:
        PictureError: it has no pixels, or of a kind that cannot be converted.
    """
    name = "the given image"
    limit = max(DEFAULT_MAX_PIXELS, image.width * image.height)
    wanted = Wanted(name, limit, keep_alpha)
    with guarded(name, limit):
        check_pixels(name, image.width, image.height, limit)
        if image.format == "TIFF":
            from PIL.TiffImagePlugin import TiffImageFile

            from edsr_cli.images.codecs.tiff import decode_frame

            if isinstance(image, TiffImageFile) and image.tile and image.fp:
                return decode_frame(image, wanted)
        codec = codec_of(image)
        # A TIFF forgets its orientation when it is loaded, because it is turned then.
        rows = _exact_rows(codec, image)
        picture = codec.to_picture(image, codec.orientation(image), 16, wanted, None, rows)
        return replace(picture, compression=codec.stated_compression(image, None))


def _exact_rows(codec: Codec, image: Image.Image) -> Rows | None:
    """The rows of an image in its file, where it has not been loaded and Pillow would cut bits."""
    file = getattr(image, "fp", None)
    if file is None or not tiles_of(image) or image.tell() != 0:
        return None
    rows = codec.rows(image, file)
    return rows if rows is not None and rows.exact else None


def _open(file: BinaryIO, suffix: str, name: str, max_pixels: int, frame: int | None) -> Opened:
    """Read the header of a file, by what is in it; see `open_picture`.

    Args:
        file: the file, seekable.
        suffix: the ending of its name, lower case, for formats that only that tells; or empty.
        name: what to call it in messages.
        max_pixels: the largest width times height that is accepted.
        frame: the number of the frame or page, from 1; None for the first.

    Raises:
        PictureError: it is no picture, is too large, or has no such frame.
        Exception: any, where it is damaged.
    """
    file.seek(0)
    codec = codec_that_opens(file.read(MAGIC_BYTES))
    file.seek(0)
    if codec is not None:
        return codec.open(file, name, max_pixels, frame)

    def opened(file: BinaryIO) -> Image.Image:
        try:
            image = open_image(file, suffix)
        except UnidentifiedImageError as error:
            raise not_a_picture(file, name) from error
        check_pixels(name, *image.size, max_pixels)
        if frame is not None and (frame != 1 or image.tell() != 0):
            check_frame(frame, _count_frames(image), name)
            image.seek(frame - 1)
            check_pixels(name, *image.size, max_pixels)
        return image

    image = opened(file)
    return _PillowPicture(codec_of(image), image, opened, file, frame)


class _PillowPicture:
    """A picture that Pillow decodes, and its codec explains.

    Args:
        codec: its codec.
        image: the picture, opened.
        again: opens it anew.
        file: its file.
        frame: the number of the frame that was chosen; None for none.
    """

    def __init__(
        self,
        codec: Codec,
        image: Image.Image,
        again: Callable[[BinaryIO], Image.Image],
        file: BinaryIO,
        frame: int | None,
    ) -> None:
        self._later = frame is not None and frame > 1
        self._chosen = frame is not None
        self._codec, self._image, self._again = codec, image, again
        self._file, self._counted, self._mended = file, False, False
        self._collected: tuple[Metadata, list[str]] | None = None

    def info(self) -> PictureInfo:
        """What the header says."""
        codec, image = self._codec, self._image
        width, height = image.size
        orientation = codec.orientation(image, self._file)
        if orientation >= 5:
            width, height = height, width
        bits = codec.bits(image, self._file)
        rows = self._rows()
        by_rows = rows is not None and not rows.at_once
        taken = rows.bytes if rows is not None and by_rows else codec.decoder_bytes(image, bits)
        self._counted, frames = True, _count_frames(image)
        animated = frames > 1 and _is_animated(image)
        return PictureInfo(
            width,
            height,
            image.mode,
            image.format or "",
            bits,
            frames,
            streams=by_rows and orientation == 1,
            decoder_bytes=taken,
            animated=animated,
            plays=_plays(image) if animated else 1,
            cover=bool(image.info.get("default_image")),
        )

    def read_frame(self, wanted: Wanted, number: int) -> Picture:
        """A frame, with what it lies on."""
        if self._counted:
            self._image, self._counted = self._again(self._file), False
        codec, image, file = self._codec, self._image, self._file
        image.seek(number - 1)
        check_pixels(wanted.name, *image.size, wanted.max_pixels)
        orientation, bits = codec.orientation(image, file), codec.bits(image, file)
        collected = self._collected if _is_animated(image) else None
        if collected is None:
            codec.load(image)
            collected = codec.collect(image, orientation, file, image.size)
        picture = codec.to_picture(image, orientation, bits, wanted, file, collected=collected)
        # With the profile of the file, which may not be that of the picture; remarks come once.
        self._collected = collected[0], []
        shown = image.info.get("duration")
        milliseconds = float(shown) if isinstance(shown, int | float) else None
        return replace(picture, milliseconds=milliseconds)

    def _rows(self) -> Rows | None:
        # Of what follows the first frame, only Pillow knows where it is, and what it lies on.
        return None if self._later else self._codec.rows(self._image, self._file)

    def read(self, wanted: Wanted) -> Picture:
        """The picture; of an animation or a document, the first frame."""
        mended = self._codec.mended(self._file, self._image.width * self._image.height)
        if mended is not None:
            self._file, self._mended = mended, True
        if self._counted or mended is not None:  # counting may have met a damaged frame
            self._image = self._again(self._file)
        codec, image, file = self._codec, self._image, self._file
        orientation = codec.orientation(image, file)
        bits = codec.bits(image, file)
        compression = codec.stated_compression(image, file)
        damaged = not self._later and codec.is_damaged(file, image.width * image.height)
        rows = self._rows()
        # Pillow makes the best of damage that would end the rows.
        if rows is not None and not (rows.exact or (wanted.streamed and not damaged)):
            rows = None
        picture = codec.to_picture(image, orientation, bits, wanted, file, rows)
        notes = list(picture.notes)
        if self._mended:
            notes.insert(0, _NO_END)
        if damaged:
            notes.insert(0, DAMAGED)
        # Counted last, when the pixels are ours: a frame that is damaged must not spoil the first.
        self._counted = True
        frames = _count_frames(image)
        if frames > 1 and not self._chosen:
            notes.append(only_the_first(frames))
        return replace(picture, notes=tuple(notes), compression=compression)


def _is_animated(image: Image.Image) -> bool:
    """Whether its frames, if there are several, are those of an animation."""
    return image.format in ("GIF", "PNG", "WEBP", "AVIF")


def _plays(image: Image.Image) -> int:
    """How many times an animation is shown; 0 for ever."""
    loop = image.info.get("loop")
    if image.format == "GIF":  # which says how many times more, or nothing
        return 1 if loop is None else loop + 1 if loop else 0
    return loop if isinstance(loop, int) else 0


def _count_frames(image: Image.Image) -> int:
    """Number of frames or pages; 1 where counting meets damage."""
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except PictureError:  # none can be read
        raise
    except Exception:  # any, as in decoding; the first frame is not concerned
        return 1
