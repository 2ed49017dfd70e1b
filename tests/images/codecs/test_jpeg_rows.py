"""JPEG by rows: exactly what Pillow decodes at once."""

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import bands, decode, open_picture, probe
from edsr_cli.images.codecs import jpeg as jpeg_module
from edsr_cli.images.codecs import jpeg_rows, vips
from edsr_cli.images.colour import DAMAGED
from edsr_cli.pixels.windows import Region, RowsWindow
from tests.images import builders


def jpeg(height: int, width: int, mode: str = "RGB", **options: Any) -> bytes:
    rng = np.random.default_rng(height * width)
    noise = Image.fromarray(rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 4), np.uint8))
    image = noise.resize((width, height), Image.Resampling.BICUBIC).convert("RGB").convert(mode)
    return builders.saved(image, "JPEG", **options)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(1, 130),
    st.integers(1, 70),
    st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.one_of(st.integers(1, 3), st.sampled_from([-1, -2])),
    st.integers(1, 60),
)
def test_intervals(
    height: int, width: int, subsampling: str, mode: str, restarts: int, rows: int
) -> None:
    """Restart markers behind some rows, or within rows."""
    options: dict[str, Any] = {"subsampling": subsampling} if mode == "RGB" else {}
    block = 16 if subsampling != "4:4:4" and mode == "RGB" else 8
    if restarts > 0:
        options["restart_marker_rows"] = restarts
    else:
        width = max(width // (2 * block), 1) * 2 * block  # an even number of columns
        options["restart_marker_blocks"] = width // block // 2
    data = jpeg(height, width, mode, **options)
    file = io.BytesIO(data)
    cut = jpeg_rows.read_intervals(file)
    assert cut is not None and (cut.width, cut.height) == (width, height)
    bands = [np.asarray(band) for band in jpeg_rows.decode_rows(file, cut, rows)]
    assert (np.concatenate(bands) == np.asarray(Image.open(io.BytesIO(data)))).all()
    expected = min(max(1, rows // cut.unit) * cut.unit, height)
    assert len(bands[0]) == expected and all(len(band) == expected for band in bands[:-1])


def test_windows_on_a_photograph(small_bands: None) -> None:
    data = jpeg(301, 203, restart_marker_rows=1, comment=b"hello", icc_profile=b"x" * 200)
    whole = decode(data)
    with open_picture(data) as opened:
        assert opened.info.streams
        picture = opened.read(streamed=True)
        assert isinstance(picture.window, RowsWindow)
        assert (picture.pixels == imagecodecs.jpeg_decode(data)).all()
        assert (picture.metadata, picture.notes) == (whole.metadata, whole.notes)
        assert picture.compression == whole.compression


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True, "restart_marker_rows": 1}, {"restart_marker_blocks": 5}],
    ids=["no markers", "progressive", "markers here and there"],
)
def test_what_cannot_be_cut(
    options: dict[str, Any], small_bands: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jpeg(200, 180, **options)
    assert jpeg_rows.read_intervals(io.BytesIO(data)) is None
    monkeypatch.setattr(vips, "library", lambda: None)
    with open_picture(data) as opened:
        assert not opened.info.streams
        picture = opened.read(streamed=True)
        assert (picture.pixels == decode(data).pixels).all()


def test_intervals_that_are_large_are_told_of_or_not_taken(
    small_bands: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vips, "library", lambda: None)
    for rows, streams, taken in ((2, True, 30 * 16 * 200), (4, False, 4 * 200 * 200)):
        data = jpeg(200, 200, restart_marker_rows=rows, subsampling="4:4:4")
        info = probe(data)
        assert (info.streams, info.decoder_bytes) == (streams, taken)


def test_an_interval_that_does_not_end(small_bands: None) -> None:
    """No more is read than so many pixels can take."""
    data = jpeg(200, 180, restart_marker_rows=1)
    cut = jpeg_rows.read_intervals(io.BytesIO(data))
    assert cut is not None
    broken = data[:-2] + bytes(4 * cut.interval_bytes + 2**22) + data[-2:]
    file = io.BytesIO(broken)
    with pytest.raises(OSError, match="longer than its pixels"):
        list(jpeg_rows.decode_rows(file, cut, 16))
    assert file.tell() < len(data) + cut.interval_bytes + 2**21
    assert DAMAGED in decode(broken).notes


def test_a_large_file_is_looked_at_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(bands, "_BAND_BYTES", 2**15)
    look = jpeg_module.is_damaged_data
    monkeypatch.setattr(
        jpeg_module, "is_damaged_data", lambda data: seen.append(len(data)) or look(data)
    )
    data = jpeg(400, 300, restart_marker_rows=1, quality=97)
    assert not jpeg_module.CODEC.is_damaged(io.BytesIO(data), 400 * 300)
    assert len(seen) == 13 and max(seen) < len(data) // 6
    place = data.index(b"\xff\xd3") + 60
    broken = data[:place] + b"\xff\xd9\0\0" + data[place:]
    assert jpeg_module.CODEC.is_damaged(io.BytesIO(broken), 400 * 300) == look(broken)


def test_damage_inside_is_remarked_on(small_bands: None) -> None:
    data = jpeg(300, 200, restart_marker_rows=1)
    broken = data[: data.index(b"\xff\xd5")] + data[data.index(b"\xff\xd6") :]
    expected = decode(broken)
    with open_picture(broken) as opened:
        picture = opened.read(streamed=True)
    assert DAMAGED in picture.notes == expected.notes
    assert (picture.pixels == expected.pixels).all()


def test_damage_on_the_way(small_bands: None) -> None:
    data = jpeg(300, 200, restart_marker_rows=1)
    with open_picture(data[: len(data) * 2 // 3], name="a.jpg") as opened:
        window = opened.read(streamed=True).window
        assert (window.read(Region(0, 20, 0, 200)) == decode(data).pixels[:20]).all()
        with pytest.raises(PictureError, match=r"a\.jpg: the file is cut short"):
            window.read(Region(280, 300, 0, 200))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_libvips_gives_the_same(
    mode: str, small_bands: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyvips")
    data = jpeg(333, 222, mode)
    whole = decode(data)
    with open_picture(data) as opened:
        assert opened.info.streams
        picture = opened.read(streamed=True)
        assert isinstance(picture.window, RowsWindow)
        for top in (0, 100, 200, 20):
            region = Region(top, top + 60, 3, 190)
            assert (picture.window.read(region) == whole.pixels[top : top + 60, 3:190]).all()
        assert picture.notes == whole.notes
    with open_picture(data[: len(data) // 2], name="b.jpg") as opened:
        window = opened.read(streamed=True).window
        with pytest.raises(PictureError, match=r"b\.jpg: the file is cut short"):
            window.read(Region(300, 333, 0, 222))


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [3, 4])
def test_avif_with_all_its_bits(bits: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyvips")
    rng = np.random.default_rng(bits)
    samples = rng.integers(0, 1 << bits, (40, 56, channels)).astype(np.uint16)
    data = imagecodecs.avif_encode(samples, level=100, bitspersample=bits)
    white = (1 << bits) - 1
    exact = ((samples.astype(np.uint64) * 65535 + white // 2) // white).astype(np.uint16)
    picture = decode(data, keep_alpha=True)
    assert picture.pixels.dtype == np.uint16 and (picture.pixels == exact[..., :3]).all()
    assert picture.notes == ()
    if channels == 4:
        assert picture.alpha is not None and (picture.alpha == exact[..., 3]).all()
    monkeypatch.setattr(vips, "library", lambda: None)
    picture = decode(data, keep_alpha=True)
    assert picture.pixels.dtype == np.uint8
    assert picture.notes == (f"{bits}-bit colours read as 8-bit",)
