"""Every ordinary kind of TIFF, written by tifffile: right, or refused with the true reason."""

import io
import itertools
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import decode
from edsr_cli.images.alpha import DROPPED, UNCOVERED

HEIGHT, WIDTH = 37, 45  # several strips and tiles, of which the last ones are cut
_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
# Smooth, so that JPEG loses little, and not the same in any two channels.
PLANES = [
    (60 + 2 * _X + _Y).astype(np.uint8),
    (200 - 3 * _Y - _X // 2).astype(np.uint8),
    (90 + _X + 2 * _Y).astype(np.uint8),
    (40 + _X // 2 + _Y).astype(np.uint8),
]
ALPHA = (255 - 2 * _X - 3 * _Y // 2).astype(np.uint8)
PALETTE = np.stack([(np.arange(256) * step + 7) % 256 for step in (1, 3, 5)]).astype(np.uint16)

COLOURS = {"miniswhite": 1, "minisblack": 1, "rgb": 3, "palette": 1, "separated": 4, "ycbcr": 3,
           "cielab": 3, "icclab": 3}  # fmt: skip
ALPHAS = (None, "assocalpha", "unassalpha")
METHODS = (None, "lzw", "deflate", "packbits", "jpeg")


class Cell(NamedTuple):
    photometric: str
    bits: int
    alpha: str | None
    planar: bool
    tiled: bool
    method: str | None
    order: str
    big: bool


CELLS = {
    (photometric, bits): [
        Cell(photometric, bits, *rest, *form)
        for rest in itertools.product(ALPHAS, (False, True), (False, True), METHODS)
        for form in itertools.product("<>", (False, True))
    ]
    for photometric in COLOURS
    for bits in (8, 16)
}


def stored(cell: Cell) -> NDArray[Any]:
    """The channels of a cell as a file stores them, (H, W, n)."""
    count = COLOURS[cell.photometric]
    colours = np.stack(PLANES[:count], axis=2).astype(np.uint32)
    if cell.photometric in ("cielab", "icclab"):
        colours = lab(cell.bits, signed=cell.photometric == "cielab").astype(np.uint32)
    elif cell.bits == 16:
        colours = colours * 257 - 100  # bytes that differ
    alpha = ALPHA.astype(np.uint32) * (257 if cell.bits == 16 else 1)
    white = (1 << cell.bits) - 1
    if cell.alpha == "assocalpha":
        colours = (colours * alpha[..., None] + white // 2) // white
    channels = colours if cell.alpha is None else np.dstack([colours, alpha])
    return channels.astype(np.uint8 if cell.bits == 8 else np.uint16)


def lab(bits: int, signed: bool) -> NDArray[Any]:
    """L*, a* and b* of soft colours, in either encoding."""
    light, a, b = 30 + _X, 10.0 - _X // 2, 9.0 - _Y // 2
    if bits == 8:
        encoded = np.stack([np.rint(light * 2.55), a, b], axis=2).astype(np.int64)
        return (encoded + (0 if signed else np.array([0, 128, 128]))) % 256
    scale = 655.35 if signed else 652.80
    encoded = np.stack([np.rint(light * scale), a * 256, b * 256], axis=2).astype(np.int64)
    return (encoded + (0 if signed else np.array([0, 32768, 32768]))) % 65536


def lab_as_srgb() -> NDArray[np.float64]:
    """What the colours of `lab` are in sRGB, by CIE's formulas and Bradford's adaptation."""
    light, a, b = 30 + _X, 10.0 - _X // 2, 9.0 - _Y // 2
    fy = (light + 16) / 116
    cubes = np.stack([fy + a / 500, fy, fy - b / 200], axis=2)
    linear = np.where(cubes > 6 / 29, cubes**3, (cubes - 4 / 29) * 3 * (6 / 29) ** 2)
    xyz = linear * (0.9642, 1.0, 0.8249)  # D50
    to_rgb = np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540],
                       [0.0719453, -0.2289914, 1.4052427]])  # fmt: skip
    light_rgb = np.clip(xyz @ to_rgb.T, 0, 1)
    curve = 1.055 * light_rgb ** (1 / 2.4) - 0.055
    return 255 * np.where(light_rgb <= 0.0031308, 12.92 * light_rgb, curve)


def written(cell: Cell) -> bytes:
    channels = stored(cell)
    if channels.shape[2] == 1:
        data = channels[..., 0]
    else:
        data = np.moveaxis(channels, 2, 0) if cell.planar else channels
    options: dict[str, Any] = {
        "photometric": cell.photometric,
        "planarconfig": "separate" if cell.planar else "contig",
        "extrasamples": [cell.alpha] if cell.alpha else None,
        "compression": cell.method,
        "metadata": None,
    }
    if channels.shape[2] == 1:
        del options["planarconfig"]
    options |= {"tile": (16, 16)} if cell.tiled else {"rowsperstrip": 16}
    if cell.photometric == "palette":
        options["colormap"] = np.tile(PALETTE * 256, (1, 1 if cell.bits == 8 else 256))
    if cell.method in ("lzw", "deflate") and cell.photometric != "palette":
        options["predictor"] = 2
    if cell.method == "jpeg":
        options["compressionargs"] = {"level": 100}
        if cell.photometric in ("rgb", "ycbcr") and not cell.planar:
            options["subsampling"] = (1, 1)
            options["compressionargs"]["outcolorspace"] = cell.photometric
        elif channels.shape[2] in (3, 4) and not cell.planar:  # as they are
            space = {3: "rgb", 4: "cmyk"}[channels.shape[2]]
            options["compressionargs"] |= {"colorspace": space, "outcolorspace": space}
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=cell.big, byteorder=cell.order) as writer:
        writer.write(data, **options)
    return file.getvalue()


