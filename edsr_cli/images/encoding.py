"""Pictures to files."""

import io
import os
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from edsr_cli.errors import EdsrError, Kind, PictureError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.names import display_name
from edsr_cli.images import iptc, xmp
from edsr_cli.images.fitting import JPEG_XMP_BYTES, fit
from edsr_cli.images.formats import OutputFormat
from edsr_cli.images.guard import limits
from edsr_cli.images.picture import DEFAULT_MAX_PIXELS, Metadata, Text
from edsr_cli.images.rounding import to_uint8
from edsr_cli.images.tiff import write_tiff
from edsr_cli.pixels.arrays import Pixels

# zlib's strategy that looks for nothing but runs of equal bytes: the filters of PNG have already
# taken out what a photograph repeats. On photographs enlarged x4 it makes files as small as level 7
# in less time than level 1, and on text files 1 % larger; see benchmarks/encoding.py.
PNG_STRATEGY = 3  # Z_RLE
"""How PNG is compressed where no level is asked for."""

JPEG_QUALITY = 95
"""Quality for JPEG, without chroma subsampling: higher values grow the file for no visible gain."""

# WebP is lossless because its lossy kind always halves the resolution of colour, which is what
# upscaling is to restore. Effort 20 with method 2: 0.19 s a megapixel and a quarter smaller than
# PNG; effort 80 with method 4 takes twice as long for nothing.
WEBP_EFFORT, WEBP_METHOD = 20, 2
"""Effort (0 to 100) and method (0 to 6) for lossless WebP."""

# Speed 8 takes 0.04 to 0.09 s a megapixel, speed 6 five times that for files 10 % smaller.
AVIF_QUALITY, AVIF_SPEED = 90, 8
"""Quality (0 to 100) and speed (0 to 10) for AVIF, without chroma subsampling."""

# Lossy alpha would be neither opaque nor transparent anywhere, and colours under it may be needed
# by whoever scales the picture next.
_ALPHA_OPTIONS: dict[str, dict[str, Any]] = {
    "WebP": {"exact": True},
    "AVIF": {"codec": "aom", "advanced": {"alpha:lossless": "1"}},
}

_LONG_TEXT = 1024  # characters from which on a text in a PNG is compressed, as the format advises
_EXTENSION_BYTES = 65400  # of extended XMP in one marker of a JPEG


