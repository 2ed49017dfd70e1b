"""Several pictures in a file, as Pillow and independent decoders read them."""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.images import Metadata, OutputFormat, OutputRequest, create_sequence, open_picture
from edsr_cli.images.codecs import tiff_writing
from edsr_cli.images.codecs.animation import changed
from edsr_cli.images.codecs.apng_writing import PngAnimation
from edsr_cli.images.codecs.gif_writing import REDUCED
from edsr_cli.images.codecs.tiff_encoder import TIMELESS
from edsr_cli.images.colour import icc
from edsr_cli.images.guard import TooLargeError
from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.images.outputs import GIF, JPEG, PNG, TIFF, WEBP
from edsr_cli.images.sequences import check_holds, check_several
from tests.images import builders

Array = NDArray[Any]
SIZE = (41, 30)
DURATIONS = (40.0, 70.0, 1000.0, 30.0)
METADATA = Metadata(icc.srgb_profile(), exif_data.clean(builders.exif()), b"<x/>")


def frames() -> list[Array]:
    """A still background with a square that moves over it, and at last nothing new."""
    base = builders.gradient(30, 41) // 64 * 64
    found = [base.copy() for _ in DURATIONS]
    for number, frame in enumerate(found[:-1]):
        frame[3 + 5 * number : 9 + 5 * number, 7 * number + 1 : 7 * number + 12] = (200, 10, 90)
    found[-1] = found[-2].copy()
    return found


def masks() -> list[Array]:
    """Holes that open and close."""
    found = [np.full((30, 41), 255, np.uint8) for _ in DURATIONS]
    for number, mask in enumerate(found):
        mask[4 * number : 4 * number + 9, 3:20] = 0
    return found


def written(
    output: OutputFormat, plays: int = 3, alphas: list[Array] | None = None, **request: Any
) -> tuple[bytes, tuple[str, ...]]:
    file = io.BytesIO()
    with create_sequence(file, output, len(DURATIONS), plays) as writer:
        for number, frame in enumerate(frames()):
            alpha = None if alphas is None else alphas[number]
            writer.add(frame, OutputRequest(SIZE, alpha=alpha, **request), DURATIONS[number])
    return file.getvalue(), writer.notes


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("output", [GIF, PNG, WEBP, TIFF], ids=lambda output: output.name)
def test_frames_come_back(output: OutputFormat, clear: bool) -> None:
    alphas = masks() if clear else None
    data, notes = written(output, alphas=alphas, metadata=METADATA)
    image = Image.open(io.BytesIO(data))
    assert image.n_frames == len(DURATIONS)
    for number, expected in enumerate(frames()):
        image.seek(number)
        image.load()
        found = np.asarray(image.convert("RGBA"))
        alpha = alphas[number] if alphas else np.full(expected.shape[:2], 255)
        assert (found[..., 3] == alpha).all()
        assert (found[..., :3][alpha > 0] == expected[alpha > 0]).all()
        if output is not TIFF:
            assert image.info["duration"] == DURATIONS[number]
            assert image.info["loop"] == (2 if output is GIF else 3)  # GIF counts repetitions
    with open_picture(data) as opened:
        assert opened.read().metadata.icc_profile == METADATA.icc_profile
    if output is TIFF:
        assert TIMELESS in notes
    else:
        assert TIMELESS not in notes


def as_decoded(output: OutputFormat, data: bytes) -> Array:
    if output is GIF:
        return imagecodecs.gif_decode(data)
    if output is PNG:
        return imagecodecs.apng_decode(data)
    return np.stack([page.asarray() for page in tifffile.TiffFile(io.BytesIO(data)).pages])


@pytest.mark.parametrize("output", [GIF, PNG, TIFF], ids=lambda output: output.name)
def test_other_decoders_see_the_same(output: OutputFormat) -> None:
    """giflib; libpng with the patch for animations; tifffile."""
    found = as_decoded(output, written(output)[0])
    assert (found[..., :3] == np.stack(frames())).all()


