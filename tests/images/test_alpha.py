import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor, features

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.images import FORMATS, Metadata, decode, encode, formats, from_pil, outputs, to_pil
from edsr_cli.images.alpha import DROPPED, UNCOVERED, alpha_setting, applied, check_format, resized
from edsr_cli.images.codecs.gif_writing import CUT_OUT
from edsr_cli.pixels.alpha import lay_on, uncovers
from edsr_cli.pixels.spreading import FAINT, spread
from tests.images import builders
from tests.images.codecs.test_psd import CMYK, COLOUR, GREYSCALE, planes, psd

e = lambda tag, *values: builders.entry("<", tag, 3, values)  # noqa: E731 - short for tables

RGB = builders.gradient(12, 20)
ALPHA = np.linspace(0, 255, 240).astype(np.uint8).reshape(12, 20)
RGBA = np.dstack([RGB, ALPHA])
IMAGE = Image.fromarray(RGBA)
GREY = RGB[..., 0]
DEEP = np.dstack([RGB, ALPHA]).astype(np.uint16) * 257
OTHERS = (RGB[5, 5] != RGB).any(axis=2)
GREYS = GREY[4, 4] != GREY
ONE_BIT = np.arange(240).reshape(12, 20) % 3 == 0  # what is opaque
COLOURS = Image.fromarray(RGB).quantize(7)
INDICES = np.asarray(COLOURS)
CODES = np.full(8, 255, np.uint8)
CODES[:3] = 0, 100, 200
DISC = np.hypot(*np.mgrid[-19:21, -20:24]) < 12


def of_palette(**options: Any) -> bytes:
    return builders.saved(COLOURS, "PNG", **options)


def with_colour(samples: NDArray[Any], kind: int, *clear: int) -> bytes:
    """A PNG with one transparent colour."""
    return builders.png(
        samples, kind, before=builders.chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    )


def low_grey() -> bytes:
    """A PNG of 2 bits, of which the value 2 is transparent."""
    rows = np.tile([0, 1, 2, 3], (3, 2)).astype(np.uint8)
    packed = (rows.reshape(3, 2, 4) << np.array([6, 4, 2, 0], np.uint8)).sum(axis=2, dtype=np.uint8)
    before = builders.chunk(b"tRNS", b"\0\2")
    return builders.png(packed[..., None], builders.GREY, 2, before, size=(8, 3))


GREY_ALPHA = np.dstack([GREY, ALPHA])
ASSOCIATED = np.dstack([(RGB * (ALPHA[..., None] / 255)).round().astype(np.uint8), ALPHA])
LOW = np.tile([255, 255, 0, 255], (3, 2)).astype(np.uint8)

FILES = {
    "PNG": (builders.saved(IMAGE, "PNG"), ALPHA),
    "PNG, grey": (builders.png(GREY_ALPHA, builders.GREY_ALPHA), ALPHA),
    "PNG, 16 bits": (builders.png(DEEP, builders.RGBA), DEEP[..., 3]),
    "PNG, palette": (of_palette(transparency=CODES.tobytes()), CODES[INDICES]),
    "PNG, palette, one colour": (of_palette(transparency=2), (INDICES != 2) * 255),
    "PNG, one colour": (with_colour(RGB, builders.RGB, *RGB[5, 5].tolist()), OTHERS * 255),
    "PNG, one colour of 16 bits": (
        with_colour(DEEP[..., :3], builders.RGB, *DEEP[5, 5, :3].tolist()),
        OTHERS * 65535,
    ),
    "PNG, one grey": (with_colour(GREY[..., None], builders.GREY, int(GREY[4, 4])), GREYS * 255),
    "PNG, one grey of 2 bits": (low_grey(), LOW),
    "PNG, one grey of 16 bits": (
        with_colour(DEEP[..., :1], builders.GREY, int(DEEP[4, 4, 0])),
        GREYS * 65535,
    ),
    "GIF": (builders.saved(COLOURS, "GIF", transparency=2), (INDICES != 2) * 255),
    "WebP": (builders.saved(IMAGE, "WEBP", lossless=True, exact=True), ALPHA),
    "TIFF": (builders.saved(IMAGE, "TIFF"), ALPHA),
    "TIFF, associated": (builders.tiff(ASSOCIATED, 2, extra=[e(338, 1)]), ALPHA),
    "TIFF, 16 bits": (builders.tiff(DEEP, 2, extra=[e(338, 2)]), DEEP[..., 3]),
    "TIFF, grey": (builders.tiff(GREY_ALPHA, 1, extra=[e(338, 2)]), ALPHA),
    "TIFF, turned": (
        builders.tiff(np.rot90(RGBA), 2, extra=[e(338, 2), e(274, 6)]),
        np.rot90(ALPHA, 0),
    ),
    "PSD": (psd([*planes(RGB), ALPHA], COLOUR, layers=-1), ALPHA),
    "PSD, 16 bits": (psd(planes(DEEP), COLOUR, 16, layers=-1), DEEP[..., 3]),
    "PSD, grey": (psd([GREY, ALPHA], GREYSCALE, layers=-1), ALPHA),
    "PSD, CMYK, 16 bits": (psd([*planes(DEEP), DEEP[..., 3]], CMYK, 16, layers=-1), ALPHA),
}  # fmt: skip
if features.check("avif"):
    FILES["AVIF"] = (
        builders.saved(IMAGE, "AVIF", codec="aom", advanced={"alpha:lossless": "1"}),
        ALPHA,
    )


