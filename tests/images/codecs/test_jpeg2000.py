"""JPEG 2000 of more than 8 bits, as imagecodecs writes it."""

import imagecodecs
import numpy as np
import pytest

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, probe
from edsr_cli.images.codecs import oiio
from edsr_cli.pixels.depth import full_range

VALUES = np.random.default_rng(5).integers(0, 2**16, (30, 44, 4), np.uint16)


def written(values: np.ndarray, bits: int, form: str = "jp2") -> bytes:
    data: bytes = imagecodecs.jpeg2k_encode(
        values, level=0, codecformat=form, bitspersample=bits, reversible=True
    )
    return data


@pytest.mark.parametrize("form", ["jp2", "j2k"])
@pytest.mark.parametrize(("bits", "channels"), [(10, 3), (12, 4), (16, 3), (16, 4), (16, 1)])
def test_all_bits(bits: int, channels: int, form: str) -> None:
    if channels > 1:
        pytest.importorskip("OpenImageIO", reason="colours take OpenImageIO")
    values = VALUES[..., :channels] >> (16 - bits)
    data = written(values.squeeze(), bits, form)
    picture, exact = decode(data, keep_alpha=True), full_range(values, bits)
    colours = 3 if channels >= 3 else 1
    assert probe(data).bits == bits and picture.notes == ()
    assert picture.pixels.dtype == np.uint16 and picture.grey == (colours == 1)
    assert (picture.pixels == exact[..., :colours]).all()
    if channels > colours:
        assert picture.alpha is not None and (picture.alpha == exact[..., colours]).all()


def test_where_pillow_would_make_black_of_white(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = written(VALUES[..., :3], 16)
    assert decode(written(VALUES[..., 0], 16)).notes == ()  # greyscale it reads well
    monkeypatch.setattr(oiio, "find_spec", lambda name: None)
    for function in (probe, decode):
        with pytest.raises(PictureError, match=r"^a\.jp2: 16-bit colours.*edsr-cli\[jxl\]"):
            function(deep, name="a.jp2")
    place = deep.index(b"colr") + 7
    for rare in (deep[:place] + b"\0\0\0\x12" + deep[place + 4 :], written(VALUES[..., :2], 16)):
        with pytest.raises(PictureError, match="stored in a rare way"):  # sYCC; grey with alpha
            decode(rare)


def test_what_is_cut_short() -> None:
    pytest.importorskip("OpenImageIO", reason="colours take OpenImageIO")
    data = written(VALUES[..., :3], 16)
    for size in (40, 120, 200):
        with pytest.raises(PictureError, match=r"damaged|cut short"):
            decode(data[:size])
