"""PNG by rows and with all bits; libpng (imagecodecs) is the other opinion."""

import io
import struct
import tracemalloc
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, open_picture
from edsr_cli.images.codecs import png_rows
from edsr_cli.pixels.windows import Region, RowsWindow
from tests.images import builders

CHANNELS = {builders.GREY: 1, builders.RGB: 3, builders.GREY_ALPHA: 2, builders.RGBA: 4}
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
          (1, 0, 2, 1))  # fmt: skip


def filtered(rows: NDArray[np.uint8], step: int, kinds: NDArray[Any]) -> bytes:
    """Rows of bytes, each behind the number of its filter (PNG 3rd edition, 9.2)."""
    size = rows.shape[1]
    x = np.zeros((len(rows) + 1, size + step), np.int64)
    x[1:, step:] = rows
    a, b, c = x[1:, :-step], x[:-1, step:], x[:-1, :-step]
    p = a + b - c
    away = [np.abs(p - value) for value in (a, b, c)]
    paeth = np.where(
        (away[0] <= away[1]) & (away[0] <= away[2]), a, np.where(away[1] <= away[2], b, c)
    )
    guesses = [np.zeros_like(a), a, b, (a + b) // 2, paeth]
    done = [(x[1:, step:] - guess).astype(np.uint8) for guess in guesses]
    return b"".join(bytes([kind]) + done[kind][row].tobytes() for row, kind in enumerate(kinds))


def png(
    samples: NDArray[Any], colour_type: int, rng: np.random.Generator, interlaced: bool
) -> bytes:
    """A PNG with filters of all kinds, and its data in chunks of any size."""
    height, width = samples.shape[:2]
    stored = samples.astype(samples.dtype.newbyteorder(">"))
    step = samples.shape[2] * samples.dtype.itemsize
    parts = [stored[a::c, b::d] for a, b, c, d in PASSES] if interlaced else [stored]
    raw = b""
    for part in parts:
        if part.size:
            rows = np.frombuffer(part.tobytes(), np.uint8).reshape(len(part), -1)
            raw += filtered(rows, step, rng.integers(0, 5, len(rows)))
    packed, chunks = zlib.compress(raw), b""
    while packed:
        size = int(rng.integers(0, 60))  # none at all is allowed, too
        chunks += builders.chunk(b"IDAT", packed[:size])
        packed = packed[size:]
    bits = samples.dtype.itemsize * 8
    header = struct.pack(">LL5B", width, height, bits, colour_type, 0, 0, interlaced)
    start = builders.PNG_MAGIC + builders.chunk(b"IHDR", header)
    return start + chunks + builders.chunk(b"IEND", b"")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(CHANNELS)),
    st.sampled_from([np.uint8, np.uint16]),
    st.tuples(st.integers(1, 19), st.integers(1, 19)),
    st.booleans(),
    st.integers(1, 20),
    st.integers(0, 2**32),
)
def test_all_bits_of_all_kinds(
    colour_type: int,
    dtype: type,
    size: tuple[int, int],
    interlaced: bool,
    step: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, np.iinfo(dtype).max + 1, (*size, CHANNELS[colour_type]), dtype)
    data = png(samples, colour_type, rng, interlaced)
    assert (imagecodecs.png_decode(data).reshape(samples.shape) == samples).all()
    header = png_rows.read_header(io.BytesIO(data))
    assert header is not None and header.interlaced == interlaced
    place = data.index(b"IDAT") + 4
    rows = list(png_rows.decode_rows(io.BytesIO(data), place, header, step))
    assert interlaced or len(rows[0]) == min(step, size[0])
    parts = [png_rows.to_samples(each, header, None) for each in rows]
    colours = np.concatenate([part.colours for part in parts])
    alphas = [part.alpha for part in parts]
    if colour_type in (builders.GREY_ALPHA, builders.RGBA):
        colours = np.dstack([colours, np.concatenate(alphas)])  # type: ignore[arg-type]
    else:
        assert not any(alpha is not None for alpha in alphas)
    assert (colours == samples).all()
    picture = decode(data, keep_alpha=True)
    assert (picture.pixels == samples[..., [0] * 3 if samples.shape[2] < 3 else [0, 1, 2]]).all()
    assert picture.notes == ()


