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

from edsr_cli.errors import EdsrError, PictureError
from edsr_cli.images.atomic import atomic_write
from edsr_cli.images.exif import with_size
from edsr_cli.images.formats import OutputFormat
from edsr_cli.images.guard import limits
from edsr_cli.images.metadata import xmp_with_size
from edsr_cli.images.picture import DEFAULT_MAX_PIXELS, Metadata, Pixels
from edsr_cli.images.rounding import to_uint8
from edsr_cli.images.source import display_name
from edsr_cli.images.tiff import write_tiff

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

_JPEG_MARKER_BYTES = 65533
_JPEG_XMP_BYTES = _JPEG_MARKER_BYTES - 29  # less the name of the marker's content
_JPEG_ICC_BYTES = 255 * (_JPEG_MARKER_BYTES - 14)  # in at most 255 markers


def encode(
    pixels: Pixels,
    output_format: OutputFormat,
    metadata: Metadata,
    file: BinaryIO,
    compression: int | None = None,
) -> tuple[str, ...]:
    """Write a picture to a binary file.

    Widths and heights that the EXIF and XMP data state are set to those of the pixels.

    Args:
        pixels: RGB, shape (H, W, 3), uint8 in 0..255 or uint16 in 0..65535. All formats are written
            with 8 bits; uint16 is rounded to the nearest.
        output_format: the format to write.
        metadata: what to put beside the pixels.
        file: where to write; a pipe will do. It is neither flushed nor closed.
        compression: deflate level of PNG, 0 to 9; None for `PNG_STRATEGY`.

    Returns:
        Remarks for the user on what the format cannot hold, one line each.

    Raises:
        PictureError: the format cannot hold a picture of that size, or encoding fails.
        OSError: `file` cannot be written to.
    """
    data = to_uint8(pixels)
    height, width = data.shape[:2]
    output_format.check_size(width, height)
    metadata, notes = _prepare(metadata, output_format, width, height)
    try:
        with limits(DEFAULT_MAX_PIXELS):
            _write(data, output_format, metadata, file, compression)
    except EdsrError:
        raise
    except MemoryError as error:
        raise PictureError(
            f"there is not enough memory to write {width} x {height} pixels as "
            f"{output_format.name}.",
            "Write it as TIFF, which needs the least.",
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

    Returns:
        Remarks for the user on what the format cannot hold, one line each.

    Raises:
        PictureError: the file exists and may not be replaced, cannot be written, or the picture
            does not fit into the format. Nothing is left behind.
    """
    with atomic_write(path, overwrite, commit=commit) as file:
        target = file if check is None else cast(BinaryIO, _Checked(file, check))
        try:
            return encode(pixels, output_format, metadata, target, compression)
        except PictureError as error:
            raise PictureError(f"{display_name(path)}: {error.message}", error.hint) from error


def _prepare(
    metadata: Metadata, output_format: OutputFormat, width: int, height: int
) -> tuple[Metadata, tuple[str, ...]]:
    """The metadata that the format can hold, with the new size, and remarks on the rest."""
    values: dict[str, Any] = {
        "ICC profile": metadata.icc_profile,
        "EXIF data": metadata.exif,
        "XMP data": metadata.xmp,
        "resolution": metadata.dpi,
    }
    notes = []
    for kind, value in values.items():
        if value and kind not in output_format.keeps:
            values[kind] = None
            # That pixels per inch are lost matters to nobody; that colours shift does.
            if kind != "resolution":
                notes.append(f"{output_format.name} cannot hold the {kind}: dropped")
    hdr = metadata.hdr
    if hdr and output_format.name not in ("PNG", "AVIF"):
        hdr = None
        left = ": only its ICC profile is kept" if values["ICC profile"] else ""
        notes.append(f"{output_format.name} cannot hold its HDR colours (PQ or HLG){left}")
    if hdr and output_format.name == "AVIF":
        values["ICC profile"] = None  # it would override what is exact
    if values["EXIF data"]:
        try:
            values["EXIF data"] = with_size(values["EXIF data"], width, height)
        except ValueError:
            values["EXIF data"] = None
            notes.append("the EXIF data is damaged: dropped")
    if values["XMP data"]:
        values["XMP data"] = xmp_with_size(values["XMP data"], width, height)
    if output_format.name == "JPEG":
        jpeg_limits = {"ICC profile": _JPEG_ICC_BYTES, "EXIF data": _JPEG_MARKER_BYTES - 6,
                   "XMP data": _JPEG_XMP_BYTES}  # fmt: skip
        for kind, limit in jpeg_limits.items():
            if values[kind] and len(values[kind]) > limit:
                values[kind] = None
                notes.append(f"the {kind} is too long for JPEG: dropped")
    return Metadata(*values.values(), hdr=hdr), tuple(notes)


def _write(
    data: NDArray[np.uint8],
    output_format: OutputFormat,
    metadata: Metadata,
    file: BinaryIO,
    compression: int | None,
) -> None:
    if output_format.name == "TIFF":
        if file.seekable():
            write_tiff(data, metadata, file)
            return
        with tempfile.TemporaryFile() as buffer:
            write_tiff(data, metadata, buffer)
            buffer.seek(0)
            shutil.copyfileobj(buffer, file)
        return
    options = _options(output_format.name, metadata, compression)
    # Everything is passed, even if empty: what is not, Pillow may take from elsewhere.
    if metadata.icc_profile:
        options["icc_profile"] = metadata.icc_profile
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    image = Image.fromarray(data)
    if output_format.name == "AVIF" and metadata.hdr:
        made = io.BytesIO()
        image.save(made, output_format.name, **options)
        file.write(_with_code_points(made.getvalue(), metadata.hdr))
        return
    image.save(_Sink(file), output_format.name, **options)  # type: ignore[arg-type]


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
        if compression is None:
            return {"compress_level": 1, "compress_type": PNG_STRATEGY, "pnginfo": chunks}
        return {"compress_level": compression, "pnginfo": chunks}
    if name == "BMP":
        return {}
    options: dict[str, Any] = {"xmp": metadata.xmp} if metadata.xmp else {}
    if name == "JPEG":
        return options | {"quality": JPEG_QUALITY, "subsampling": "4:4:4"}
    if name == "WebP":
        return options | {"lossless": True, "quality": WEBP_EFFORT, "method": WEBP_METHOD}
    return options | {"quality": AVIF_QUALITY, "speed": AVIF_SPEED, "subsampling": "4:4:4"}


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