@pytest.mark.parametrize("kind", FILES)
def test_alpha_of_every_kind_of_file(kind: str) -> None:
    data, expected = FILES[kind]
    dropped, kept = decode(data), decode(data, keep_alpha=True)
    assert kept.alpha is not None and dropped.alpha is None
    assert kept.alpha.dtype == kept.pixels.dtype
    assert kept.alpha.shape == expected.shape and (kept.alpha == expected).all()
    assert (kept.pixels == dropped.pixels).all()
    assert not {DROPPED, UNCOVERED} & set(kept.notes)
    assert len({DROPPED, UNCOVERED} & set(dropped.notes)) == 1


def test_colours_under_alpha_of_a_turned_file() -> None:
    picture = decode(FILES["TIFF, turned"][0], keep_alpha=True)
    assert (picture.pixels == RGB).all()
    exif = b"Exif\0\0II*\0\x08\0\0\0\1\0" + bytes.fromhex("1201 0300 01000000 06000000 00000000")
    data = builders.saved(Image.fromarray(np.ascontiguousarray(np.rot90(RGBA))), "PNG", exif=exif)
    picture = decode(data, keep_alpha=True)
    assert (picture.pixels == RGB).all() and (picture.alpha == ALPHA).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La", "P", "1"])
def test_alpha_of_pictures_of_pillow(mode: str) -> None:
    if mode == "1":
        image = Image.fromarray(ONE_BIT)
        image.info["transparency"] = 0
        expected: NDArray[Any] = ONE_BIT * 255
    elif mode in ("P", "PA"):
        image = COLOURS.copy()
        image.info["transparency"] = CODES.tobytes()
        expected = CODES[INDICES]
        if mode == "PA":
            image = image.convert("RGBA").convert("PA")
    else:
        straight = "LA" if mode == "La" else "RGBA"
        image = IMAGE.convert(straight).convert(mode)
        expected = ALPHA
    picture = from_pil(image, keep_alpha=True)
    assert picture.alpha is not None and (picture.alpha == expected).all()
    assert from_pil(image).alpha is None and from_pil(image).notes


def test_nonsense_for_a_transparent_colour_is_nothing() -> None:
    for value in ("x", (1, 2), b"", None, (0.5, 1, 2)):
        image = Image.fromarray(RGB)
        image.info["transparency"] = value
        picture = from_pil(image, keep_alpha=True)
        assert picture.alpha is None and picture.notes == ()


