"""What the matrix has not: depths, YCbCr of lower resolution, and odd but sound ways to store."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, probe
from edsr_cli.images.alpha import UNCOVERED
from tests.images import builders

RGB = builders.gradient()
GREY = RGB[..., 0]
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def e(tag: int, *values: int, kind: int = 3, order: str = "<") -> list[Any]:
    return builders.entry(order, tag, kind, values)


def refused(data: bytes, words: str) -> None:
    for function in (probe, decode):
        with pytest.raises(PictureError, match=words) as caught:
            function(data, name="a.tif")
        assert caught.value.hint


def packed_bits(values: NDArray[Any], bits: int) -> bytes:
    """Rows of numbers of some bits, each row padded to whole bytes."""
    rows = values.reshape(len(values), -1)
    single = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(single.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", range(1, 17))
def test_every_depth(bits: int, channels: int) -> None:
    white = (1 << bits) - 1
    shape = (11, 13) if channels == 1 else (11, 13, 3)
    values = np.random.default_rng(bits).integers(0, white + 1, shape)
    values.flat[:2] = 0, white
    raw = values.astype("<u2").tobytes() if bits == 16 else packed_bits(values, bits)
    data = builders.tiff(
        values.astype(np.uint16),
        1 if channels == 1 else 2,
        bits,
        data=raw,
    )
    picture = decode(data)
    full = 255 if bits <= 8 else 65535
    assert picture.pixels.dtype == (np.uint8 if bits <= 8 else np.uint16)
    expected = np.rint(values * full / white)
    assert (picture.pixels == (expected[..., None] if channels == 1 else expected)).all()
    assert probe(data).bits == bits


@pytest.mark.parametrize("down", [1, 2, 4])
@pytest.mark.parametrize("across", [1, 2, 4])
@pytest.mark.parametrize("method", [1, 32773])
def test_ycbcr_of_lower_resolution(across: int, down: int, method: int) -> None:
    """Without compression it came out as noise, or was called cut short."""
    height, width, strip = 22, 21, 8  # neither is a multiple of 4
    y, x = np.mgrid[:height, :width]
    bright = (40 + 5 * x + 3 * y).astype(np.uint8)
    blue, red = ((90 + 12 * (x // 4) + k * (y // 4)).astype(np.uint8) for k in (1, 9))
    strips = []
    for top in range(0, height, strip):
        rows = min(strip, height - top)
        units = []
        for v in range(top, top + rows, down):
            for u in range(0, width, across):
                inside = [
                    bright[min(v + j, height - 1), min(u + i, width - 1)]
                    for j in range(down)
                    for i in range(across)
                ]
                units.append(bytes([*inside, blue[v, u], red[v, u]]))
        packed = b"".join(units)
        if method == 32773:  # PackBits: rows of units, nothing repeated
            size = -(-width // across) * (across * down + 2)
            rows_of_units = [packed[i : i + size] for i in range(0, len(packed), size)]
            packed = b"".join(
                bytes([len(row[i : i + 128]) - 1]) + row[i : i + 128]
                for row in rows_of_units
                for i in range(0, size, 128)
            )
        strips.append(packed)
    places = [8 + sum(map(len, strips[:i])) for i in range(len(strips))]
    extra = [
        e(259, method), e(273, *places, kind=4), e(278, strip), e(530, across, down),
        e(279, *map(len, strips), kind=4),
    ]  # fmt: skip
    samples = np.zeros((height, width, 3), np.uint8)
    pixels = decode(builders.tiff(samples, 6, extra=extra, data=b"".join(strips))).pixels
    luma, cb, cr = bright.astype(float), blue - 128.0, red - 128.0
    expected = np.stack(
        [luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb], axis=2
    )
    assert np.abs(pixels - np.clip(expected, 0, 255)).max() <= 0.6


def test_limits_and_coefficients_of_ycbcr_are_heeded() -> None:
    """Video levels and the luma of HDTV: white is 235, black 16."""
    ycbcr = np.array([[[235, 128, 128], [16, 128, 128], [63, 102, 240]]], np.uint8)
    ratios = struct.pack("<6L", 2126, 10000, 7152, 10000, 722, 10000)
    limits = struct.pack("<12L", *(n for v in (16, 235, 128, 240, 128, 240) for n in (v, 1)))
    extra = [e(530, 1, 1), builders.entry("<", 529, 5, [], ratios)]
    extra.append(builders.entry("<", 532, 5, [], limits))
    pixels = decode(builders.tiff(ycbcr, 6, extra=extra)).pixels.astype(int)
    assert np.abs(pixels - [[[255] * 3, [0] * 3, [254, 0, 0]]]).max() <= 2


def test_numbers_that_are_none_warn_nobody() -> None:
    """As values of tags about colours; all are of type FLOAT."""

    def written(photometric: str, *tags: tuple[int, int]) -> bytes:
        file = io.BytesIO()
        odd = [(tag, 11, count, (float("nan"),) * count, True) for tag, count in tags]
        tifffile.imwrite(file, RGB, photometric=photometric, metadata=None, extratags=odd)  # type: ignore[arg-type]
        return file.getvalue()

    picture = decode(written("rgb", (301, 6), (318, 2), (319, 6)))
    assert (picture.pixels == RGB).all() and picture.metadata.icc_profile is None
    for tag, count in ((529, 3), (532, 6)):
        with pytest.raises(PictureError, match="damaged") as caught:
            decode(written("ycbcr", (tag, count)))
        assert "make no sense" in str(caught.value.__cause__)


def test_a_palette_of_8_bits() -> None:
    """Its values go to 255 where those of TIFF go to 65535: read as they are, all are black."""
    table = np.stack([(np.arange(256) * step) % 256 for step in (1, 2, 3)])
    for factor in (1, 256, 257):
        extra = [e(320, *(table * factor).ravel().tolist())]
        assert (decode(builders.tiff(GREY, 3, extra=extra)).pixels == table.T[GREY]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_palette_with_alpha(dtype: type) -> None:
    bits = np.dtype(dtype).itemsize * 8
    table = np.stack([(np.arange(1 << bits) * step) % 65536 for step in (1, 2, 3)])
    samples = np.dstack([GREY, GREY]).astype(dtype)
    extra = [e(320, *table.ravel().tolist()), e(338, 2)]
    picture = decode(builders.tiff(samples, 3, extra=extra))
    assert picture.notes == (UNCOVERED,)
    shift = 8 if table.max() > 255 else 0
    assert (picture.pixels == (table >> shift).T[GREY]).all()


def test_a_palette_that_is_too_short_is_refused() -> None:
    data = builders.tiff(GREY, 3, extra=[e(320, *range(30))])
    with pytest.raises(PictureError, match="fewer colours than its pixels name"):
        decode(data)


@pytest.mark.parametrize("kind", [1, 3, 4, 8])
@pytest.mark.parametrize("value", range(1, 9))
def test_an_orientation_of_any_type(kind: int, value: int) -> None:
    entry = [274, kind, 1, struct.pack("<L", value)[: {1: 1, 3: 2, 4: 4, 8: 2}[kind]]]
    data = builders.tiff(RGB, 2, extra=[entry])
    turned = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1), 7: RGB[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(RGB),
    }[value]  # fmt: skip
    assert decode(data).pixels.shape == turned.shape
    assert (decode(data).pixels == turned).all()
    assert (probe(data).height, probe(data).width) == turned.shape[:2]


@ORDERS
def test_tiles_named_as_strips(order: str) -> None:
    big = np.random.default_rng(1).integers(0, 256, (32, 48, 3), np.uint8)
    tiles = b"".join(big[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16, 32))
    extra = [
        e(322, 16, order=order), e(323, 16, order=order),
        e(273, *(8 + 768 * i for i in range(6)), kind=4, order=order),
        e(279, *[768] * 6, kind=4, order=order),
    ]  # fmt: skip
    named = [[{273: 324, 279: 325}.get(item[0], item[0]), *item[1:]] for item in extra]
    for entries in (extra, named):
        data = builders.tiff(big, 2, order=order, extra=entries, data=tiles)
        assert (decode(data).pixels == big).all()


def test_bits_in_reversed_order() -> None:
    bits = np.random.default_rng(2).integers(0, 2, (9, 21))
    reverse = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    for values, depth in ((bits, 1), (RGB.astype(int), 8)):
        raw = packed_bits(values, depth).translate(reverse)
        data = builders.tiff(
            values.astype(np.uint8), 1 if depth == 1 else 2, depth, extra=[e(266, 2)], data=raw
        )
        expected = values[..., None] * 255 if depth == 1 else values
        assert (decode(data).pixels == expected).all()


def test_sizes_that_are_missing_or_too_large() -> None:
    for size in (0, 2**31, 2**32 - 1):
        data = builders.tiff(RGB, 2, extra=[e(279, size, kind=4)])
        assert (decode(data).pixels == RGB).all()
    lzw = builders.saved(Image.fromarray(RGB), "TIFF", compression="tiff_lzw")
    place = lzw.index(struct.pack("<HH", 279, 4)) + 8
    without = lzw[:place] + bytes(4) + lzw[place + 4 :]
    assert (decode(without).pixels == RGB).all()


@pytest.mark.parametrize("method", ["group3", "group4", "tiff_ccitt"])
def test_fax(method: str) -> None:
    bits = np.random.default_rng(3).integers(0, 2, (40, 53)).astype(bool)
    for photometric in (0, 1):
        data = builders.saved(
            Image.fromarray(bits), "TIFF", compression=method, tiffinfo={262: photometric}
        )
        assert (decode(data).pixels == bits[..., None] * 255).all()


_Y, _X = np.mgrid[:40, :50]
SMOOTH = np.stack([_X * 4, 200 - _Y * 4, 90 + _X + _Y], axis=2).astype(np.uint8)


@pytest.mark.parametrize("method", ["jpeg", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
def test_files_of_pillow(method: str, mode: str) -> None:
    image = Image.fromarray(SMOOTH).convert(mode)
    options = {"quality": 100} if method == "jpeg" else {}
    pixels = decode(builders.saved(image, "TIFF", compression=method, **options)).pixels
    difference = np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).max()
    assert difference <= (9 if method == "jpeg" else 0)


@pytest.mark.parametrize("method", ["lzma", "zstd", "webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_methods_that_not_every_libtiff_has(method: str, dtype: type) -> None:
    """Right, or refused with the true reason: the method."""
    if method == "webp" and dtype is np.uint16:
        return  # there is no such thing
    samples = SMOOTH.astype(dtype) * dtype(1 if dtype is np.uint8 else 257)
    file = io.BytesIO()
    level = {"webp": {"level": 100}}.get(method, {})
    tifffile.imwrite(
        file, samples, photometric="rgb", compression=method, compressionargs=level, metadata=None
    )
    name = {"lzma": "LZMA", "zstd": "Zstandard", "webp": "WebP"}[method]
    try:
        pixels = decode(file.getvalue()).pixels
    except PictureError as error:
        assert f"compressed as {name}" in error.message
    else:
        assert np.abs(pixels.astype(int) - samples).max() <= (16 if method == "webp" else 0)
    broken = file.getvalue()
    for magic in (b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"WEBPVP8"):
        broken = broken.replace(magic, b"!" * len(magic))
    with pytest.raises(PictureError, match=f"compressed as {name}, and is damaged or"):
        decode(broken)


def test_channels_beyond_alpha_do_not_matter() -> None:
    many = np.dstack([RGB, np.full(GREY.shape, 255, np.uint8), GREY, GREY])
    for kinds in ((2, 0, 0), (0, 0, 0), (0, 2, 0), ()):
        extra = [e(338, *kinds)] if kinds else []
        assert (decode(builders.tiff(many, 2, extra=extra)).pixels == RGB).all()


def test_colours_under_clear_pixels_stay() -> None:
    """Of colours multiplied by an alpha of 0 nothing is known, so nothing is divided."""
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [10, 20, 30, 51]]], np.uint8)
    pixels = decode(builders.tiff(rgba, 2, extra=[e(338, 1)])).pixels
    assert pixels.tolist() == [[[10, 20, 30], [10, 20, 30], [50, 100, 150]]]


@pytest.mark.parametrize(
    ("extra", "samples", "photometric", "words"),
    [
        ([e(259, 34712)], RGB, 2, "compressed as JPEG 2000"),
        ([e(259, 12345)], RGB, 2, "compressed as number 12345"),
        ([e(258, 5, 6, 5)], RGB, 2, "different depths"),
        ([e(339, 1, 2, 1)], RGB, 2, "different kinds of numbers"),
        ([e(339, 6)], GREY, 1, "complex numbers"),
        ([e(258, 24)], GREY, 1, "24 bits"),
        ([e(258, 32, 32, 32)], RGB, 2, "32 bits"),
        ([e(339, 3, 3, 3)], RGB, 2, "floating-point"),
        ([e(262, 32845)], RGB, 2, "LogLuv"),
        ([e(262, 10)], RGB, 2, "ITU"),
        ([e(262, 77)], RGB, 2, r"of an unknown kind \(77\)"),
        ([e(332, 2)], np.dstack([RGB, GREY]), 5, "inks other than CMYK"),
        ([e(277, 1)], RGB, 2, "1 channels where its colours need 3"),
        ([e(259, 5), e(317, 9)], RGB, 2, "predictor"),
        ([e(259, 5), e(317, 3)], RGB, 2, "floating-point"),
        ([e(530, 3, 1)], RGB, 6, "3 x 1 pixels"),
    ],
)
def test_refused_with_the_true_reason(
    extra: list[list[Any]], samples: NDArray[Any], photometric: int, words: str
) -> None:
    refused(builders.tiff(samples, photometric, extra=extra), words)


def test_a_missing_meaning_of_the_colours_is_not_guessed() -> None:
    data = builders.tiff(RGB, 2)
    place = data.index(struct.pack("<HHL", 262, 3, 1))
    refused(data[:place] + struct.pack("<H", 60000) + data[place + 2 :], "what its colours are")


def test_signed_numbers() -> None:
    positive = np.array([[0, 5, 32767]], np.int16)
    assert (decode(builders.tiff(positive)).pixels[..., 0] == positive).all()
    for data in (builders.tiff(-positive), builders.tiff(np.array([[-1, 4]], np.int8))):
        with pytest.raises(PictureError, match="outside the 0"):
            decode(data)


def test_what_is_white_in_32_bits_is_told() -> None:
    picture = decode(builders.tiff(np.array([[0, 255, 65535]], np.uint32)))
    assert picture.pixels[0, :, 0].tolist() == [0, 255, 65535]
    assert [note for note in picture.notes if "65535 is white" in note]


def test_strips_that_name_the_whole_file_take_linear_time() -> None:
    """Each of 20,000 strips claims all of a file of 2 MB: together 40 GB."""
    rows = 20_000
    samples = np.zeros((rows, 2, 3), np.uint8)
    extra = [e(259, 32773), e(278, 1), e(273, *[8] * rows, kind=4), e(279, *[2**21] * rows, kind=4)]
    data = builders.tiff(samples, 2, extra=extra, data=bytes([129, 7] * 3 + [5, *range(6)]) * 2**17)
    assert (decode(data).pixels[-1] == 7).all()


def test_channels_without_number_are_refused_before_decoding() -> None:
    """Few pixels, but 60,000 channels: 14 MB for 240 pixels."""
    data = builders.tiff(GREY, 1, extra=[e(277, 60_000)])
    for function in (probe, decode):
        with pytest.raises(PictureError, match="60000 channels of 8 bits are too much at once"):
            function(data, max_pixels=300)
    for entry in (e(257, 2**31, kind=4), e(256, 2**31, kind=4)):
        with pytest.raises(PictureError, match="limit"):
            decode(builders.tiff(GREY, 1, extra=[entry]))


def test_a_strip_that_ends_early_is_cut_short() -> None:
    data = builders.tiff(RGB, 2, extra=[e(273, 8, 2**20, kind=4), e(278, 6), e(279, 360, 360)])
    with pytest.raises(PictureError, match="cut short"):
        decode(data)
    few = builders.tiff(RGB, 2, extra=[e(278, 6)])
    with pytest.raises(PictureError, match="cut short"):
        decode(few)


def test_jpeg_of_the_old_kind() -> None:
    """The whole of a JPEG file lies in the TIFF, where tags 513 and 514 say."""
    jpeg = builders.saved(Image.fromarray(RGB).resize((64, 48)), "JPEG", quality=95)
    truth = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
    scan = jpeg.index(b"\xff\xda")
    start = 8 + scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")
    extra = [
        e(259, 6), e(273, start, kind=4), e(279, 8 + len(jpeg) - start, kind=4),
        e(513, 8, kind=4), e(514, len(jpeg), kind=4), e(530, 2, 2),
    ]  # fmt: skip
    data = builders.tiff(np.zeros((48, 64, 3), np.uint8), 6, extra=extra, data=jpeg)
    pixels = decode(data).pixels.astype(int)
    assert np.abs(pixels - truth).mean() < 3
