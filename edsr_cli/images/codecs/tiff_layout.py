"""How the pixels of a TIFF page are stored, and which ways of storing them are understood."""

from msgspec import Struct

from edsr_cli.errors import PictureError
from edsr_cli.images.codecs import segments as packed
from edsr_cli.images.codecs.tiff_pages import Directory
from edsr_cli.images.guard import check_pixels

WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
ASSOCIATED, UNASSOCIATED = 1, 2  # kinds of extra samples; others are no alpha
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4  # sample formats
_COLOURS = {WHITE_IS_0: 1, BLACK_IS_0: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, CIELAB: 3,
            ICCLAB: 3}  # fmt: skip
_SPACES = {4: "a mask", 10: "ITU L*a*b*", 32844: "LogL", 32845: "LogLuv"}
_METHODS = {2: "CCITT", 3: "CCITT fax 3", 4: "CCITT fax 4", 6: "JPEG of the old kind", 7: "JPEG",
            9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 33003: "JPEG 2000",
            33004: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG", 34676: "SGILog",
            34677: "SGILog", 34712: "JPEG 2000", 34887: "LERC", 50001: "WebP", 50002: "JPEG XL",
            52546: "JPEG XL"}  # fmt: skip
_PREDICTED = frozenset((packed.LZW, packed.DEFLATE, packed.OLD_DEFLATE, packed.LZMA, packed.ZSTD))
_SEGMENT_BYTES_A_PIXEL = 8  # RGB and alpha of 16 bits


class Layout(Struct, frozen=True):
    """How the pixels of a page are stored.

    Attributes:
        width, height: of the picture as stored, in pixels.
        photometric: what the colours are, as TIFF numbers it.
        colours: channels of colour.
        channels: channels in all.
        alpha: number of the channel that is alpha; None where there is none.
        associated: whether the colours are multiplied by alpha.
        bits: bits of each channel.
        sample_format: what kind of numbers they are, as TIFF numbers it.
        planar: whether each channel is stored by itself.
        method: of compression, as TIFF numbers it.
        differences: whether samples are stored as differences to their left neighbours.
        reversed: whether the bits of every byte of data are reversed.
        tiled: whether the segments are tiles, not strips.
        segment: width and height of a tile or a strip.
        subsampling: pixels that share one colour, across and down.
        orientation: as in EXIF, 1 to 8.
    """

    width: int
    height: int
    photometric: int
    colours: int
    channels: int
    alpha: int | None
    associated: bool
    bits: int
    sample_format: int
    planar: bool
    method: int
    differences: bool
    reversed: bool
    tiled: bool
    segment: tuple[int, int]
    subsampling: tuple[int, int]
    orientation: int

    @property
    def colour_bits(self) -> int:
        """Bits of each colour; those of a palette have 8, whatever its indices have."""
        return 8 if self.photometric == PALETTE else self.bits

    @property
    def mode(self) -> str:
        """Pillow's name for such pixels."""
        if self.photometric in (WHITE_IS_0, BLACK_IS_0):
            deep = "I;16" if self.bits <= 16 else "F" if self.sample_format == FLOAT else "I"
            mode = "1" if self.bits == 1 else "L" if self.bits <= 8 else deep
            return "LA" if mode == "L" and self.alpha else mode
        if self.photometric == RGB:
            return "RGBA" if self.alpha else "RGB"
        return {PALETTE: "P", CMYK: "CMYK", YCBCR: "RGB"}.get(self.photometric, "LAB")


def read_layout(page: Directory, name: str, max_pixels: int) -> Layout:
    """Read how a page is stored.

    Args:
        page: its directory.
        name: what to call the file in messages.
        max_pixels: the largest width times height that is accepted, of the picture and of a tile.

    Raises:
        PictureError: in a way that is not understood, or it is too large.
        ValueError: the directory is damaged.
    """
    width, height = page.integer(256, 0), page.integer(257, 0)
    check_pixels(name, width, height, max_pixels)
    method = page.integer(259, 1)
    photometric = _photometric(page, method, name)
    colours = _COLOURS[photometric]
    channels = page.integer(277, 3 if method == packed.OLD_JPEG and colours == 3 else 1)
    if channels < colours:
        raise refused(name, f"it has {channels} channels where its colours need {colours}")
    kinds = page.integers(338)[: channels - colours]
    alpha = next((i for i, kind in enumerate(kinds) if kind in (ASSOCIATED, UNASSOCIATED)), None)
    planar = page.integer(284, 1) == 2 and channels > 1
    segment, tiled = _segment(page, width, height)
    check_pixels(name, *segment, max_pixels)
    orientation = next(iter(page.integers(274, 1)), 1)
    layout = Layout(
        width=width,
        height=height,
        photometric=photometric,
        colours=colours,
        channels=channels,
        alpha=None if alpha is None else colours + alpha,
        associated=alpha is not None and kinds[alpha] == ASSOCIATED,
        bits=_common(page.integers(258), 1, channels, "depths", name),
        sample_format=_common(page.integers(339), UNSIGNED, channels, "kinds of numbers", name),
        planar=planar,
        method=method,
        differences=_differences(page, method, name),
        reversed=page.integer(266, 1) == 2 and method not in packed.PIXEL_METHODS,
        tiled=tiled,
        segment=segment,
        subsampling=_subsampling(page, photometric, name),
        orientation=orientation if 1 <= orientation <= 8 else 1,
    )
    _check(layout, page, name, max_pixels)
    return layout


