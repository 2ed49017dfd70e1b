"""Frames of animations, and pages of documents."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, open_picture
from edsr_cli.images.guard import only_the_first
from edsr_cli.images.metadata import iptc
from tests.images import builders


def pictures(count: int = 3) -> list[NDArray[np.uint8]]:
    """Few colours, so that a palette holds them, all frames unlike."""
    return [np.roll(builders.gradient() // 64 * 64, 5 * n, axis=1) for n in range(count)]


def animation(form: str, **options: Any) -> bytes:
    first, *more = map(Image.fromarray, pictures())
    return builders.saved(first, form, save_all=True, append_images=more, duration=80, **options)


FILES = {
    "GIF": animation("GIF"),
    "WebP": animation("WEBP", lossless=True),
    "APNG": animation("PNG"),
    "AVIF": animation("AVIF", quality=100, subsampling="4:4:4"),
    "TIFF": animation("TIFF"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("form", FILES)
def test_each_frame(form: str, streamed: bool, small_bands: None) -> None:
    tolerance = 4 if form == "AVIF" else 0
    for number, expected in enumerate(pictures(), 1):
        with open_picture(FILES[form], frame=number) as opened:
            assert opened.info.frames == 3
            picture = opened.read(streamed=streamed)
            assert np.abs(picture.pixels.astype(int) - expected).max() <= tolerance
            assert picture.notes == ()
    assert decode(FILES[form]).notes == (only_the_first(3),)


@pytest.mark.parametrize("form", [*FILES, "PNG", "BMP", "PSD"])
def test_what_is_not_there(form: str) -> None:
    one = Image.fromarray(pictures()[0])
    psd = b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\1\0\0\0\1\0\x08\0\3" + bytes(14) + bytes(3)
    data = FILES.get(form) or (psd if form == "PSD" else builders.saved(one, form))
    there = "only 3 frames or pages" if form in FILES else "only one frame or page"
    for number in (0, 4, -1, 10**9):
        with pytest.raises(PictureError, match=f"no frame or page {number}: it has {there}"):
            decode(data, frame=number)
    assert decode(data, frame=1).pixels.size


def test_a_page_has_its_own_depth_size_and_metadata() -> None:
    file = io.BytesIO()
    title = b"\x1c\x02\x05\0\x03two"
    deep = np.arange(30 * 20 * 3, dtype=np.uint16).reshape(30, 20, 3) * 36
    with tifffile.TiffWriter(file) as writer:
        writer.write(pictures()[0], photometric="rgb", metadata=None, resolution=(72, 72))
        writer.write(
            deep, photometric="rgb", metadata=None, resolution=(300, 300),
            extratags=[(33723, 7, len(title), title, True), (274, 3, 1, 6, True)],
        )  # fmt: skip
    first, second = (decode(file.getvalue(), frame=number) for number in (1, 2))
    assert first.pixels.dtype == np.uint8 and (first.pixels == pictures()[0]).all()
    assert first.metadata.iptc is None and first.metadata.dpi == (72, 72)
    assert (second.pixels == np.rot90(deep, -1)).all()
    assert second.metadata.dpi == (300, 300) and second.metadata.iptc == title
    assert iptc.data_sets(title)
