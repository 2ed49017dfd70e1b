import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, probe
from edsr_cli.images.alpha import UNCOVERED
from edsr_cli.images.colour import icc
from tests.images import builders

RGB = builders.gradient(17, 33)
GREY = RGB[..., 0]
FULL = np.full(GREY.shape, 255, np.uint8)
BITMAP, GREYSCALE, INDEXED, COLOUR, CMYK, MULTICHANNEL, DUOTONE, LAB = 0, 1, 2, 3, 4, 7, 8, 9


def row_of_runs(row: bytes) -> bytes:
    """PackBits with literal runs, and one run that repeats where the row begins with two alike."""
    start = b""
    if len(row) > 2 and row[0] == row[1]:
        start, row = bytes([255, row[0]]), row[2:]
    return start + b"".join(
        bytes([len(row[i : i + 128]) - 1]) + row[i : i + 128] for i in range(0, len(row), 128)
    )


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    named = bytes([len(name)]) + name
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + named.ljust((len(named) + 1) // 2 * 2, b"\0")
        + struct.pack(">L", len(data))
        + data.ljust((len(data) + 1) // 2 * 2, b"\0")
    )


def psd(
    planes: list[NDArray[Any]],
    mode: int,
    bits: int = 8,
    runs: bool = True,
    resources: bytes = b"",
    palette: bytes = b"",
    layers: int = 0,
) -> bytes:
    height, width = planes[0].shape
    dtype = {1: np.uint8, 8: np.uint8, 16: ">u2", 32: ">f4"}[bits]
    rows = [
        [(np.packbits(row) if bits == 1 else row.astype(dtype)).tobytes() for row in plane]
        for plane in planes
    ]
    out = struct.pack(">4sH6xHLLHH", b"8BPS", 1, len(planes), height, width, bits, mode)
    section = struct.pack(">LhL", 6, layers, 0) if layers else b""
    for part in (palette, resources, section):
        out += struct.pack(">L", len(part)) + part
    if not runs:
        return out + b"\0\0" + b"".join(b"".join(plane) for plane in rows)
    packed = [[row_of_runs(row) for row in plane] for plane in rows]
    out += b"\0\1" + b"".join(struct.pack(">H", len(row)) for plane in packed for row in plane)
    return out + b"".join(b"".join(plane) for plane in packed)


def planes(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    return [pixels[..., channel] for channel in range(pixels.shape[2])]


def refused(data: bytes, words: str) -> None:
    for function in (probe, decode):
        with pytest.raises(PictureError, match=words) as caught:
            function(data, name="a.psd")
        assert caught.value.hint and caught.value.message.startswith("a.psd: ")


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("extra", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("bits", [8, 16])
def test_colours_with_any_number_of_channels(bits: int, extra: int, runs: bool) -> None:
    """With more channels than colours the table of row lengths is longer."""
    scale = 257 if bits == 16 else 1
    channels = [plane.astype(np.uint16) * scale for plane in (*planes(RGB), *[FULL] * extra)]
    data = psd(channels, COLOUR, bits, runs)
    picture = decode(data)
    assert picture.pixels.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert (picture.pixels == RGB.astype(int) * scale).all() and picture.notes == ()
    assert (probe(data).width, probe(data).height, probe(data).bits) == (33, 17, bits)


@pytest.mark.parametrize(("mode", "count"), [(COLOUR, 3), (CMYK, 4), (LAB, 3)])
def test_what_decoding_takes_is_told(mode: int, count: int) -> None:
    data = psd([np.full((900, 700), 255 - n % 3, np.uint8) for n in range(count)], mode)
    decode(data)  # which loads modules
    tracemalloc.start()
    try:
        picture = decode(data, keep_alpha=True)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    fixed = 2**22  # for some rows at a time
    assert taken - picture.pixels.nbytes < probe(data).decoder_bytes + fixed


@pytest.mark.parametrize("runs", [False, True])
def test_greyscale_and_duotone(runs: bool) -> None:
    for extra in ([], [FULL, GREY]):
        assert (decode(psd([GREY, *extra], GREYSCALE, 8, runs)).pixels == GREY[..., None]).all()
    deep = GREY.astype(np.uint16) * 250
    assert (decode(psd([deep], GREYSCALE, 16, runs)).pixels == deep[..., None]).all()
    picture = decode(psd([GREY], DUOTONE, 8, runs))
    assert (picture.pixels == GREY[..., None]).all()
    assert picture.notes == ("the inks of its duotone are not applied: read as greyscale",)


@pytest.mark.parametrize("runs", [False, True])
def test_in_a_bitmap_1_is_black(runs: bool) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (9, 21), np.uint8)
    picture = decode(psd([bits], BITMAP, 1, runs))
    assert (picture.pixels == (1 - bits[..., None]) * 255).all()


def test_a_palette() -> None:
    table = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    data = psd([GREY], INDEXED, palette=table.T.tobytes())
    assert (decode(data).pixels == table[GREY]).all()
    with pytest.raises(PictureError, match="palette is cut short"):
        decode(psd([GREY], INDEXED, palette=bytes(30)))


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_is_stored_inverted(bits: int) -> None:
    ink = np.dstack([RGB, FULL // 5])
    stored = [(255 - plane).astype(np.uint16) * (257 if bits == 16 else 1) for plane in planes(ink)]
    picture = decode(psd([*stored, stored[0]], CMYK, bits))
    image = Image.frombytes("CMYK", (33, 17), ink.tobytes())
    assert (picture.pixels == np.asarray(image.convert("RGB"))).all()
    assert "CMYK without a usable profile: colours are approximate" in picture.notes
    assert ("16-bit colours read as 8-bit" in picture.notes) == (bits == 16)
    profile = resource(1039, builders.cmyk_icc(), b"odd")
    named = decode(psd(stored, CMYK, bits, resources=profile))
    assert "CMYK converted to sRGB by its ICC profile" in named.notes
    assert named.metadata.icc_profile == icc.srgb_profile()


def test_lab() -> None:
    lab = np.array([[[255, 128, 128], [0, 128, 128], [136, 208, 195]]], np.uint8)
    white, black, red = decode(psd(planes(lab), LAB)).pixels[0].tolist()
    assert min(white) >= 254 and max(black) <= 1
    assert red[0] > 240 and max(red[1:]) < 40
    refused(psd([GREY.astype(np.uint16)] * 3, LAB, 16), "LAB pixels are numbers of 16 bits")


@pytest.mark.parametrize("layers", [0, 3, -2])
def test_transparency_is_remarked(layers: int) -> None:
    note = UNCOVERED
    assert (note in decode(psd([*planes(RGB), GREY], COLOUR, layers=layers)).notes) is True
    # Of several channels the first is transparency only if the layers say so: else it is a mask.
    picture = decode(psd([*planes(RGB), GREY, GREY], COLOUR, layers=layers))
    assert (note in picture.notes) == (layers < 0)
    assert (picture.pixels == RGB).all() and probe(psd([GREY], 1, layers=layers)).frames == 1


def test_without_a_merged_picture_it_is_refused() -> None:
    """Photoshop then writes a white page, which was enlarged without a word."""
    for flag in (0, 1):
        info = struct.pack(">LBLLL", 1, flag, 0, 0, 0) + b"\0"
        data = psd([FULL] * 3, COLOUR, resources=resource(1036, b"odd") + resource(1057, info))
        if flag:
            assert (decode(data).pixels == 255).all()
        else:
            refused(data, "no merged picture")


def test_what_is_not_read_is_named() -> None:
    whole = psd([GREY] * 3, COLOUR)
    refused(whole[:5] + b"\2" + whole[6:], "PSB")
    refused(psd([GREY] * 3, MULTICHANNEL), "multichannel")
    refused(psd([GREY.astype(float)] * 3, COLOUR, 32), "floating-point")
    refused(psd([GREY] * 2, COLOUR), "2 channels where 3 are needed")
    refused(whole[:20], "cut short")
    with pytest.raises(PictureError, match="limit"):
        decode(whole, max_pixels=100)


@pytest.mark.parametrize("runs", [False, True])
def test_what_is_cut_short_is_refused(runs: bool) -> None:
    whole = psd(planes(RGB), COLOUR, runs=runs)
    for length in (28, 36, 39, len(whole) // 2, len(whole) - 1):
        with pytest.raises(PictureError):
            decode(whole[:length])


def test_damaged_resources_do_not_matter() -> None:
    picture = decode(psd(planes(RGB), COLOUR, resources=b"8BIM\4\x0f\0\0\xff\xff\xff\xff" * 3))
    assert (picture.pixels == RGB).all()