def test_what_follows_the_pixels_is_read() -> None:
    text = builders.chunk(
        b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    )
    exif = builders.chunk(b"eXIf", builders.exif(orientation=6, thumbnail=False))
    samples = np.arange(12 * 20 * 3, dtype=np.uint16).reshape(12, 20, 3) * 91
    early, late = (
        decode(builders.png(samples, **{where: text + exif}))  # type: ignore[arg-type]
        for where in ("before", "after")
    )
    assert early.metadata == late.metadata and early.metadata.xmp
    assert early.metadata.size == (12, 20) == early.pixels.shape[1::-1]
    assert (early.pixels == np.rot90(samples, -1)).all() and (late.pixels == early.pixels).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["grey", "palette", "palette with alpha"])
def test_rows_of_few_bits(kind: str, bits: int, small_bands: None) -> None:
    """These go through Pillow's images, some rows at a time."""
    values = np.random.default_rng(bits).integers(0, 1 << bits, (300, 77), np.uint8)
    image = Image.fromarray(values, "L")
    if kind == "grey":
        packed = np.packbits(
            np.unpackbits(values[..., None], axis=2)[..., -bits:].reshape(300, -1), axis=1
        )
        data = builders.png(packed, builders.GREY, bits, size=(77, 300))
    else:
        image.putpalette(bytes(np.random.default_rng(9).integers(0, 256, 3 << bits, np.uint8)))
        more = {"transparency": bytes(range(1 << bits))} if "alpha" in kind else {}
        data = builders.saved(image, "PNG", bits=bits, **more)
    expected = decode(data, keep_alpha=True)
    with open_picture(data) as opened:
        picture = opened.read(keep_alpha=True, streamed=True)
        assert (picture.pixels == expected.pixels).all()
        assert picture.notes == expected.notes and picture.metadata == expected.metadata
        assert isinstance(picture.window, RowsWindow)
        if expected.alpha is not None:
            assert picture.alpha is not None and (picture.alpha[:] == expected.alpha[:]).all()


@pytest.mark.parametrize("kind", [builders.RGB, builders.GREY])
def test_a_tall_picture_takes_no_more_memory(kind: int) -> None:
    def peak(height: int) -> int:
        row = np.arange(2000 * CHANNELS[kind], dtype=np.uint16).reshape(1, 2000, -1)
        data = builders.png(np.repeat(row, height, axis=0), kind)
        with open_picture(data) as opened:
            tracemalloc.start()
            window = opened.read(streamed=True).window
            for top in range(0, height, 16):
                pixels = window.read(Region(top, top + 16, 0, 2000))
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert pixels.shape == (16, 2000, 3) and pixels.dtype == np.uint16
        return most

    short, tall = peak(1600), peak(6400)
    assert tall < 1.5 * short and tall < 6400 * 2000 * 6 // 3


def test_damage_on_the_way_is_told_with_the_name(small_bands: None) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (2000, 500, 3), np.uint16)
    data = builders.png(samples)
    for broken, words in (
        (data[: len(data) // 2], "the file is cut short"),
        (data[:3_000_000] + bytes(1000) + data[3_001_000:], "damaged"),
    ):
        with open_picture(broken, name="scan.png") as opened:
            window = opened.read(streamed=True).window
            assert (window.read(Region(5, 60, 2, 70)) == samples[5:60, 2:70]).all()
            for _ in range(2):  # it is not taken for the end
                with pytest.raises(PictureError, match=rf"scan.png: .*{words}"):
                    window.read(Region(1900, 2000, 0, 500))
            assert (window.read(Region(0, 6, 0, 500)) == samples[:6]).all()


def test_a_bomb_is_refused_before_anything_is_unpacked() -> None:
    data = builders.png(np.zeros((1, 1, 3), np.uint16), size=(100_000, 100_000))
    with pytest.raises(PictureError, match="more than the limit"), open_picture(data) as opened:
        opened.read(streamed=True)
    with open_picture(data, max_pixels=10**10) as opened, pytest.raises(PictureError, match="cut"):
        opened.read(streamed=True)