@pytest.mark.parametrize("bits", [8, 16])
def test_photoshop_lays_its_merged_picture_on_white(bits: int) -> None:
    factor = 257 if bits == 16 else 1
    rgb, alpha = RGB.astype(np.uint16) * factor, ALPHA.astype(np.uint16) * factor
    white = 255 * factor
    part = alpha[..., None] / white
    stored = np.rint(rgb * part + white * (1 - part)).astype(np.uint16)
    data = psd([*planes(stored), alpha], COLOUR, bits, layers=-1)
    picture = decode(data)
    assert (picture.pixels == stored).all() and picture.notes == (DROPPED,)
    kept = decode(data, keep_alpha=True)
    assert kept.alpha is not None and (kept.alpha == alpha).all()
    off = np.abs(kept.pixels.astype(float) - rgb) * part
    assert off.max() <= 1  # as far as rounding has left anything
    ground = applied(kept, "#ffffff").pixels
    assert np.abs(ground.astype(int) - stored).max() <= 1


# Remarks.


def test_the_remark_tells_whether_something_hidden_is_seen() -> None:
    clear = np.where(DISC, 255, 0).astype(np.uint8)
    black = np.zeros((*DISC.shape, 3), np.uint8)
    white = np.where(DISC[..., None], 0, 255).repeat(3, 2).astype(np.uint8)
    for factor, dtype in ((1, np.uint8), (257, np.uint16)):
        assert uncovers(black.astype(dtype), clear.astype(dtype) * factor)
        # As it is seen on white paper, but for what nobody notices.
        assert not uncovers(white.astype(dtype) * factor, clear.astype(dtype) * factor)
        assert not uncovers(black.astype(dtype), np.full(DISC.shape, 250, dtype) * factor)
    hidden = Image.fromarray(np.dstack([black, clear]))
    shown = Image.fromarray(np.dstack([white, clear]))
    opaque = Image.fromarray(np.dstack([black, np.full(DISC.shape, 255, np.uint8)]))
    for image, notes in ((hidden, (UNCOVERED,)), (shown, (DROPPED,)), (opaque, ())):
        assert decode(builders.saved(image, "PNG")).notes == notes
    # A transparent colour that no pixel has.
    assert decode(with_colour(np.maximum(RGB, 1), builders.RGB, 0, 0, 0)).notes == ()


def test_the_last_row_counts() -> None:
    pixels, alpha = np.full((600, 3, 3), 255, np.uint8), np.full((600, 3), 255, np.uint8)
    pixels[-1, -1], alpha[-1, -1] = (255, 255, 0), 0
    assert uncovers(pixels, alpha)


# Settings.


@pytest.mark.parametrize(
    ("text", "setting"),
    [("drop", "drop"), ("Keep", "keep"), ("white", "#ffffff"), ("#F80", "#ff8800"),
     ("#0a0b0c", "#0a0b0c"), ("rgb(1, 2, 3)", "#010203"), ("#102030ff", "#102030")],
)  # fmt: skip
def test_settings(text: str, setting: str) -> None:
    assert alpha_setting(text) == setting


@pytest.mark.parametrize("text", ["", "whitish", "#12", "#10203040", "rgb(1,2,999)", "x" * 200])
def test_what_is_no_setting(text: str) -> None:
    with pytest.raises(ValueError, match="is not drop, keep or an opaque colour"):
        alpha_setting(text)


def test_formats_that_can_hold_it() -> None:
    for output in FORMATS:
        for setting in ("drop", "#ffffff"):
            check_format(setting, output)
        if not output.alpha:  # the hint names all others
            with pytest.raises(UsageError, match=f"{output.name} cannot hold") as caught:
                check_format("keep", output)
            assert "Write PNG, WebP, TIFF, AVIF" in str(caught.value)
            with pytest.raises(PictureError, match=f"{output.name} cannot hold an alpha"):
                encode(RGB, output, Metadata(), io.BytesIO(), alpha=ALPHA)
        else:
            check_format("keep", output)


# Colours.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", ["white", "#ff8000", "black"])
def test_laid_on_a_colour(dtype: type, colour: str) -> None:
    factor = 257 if dtype is np.uint16 else 1
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255 * factor + 1, (300, 7, 3)).astype(dtype)
    alpha = rng.integers(0, 255 * factor + 1, (300, 7)).astype(dtype)
    alpha[:3], alpha[3:6] = 0, 255 * factor
    part = alpha[..., None] / (255.0 * factor)
    ground = np.array(ImageColor.getrgb(colour)) * factor
    expected = rgb * part + ground * (1 - part)
    mine = rgb.copy()
    lay_on(mine, alpha, ImageColor.getrgb(colour))
    assert np.abs(mine - expected).max() <= 0.5
    assert (mine[:3] == ground).all() and (mine[3:6] == rgb[3:6]).all()


