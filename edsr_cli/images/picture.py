"""What passes between decoding, upscaling and encoding: pixels, metadata, remarks, and formats."""

from typing import Any, Literal

import numpy as np
from msgspec import Struct

from edsr_cli.images.guard import TooLargeError
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import dtype_of
from edsr_cli.pixels.planes import Plane
from edsr_cli.pixels.windows import Readable, whole

DEFAULT_MAX_PIXELS = 2**28
"""The largest picture that is read without being asked to, in pixels.

It admits every photograph there is (the largest sensors have 200 million pixels) and every WebP
(16383 x 16383), while a file made to exhaust memory gets no more than 0.75 GiB for its pixels (3
bytes each, twice that with 16 bits), and what its decoder takes beside them: 1 GiB where that is
Pillow's (4 bytes each); `Codec.pixel_bytes` tells of those that take more.
"""


class Compression(Struct, frozen=True):
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


class Text(Struct, frozen=True):
    """A text that a file holds beside its picture.

    Attributes:
        keyword: what it is, such as "Author"; "Comment" for one that a format gives no name.
        value: the text.
        language: the language it is in, such as "fr"; empty where it is not said.
    """

    keyword: str
    value: str
    language: str = ""


class Metadata(Struct, frozen=True):
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
    size: tuple[int, int] | None = None
    software: str | None = None


class Picture(Struct, frozen=True, eq=False):
    """A decoded picture, turned upright.

    Attributes:
        window: its RGB pixels, (H, W, 3): uint8 in 0..255, or uint16 in 0..65535 where the file
            holds more than 8 bits a channel, and its decoder gives them; a remark says where not.
        metadata: what belongs in the output too.
        notes: remarks for the user about what the pixels or the metadata lost, one line each.
        source_format: the format of the file as Pillow calls it, such as "JPEG"; empty for a
            picture that never was a file.
        compression: what the file says about what its pixels lost; None for nothing.
        alpha: shape (H, W), of the pixels' type, 0 where nothing is to be seen; the pixels are not
            multiplied by it. An array, or `Beside` of pixels that come by rows; None where there is
            none, or where it was not asked for.
        grey: whether the file holds shades of grey only, because of how it stores its pixels.
        linear: whether the pixels count light, by their profile: then a network should see them
            through `edsr_cli.pixels.transfer`.
        milliseconds: how long a frame of an animation is shown; None where that is not said.
    """

    window: Readable
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()
    source_format: str = ""
    compression: Compression | None = None
    alpha: Plane | None = None
    grey: bool = False
    linear: bool = False
    milliseconds: float | None = None

    @property
    def pixels(self) -> Pixels:
        """All pixels as one array, C-contiguous; not a copy where they are one already."""
        return whole(self.window)


class PictureInfo(Struct, frozen=True):
    """What the header of a file says, without decoding its pixels.

    Attributes:
        width: width in pixels of the picture turned upright.
        height: height in pixels of the picture turned upright.
        mode: Pillow's name for the kind of pixels, such as "RGB", "P" or "I;16".
        format: the format of the file as Pillow calls it, such as "JPEG".
        bits: bits per channel in the file.
        frames: number of frames or pages in the file; the first one is what is read.
        animated: whether these are frames of one size, shown one after the other; else they are
            pages, each a picture of its own.
        plays: how many times an animation is shown; 0 for ever.
        cover: whether the first frame is no part of the animation, but shown where that cannot be.
        streams: whether its rows can be decoded as they are asked for. If not, to read it streamed
            takes a scratch file of the size of its pixels.
        decoder_bytes: memory that decoding takes beside the pixels; all of it at a time where it is
            not streamed, and also where it is, if `streams` is not set.
    """

    width: int
    height: int
    mode: str
    format: str
    bits: int
    frames: int
    streams: bool = False
    decoder_bytes: int = 0
    animated: bool = False
    plays: int = 1
    cover: bool = False

    @property
    def all_frames(self) -> range:
        """The numbers of the frames that make the animation, or of all pages."""
        return range(2 if self.cover else 1, self.frames + 1)


class Places(Struct, frozen=True):
    """What a format has places of its own for; all others put it into EXIF and XMP data.

    Attributes:
        texts: "all" of them with their keywords, "comments" only, or "none".
        iptc: "own" where IPTC data has a place, "text" where it can be put into a text, or "none".
        hdr: code points of HDR: "beside" an ICC profile, "alone" where a profile would override
            them, or "none".
        icc_bytes, exif_bytes, iptc_bytes: longest profile, EXIF and IPTC data; None for any.
        xmp_bytes: longest XMP data in one piece; None for any.
    """

    texts: Literal["all", "comments", "none"] = "none"
    iptc: Literal["own", "text", "none"] = "none"
    hdr: Literal["beside", "alone", "none"] = "none"
    icc_bytes: int | None = None
    exif_bytes: int | None = None
    iptc_bytes: int | None = None
    xmp_bytes: int | None = None