@pytest.mark.parametrize("output", [GIF, PNG, WEBP], ids=lambda output: output.name)
@pytest.mark.parametrize("plays", [0, 1, 2, 100_000])
def test_how_often_it_is_shown(output: OutputFormat, plays: int) -> None:
    with open_picture(written(output, plays)[0]) as opened:
        most = {"GIF": 65_536, "WebP": 65_535}.get(output.name, plays)
        assert opened.info.animated and opened.info.plays == min(plays, most)


@pytest.mark.parametrize("output", [GIF, PNG, WEBP], ids=lambda output: output.name)
def test_durations_that_a_format_cannot_hold_add_up(output: OutputFormat) -> None:
    file = io.BytesIO()
    with create_sequence(file, output, 30) as writer:
        for number in range(30):
            pixels = np.full((4, 4, 3), number, np.uint8)
            writer.add(pixels, OutputRequest((4, 4)), 1000 / 30)
    with open_picture(file.getvalue()) as opened:
        shown = [picture.milliseconds for picture in opened.frames()]
    assert None not in shown and abs(sum(map(float, shown)) - 1000) < 1  # type: ignore[arg-type]


def test_a_webp_of_more_bytes_than_it_can_state(tmp_path: Path) -> None:
    with (
        open(tmp_path / "a.webp", "w+b") as file,  # noqa: PTH123
        pytest.raises(PictureError, match="more than 4 GiB"),
        create_sequence(file, WEBP, 1) as writer,
    ):
        writer.add(np.zeros((4, 4, 3), np.uint8), OutputRequest((4, 4)))
        file.seek(2**32 + 8)  # as if so many bytes of frames had come


def test_what_goes_wrong_at_the_end_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: object) -> None:
        raise ValueError("out of order")

    monkeypatch.setattr(PngAnimation, "finish", damaged)
    with pytest.raises(PictureError, match=r"cannot be written as PNG \(out of order"):
        written(PNG)


def test_only_what_has_changed_is_written() -> None:
    still = builders.gradient(200, 300)
    moved = still.copy()
    moved[100:104, 50:54] = 255
    sizes = {}
    for output in (GIF, PNG, WEBP):
        for count in (1, 5):
            file = io.BytesIO()
            with create_sequence(file, output, count) as writer:
                for number in range(count):
                    writer.add(moved if number % 2 else still, OutputRequest((300, 200)), 50)
            sizes[count] = len(file.getvalue())
        assert sizes[5] < sizes[1] + 4 * 1500


@given(
    arrays(np.uint8, (5, 6, 3), elements=st.integers(0, 1)),
    arrays(np.uint8, (5, 6, 3), elements=st.integers(0, 1)),
    st.integers(1, 3),
)
def test_the_changed_part_makes_one_frame_the_other(first: Array, second: Array, step: int) -> None:
    part = changed(first, second, step)
    made = first.copy()
    inside = np.s_[part.top : part.bottom, part.left : part.right]
    made[inside] = second[inside]
    assert (made == second).all() and made[inside].size
    assert part.top % step == part.left % step == 0


