"""Opening what the user names, whatever it turns out to be."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from edsr_cli.errors import PictureError
from edsr_cli.files.reasons import kind_of_system_error

# Beginnings of files: where, which bytes, and what such a file is called. The first group are
# formats that are read, so a file that begins like this and yet cannot be opened is damaged.
_READ = (
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (8, b"WEBP", "WebP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
    (4, b"ftypavi", "AVIF"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"8BPS", "PSD"),
    (0, b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (0, b"\x00\x00\x00\x0cJXL", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
)
_OPTIONAL = {
    "HEIC": ("pillow_heif", "pillow-heif", "heif"),
    "JPEG XL": ("OpenImageIO", "OpenImageIO", "jxl"),
}
"""Formats of the first group that take a module, what people call it, and the extra with it."""
_NOT_READ = (
    (4, b"ftypcrx", "camera raw"),
    (0, b"IIU\0", "camera raw"),  # Panasonic, Leica
    (0, b"IIRO", "camera raw"),  # Olympus
    (0, b"IIRS", "camera raw"),
    (0, b"MMOR", "camera raw"),
    (0, b"FUJIFILMCCD-RAW", "camera raw"),
    (6, b"HEAPCCDR", "camera raw"),  # Canon's before CR2
    (0, b"FOVb", "camera raw"),  # Sigma
    (0, b"\0MRM", "camera raw"),  # Minolta
    (4, b"ftyp", "video"),
    (0, b"RIFF", "video or sound"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "SVG or other XML"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?R", "Radiance HDR"),
)


Source = Path | bytes | BinaryIO
"""Path of a file, its content, or a seekable binary file that is open, and stays so."""


@contextmanager
def open_source(source: Source, name: str) -> Iterator[BinaryIO]:
    """Give a seekable binary file with the content of a regular file, or of bytes in memory.

    Anything but a regular file (a folder, a pipe, a device) is refused before it is read, since
    reading it might block or never end.

    Args:
        source: what to open.
        name: what to call it in messages.

    Raises:
        PictureError: there is no such file, it may not be read, it is not a regular file, or it
            is empty.
    """
    if isinstance(source, bytes):
        if not source:
            raise PictureError("there is no data.", "Give it the content of a picture.", about=name)
        yield io.BytesIO(source)
        return
    if not isinstance(source, Path):
        yield source
        return
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to must not wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(source, flags)
    except (OSError, ValueError) as error:
        raise _cannot_open(source, name, error) from error
    try:
        _check_kind(os.fstat(descriptor), name)
    except PictureError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


@contextmanager
def kept_position(file: BinaryIO) -> Iterator[None]:
    """Leave the position of a file as it was."""
    position = file.tell()
    try:
        yield
    finally:
        file.seek(position)


def _works(module: str) -> bool:
    """Whether a module is there, and can be imported."""
    if find_spec(module) is None:
        return False
    try:
        import_module(module)
    except Exception:  # whatever a broken one may raise
        return False
    return True


def not_a_picture(file: BinaryIO, name: str) -> PictureError:
    """The error for a file that no decoder recognises: what it seems to be, and what to do.

    Args:
        file: the file, seekable.
        name: what to call it in the message.
    """
    file.seek(0)
    start = file.read(16)
    for offset, magic, kind in _READ:
        if start.startswith(magic, offset):
            module, package, extra = _OPTIONAL.get(kind, ("", "", ""))
            if module and not _works(module):
                there = find_spec(module) is not None
                return PictureError(
                    f"{kind} files cannot be read"
                    + (f": {package} does not work here." if there else f" without {package}."),
                    f'Install it {"again " if there else ""}(pip install "edsr-cli[{extra}]"), or '
                    "convert it to PNG or JPEG first.",
                    about=name,
                )
            return PictureError(
                f"it looks like {kind}, but is damaged or of a rare kind that cannot be read.",
                "Copy or download it again, or save it as an ordinary PNG with an image editor.",
                about=name,
            )
    for offset, magic, kind in _NOT_READ:
        if start.startswith(magic, offset):
            if kind == "camera raw":
                return camera_raw(name)
            return PictureError(
                f"{kind} files cannot be read.", "Convert it to PNG or JPEG first.", about=name
            )
    return PictureError(
        "this is not a picture of a known format.",
        "Give it a PNG, JPEG, WebP, AVIF, TIFF, BMP or GIF file.",
        about=name,
    )


def camera_raw(name: str) -> PictureError:
    """The error for the raw data of a camera's sensor."""
    return PictureError(
        "camera raw files cannot be read.",
        "Develop it with a raw converter, such as darktable or RawTherapee, to TIFF or PNG first.",
        about=name,
    )


def _check_kind(status: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise _is_a_folder(name)
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(
            "this is a device or a pipe, not a file.",
            "Send its content through standard input instead.",
            about=name,
        )
    if status.st_size == 0:
        raise PictureError("the file is empty.", "Copy or download it again.", about=name)


def _is_a_folder(name: str) -> PictureError:
    return PictureError(
        "this is a folder, not a picture.", "For all that is in it: edsr batch.", about=name
    )


def _cannot_open(path: Path, name: str, error: OSError | ValueError) -> PictureError:
    code = error.errno if isinstance(error, OSError) else None
    kind = kind_of_system_error(error, reading=True) if isinstance(error, OSError) else None
    hint = "Check the name."
    if code in (errno.ENOENT, errno.ENOTDIR):
        what = "there is no such file."
    elif code == errno.EACCES and os.name == "nt" and path.is_dir():
        return _is_a_folder(name)
    elif code in (errno.EACCES, errno.EPERM):
        what, hint = "no permission to read this file.", "Check its permissions."
    elif code == errno.ENXIO:  # a socket
        what = "this is not a file."
    else:
        detail = os.strerror(code) if code else "this cannot be the name of a file"
        what = f"it cannot be opened ({detail})."
    return PictureError(what, hint, about=name, kind=kind)