class OutputOptions(Struct, frozen=True):
    """How a picture is written, where its format leaves a choice.

    Attributes:
        compression: deflate level of PNG, 0 to 9; None for what is best for photographs.
        quality: of JPEG, AVIF, and lossy WebP and JPEG XL, 1 to 100; None for the format's own,
            which for the last two is without loss.
        chroma: "420" or "444": whether the colours of JPEG and AVIF have a quarter of luma's
            resolution, or the same; None for the same.
        tiff: how pixels lie in a TIFF: "strips" of rows, as all programs read them; "tiled", so
            that programs can read any part of it; "pyramid", which has smaller and smaller copies,
            too, for viewers of very large pictures.
        threads: how many compress, where a format lets several.
    """

    compression: int | None = None
    quality: int | None = None
    chroma: str | None = None
    tiff: str = "strips"
    threads: int = 1

    @property
    def subsampling(self) -> str:
        """`chroma` as Pillow calls it."""
        return "4:2:0" if self.chroma == "420" else "4:4:4"


class OutputRequest(Struct, frozen=True, eq=False):
    """What is asked of a picture that is to be written, but for its pixels.

    Attributes:
        size: width and height in pixels.
        metadata: what to put beside the pixels, colours included.
        options: see `OutputOptions`.
        alpha: shape (H, W), uint8 or uint16, which the pixels are not multiplied by, as an array or
            by rows; None for none.
        bits: bits a channel, 1 to 16.
        grey: whether there is one channel, not three.
    """

    size: tuple[int, int]
    metadata: Metadata = Metadata()
    options: OutputOptions = OutputOptions()
    alpha: Plane | None = None
    bits: int = 8
    grey: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3), or (H, W, 1) for greyscale; alpha is not among the channels."""
        width, height = self.size
        return height, width, 1 if self.grey else 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels, uint8 or uint16."""
        return dtype_of(self.bits)


ALL_KINDS = frozenset(("ICC profile", "EXIF data", "XMP data", "resolution", "texts", "IPTC data"))
"""The kinds of metadata that `OutputFormat.keeps` may name."""


class OutputFormat(Struct, frozen=True):
    """A format to write pictures in.

    Attributes:
        name: what to call it, such as "PNG"; Pillow knows it by that, in whatever case, where
            Pillow writes it.
        suffixes: the endings of its file names, lower case, the usual one first.
        max_side: largest width and largest height in pixels.
        max_pixels: largest width times height in pixels, or None where only `max_side` counts.
        max_bytes: largest size in bytes of the rows without compression, each padded to a multiple
            of 4 bytes, or None where it does not matter.
        keeps: the kinds of metadata it can hold, in one way or another: "ICC profile", "EXIF data",
            "XMP data", "resolution", "texts" and "IPTC data".
        encoder_bytes: memory that writing takes for each pixel, beside the pixels themselves, as
            measured on photographs: Pillow's copy, and what the encoder needs.
        alpha: whether it can hold transparency that all programs read.
        depths: the numbers of bits a channel that it is written with, ascending.
        grey: whether it can hold greyscale, in less space than RGB.
        grey_alpha: whether greyscale can have alpha, too, where both can be held.
        takes: the names of `OutputOptions` that matter to it.
        lossy: why what is written is always a little different; empty where it is not.
        holds: whether a file holds "one" picture, an "animation", or "pages", which frames of an
            animation can be, too.
        places: see `Places`.
    """

    name: str
    suffixes: tuple[str, ...]
    max_side: int
    max_pixels: int | None = None
    max_bytes: int | None = None
    keeps: frozenset[str] = ALL_KINDS
    encoder_bytes: int = 4
    alpha: bool = True
    depths: tuple[int, ...] = (8,)
    grey: bool = False
    grey_alpha: bool = True
    takes: frozenset[str] = frozenset()
    lossy: str = ""
    holds: Literal["one", "animation", "pages"] = "one"
    places: Places = Places()

    @property
    def names_its_maker(self) -> bool:
        """Whether a file can say what made it; see `Metadata.software`."""
        return "EXIF data" in self.keeps

    def bits(self, stored: int, depth: str = "auto") -> int:
        """How many bits a channel a picture is written with; this is decided here alone.

        Args:
            stored: how many it has.
            depth: "auto" for the least of `depths` that loses none of them, or else the most;
                "8" or "16" for these, or what the format has that is nearest.
        """
        wanted = stored if depth == "auto" else int(depth)
        return next((bits for bits in self.depths if bits >= wanted), self.depths[-1])

    def can_hold(self, width: int, height: int) -> bool:
        """Whether a picture of such a size, in pixels, can be written and read again."""
        return self._exceeded(width, height) is None

    def check_size(self, width: int, height: int) -> None:
        """Refuse a size, in pixels, that the format cannot hold.

        Raises:
            TooLargeError: it cannot; the hint names the formats that can.
        """
        limit = self._exceeded(width, height)
        if limit is None:
            return
        from edsr_cli.images.formats import FORMATS  # which are made of this

        others = [other.name for other in FORMATS if other.can_hold(width, height)]
        raise TooLargeError(
            f"{width} x {height} pixels do not fit into {self.name}, which holds at most {limit}.",
            f"Write it as {' or '.join(others)} instead." if others else "Make it smaller.",
        )

    def _exceeded(self, width: int, height: int) -> str | None:
        """The limit that a size exceeds, in words; None where it exceeds none."""
        if max(width, height) > self.max_side:
            return f"{self.max_side} pixels a side"
        if self.max_pixels is not None and width * height > self.max_pixels:
            return f"{self.max_pixels:,} pixels"
        if self.max_bytes is not None and (3 * width + 3) // 4 * 4 * height > self.max_bytes:
            return f"{self.max_bytes:,} bytes"
        return None