def test_what_is_applied() -> None:
    picture = decode(FILES["PNG"][0], keep_alpha=True)
    assert applied(decode(FILES["PNG"][0]), "keep").alpha is None
    on_white = applied(picture, "#ffffff")
    by_hand = Image.alpha_composite(Image.new("RGBA", IMAGE.size, "white"), IMAGE)
    difference = on_white.pixels.astype(int) - np.asarray(by_hand.convert("RGB"))
    assert on_white.alpha is None and np.abs(difference).max() <= 1
    locked = decode(FILES["PNG"][0], keep_alpha=True)
    locked.pixels.flags.writeable = False
    assert (applied(locked, "#ffffff").pixels == on_white.pixels).all()
    kept = applied(decode(FILES["PNG"][0], keep_alpha=True), "keep")
    assert kept.alpha is not None and (kept.alpha == ALPHA).all()
    assert (kept.pixels[ALPHA > FAINT] == RGB[ALPHA > FAINT]).all()


# The colours under what is transparent.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (67, 43), (300, 5), (16, 1024)])
def test_one_colour_is_spread_over_everything(dtype: type, shape: tuple[int, int]) -> None:
    """However far away, whatever the size, and in no more than the values there are."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (*shape, 3)).astype(dtype)
    alpha = np.zeros(shape, dtype)
    alpha[-1, -1] = (FAINT + 1) * (np.iinfo(dtype).max // 255)
    pixels[-1, -1] = (250, 3, 77)
    spread(pixels, alpha)
    assert (pixels == (250, 3, 77)).all()


def test_what_is_visible_stays_and_its_neighbours_follow() -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, :10], alpha[:, 30:] = 255, 9
    pixels[:, :10], pixels[:, 30:] = (200, 0, 0), (0, 0, 200)
    before = pixels.copy()
    spread(pixels, alpha)
    assert (pixels[alpha > 0] == before[alpha > 0]).all()
    assert (pixels[:, 10:18] == (200, 0, 0)).all() and (pixels[:, 22:30] == (0, 0, 200)).all()
    # In between it is the one, the other or a mean, never what was there.
    assert (pixels[..., 1] == 0).all() and (pixels.sum(axis=2) == 200).all()


def test_what_is_hardly_seen_has_no_say() -> None:
    faint = FAINT * 257
    pixels, alpha = np.zeros((20, 20, 3), np.uint16), np.full((20, 20), faint, np.uint16)
    pixels[5, 5], alpha[5, 5] = (65535, 60000, 9), faint + 1
    spread(pixels, alpha)
    assert (pixels == (65535, 60000, 9)).all()


def test_colours_that_were_rounded_under_a_soft_edge_leave_no_specks() -> None:
    """A disc made smaller by a program that multiplies colours by alpha, as most do."""
    side = np.hypot(*np.indices((400, 400)) - 199.5) < 180
    disc = np.zeros((400, 400, 4), np.uint8)
    disc[side] = (200, 40, 30, 255)
    small = np.asarray(Image.fromarray(disc).resize((40, 40), Image.Resampling.LANCZOS))
    pixels, alpha = small[..., :3].copy(), small[..., 3].copy()
    rounded = (alpha > 0) & (np.abs(pixels.astype(int) - (200, 40, 30)).max(axis=2) > 60)
    assert rounded.any()
    spread(pixels, alpha)
    assert np.abs(pixels.astype(int) - (200, 40, 30)).max() <= 60


def test_a_picture_of_nothing_and_one_of_everything_stay() -> None:
    for value in (0, 255):
        pixels = RGB.copy()
        spread(pixels, np.full(RGB.shape[:2], value, np.uint8))
        assert (pixels == RGB).all()


# Enlarging.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_opaque_stays_opaque_and_clear_stays_clear(scale: int, dtype: type) -> None:
    white = np.iinfo(dtype).max
    mask = np.zeros((40, 60), bool)
    mask[10:30, 10:50] = True
    big = resized(np.where(mask, white, 0).astype(dtype), 60 * scale, 40 * scale)[:]
    assert big.shape == (40 * scale, 60 * scale) and big.dtype == np.uint8
    assert (big[11 * scale : 29 * scale, 11 * scale : 49 * scale] == 255).all()
    outside = np.ones(big.shape, bool)
    outside[9 * scale : 31 * scale, 9 * scale : 51 * scale] = False
    assert (big[outside] == 0).all()
    for value in (0, white):
        assert (resized(np.full((3, 5), value, dtype), 7, 8)[:] == round(value / white * 255)).all()


def test_bands_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = np.random.default_rng(4).integers(0, 256, (300, 9), np.uint8)
    smooth = np.linspace(9, 240, 300 * 9).reshape(300, 9).astype(np.uint8)  # nothing to clip
    rows = Image.fromarray(smooth.astype(np.float32))
    for width, height in ((27, 900), (23, 751), (9, 300), (9, 299), (4, 77)):
        expected = np.asarray(rows.resize((width, height), Image.Resampling.BICUBIC))
        assert np.abs(resized(smooth, width, height)[:] - expected).max() <= 0.51
    monkeypatch.setattr("edsr_cli.images.alpha._BAND_PIXELS", 2**30)
    monkeypatch.setattr("edsr_cli.images.alpha._ROWS", 2**30)
    for width, height in ((27, 900), (23, 751), (4, 77)):
        monkeypatch.setattr("edsr_cli.images.alpha._BAND_PIXELS", 2**30)
        whole = resized(alpha, width, height)[:].astype(int)
        for pixels in (1, 100, 2000):
            monkeypatch.setattr("edsr_cli.images.alpha._BAND_PIXELS", pixels)
            # Positions are rounded to floats, which may turn a half.
            assert np.abs(resized(alpha, width, height)[:] - whole).max() <= (width != 27)


# Writing.


@pytest.mark.parametrize(
    "output", [entry for entry in FORMATS if entry.alpha], ids=lambda f: f.name
)
def test_it_is_written(output: formats.OutputFormat) -> None:
    if output.name == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    alpha = np.where(DISC, 255, 0).astype(np.uint8)
    alpha[5] = np.arange(len(alpha[5])) * 5
    pixels = builders.gradient(*DISC.shape)
    file = io.BytesIO()
    notes = encode(pixels, output, Metadata(dpi=(300.0, 300.0)), file, alpha=alpha)
    if output.name == "GIF":
        alpha = np.where(alpha < 128, 0, 255).astype(np.uint8)
        assert notes[-1] == CUT_OUT
    else:
        assert notes == ()
    image = Image.open(io.BytesIO(file.getvalue()))
    assert image.mode == ("P" if output.name == "GIF" else "RGBA")
    assert (np.asarray(image.convert("RGBA"))[..., 3] == alpha).all()
    again = decode(file.getvalue(), keep_alpha=True)
    assert again.alpha is not None and (again.alpha == alpha).all()
    off = np.abs(again.pixels.astype(int) - pixels)
    if output.name == "GIF":
        off[alpha == 0] = 0
    assert off.mean() < 3 if output.lossy else (off == 0).all()


def test_tiffs_say_that_colours_are_not_multiplied() -> None:
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    file = io.BytesIO()
    tall = np.random.default_rng(5).integers(0, 256, (900, 200, 4), np.uint8)  # several strips
    encode(tall[..., :3].copy(), outputs.TIFF, Metadata(), file, alpha=tall[..., 3].copy())
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        assert tiff.pages[0].extrasamples == (2,) and len(tiff.pages[0].dataoffsets) > 1
        assert (tiff.asarray() == tall).all()


def test_pillow_gets_it_too() -> None:
    image = to_pil(RGB, Metadata(dpi=(72.0, 72.0)), ALPHA)
    assert image.mode == "RGBA" and (np.asarray(image) == RGBA).all() and image.info["dpi"]
    assert to_pil(RGB).mode == "RGB"
