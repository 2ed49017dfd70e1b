"""The metadata of TIFF files, also of those that Pillow cannot open."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from edsr_cli.images import decode, probe
from edsr_cli.images.colour import icc
from tests.images import builders

GREY = builders.gradient()[..., 0]
GREY_ALPHA_16 = np.dstack([GREY.astype(np.uint16) * 250, np.full(GREY.shape, 65535, np.uint16)])
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("known_to_pillow", [False, True])
def test_metadata_do_not_depend_on_what_pillow_can_decode(
    order: str, known_to_pillow: bool
) -> None:
    profile = builders.grey_icc(builders.gamma_curve(2.2))
    ratio = struct.pack(order + "2L", 118, 1)
    extra = [
        builders.entry(order, 270, 2, [], b"a description\0"),
        builders.entry(order, 282, 5, [], ratio),
        builders.entry(order, 283, 5, [], ratio),
        builders.entry(order, 296, 3, [3]),  # centimetres
        builders.entry(order, 700, 1, [], XMP),
        builders.entry(order, 34675, 7, [], profile),
    ]
    samples = GREY if known_to_pillow else GREY_ALPHA_16
    if not known_to_pillow:
        extra.append(builders.entry(order, 338, 3, [2]))
    data = builders.tiff(samples, order=order, extra=extra)
    if not known_to_pillow:
        with pytest.raises(OSError):
            Image.open(io.BytesIO(data))
    picture = decode(data)
    assert picture.metadata.dpi == pytest.approx((299.72, 299.72))
    assert picture.metadata.xmp == XMP
    assert picture.metadata.exif is not None and b"a description" in picture.metadata.exif
    # The profile is for greyscale: used, and replaced by that of what came out.
    assert picture.metadata.icc_profile == icc.srgb_profile()
    assert picture.notes == ("greyscale converted to sRGB by its ICC profile",)


@pytest.mark.parametrize("kind", ["shaped", "imagej", "ome"])
def test_descriptions_of_the_old_pixels_for_programs_are_left_out(kind: str) -> None:
    file = io.BytesIO()
    how = {"shaped": {}, "imagej": {"imagej": True}, "ome": {"ome": True}}[kind]
    tifffile.imwrite(file, GREY, software="a program", **how)
    picture = decode(file.getvalue())
    assert any("left out: a description" in note for note in picture.notes)
    exif = Image.Exif()
    exif.load(picture.metadata.exif or b"")
    assert 270 not in exif and exif[305] == "a program"


@pytest.mark.parametrize("text", ["Aperio Image Library v11|MPP = 0.4990", "shape=(2, 3)"])
def test_what_is_for_programs_is_known_by_how_it_begins(text: str) -> None:
    for before, kept in (("", False), ("a picture of ", True)):
        value = f"{before}{text}\0".encode()
        data = builders.tiff(GREY, extra=[builders.entry("<", 270, 2, [], value)])
        exif = decode(data).metadata.exif or b""
        assert (text.encode() in exif) == kept


@pytest.mark.parametrize(
    ("samples", "photometric", "mode"),
    [
        (GREY, 1, "L"),
        (GREY.astype(np.uint16), 1, "I;16"),
        (builders.gradient(), 2, "RGB"),
        (np.dstack([builders.gradient(), GREY]), 5, "CMYK"),
        (builders.gradient(), 8, "LAB"),
        (builders.gradient(), 6, "RGB"),
    ],
)
def test_modes_are_named_as_pillow_does(
    samples: np.ndarray,  # type: ignore[type-arg]
    photometric: int,
    mode: str,
) -> None:
    info = probe(builders.tiff(samples, photometric, extra=[builders.entry("<", 530, 3, [1, 1])]))
    assert (info.mode, info.format, info.width, info.height) == (mode, "TIFF", 20, 12)
    assert info.bits == samples.dtype.itemsize * 8 and info.frames == 1


def test_rgb_of_16_bits_keeps_them_and_its_profile() -> None:
    deep = builders.gradient().astype(np.uint16) * 257 + 5
    extra = [builders.entry("<", 34675, 7, [], icc.srgb_profile())]
    picture = decode(builders.tiff(deep, 2, extra=extra))
    assert picture.pixels.dtype == np.uint16 and (picture.pixels == deep).all()
    assert picture.metadata.icc_profile == icc.srgb_profile() and picture.notes == ()
