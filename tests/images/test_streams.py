"""Pictures that are decoded while they are read, or into a scratch file."""

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import Kind, PictureError
from edsr_cli.files import scratch as scratch_module
from edsr_cli.images import bands, decode, open_picture
from edsr_cli.images.alpha import applied
from edsr_cli.images.bands import as_stored
from edsr_cli.images.colour import Converted
from edsr_cli.pixels.arrays import upright
from edsr_cli.pixels.planes import Beside
from edsr_cli.pixels.windows import ArrayWindow, Region, RowsWindow
from tests.images import builders


def noise(*shape: int, dtype: type = np.uint8) -> NDArray[Any]:
    return np.random.default_rng(sum(shape)).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def tif(pixels: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(file, pixels, photometric=photometric, metadata=None, **options)
    return file.getvalue()


def ppm(pixels: NDArray[Any], white: int) -> bytes:
    kind = b"P6" if pixels.shape[2] == 3 else b"P5"
    stored = pixels.astype(">u2" if white > 255 else np.uint8)
    return b"%s %d %d %d\n" % (kind, *pixels.shape[1::-1], white) + stored.tobytes()


WIDE, DEEP = noise(83, 61, 3), noise(83, 61, 3, dtype=np.uint16)
DEEP_GREY = DEEP[..., :1]
STREAMED: dict[str, bytes] = {
    "PNG": builders.png(WIDE),
    "PNG, 16 bits": builders.png(DEEP),
    "PNG, grey, 16 bits": builders.png(DEEP_GREY, builders.GREY),
    "BMP": builders.saved(Image.fromarray(WIDE), "BMP"),
    "BMP, palette": builders.saved(Image.fromarray(WIDE).quantize(7), "BMP"),
    "BMP, 1 bit": builders.saved(Image.fromarray(WIDE).convert("1"), "BMP"),
    "PPM": ppm(WIDE, 255),
    "PPM, 16 bits": ppm(DEEP, 65535),
    "PPM, 10 bits": ppm(DEEP >> 6, 1023),
    "PPM, white is 100": ppm(WIDE % 101, 100),
    "PGM": ppm(WIDE[..., :1], 255),
    "PGM, 16 bits": ppm(DEEP_GREY, 65535),
    "PGM, 12 bits": ppm(DEEP_GREY >> 4, 4095),
    "PBM": builders.saved(Image.fromarray(WIDE).convert("1"), "PPM"),
    "TGA": builders.saved(Image.fromarray(WIDE), "TGA"),
    "TIFF, one open strip": tif(WIDE),
    "TIFF, strips": tif(WIDE, rowsperstrip=7, compression="lzw"),
    "TIFF, strips, 16 bits": tif(DEEP, rowsperstrip=5, compression="zlib", predictor=True),
    "TIFF, tiles": tif(WIDE, tile=(16, 32), compression="zlib"),
    "TIFF, tiles, 16 bits, big-endian": tif(DEEP, tile=(16, 16), byteorder=">"),
    "BigTIFF": tif(DEEP, rowsperstrip=9, bigtiff=True),
    "TIFF, grey, 16 bits": tif(DEEP[..., 0], rowsperstrip=4),
    "TIFF, planes": tif(DEEP.transpose(2, 0, 1).copy(), planarconfig="separate", rowsperstrip=6),
    "TIFF, planes in tiles": tif(
        WIDE.transpose(2, 0, 1).copy(), planarconfig="separate", tile=(16, 16), compression="lzw"
    ),
    "TIFF, JPEG": tif(WIDE, rowsperstrip=16, compression="jpeg"),
    "TIFF, CMYK": builders.saved(Image.fromarray(WIDE).convert("CMYK"), "TIFF"),
    "TIFF, palette": builders.saved(Image.fromarray(WIDE).quantize(9), "TIFF"),
}
EXACT = {
    name: DEEP if "16 bits" in name or "Big" in name or name == "TIFF, planes" else WIDE
    for name in STREAMED
    if not any(word in name for word in ("palette", "bit,", "1 bit", "PBM", "JPEG", "CMYK", "10 b",
                                         "12 b", "100"))
}  # fmt: skip
TURNED = Image.Exif()
TURNED[0x112] = 6
ALPHA = Image.fromarray(noise(83, 61, 4))
# Of blocks of 8 rows: what a band of 16 takes is more than all of so small a picture does.
JPEG = builders.saved(Image.fromarray(WIDE), "JPEG", restart_marker_rows=1, subsampling="4:4:4")
STREAMED["JPEG, restart markers"] = JPEG
TRANSPARENT = {
    "PNG with alpha": builders.png(noise(83, 61, 4, dtype=np.uint16), builders.RGBA),
    "PNG, grey with alpha": builders.png(noise(83, 61, 2), builders.GREY_ALPHA),
    "PNG, palette with alpha": builders.saved(
        Image.fromarray(WIDE).quantize(9), "PNG", transparency=bytes(range(90, 99))
    ),
    "TIFF with alpha": builders.saved(ALPHA, "TIFF"),
    "TIFF, associated alpha": tif(noise(83, 61, 4), extrasamples=["assocalpha"], rowsperstrip=7),
}
STREAMED |= TRANSPARENT
SPOOLED: dict[str, bytes] = {
    "PNG, turned": builders.saved(Image.fromarray(WIDE), "PNG", exif=TURNED),
    "JPEG": builders.saved(Image.fromarray(WIDE), "JPEG", progressive=True),
    "WebP": builders.saved(ALPHA, "WEBP"),
    "GIF": builders.saved(Image.fromarray(WIDE).quantize(20), "GIF"),
    "TIFF, turned": builders.saved(Image.fromarray(WIDE), "TIFF", tiffinfo={0x112: 7}),
    "TGA with runs": builders.saved(Image.fromarray(WIDE), "TGA", compression="tga_rle"),
}


def opened(data: bytes, name: str) -> Any:
    """Opened by content; TGA is known by its name alone."""
    path = Path(f"picture.{name[:3].lower()}")
    if not name.startswith("TGA"):
        return open_picture(data)
    path.write_bytes(data)
    return open_picture(path)


@pytest.mark.parametrize("name", STREAMED)
def test_rows_are_those_of_the_whole_picture(
    name: str, small_bands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(STREAMED[name], name) as picture:
        assert picture.info.streams
        expected = picture.read()
    if name in EXACT:
        exact = EXACT[name][..., :1] if "rey" in name or "PGM" in name else EXACT[name]
        assert (expected.pixels == exact).all() and expected.pixels.dtype == exact.dtype
    with opened(STREAMED[name], name) as picture:
        streamed = picture.read(streamed=True)
        assert isinstance(streamed.window, RowsWindow) and streamed.window.order == "rows"
        assert (streamed.window.shape, streamed.window.dtype) == (
            (83, 61, 3),
            expected.pixels.dtype,
        )
        assert (streamed.notes, streamed.metadata) == (expected.notes, expected.metadata)
        for top in (0, 13, 50, 3, 76, 0):
            region = Region(top, top + 7, 5, 40)
            assert (streamed.window.read(region) == expected.pixels[top : top + 7, 5:40]).all()
        assert (streamed.pixels == expected.pixels).all()


@pytest.mark.parametrize("name", TRANSPARENT)
def test_alpha_comes_by_rows_beside_the_colours(name: str, small_bands: None) -> None:
    expected = decode(TRANSPARENT[name], keep_alpha=True)
    with open_picture(TRANSPARENT[name]) as picture:
        streamed = picture.read(keep_alpha=True, streamed=True)
        assert isinstance(streamed.alpha, Beside) and expected.alpha is not None
        assert (streamed.alpha.shape, streamed.alpha.dtype) == ((83, 61), expected.pixels.dtype)
        for top in (0, 20, 60, 5):  # in turns, as they are read and written
            rows = slice(top, top + 9)
            region = Region(top + 10, top + 19, 0, 61)
            assert (streamed.window.read(region) == expected.pixels[top + 10 : top + 19]).all()
            assert (streamed.alpha[rows] == expected.alpha[rows]).all()


@pytest.mark.parametrize("setting", ["keep", "#ff8000"])
@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_applied_by_rows(name: str, setting: str, small_bands: None) -> None:
    expected = applied(decode(TRANSPARENT[name], keep_alpha=True), setting)
    with open_picture(TRANSPARENT[name]) as picture:
        found = applied(picture.read(keep_alpha=True, streamed=True), setting)
        assert found.window.order == "rows" and (found.pixels == expected.pixels).all()
        assert (found.alpha is None) == (expected.alpha is None) == (setting != "keep")


@pytest.mark.parametrize("name", SPOOLED)
def test_all_else_goes_through_a_scratch_file(
    name: str, small_bands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes: list[int] = []
    monkeypatch.setattr(bands, "scratch", lambda size: sizes.append(size) or memory(size))
    memory = scratch_module.scratch
    for keep in (False, True):
        with opened(SPOOLED[name], name) as picture:
            assert not picture.info.streams
            expected = picture.read(keep_alpha=keep)
        assert not sizes
        with opened(SPOOLED[name], name) as picture:
            streamed = picture.read(keep_alpha=keep, streamed=True)
        # It does not need the input any more.
        assert isinstance(streamed.window, ArrayWindow)
        assert (streamed.pixels == expected.pixels).all()
        assert (streamed.notes, streamed.metadata) == (expected.notes, expected.metadata)
        assert sizes.pop(0) == expected.pixels.nbytes
        if expected.alpha is None:
            assert streamed.alpha is None
        else:
            assert streamed.alpha is not None
            assert (streamed.alpha[:] == expected.alpha[:]).all()
            assert sizes.pop(0) == expected.alpha[:].nbytes
        streamed.pixels[0] = 0  # nobody's but the caller's


def test_small_pictures_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "scratch", None)
    for data in (*STREAMED.values(), *SPOOLED.values()):
        if data[:2] in (b"\x89P", b"II", b"\xff\xd8", b"P6"):
            with open_picture(data) as picture:
                assert isinstance(picture.read(streamed=True).window, ArrayWindow)


@pytest.mark.usefixtures("small_bands")
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from(["PNG", "strips", "tiles", "BMP"]),
    st.integers(1, 30),
    st.integers(0, 2**30),
)
def test_any_region_in_any_order(
    height: int, width: int, dtype: type, kind: str, rows: int, seed: int
) -> None:
    pixels = noise(height, width, 3, dtype=dtype)
    if kind == "BMP":
        pixels = (pixels >> (8 * pixels.itemsize - 8)).astype(np.uint8)
    make: dict[str, Callable[[], bytes]] = {
        "PNG": lambda: builders.png(pixels),
        "strips": lambda: tif(pixels, rowsperstrip=rows, compression="zlib"),
        "tiles": lambda: tif(pixels, tile=(16, 16)),
        "BMP": lambda: builders.saved(Image.fromarray(pixels), "BMP"),
    }
    rng = np.random.default_rng(seed)
    with open_picture(make[kind]()) as picture:
        window = picture.read(streamed=True).window
        for _ in range(8):
            top, bottom = sorted(rng.integers(0, height + 1, 2).tolist())
            left, right = sorted(rng.integers(0, width + 1, 2).tolist())
            if top < bottom:
                region = Region(top, bottom, left, right)
                assert (window.read(region) == pixels[top:bottom, left:right]).all()


def test_the_next_band_is_decoded_meanwhile() -> None:
    asked = threading.Event()

    def slow() -> Iterator[NDArray[np.uint8]]:
        yield WIDE[:40]
        asked.set()
        yield WIDE[40:]

    window = RowsWindow((83, 61, 3), WIDE.dtype, lambda: bands._ahead(slow()))
    assert (window.read(Region(0, 7, 0, 61)) == WIDE[:7]).all() and asked.wait(60)
    assert (window.read(Region(30, 83, 0, 61)) == WIDE[30:]).all()
    for thread in threading.enumerate():
        if thread.name.startswith("edsr-decode"):
            thread.join(60)  # it ends by itself
            assert not thread.is_alive()


def test_without_a_thread_it_is_decoded_all_the_same(
    small_bands: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with open_picture(STREAMED["PNG"]) as opened:
        assert (opened.read(streamed=True).pixels == WIDE).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_view_as_it_is_stored(orientation: int) -> None:
    stored = noise(4, 7, 3)
    target = upright(np.zeros_like(stored), orientation)
    as_stored(target, orientation)[...] = stored
    assert (target == upright(stored, orientation)).all()


def test_too_little_room_for_a_scratch_file(
    small_bands: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(scratch_module.tempfile, "tempdir", None)
    assert scratch_module.scratch_folder() == tmp_path
    monkeypatch.setattr(scratch_module, "_SPARE_BYTES", 2**60)
    with (
        open_picture(SPOOLED["WebP"], name="large.webp") as picture,
        pytest.raises(PictureError, match=r"large.webp: a scratch file of .* cannot") as caught,
    ):
        picture.read(streamed=True)
    assert caught.value.kind is Kind.DISK_FULL and "TMPDIR" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["PNG, 16 bits", "BMP", "PPM, 10 bits", "TIFF, strips", "TIFF, tiles"]
)
def test_files_that_are_cut_short(name: str, small_bands: None) -> None:
    data = STREAMED[name]
    if name.startswith("TIFF"):  # the directory comes first
        data = data[: len(data) * 3 // 4]
    else:
        data = data[: len(data) // 2]
    with pytest.raises(PictureError):
        decode(data)
    cut = pytest.raises(PictureError, match="half: the file is cut short")
    with cut, open_picture(data, name="half") as picture:
        window = picture.read(streamed=True).window
        window.read(Region(0, 83, 0, 61))


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bytes changed or left out, or cut short."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(0, min(len(changed), rng.choice([64, 400, 10**9]))))
        kind = rng.choice(["change", "change", "leave out", "cut"])
        if kind == "change":
            changed[place] = rng.integers(0, 256)
        elif kind == "leave out":
            del changed[place : place + int(rng.integers(1, 40))]
        else:
            del changed[max(place, 8) :]
    return bytes(changed)


@pytest.mark.parametrize("name", [name for name in (STREAMED | SPOOLED) if name[:3] != "TGA"])
def test_damaged_files_are_the_same_streamed(name: str, small_bands: None) -> None:
    def attempt(data: bytes, streamed: bool) -> tuple[Any, ...] | None:
        try:
            with open_picture(data, 10**6) as opened:
                picture = opened.read(keep_alpha=True, streamed=streamed)
                return picture.pixels.tolist(), picture.notes, picture.metadata
        except PictureError:
            return None

    rng = np.random.default_rng(len(name))
    for _ in range(8):
        data = mutated((STREAMED | SPOOLED)[name], rng)
        assert attempt(data, streamed=False) == attempt(data, streamed=True)


def test_rows_that_nobody_reads_any_more_are_let_go_of_without_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The garbage collector may do it while it holds what the end of a thread waits for."""
    go_on = threading.Event()

    def slow() -> Iterator[NDArray[Any]]:
        yield WIDE[:10]
        go_on.wait(60)
        yield WIDE[10:]

    rows = bands._ahead(slow())
    next(rows)
    monkeypatch.setattr(threading.Thread, "join", None)
    rows.close()  # type: ignore[attr-defined]  # as it does
    monkeypatch.undo()
    go_on.set()


@pytest.mark.parametrize("size", [(5, 3), (6, 4), (4, 4)])
def test_another_picture_than_the_header_tells_of_is_damage(size: tuple[int, int]) -> None:
    """Such as one that its decoder has cut."""
    width, height = size
    decoded = Converted(np.zeros((4, 5, 3), np.uint8), None, [], None)
    with pytest.raises((EOFError, ValueError)):
        bands.put_together(lambda: iter([decoded]), size, 1, bands.Wanted("a", width * height))
