"""HEIC by pillow-heif, where it is installed."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edsr_cli.images import READ_SUFFIXES, decode, open_picture, source
from edsr_cli.images.colour import icc
from tests.conftest import REPOSITORY
from tests.images import builders

y, x = np.mgrid[:64, :80]
SAMPLES = np.stack([x * 12, y * 15, (x + y) * 7, 1023 - x], axis=-1).astype(np.uint16)


def heic(samples: NDArray[np.uint16], bits: int, **options: Any) -> bytes:
    """Without loss, of samples of 10 bits."""
    pillow_heif = pytest.importorskip("pillow_heif")
    mode = ("RGB" if samples.shape[2] == 3 else "RGBA") + (";16" if bits > 8 else "")
    stored = (samples << 6) if bits > 8 else (samples >> 2).astype(np.uint8)
    file, before = io.BytesIO(), pillow_heif.options.SAVE_HDR_TO_12_BIT
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        picture = pillow_heif.from_bytes(mode, samples.shape[1::-1], stored.tobytes())
        picture.save(file, quality=-1, chroma=444, matrix_coefficients=0, **options)
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = before
    return file.getvalue()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_all_bits(bits: int, channels: int) -> None:
    samples = SAMPLES[..., :channels]
    picture = decode(heic(samples, bits), keep_alpha=True)
    values = (samples >> 2 if bits == 8 else samples << (bits - 10)).astype(np.uint64)
    white, full = (1 << bits) - 1, 255 if bits == 8 else 65535
    exact = (values * full + white // 2) // white
    assert picture.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert (picture.pixels == exact[..., :3]).all() and picture.notes == ()
    if channels == 4:
        assert picture.alpha is not None and (picture.alpha == exact[..., 3]).all()


def test_metadata_and_orientation() -> None:
    exif = b"Exif\0\0" + builders.exif(orientation=6, thumbnail=False)
    data = heic(SAMPLES[..., :3], 8, exif=exif, icc_profile=icc.srgb_profile())
    with open_picture(data) as opened:
        info, picture = opened.info, opened.read()
    assert (info.format, info.width, info.height, info.streams) == ("HEIF", 64, 80, False)
    assert picture.metadata.size == (64, 80) and picture.metadata.icc_profile == icc.srgb_profile()
    assert picture.metadata.exif and b"Maker" in picture.metadata.exif
    assert (picture.pixels == np.rot90(SAMPLES[..., :3] >> 2, -1)).all()
    assert {".heic", ".heif"} <= READ_SUFFIXES


BROKEN = """
import io, sys
from PIL import Image
import edsr_cli
from edsr_cli.errors import PictureError
from edsr_cli.images import decode
from edsr_cli.images.formats import begins_like_a_picture
for format_name in ("QOI", "PPM", "AVIF", "TGA"):
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, format_name)
    assert decode(file.getvalue(), name="a." + format_name.lower()).window.shape == (6, 8, 3)
assert not begins_like_a_picture(b"no picture at all")
try:
    decode(b"\\0\\0\\0\\x18ftypheic\\0\\0\\0\\0mif1heic", name="a.heic")
except PictureError as error:
    assert "pillow-heif does not work here" in str(error), error
else:
    sys.exit("it was read")
"""


@pytest.mark.parametrize("error", ["RuntimeError", "ImportError", "AttributeError"])
def test_one_that_does_not_work_harms_no_other_format(tmp_path: Path, error: str) -> None:
    (tmp_path / "pillow_heif").mkdir()
    (tmp_path / "pillow_heif" / "__init__.py").write_text(f"raise {error}('boom')")
    paths = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", BROKEN], env=environment, check=True)


def test_it_is_said_how_to_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    error = source.not_a_picture(io.BytesIO(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "a.heic")
    assert "edsr-cli[heif]" in str(error)
