"""The header of a JPEG XL picture, which no decoder tells before it decodes all of it.

The names are those of ISO/IEC 18181-1, Annex D ("Image headers"), and of 18181-2 for the boxes
around it. What follows the kind of colours is not read.
"""

from typing import BinaryIO

from msgspec import Struct

from edsr_cli.images.codecs.boxes import boxes
from edsr_cli.images.source import kept_position

SIGNATURE = b"\xff\x0a"
"""How the picture begins: the codestream, which is a file of its own, or in boxes."""

CONTAINER = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
"""How a file of boxes begins."""

ALPHA = 0
"""The kind of an extra channel that is transparency."""

_LAST_PART = 0x80  # in the number of a part (jxlp)
_HEADER_BYTES = 2**12  # more than a header takes, but for thousands of extra channels
_GREY = 1
_SPOT_COLOUR, _CFA = 2, 5
# The width by the height: what `ratio` stands for.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}

_Choice = tuple[int, int]
"""What a number of variable length may be: so much, and so many bits that are added."""


class JxlHeader(Struct, frozen=True):
    """What the header says.

    Attributes:
        width, height: in pixels, as stored.
        orientation: as in EXIF, 1 to 8; decoders turn the picture by it.
        bits: bits a channel.
        floating: whether samples are floating-point numbers.
        grey: whether there is one channel of colour.
        extra: the kinds of channels behind the colours.
        associated: whether colours have been multiplied by alpha.
        animated: whether there may be several frames.
        lossy: whether it is in XYB, which no picture without loss is.
        profile: whether an ICC profile says what its colours are.
    """

    width: int
    height: int
    orientation: int = 1
    bits: int = 8
    floating: bool = False
    grey: bool = False
    extra: tuple[int, ...] = ()
    associated: bool = False
    animated: bool = False
    lossy: bool = True
    profile: bool = False

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the picture turned upright."""
        if self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height


class _Bits:
    """Numbers from bytes, the least significant bit first."""

    def __init__(self, content: bytes) -> None:
        self._value, self._place, self._size = int.from_bytes(content, "little"), 0, len(content)

    def number(self, bits: int) -> int:
        if self._place + bits > 8 * self._size:
            raise EOFError("the header is cut short")
        value = self._value >> self._place & ((1 << bits) - 1)
        self._place += bits
        return value

    def flag(self) -> bool:
        return bool(self.number(1))

    def varied(self, *choices: _Choice) -> int:
        """U32: two bits say which of four choices it is."""
        least, bits = choices[self.number(2)]
        return least + self.number(bits)

    def enumerated(self) -> int:
        return self.varied((0, 0), (1, 0), (2, 4), (18, 6))


def read_header(file: BinaryIO) -> JxlHeader:
    """Read the header of a file.

    Args:
        file: the file, seekable; its position is kept.

    Raises:
        EOFError: it is cut short.
        ValueError: it is no JPEG XL.
    """
    return _header(codestream(file, _HEADER_BYTES))


def codestream(file: BinaryIO, most: int | None = None) -> bytes:
    """The picture of a file, without the boxes around it.

    Args:
        file: the file, seekable; its position is kept.
        most: how many bytes from the beginning are enough; None for all.

    Raises:
        EOFError: the last part of it is missing, where all was asked for.
    """
    with kept_position(file):
        file.seek(0)
        if file.read(len(SIGNATURE)) == SIGNATURE:
            file.seek(0)
            return file.read(-1 if most is None else most)
    parts, size, whole = [], 0, False
    for box in boxes(file):
        if box.name not in (b"jxlc", b"jxlp"):
            continue
        number = 4 if box.name == b"jxlp" else 0
        left = box.end - box.start if most is None else most - size
        with kept_position(file):
            file.seek(box.start)
            part = file.read(min(left + number, box.end - box.start))
        whole = not number or bool(part[:1] and part[0] & _LAST_PART)
        parts.append(part[number:])
        size += len(parts[-1])
        if whole or (most is not None and size >= most):
            break
    if most is None and not whole:
        raise EOFError("a part of the picture is missing")
    return b"".join(parts)


def _header(content: bytes) -> JxlHeader:
    if content[:2] != SIGNATURE:
        raise ValueError("not a JPEG XL codestream")
    bits = _Bits(content[2:])
    width, height = _size(bits)
    if bits.flag():  # all_default
        return JxlHeader(width, height)
    orientation, animated = 1, False
    if bits.flag():  # extra_fields
        orientation = 1 + bits.number(3)
        if bits.flag():  # have_intrinsic_size
            _size(bits)
        if bits.flag():  # have_preview
            _preview_size(bits)
        animated = bits.flag()
        if animated:
            bits.varied((100, 0), (1000, 0), (1, 10), (1, 30))  # tps_numerator
            bits.varied((1, 0), (1001, 0), (1, 8), (1, 10))  # tps_denominator
            bits.varied((0, 0), (0, 3), (0, 16), (0, 32))  # num_loops
            bits.flag()  # have_timecodes
    floating, depth = _bit_depth(bits)
    bits.flag()  # modular_16bit_buffers
    count = bits.varied((0, 0), (1, 0), (2, 4), (1, 12))
    channels = [_extra_channel(bits) for _ in range(count)]
    lossy = bits.flag()  # xyb_encoded
    grey = profile = False
    if not bits.flag():  # all_default, of the colours
        profile = bits.flag()  # want_icc
        grey = bits.enumerated() == _GREY
    return JxlHeader(
        width,
        height,
        orientation,
        depth,
        floating,
        grey,
        extra=tuple(kind for kind, _ in channels),
        associated=any(associated for _, associated in channels),
        animated=animated,
        lossy=lossy,
        profile=profile,
    )


def _size(bits: _Bits) -> tuple[int, int]:
    """SizeHeader: width and height."""
    small = bits.flag()

    def side() -> int:
        if small:
            return 8 * (1 + bits.number(5))
        return bits.varied((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    return _width(bits.number(3), height) or side(), height


def _preview_size(bits: _Bits) -> None:
    """PreviewHeader, read over."""
    eighths = bits.flag()

    def side() -> int:
        if eighths:
            return 8 * bits.varied((16, 0), (32, 0), (1, 5), (33, 9))
        return bits.varied((1, 6), (65, 8), (321, 10), (1345, 12))

    height = side()
    if not _width(bits.number(3), height):
        side()


def _width(ratio: int, height: int) -> int:
    """The width that a ratio stands for; 0 where it is said by itself."""
    across, down = _RATIOS.get(ratio, (0, 1))
    return height * across // down


def _bit_depth(bits: _Bits) -> tuple[bool, int]:
    if bits.flag():  # float_sample
        depth = bits.varied((32, 0), (16, 0), (24, 0), (1, 6))
        bits.number(4)  # exp_bits
        return True, depth
    return False, bits.varied((8, 0), (10, 0), (12, 0), (1, 6))


def _extra_channel(bits: _Bits) -> tuple[int, bool]:
    """ExtraChannelInfo: its kind, and whether colours have been multiplied by it."""
    if bits.flag():  # d_alpha
        return ALPHA, False
    kind = bits.enumerated()
    _bit_depth(bits)
    bits.varied((0, 0), (3, 0), (4, 0), (1, 3))  # dim_shift
    for _ in range(bits.varied((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.number(8)  # of its name
    if kind == ALPHA:
        return kind, bits.flag()
    if kind == _SPOT_COLOUR:
        bits.number(64)
    elif kind == _CFA:
        bits.varied((1, 0), (0, 2), (3, 4), (19, 8))
    return kind, False