def refused(name: str, why: str) -> PictureError:
    """The error for a page that is stored in a way that is not understood."""
    return PictureError(
        f"{why}, which cannot be read.",
        "Save it as an ordinary TIFF or PNG, of 8 or 16 bits, with an image editor.",
        about=name,
    )


def _photometric(page: Directory, method: int, name: str) -> int:
    if method == packed.OLD_JPEG:
        return BLACK_IS_0 if page.integer(277, 3) == 1 else YCBCR
    value = page.integer(262, WHITE_IS_0 if method in packed.FAX_METHODS else -1)
    if value == -1:
        raise PictureError(
            "it does not say what its colours are (PhotometricInterpretation).",
            "Copy it again, or save it as PNG with an image editor.",
            about=name,
        )
    if value not in _COLOURS:
        raise refused(
            name, f"its colours are {_SPACES.get(value, f'of an unknown kind ({value})')}"
        )
    return value


def _common(values: tuple[int, ...], default: int, channels: int, what: str, name: str) -> int:
    """The value that all channels have; one may stand for all."""
    different = set(values[:channels])
    if len(different) > 1:
        raise refused(name, f"its channels have different {what}")
    return different.pop() if different else default


def _segment(page: Directory, width: int, height: int) -> tuple[tuple[int, int], bool]:
    """Width and height of the tiles or strips, and whether they are tiles."""
    if 322 in page and 323 in page:
        return (max(0, page.integer(322, 0)), max(0, page.integer(323, 0))), True
    rows = page.integer(278, height)
    return (width, rows if 0 < rows < height else height), False


def _differences(page: Directory, method: int, name: str) -> bool:
    predictor = page.integer(317, 1) if method in _PREDICTED else 1
    if predictor == 3:
        raise refused(name, "its pixels are floating-point numbers")
    if predictor not in (1, 2):
        raise refused(name, f"its predictor is of an unknown kind ({predictor})")
    return predictor == 2


def _subsampling(page: Directory, photometric: int, name: str) -> tuple[int, int]:
    if photometric != YCBCR:
        return 1, 1
    across, down = (*page.integers(530, 2), 2, 2)[:2] if 530 in page else (2, 2)
    if not {across, down} <= {1, 2, 4}:
        raise refused(name, f"one colour stands for {across} x {down} pixels")
    return across, down


def _check(layout: Layout, page: Directory, name: str, max_pixels: int) -> None:
    """Refuse what is not understood."""
    bits, method = layout.bits, layout.method
    known = packed.BYTE_METHODS | packed.FAX_METHODS | packed.PIXEL_METHODS
    if method not in known | {packed.NONE, packed.OLD_JPEG}:
        raise refused(name, f"it is compressed as {_METHODS.get(method, f'number {method}')}")
    if layout.sample_format == FLOAT:
        raise PictureError(
            "its pixels are floating-point numbers, which cannot be read.",
            "Save it with 8 or 16 bits per channel first.",
            about=name,
        )
    if layout.sample_format not in (UNSIGNED, SIGNED, UNDEFINED):
        raise refused(name, "its pixels are complex numbers")
    grey = layout.photometric in (WHITE_IS_0, BLACK_IS_0)
    if not (1 <= bits <= 16 or (bits == 32 and grey)):
        raise refused(name, f"its channels have {bits} bits")
    if layout.sample_format == SIGNED and bits not in (8, 16, 32):
        raise refused(name, f"its channels are signed numbers of {bits} bits")
    if layout.differences and bits not in (8, 16, 32):
        raise refused(name, f"it has differences of {bits} bits")
    if method in packed.FAX_METHODS and (bits != 1 or layout.channels > 1):
        raise refused(name, f"it is compressed as {_METHODS[method]}, but not black and white")
    in_segment = 1 if layout.planar else layout.channels
    if method in packed.PIXEL_METHODS and (
        bits != 8 or in_segment > 4 or (method == packed.WEBP and in_segment < 3)
    ):
        raise refused(
            name,
            f"it is compressed as {_METHODS[method]} with {in_segment} channels of {bits} bits",
        )
    if layout.photometric == CMYK and page.integer(332, 1) != 1:
        raise refused(name, "its colours are inks other than CMYK")
    if layout.photometric in (CIELAB, ICCLAB) and bits not in (8, 16):
        raise refused(name, f"its colours are L*a*b* of {bits} bits")
    if layout.photometric == YCBCR:
        _check_ycbcr(layout, name)
    width, height = layout.segment
    if width * height * in_segment * bits > 8 * _SEGMENT_BYTES_A_PIXEL * max_pixels:
        raise refused(name, f"its {layout.channels} channels of {bits} bits are too much at once")


def _check_ycbcr(layout: Layout, name: str) -> None:
    if layout.bits != 8:
        raise refused(name, f"its colours are YCbCr of {layout.bits} bits")
    if layout.method in (packed.JPEG, packed.OLD_JPEG) and not layout.planar:
        if layout.channels > 3:
            raise refused(name, "its colours are YCbCr in JPEG with more channels")
        return
    if layout.method == packed.WEBP:
        raise refused(name, "its colours are YCbCr in WebP")
    if layout.subsampling != (1, 1):
        if layout.planar or layout.channels > 3 or layout.differences:
            raise refused(name, "its colours are YCbCr of lower resolution, stored in a rare way")
        if layout.tiled and any(
            side % by for side, by in zip(layout.segment, layout.subsampling, strict=True)
        ):
            raise refused(name, "its tiles cut through the pixels that share a colour")
