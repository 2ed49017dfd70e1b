"""How many bits per channel a file really has.

Pillow reads colours of more than 8 bits as 8 bits without a word, and does not tell what the file
had. Each format says so in its header. (TIFF and PSD are decoded by ourselves.)
"""

import re
import struct
from typing import BinaryIO

from PIL import Image

_HEADER_BYTES = 65536  # far more than the headers looked into ever take
# A number of at most nine digits, behind any blanks and comments. What `*+` has taken it never
# gives back: trying every way to divide what is between two numbers would take for ever.
_PNM_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*+([0-9]{1,9})(?![0-9])")


def bits_per_channel(image: Image.Image, file: BinaryIO) -> int:
    """Bits per channel of the file an image was opened from, such as 1, 8, 10, 12 or 16.

    Args:
        image: the image, opened; it need not be loaded.
        file: the file, seekable; its position is kept.

    Returns:
        The depth of the deepest channel; 8 where the header does not say.
    """
    reader = _READERS.get(image.format or "")
    if reader is None:
        return 1 if image.mode == "1" else 8
    position = file.tell()
    try:
        file.seek(0)
        return reader(file.read(_HEADER_BYTES)) or 8
    except (IndexError, struct.error):
        return 8  # the header is cut short: decoding will say so
    finally:
        file.seek(position)


def _png(header: bytes) -> int:
    # IHDR: 8 bytes signature, 4 length, 4 name, 4 width, 4 height, then depth and colour type. In
    # a palette picture the depth is that of the indices; the colours always have 8 bits.
    return 8 if header[25] == 3 else header[24]


def _pnm(header: bytes) -> int:
    if header[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 1 if header[:2] in (b"P1", b"P4") else 8
    position = 2
    values = []
    for _ in range(3):  # width, height, the value of white
        match = _PNM_NUMBER.match(header, position)
        if match is None:
            return 8
        values.append(int(match[1]))
        position = match.end()
    return values[2].bit_length()


def _jpeg2000(header: bytes) -> int:
    start = header.find(b"\xff\x4f\xff\x51")  # SOC and SIZ open the code stream
    if start < 0:
        return 8
    # SIZ: length and capabilities (2 bytes each), eight sizes (4 each), number of components (2),
    # then 3 bytes for each component, the first of which is its depth less one and a sign bit.
    (components,) = struct.unpack_from(">H", header, start + 40)
    depths = header[start + 42 : start + 42 + 3 * components : 3]
    return max((depth & 0x7F) + 1 for depth in depths) if depths else 8


def _avif(header: bytes) -> int:
    start = header.find(b"av1C")
    if start < 0:
        return 8
    flags = header[start + 6]  # tier, high_bitdepth, twelve_bit, ...
    if not flags & 0x40:
        return 8
    return 12 if flags & 0x20 else 10


def _sgi(header: bytes) -> int:
    return 8 * header[3]


_READERS = {
    "PNG": _png,
    "PPM": _pnm,
    "JPEG2000": _jpeg2000,
    "AVIF": _avif,
    "SGI": _sgi,
}
