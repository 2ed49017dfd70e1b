import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_cli.pixels.windows import ArrayWindow
from edsr_cli.restoration import grid
from edsr_cli.restoration.grid import jpeg_quality
from edsr_cli.restoration.sampling import luma, pieces
from tests.restoration.pictures import grass, jpeg, noisy, saved, scene


def found(pixels):
    return jpeg_quality([luma(part) for part in pieces(ArrayWindow(np.ascontiguousarray(pixels)))])


@pytest.mark.parametrize("quality", [15, 30, 50, 70, 80, 90, 95])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_the_quality_is_found_in_the_pixels(quality, subsampling):
    assert found(jpeg(scene(), quality, subsampling=subsampling)) == pytest.approx(quality, abs=4)


@settings(max_examples=8)
@given(top=st.integers(0, 9), left=st.integers(0, 9), quality=st.sampled_from([40, 75, 90]))
def test_it_is_found_wherever_the_picture_was_cut(top, left, quality):
    assert found(jpeg(scene(), quality)[top:, left:]) == pytest.approx(quality, abs=4)


@pytest.mark.parametrize("cut", [(0, 0), (3, 5)])
def test_the_worse_of_two_compressions_is_found(cut):
    top, left = cut
    first = np.ascontiguousarray(jpeg(scene(), 50)[top:, left:])
    assert found(jpeg(first, 95)) == pytest.approx(50, abs=6)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_never_compressed_has_no_quality(seed):
    for pixels in (scene(seed=seed), noisy(scene(seed=seed), 5), noisy(grass(), seed)):
        assert found(pixels) is None


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((64, 64, 3), 128, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((7, 300, 3), np.uint8),
        np.indices((64, 64)).sum(0, dtype=np.uint8)[..., None].repeat(3, 2) % 2 * 255,
        scene()[:9, :9],
        (scene() // 64 * 64).astype(np.uint8),
        scene(32, 32).repeat(8, 0).repeat(8, 1),
    ],
    ids=["flat", "pixel", "low", "chequered", "small", "few colours", "enlarged"],
)
def test_drawings_and_tiny_pictures_have_none(pixels):
    assert found(pixels) is None


def test_a_webp_has_none():
    import io

    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(saved(scene(), "WEBP", quality=60))).convert("RGB"))
    assert found(pixels) is None


@pytest.mark.parametrize("shapes", [[(64, 64)], [(23, 40), (8, 8), (7, 300), (100, 17)], [(5, 5)]])
def test_the_search_of_all_grids_is_that_of_each(shapes):
    planes = [luma(scene(*shape).astype(np.float32)) for shape in shapes]
    telling = [grid._FREQUENCIES.index(each) for each in grid._TELLING]
    together = grid._frequencies_of_all_places(planes)
    for place in range(64):
        alone = grid._frequencies(planes, *divmod(place, 8))[telling]
        assert together[place].sum() == alone.sum() or together[place].sum() > 0
        # But for sums that are rounded to the other side of a bin's border.
        assert np.abs(np.cumsum(together[place] - alone, axis=1)).max() <= 1


def test_the_search_takes_little_memory():
    plane = luma(noisy(scene(512, 512), 3).astype(np.float32))
    grid.jpeg_quality([plane[:64, :64]])  # tables are made once
    tracemalloc.start()
    try:
        grid.jpeg_quality([plane])
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
