import zlib

import imagecodecs
import numpy as np
import pytest

from edsr_cli.images.codecs import segments
from edsr_cli.images.codecs.segments import (
    BYTE_METHODS,
    DEFLATE,
    LZW,
    OLD_DEFLATE,
    PACKBITS,
    reverse_bits,
    unpack_bytes,
)


def test_rows_of_several_segments_lie_below_each_other() -> None:
    raw = np.random.default_rng(0).integers(0, 256, (10, 7), np.uint8)
    packed = [zlib.compress(raw[top : top + 4].tobytes()) for top in (0, 4, 8)]
    assert (unpack_bytes(packed, DEFLATE, 7, [4, 4, 2]) == raw).all()
    rows = [bytes([6]) + row.tobytes() for row in raw]
    assert (unpack_bytes(rows, PACKBITS, 7, [1] * 10) == raw).all()


def test_more_bytes_than_pillow_takes_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of a row are not pixels: the limit on those is not for them."""
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10)
    raw = np.zeros((30, 40), np.uint8)
    assert unpack_bytes([zlib.compress(raw.tobytes())], DEFLATE, 40, [30]).shape == (30, 40)


@pytest.mark.parametrize("method", sorted(BYTE_METHODS))
@pytest.mark.parametrize("data", [b"", b"\0", b"\x81\x02\x99" * 9])
def test_damage_is_an_error(method: int, data: bytes) -> None:
    with pytest.raises((OSError, EOFError)):
        unpack_bytes([data], method, 100, [50])


@pytest.mark.parametrize("method", [DEFLATE, LZW, PACKBITS])
def test_the_densest_data_is_enough(method: int) -> None:
    raw = bytes(4_000_000)
    packed = {
        DEFLATE: zlib.compress(raw, 9),
        LZW: imagecodecs.lzw_encode(raw),
        PACKBITS: b"\x81\0" * (len(raw) // 128),
    }[method]
    assert not unpack_bytes([packed], method, 4000, [1000]).any()


def test_a_few_bytes_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One kilobyte that claims to be 2 GB took them, and 6 s, to be found damaged."""
    monkeypatch.setattr(segments, "_load", lambda *_: pytest.fail("unpacked"))
    for method in (DEFLATE, OLD_DEFLATE, LZW, PACKBITS):
        with pytest.raises(EOFError):
            unpack_bytes([bytes(1000)], method, 128_000, [16_000])


def test_bits_are_reversed() -> None:
    assert reverse_bits(b"\x01\x80\x0f\xa5") == b"\x80\x01\xf0\xa5"