def encode(
    pixels: Pixels,
    output_format: OutputFormat,
    metadata: Metadata,
    file: BinaryIO,
    compression: int | None = None,
    alpha: NDArray[np.uint8] | None = None,
) -> tuple[str, ...]:
    """Write a picture to a binary file.

    What the metadata say in pixels becomes true of the picture that is written; see `fitting`.

    Args:
        pixels: RGB, shape (H, W, 3), uint8 in 0..255 or uint16 in 0..65535. All formats are written
            with 8 bits; uint16 is rounded to the nearest.
        output_format: the format to write.
        metadata: what to put beside the pixels.
        file: where to write; a pipe will do. It is neither flushed nor closed.
        compression: deflate level of PNG, 0 to 9; None for `PNG_STRATEGY`.
        alpha: shape (H, W), which the pixels are not multiplied by; None for none.

    Returns:
        Remarks for the user on what the format cannot hold, one line each.

    Raises:
        PictureError: the format cannot hold a picture of that size, or alpha, or encoding fails.
        OSError: `file` cannot be written to.
    """
    data = to_uint8(pixels)
    height, width = data.shape[:2]
    output_format.check_size(width, height)
    if alpha is not None and not output_format.alpha:
        raise PictureError(
            f"{output_format.name} cannot hold an alpha channel.", "Write it as PNG instead."
        )
    metadata, notes = fit(metadata, output_format, width, height)
    try:
        with limits(DEFAULT_MAX_PIXELS):
            notes += _write(data, output_format, metadata, file, compression, alpha)
    except EdsrError:
        raise
    except MemoryError as error:
        raise PictureError(
            f"there is not enough memory to write {width} x {height} pixels as "
            f"{output_format.name}.",
            "Write it as TIFF, which needs the least.",
            kind=Kind.MEMORY,
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file; Pillow's own have no number
        detail = " ".join(str(error).split())
        raise PictureError(
            f"it cannot be written as {output_format.name} ({detail}).", "Write it as PNG instead."
        ) from error
    return notes


def write_picture(
    path: Path,
    pixels: Pixels,
    output_format: OutputFormat,
    metadata: Metadata,
    overwrite: bool = False,
    compression: int | None = None,
    commit: Callable[[os.stat_result], None] | None = None,
    check: Callable[[], None] | None = None,
    alpha: NDArray[np.uint8] | None = None,
) -> tuple[str, ...]:
    """Write a picture to a file that appears complete or not at all; see `atomic_write`.

    Args:
        path: the file to write.
        pixels: RGB, shape (H, W, 3), uint8 in 0..255 or uint16 in 0..65535.
        output_format: the format to write, whatever the ending of `path`.
        metadata: what to put beside the pixels.
        overwrite: whether a file of that name may be replaced.
        compression: deflate level of PNG, 0 to 9; None for `PNG_STRATEGY`.
        commit: see `atomic_write`.
        check: called before each piece is written. What it raises ends the work, and passes
            unchanged if it is no `Exception`.
        alpha: see `encode`.

    Returns:
        Remarks for the user on what the format cannot hold, one line each.

    Raises:
        PictureError: the file exists and may not be replaced, cannot be written, or the picture
            does not fit into the format. Nothing is left behind.
    """
    with atomic_write(path, overwrite, PictureError, commit) as file:
        target = file if check is None else cast(BinaryIO, _Checked(file, check))
        try:
            return encode(pixels, output_format, metadata, target, compression, alpha)
        except PictureError as error:
            raise PictureError(
                error.message, error.hint, about=display_name(path), kind=error.kind
            ) from error


def _write(
    data: NDArray[np.uint8],
    output_format: OutputFormat,
    metadata: Metadata,
    file: BinaryIO,
    compression: int | None,
    alpha: NDArray[np.uint8] | None,
) -> tuple[str, ...]:
    """Write what the format holds; remarks on what is found out only then."""
    if output_format.name == "TIFF":
        if file.seekable():
            return write_tiff(data, metadata, file, alpha)
        with tempfile.TemporaryFile() as buffer:
            notes = write_tiff(data, metadata, buffer, alpha)
            buffer.seek(0)
            shutil.copyfileobj(buffer, file)
        return notes
    options = _options(output_format.name, metadata, compression)
    # Everything is passed, even if empty: what is not, Pillow may take from elsewhere.
    if metadata.icc_profile:
        options["icc_profile"] = metadata.icc_profile
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    image = Image.fromarray(data)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
        options |= _ALPHA_OPTIONS.get(output_format.name, {})
    if output_format.name == "AVIF" and metadata.hdr:
        made = io.BytesIO()
        image.save(made, output_format.name, **options)
        file.write(_with_code_points(made.getvalue(), metadata.hdr))
        return ()
    image.save(_Sink(file), output_format.name, **options)  # type: ignore[arg-type]
    return ()


def _with_code_points(avif: bytes, points: tuple[int, int, int, int]) -> bytes:
    """An AVIF with other primaries and transfer characteristics, which Pillow cannot set."""
    place = avif.index(b"colrnclx") + 8
    return avif[:place] + struct.pack(">2H", *points[:2]) + avif[place + 4 :]


def _options(name: str, metadata: Metadata, compression: int | None) -> dict[str, Any]:
    """Pillow's options for a format, with the XMP data, which each takes in its own way."""
    if name == "PNG":
        chunks = PngImagePlugin.PngInfo()
        if metadata.hdr:
            chunks.add(b"cICP", bytes(metadata.hdr))
        if metadata.xmp:
            chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
        for text in metadata.texts:
            _add_text(chunks, text)
        if compression is None:
            return {"compress_level": 1, "compress_type": PNG_STRATEGY, "pnginfo": chunks}
        return {"compress_level": compression, "pnginfo": chunks}
    if name == "BMP":
        return {"dpi": (0, 0)}  # for none, where Pillow would make up 96
    if name == "JPEG":
        extra = _jpeg_markers(metadata)
        return {"quality": JPEG_QUALITY, "subsampling": "4:4:4", "extra": extra, "comment": b""}
    options: dict[str, Any] = {"xmp": metadata.xmp} if metadata.xmp else {}
    if name == "WebP":
        return options | {"lossless": True, "quality": WEBP_EFFORT, "method": WEBP_METHOD}
    return options | {"quality": AVIF_QUALITY, "speed": AVIF_SPEED, "subsampling": "4:4:4"}


def _add_text(chunks: PngImagePlugin.PngInfo, text: Text) -> None:
    """Add a text in the oldest kind of chunk that holds it; long ones are compressed."""
    keyword = " ".join(text.keyword.encode("latin-1", "replace").decode("latin-1").split())
    keyword = "".join(c for c in keyword if c.isprintable())[:79].strip() or "Comment"
    value = text.value.replace("\0", "")
    long = len(value) > _LONG_TEXT
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        value = value.encode("utf-8", "replace").decode()
        chunks.add_itxt(keyword, value, text.language, "", zip=long)
        return
    if text.language:
        chunks.add_itxt(keyword, value, text.language, "", zip=long)
    else:
        chunks.add_text(keyword, value, zip=long)


def _jpeg_markers(metadata: Metadata) -> bytes:
    """The markers for XMP, IPTC and comments."""
    markers = []
    if metadata.xmp:
        main, extension = xmp.split(metadata.xmp, JPEG_XMP_BYTES) or (metadata.xmp, b"")
        if len(metadata.xmp) <= JPEG_XMP_BYTES:
            main, extension = metadata.xmp, b""
        markers.append((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main))
        name = xmp.digest(extension).encode()
        for start in range(0, len(extension), _EXTENSION_BYTES):
            head = b"http://ns.adobe.com/xmp/extension/\0" + name
            head += struct.pack(">2L", len(extension), start)
            markers.append((0xE1, head + extension[start : start + _EXTENSION_BYTES]))
    if metadata.iptc:
        markers.append((0xED, b"Photoshop 3.0\0" + iptc.resources(metadata.iptc)))
    markers += [(0xFE, text.value.encode("utf-8", "replace")) for text in metadata.texts]
    return b"".join(struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in markers)


class _Checked:
    """A file that asks before each write whether to go on."""

    def __init__(self, file: BinaryIO, check: Callable[[], None]) -> None:
        self._file, self._check = file, check

    def write(self, data: bytes) -> int:
        self._check()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Sink:
    """The part of a file that Pillow's encoders need.

    With a real file Pillow's C code writes to the descriptor itself, and a full disk comes out as
    "encoder error -2". Without `fileno` it goes through `write`, which says what is wrong.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write
        self.flush = file.flush