def test_more_colours_than_a_gif_has() -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    with create_sequence(file, GIF, 1) as writer:
        writer.add(noise, OutputRequest((40, 40)))
    assert writer.notes == (REDUCED,)
    assert written(GIF)[1] == ()


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["strips", "pyramid"])
def test_pages_have_sizes_depths_and_metadata_of_their_own(
    kind: str, big: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if big:
        monkeypatch.setattr(tiff_writing, "CLASSIC_LIMIT", 0)
    random = np.random.default_rng(3)
    pages = [
        random.integers(0, 256, (300, 280, 3), np.uint8),
        random.integers(0, 65536, (7, 9, 3), np.uint16),
        random.integers(0, 256, (33, 5, 3), np.uint8),
    ]
    pages[2][..., 1:] = pages[2][..., :1]
    options = replace(OutputRequest(SIZE).options, tiff=kind)
    file = io.BytesIO()
    with create_sequence(file, TIFF, 3) as writer:
        for number, page in enumerate(pages):
            about = replace(METADATA, exif=exif_data.clean(builders.exif("<>"[number % 2])))
            about = replace(about, dpi=(100.0 + number, 50.0))
            request = OutputRequest(
                page.shape[1::-1], about, options, None, 8 * page.itemsize, grey=number == 2
            )
            writer.add(page, request)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as read:
        assert read.is_bigtiff == big
        found = [page for page in read.pages if not page.is_reduced]
        for page, expected in zip(found, pages, strict=True):
            pixels = page.asarray()
            assert (pixels == (expected if pixels.ndim == 3 else expected[..., 0])).all()
        assert found[2].asarray().ndim == 2
    with open_picture(file.getvalue()) as opened:
        assert opened.info.frames == 3 and not opened.info.animated
        for number, picture in enumerate(opened.frames(keep_grey=True)):
            assert (picture.pixels == pages[number]).all() and picture.grey == (number == 2)
            assert picture.metadata.dpi == (100.0 + number, 50.0)
            assert picture.metadata.exif is not None and b"2020:01:02" in picture.metadata.exif


def test_the_cover_of_an_animation_is_none_of_its_frames() -> None:
    cover, *shown = map(Image.fromarray, frames())
    data = builders.saved(cover, "PNG", save_all=True, append_images=shown, default_image=True)
    with open_picture(data) as opened:
        assert opened.info.frames == 4 and len(opened.info.all_frames) == 3
        found = [picture.pixels for picture in opened.frames()]
    assert len(found) == 3 and (found[0] == frames()[1]).all()


def test_all_frames_go_through_the_profile_of_the_file() -> None:
    file = io.BytesIO()
    first = Image.fromarray(np.full((8, 8), 100, np.uint8))
    second = first.copy()
    second.putpixel((7, 7), 0)
    profile = builders.grey_icc(builders.gamma_curve(1.0))
    first.save(file, "PNG", save_all=True, append_images=[second], icc_profile=profile)
    with open_picture(file.getvalue()) as opened:
        pictures = list(opened.frames())
    assert [int(each.pixels[0, 0, 0]) for each in pictures] == [168, 168]
    assert [len(each.notes) for each in pictures] == [1, 1]


def test_limits_hold_for_all_frames_together() -> None:
    data = written(WEBP)[0]
    pixels = 4 * 41 * 30
    with open_picture(data, pixels) as opened:
        assert len(list(opened.frames())) == 4
    words = f"{pixels:,} pixels in 4 frames"
    with open_picture(data, pixels - 1) as opened, pytest.raises(TooLargeError, match=words):
        list(opened.frames())


def test_a_damaged_frame_is_an_error() -> None:
    data = written(PNG)[0]
    place = data.index(b"fdAT") + 12
    with open_picture(data[:place] + bytes(9) + data[place + 9 :]) as opened:
        found = opened.frames()
        assert next(found).pixels.size
        with pytest.raises(PictureError):
            next(found)


def test_formats_of_one_picture_and_of_pages() -> None:
    check_several(GIF)
    with pytest.raises(UsageError, match=r"JPEG holds one picture.*PNG, WebP, TIFF or GIF"):
        check_several(JPEG)
    with open_picture(written(TIFF)[0]) as opened:
        check_holds(opened.info, TIFF)
        with pytest.raises(PictureError, match=r"GIF cannot hold its 4 pages\. Write them as TIFF"):
            check_holds(opened.info, GIF)
    with open_picture(written(GIF)[0]) as opened:
        check_holds(opened.info, TIFF)
        check_holds(opened.info, PNG)
        with pytest.raises(PictureError, match="JPEG cannot hold its 4 frames"):
            check_holds(opened.info, JPEG)
