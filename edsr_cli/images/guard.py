"""Pillow made safe for hostile files: how large they may be, and every failure one clear line."""

import ctypes
import errno
import logging
import re
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import Image, PngImagePlugin, _imaging

from edsr_cli.errors import EdsrError, FileError, Kind, PictureError
from edsr_cli.files.reasons import kind_of_system_error

MAX_PNG_CHUNK_BYTES = 2**24
"""What a text or profile in a PNG may unpack to. Pillow allows 1 MiB, less than the profiles of
some scanners or the editing history that Photoshop writes as XMP."""

# Pillow logs some failures as errors, and logging prints errors to stderr where nobody listens.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def _silence_libtiff() -> None:
    """Stop libtiff from writing to stderr; its failures reach us as exceptions all the same.

    Pillow has no way to ask for that. Where libtiff is a shared library, as in the wheels for Linux
    and macOS, its function is found through Pillow's own library.
    """
    with suppress(AttributeError, OSError, TypeError):
        pillow = ctypes.CDLL(_imaging.__file__)
        for function in (pillow.TIFFSetErrorHandler, pillow.TIFFSetWarningHandler):
            function.argtypes = [ctypes.c_void_p]
            function.restype = ctypes.c_void_p
            function(None)


_silence_libtiff()


class TooLargeError(PictureError):
    """A picture has more pixels than are allowed, or than a format can hold."""

    of_class = Kind.TOO_LARGE


class _Limits:
    """Pillow's process-wide guard against large pictures, replaced while any thread decodes.

    Pillow has one limit for the process, and two for one: it warns above `MAX_IMAGE_PIXELS` and
    fails above twice that. While pictures are decoded it is set so that it fails above the largest
    limit in use, which also covers sizes that only the plugins see (tiles, frames); each call
    checks its own limit itself. Likewise its limit on text in PNG files is raised, and warnings of
    its modules are ignored. What was set before is put back when the last call leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[int] = []
        self._saved: tuple[int | None, int] = (None, 0)
        self._warnings = warnings.catch_warnings()

    def enter(self, max_pixels: int) -> None:
        with self._lock:
            if not self._active:
                self._saved = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
                PngImagePlugin.MAX_TEXT_CHUNK = MAX_PNG_CHUNK_BYTES
                self._warnings = warnings.catch_warnings()
                self._warnings.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._active.append(max_pixels)
            self._apply()

    def leave(self, max_pixels: int) -> None:
        with self._lock:
            self._active.remove(max_pixels)
            if self._active:
                self._apply()
            else:
                Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = self._saved
                self._warnings.__exit__(None, None, None)

    def _apply(self) -> None:
        Image.MAX_IMAGE_PIXELS = (max(self._active) + 1) // 2


_limits = _Limits()


@contextmanager
def limits(max_pixels: int) -> Iterator[None]:
    """Run code of Pillow without its warnings, with our limit on pictures instead of its own."""
    _limits.enter(max_pixels)
    try:
        yield
    finally:
        _limits.leave(max_pixels)


@contextmanager
def guarded(name: str, max_pixels: int) -> Iterator[None]:
    """Run Pillow's decoders on one picture: our limit, no warnings, and only `PictureError`.

    Args:
        name: what to call the picture in messages.
        max_pixels: the limit on its width times its height.

    Raises:
        PictureError: instead of any other `Exception`; plugins meet damaged files with all kinds.
        TypeError, AttributeError, NameError, AssertionError: our own code is wrong, or has been
            given something wrong, and not the file.
    """
    try:
        with limits(max_pixels):
            yield
    except FileError as error:
        if isinstance(error, PictureError) and error.about:
            raise
        # Codecs need not know what the file is called, nor scratch files what they are for.
        what, hint, about = error.what, error.hint, error.about or name
        raise PictureError(what, hint, about=about, kind=error.kind) from error
    except EdsrError:
        raise
    except Exception as error:
        if _is_mistake(error):
            raise
        raise _explain(error, name, max_pixels) from error


def check_pixels(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture with no pixels or with more than the limit.

    Raises:
        PictureError: it does.
    """
    if width < 1 or height < 1:
        raise PictureError(f"it has no pixels ({width} x {height}).", "Copy it again.", about=name)
    if width * height > max_pixels:
        raise _too_large(name, f"{width} x {height} pixels", max_pixels)


def check_frame(frame: int, frames: int, name: str) -> None:
    """Refuse the number of a frame or page that there is not.

    Raises:
        PictureError: it is not from 1 to `frames`.
    """
    if not 1 <= frame <= frames:
        there = "only one frame or page" if frames == 1 else f"only {frames} frames or pages"
        raise PictureError(
            f"there is no frame or page {frame}: it has {there}.",
            f"Ask for one from 1 to {frames}." if frames > 1 else "Leave out --frame.",
            about=name,
        )


MAX_FRAMES = 2**16
"""Most frames or pages of one file that are made larger."""


def check_frames(name: str, frames: int, pixels: int, max_pixels: int) -> None:
    """Refuse more frames than are made larger, or more pixels in all of them than the limit.

    Raises:
        TooLargeError: there are.
    """
    if frames > MAX_FRAMES:
        raise TooLargeError(
            f"it has {frames:,} frames or pages, and at most {MAX_FRAMES:,} are made larger.",
            "Take single ones with --frame.",
            about=name,
        )
    if pixels > max_pixels:
        raise _too_large(name, f"{pixels:,} pixels in {frames:,} frames or pages", max_pixels)


OTHER_FRAMES = "--frame takes another"
"""The end of the remark on a picture that has more frames or pages."""


def only_the_first(frames: int) -> str:
    """A remark on a picture that has more frames or pages, where none was chosen."""
    return f"only the first of {frames} frames or pages is used; {OTHER_FRAMES}"


def _too_large(name: str, size: str, max_pixels: int) -> PictureError:
    return TooLargeError(
        f"{size} are more than the limit of {max_pixels:,} pixels.",
        "If you trust the file, raise the limit with --max-pixels.",
        about=name,
    )


def unpacks_to_too_much(name: str = "") -> PictureError:
    """The error for texts or a profile in which much is packed into few bytes."""
    return PictureError(
        "its text or profile unpacks to far more data than is reasonable.",
        "If you trust the file, save it again without metadata.",
        about=name,
    )


def _is_mistake(error: Exception) -> bool:
    """Whether it is our own code that has failed, and no decoder."""
    if not isinstance(error, (TypeError, AttributeError, NameError, AssertionError)):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].partition(".")[0] == __name__.partition(".")[0]


def _explain(error: Exception, name: str, max_pixels: int) -> PictureError:
    text = " ".join(str(error).split())
    again = "Copy or download it again."
    if isinstance(error, Image.DecompressionBombError):
        count = re.search(r"\(([0-9]+) pixels\)", text)
        size = f"{int(count[1]):,} pixels" if count else "parts of it"
        return _too_large(name, size, max_pixels)
    if isinstance(error, MemoryError):
        return PictureError(
            "not enough memory to decode it.",
            "Close other programs.",
            about=name,
            kind=Kind.MEMORY,
        )
    # A damaged offset makes Pillow seek to nowhere, which the system calls EINVAL.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        kind = kind_of_system_error(error, reading=True)
        return PictureError(f"it cannot be read ({error.strerror}).", again, about=name, kind=kind)
    if "Decompressed data too large" in text or "text memory" in text:
        return unpacks_to_too_much(name)
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return PictureError("the file is cut short.", again, about=name)
    return PictureError(
        "the picture is damaged or of a rare kind that cannot be read.", again, about=name
    )
