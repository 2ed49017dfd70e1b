"""What a file says about how much its picture lost when it was compressed.

A JPEG has its quantisation tables in it, a WebP and an AVIF the index of theirs. Each is brought to
the scale that its usual encoder calls quality, 1 to 100.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from edsr_cli.images.codecs.avif import base_q_index
from edsr_cli.images.codecs.webp import quantiser_indices

_HEADER_BYTES = 1 << 16  # of a WebP or AVIF file, more than enough for where the index is

# Luma of ITU-T T.81, table K.1, which libjpeg scales by the quality; rows are vertical frequencies.
_STANDARD = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


@dataclass(frozen=True)
class Compression:
    """How a picture was compressed, with loss.

    Attributes:
        codec: "JPEG", "WebP" or "AVIF".
        quality: 1 to 100, as libjpeg, libwebp or libavif would call it.
        subsampled: whether colours have a lower resolution than luma.
    """

    codec: str
    quality: int
    subsampled: bool = False

    def __str__(self) -> str:
        return f"{self.codec} of quality {self.quality}"


def stated_compression(image: Image.Image, file: BinaryIO | None = None) -> Compression | None:
    """What a file says about its compression; None for nothing, or no loss. Does not raise.

    Args:
        image: the picture as Pillow has opened it.
        file: the file, seekable; it is left where it was. None if there is none any more.
    """
    try:
        if isinstance(image, JpegImageFile):
            return _of_jpeg(image)
        if file is not None and image.format in ("WEBP", "AVIF"):
            return _of_header(image.format, _beginning(file))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        pass  # whatever is damaged is found, and said, by the decoder
    return None


def luma_table(quality: int) -> NDArray[np.int64]:
    """The quantisation table of luma that libjpeg uses for a quality from 1 to 100, (8, 8)."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_STANDARD * factor + 50) // 100, 1, 255)


def table_quality(table: Sequence[int]) -> int:
    """The quality that libjpeg would call a quantisation table of luma.

    A table of libjpeg's is found exactly. For another encoder's, that quality counts which has its
    mean step in relation to the standard table's.

    Args:
        table: 64 steps, row by row.

    Raises:
        ValueError: there are not 64 steps from 1.
    """
    steps = np.array(table, dtype=np.float64)
    if steps.shape != (64,) or steps.min() < 1:
        raise ValueError("a quantisation table has 64 steps from 1")
    steps = np.minimum(steps, 255).reshape(8, 8)
    known = np.stack([luma_table(quality) for quality in range(1, 101)])
    away = np.abs(known - steps).sum(axis=(1, 2))
    if away.min() == 0:
        return int(np.flatnonzero(away == 0)[-1]) + 1
    # Small frequencies are what is seen, so steps count by how fine they are.
    means = ((known - steps) / _STANDARD).mean(axis=(1, 2))
    return int(np.abs(means).argmin()) + 1


def _of_jpeg(image: JpegImageFile) -> Compression | None:
    layers = image.layer  # (id, horizontal, vertical, table)
    table = image.quantization[layers[0][3]]
    subsampled = len(layers) >= 3 and any(
        layers[0][axis] > layer[axis] for layer in layers[1:3] for axis in (1, 2)
    )
    return Compression("JPEG", table_quality(table), subsampled)


def _of_header(format_name: str, content: bytes) -> Compression | None:
    if format_name == "WEBP":
        indices = quantiser_indices(content)
        return Compression("WebP", webp_quality(indices), True) if indices else None
    index = base_q_index(content)
    return Compression("AVIF", avif_quality(index)) if index else None  # 0 is lossless


def webp_quality(indices: Iterable[int]) -> int:
    """What libwebp calls the quality that leads to these quantiser indices, 0 to 127."""
    values = list(indices)
    compression = 1 - sum(values) / len(values) / 127
    linear = compression**3  # see QualityToCompression in its quant_enc.c
    quality = linear * 1.5 if linear < 0.5 else (linear + 1) / 2
    return min(100, max(1, round(100 * quality)))


def avif_quality(index: int) -> int:
    """What libavif calls the quality that leads to a base_q_idx, 0 to 255."""
    return min(100, max(1, round(100 * (1 - index / 255))))


def _beginning(file: BinaryIO) -> bytes:
    place = file.tell()
    try:
        file.seek(0)
        return file.read(_HEADER_BYTES)
    finally:
        file.seek(place)