def truth(cell: Cell) -> tuple[NDArray[Any], float]:
    """The RGB of a cell on the scale of 8 bits, and how far off one may be."""
    colours = np.stack(PLANES[: COLOURS[cell.photometric]], axis=2).astype(float)
    if cell.bits == 16:
        colours -= 100 / 257
    off = 0.51 if cell.bits == 8 else 0.002
    if cell.alpha == "assocalpha":
        off = max(off, 0.51 * 255 / ALPHA.min() / (1 if cell.bits == 8 else 257) + off)
    if cell.photometric == "miniswhite":
        rgb = np.repeat(255 - colours, 3, axis=2)
    elif cell.photometric == "minisblack":
        rgb = np.repeat(colours, 3, axis=2)
    elif cell.photometric == "palette":
        rgb = PALETTE.T[stored(cell)[..., 0].astype(int) % 256].astype(float)
    elif cell.photometric == "separated":
        ink = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
        image = Image.frombytes("CMYK", (WIDTH, HEIGHT), ink.tobytes())
        rgb, off = np.asarray(image.convert("RGB")).astype(float), 2 * off + 1
    elif cell.photometric == "ycbcr":
        y, cb, cr = (colours[..., channel] for channel in range(3))
        red, blue = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
        green = (y - 0.299 * red - 0.114 * blue) / 0.587
        rgb = np.clip(np.stack([red, green, blue], axis=2), 0, 255)
    elif cell.photometric in ("cielab", "icclab"):
        rgb, off = lab_as_srgb(), 3
    else:
        rgb = colours
    return rgb, off + (4 if cell.method == "jpeg" else 0)


def not_written(cell: Cell) -> str | None:
    """Why there is no file for a cell; None where there is."""
    channels = COLOURS[cell.photometric] + bool(cell.alpha)
    if cell.method == "jpeg" and (cell.bits == 16 or cell.photometric == "palette"):
        return "no such thing as JPEG of it"
    if cell.planar and channels == 1:
        return "one channel has no planes"
    if cell.photometric == "palette" and cell.alpha:
        return "not written by tifffile"
    colours = cell.photometric in ("rgb", "ycbcr")
    if (
        cell.method == "jpeg"
        and not cell.planar
        and (channels in (2, 5) or (colours and cell.alpha))
    ):
        return "not written by tifffile"
    return None


def expected_refusal(cell: Cell) -> str | None:
    """Words of the reason for which a cell is refused; None where it must be right."""
    if cell.photometric == "ycbcr" and cell.bits == 16:
        return "YCbCr of 16 bits"
    lab_or_ycbcr = cell.photometric in ("cielab", "icclab", "ycbcr", "miniswhite")
    if cell.alpha == "assocalpha" and lab_or_ycbcr:
        return "multiplied by alpha in a rare way"
    return None


# The order of bytes and the size of offsets have little to do with each other, or with the rest.
TWO_FORMS = [("<", False), (">", True)]


@pytest.mark.parametrize("some", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("photometric", "bits"), CELLS)
def test_matrix(photometric: str, bits: int, some: bool) -> None:
    counts: Counter[str] = Counter()
    for cell in CELLS[photometric, bits]:
        if some and (cell.order, cell.big) not in TWO_FORMS:
            continue
        missing = not_written(cell)
        if missing:
            counts[missing] += 1
            continue
        data = written(cell)
        reason = expected_refusal(cell)
        if reason:
            with pytest.raises(PictureError, match=reason):
                decode(data, name="a.tif")
            counts["refused"] += 1
            continue
        picture = decode(data, name="a.tif")
        rgb, off = truth(cell)
        pixels = picture.pixels.astype(float) / (257 if picture.pixels.dtype == np.uint16 else 1)
        assert pixels.shape == rgb.shape, cell
        assert np.abs(pixels - rgb).max() <= off, (cell, np.abs(pixels - rgb).max(), off)
        deep = bits == 16 and photometric in ("miniswhite", "minisblack", "rgb")
        assert (picture.pixels.dtype == np.uint16) == deep, cell
        assert len({DROPPED, UNCOVERED} & set(picture.notes)) == bool(cell.alpha), cell
        if cell.alpha:
            kept = decode(data, name="a.tif", keep_alpha=True)
            assert (kept.pixels == picture.pixels).all(), cell
            assert not {DROPPED, UNCOVERED} & set(kept.notes), cell
            expected = ALPHA * (picture.pixels.dtype.type(257) if deep else ALPHA.dtype.type(1))
            assert kept.alpha is not None and kept.alpha.dtype == picture.pixels.dtype, cell
            difference = np.abs(kept.alpha.astype(int) - expected).max()
            assert difference <= (off if cell.method == "jpeg" else 0), (cell, difference)
        counts["right"] += 1
    print(photometric, bits, dict(counts))  # noqa: T201 - shown with pytest -s
    assert counts["right"] or counts["refused"]
