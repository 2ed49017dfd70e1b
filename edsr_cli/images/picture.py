"""What passes between decoding, upscaling and encoding: pixels, metadata and remarks."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from edsr_cli.images.quality import Compression
from edsr_cli.pixels.arrays import Pixels

DEFAULT_MAX_PIXELS = 2**28
"""The largest picture that is read without being asked to, in pixels.

It admits every photograph there is (the largest sensors have 200 million pixels) and every WebP
(16383 x 16383), while a file made to exhaust memory gets no more than 1 GiB of Pillow's memory
(4 bytes a pixel) and 0.75 GiB of ours (3 bytes a pixel); a TIFF with alpha and 16 bits, all in one
strip, three times 8 bytes a pixel.
"""


@dataclass(frozen=True)
class Text:
    """A text that a file holds beside its picture.

    Attributes:
        keyword: what it is, such as "Author"; "Comment" for one that a format gives no name.
        value: the text.
        language: the language it is in, such as "fr"; empty where it is not said.
    """

    keyword: str
    value: str
    language: str = ""


@dataclass(frozen=True)
class Metadata:
    r"""What a file says about its picture besides the pixels; None for what it does not say.

    Attributes:
        icc_profile: the ICC profile of the RGB pixels, the file's own or one that says the same as
            it does.
        exif: EXIF data as a TIFF structure ("II*\0..." or "MM\0*..."), without the "Exif\0\0"
            that JPEG puts in front. It has neither an orientation nor a thumbnail.
        xmp: an XMP packet, UTF-8.
        dpi: horizontal and vertical resolution in pixels per inch.
        texts: texts that are in none of these, such as those of PNG, and comments.
        iptc: IPTC-IIM records.
        hdr: code points of H.273 (primaries, transfer characteristics, matrix, full range) of
            colours that no ICC profile describes.
        size: width and height in pixels of the picture that all this was said about; what is
            measured in pixels is scaled by what is written to that. None to leave it alone.
        software: what made the picture, see `edsr_cli.images.provenance`.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: tuple[Text, ...] = ()
    iptc: bytes | None = None
    hdr: tuple[int, int, int, int] | None = None
    size: tuple[int, int] | None = field(default=None, compare=False)
    software: str | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, turned upright.

    Attributes:
        pixels: RGB, shape (H, W, 3), C-contiguous; uint8 in 0..255, or uint16 in 0..65535 where the
            file holds greyscale of more than 8 bits, or is a TIFF or PSD of such RGB (all other
            files are read as 8 bits).
        metadata: what belongs in the output too.
        notes: remarks for the user about what the pixels or the metadata lost, one line each.
        source_format: the format of the file as Pillow calls it, such as "JPEG"; empty for a
            picture that never was a file.
        compression: what the file says about what its pixels lost; None for nothing.
        alpha: shape (H, W), of the pixels' type, 0 where nothing is to be seen; the pixels are not
            multiplied by it. None where there is none, or where it was not asked for.
    """

    pixels: Pixels
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()
    source_format: str = ""
    compression: Compression | None = None
    alpha: NDArray[Any] | None = None


@dataclass(frozen=True)
class PictureInfo:
    """What the header of a file says, without decoding its pixels.

    Attributes:
        width: width in pixels of the picture turned upright.
        height: height in pixels of the picture turned upright.
        mode: Pillow's name for the kind of pixels, such as "RGB", "P" or "I;16".
        format: the format of the file as Pillow calls it, such as "JPEG".
        bits: bits per channel in the file.
        frames: number of frames or pages in the file; the first one is what is read.
    """

    width: int
    height: int
    mode: str
    format: str
    bits: int
    frames: int
