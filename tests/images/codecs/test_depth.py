import io
import struct
import time

import numpy as np
import pytest
from PIL import Image

from edsr_cli.images.formats import codec_of
from tests.images import builders

WIDE = np.zeros((2, 3, 3), np.uint16)
GREY = np.zeros((2, 3), np.uint16)


def bits(image: Image.Image, file: io.BytesIO) -> int:
    return codec_of(image).bits(image, file)


def sgi(bytes_per_channel: int) -> bytes:
    header = struct.pack(">HBBHHHHLL", 474, 0, bytes_per_channel, 3, 3, 2, 3, 0, 255)
    return header.ljust(512, b"\0") + bytes(18 * bytes_per_channel)


CASES = {
    "png rgb 8": (builders.png(WIDE.astype(np.uint8)), 8),
    "png rgb 16": (builders.png(WIDE), 16),
    "png grey 16": (builders.png(GREY[..., None], builders.GREY), 16),
    "png 1": (builders.saved(Image.new("1", (3, 2)), "PNG"), 1),
    "png palette of 2 bits": (builders.saved(Image.new("P", (3, 2)), "PNG", bits=2), 8),
    "ppm 16": (b"P6 3 2 65535\n" + bytes(36), 16),
    "ppm 10, with a comment": (b"P6\n# 9 9 9\n3 2\n1023\n" + bytes(36), 10),
    "ppm 10, with a comment that ends with CR": (b"P6\n# 9 9\r3 2 1023\n" + bytes(36), 10),
    "ppm 8": (b"P6 3 2 255\n" + bytes(18), 8),
    "pbm": (b"P4 3 2\n" + bytes(2), 1),
    "jpeg 2000 16": (builders.saved(Image.fromarray(GREY), "JPEG2000"), 16),
    "jpeg 2000 8": (builders.saved(Image.new("RGB", (3, 2)), "JPEG2000"), 8),
    "avif 8": (builders.saved(Image.new("RGB", (8, 8)), "AVIF"), 8),
    "sgi 16": (sgi(2), 16),
    "sgi 8": (sgi(1), 8),
    "jpeg": (builders.saved(Image.new("RGB", (3, 2)), "JPEG"), 8),
}


@pytest.mark.parametrize("name", CASES)
def test_bits(name: str) -> None:
    data, expected = CASES[name]
    file = io.BytesIO(data)
    image = Image.open(file)
    file.seek(5)
    assert bits(image, file) == expected
    assert file.tell() == 5


@pytest.mark.parametrize(("flags", "expected"), [(0, 8), (0x40, 10), (0x60, 12), (0x9F, 8)])
def test_bits_of_avif(flags: int, expected: int) -> None:
    image = Image.new("RGB", (2, 2))
    image.format = "AVIF"
    header = b"\0\0\0\x1cftypavif...av1C\x81\x00" + bytes([flags, 0])
    assert bits(image, io.BytesIO(header)) == expected


def test_a_short_header_is_8_bits() -> None:
    image = Image.new("RGB", (2, 2))
    for name in ("PNG", "SGI", "JPEG2000", "AVIF", "PPM"):
        image.format = name
        assert bits(image, io.BytesIO(b"P6")) == 8


FILLERS = [b" " * 28 + b"#\r", b" \t" * 20_000, b"#" * 60_000, b"#\n " * 15_000, b"9" * 60_000]


@pytest.mark.parametrize("filler", FILLERS)
def test_no_header_takes_long(filler: bytes) -> None:
    """With 50 blanks in the first of these the search never ended, with 28 it took 10 s."""
    image = Image.new("L", (2, 2))
    image.format = "PPM"
    for header in (
        b"P5" + filler,
        b"P5" + filler + b"x",
        b"P5" + filler + b"4 4 255\n" + bytes(16),
    ):
        start = time.process_time()
        assert bits(image, io.BytesIO(header)) == 8
        assert time.process_time() - start < 1
