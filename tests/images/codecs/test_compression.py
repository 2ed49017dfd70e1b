import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.images import decode, from_pil
from edsr_cli.images.codecs.av1 import base_q_index
from edsr_cli.images.codecs.avif import avif_quality
from edsr_cli.images.codecs.jpeg_tables import luma_table, table_quality
from edsr_cli.images.codecs.webp import quantiser_indices, webp_quality
from edsr_cli.images.formats import codec_of
from edsr_cli.images.picture import Compression
from tests.images.rich import box
from tests.restoration.pictures import saved, scene

SCENE = scene(96, 120)


def stated(content: bytes) -> Compression | None:
    return decode(content).compression


@pytest.mark.parametrize("quality", [1, 10, 25, 49, 50, 51, 75, 90, 95, 99, 100])
def test_a_jpeg_states_its_quality(quality):
    found = stated(saved(SCENE, "JPEG", quality=quality))
    assert found == Compression("JPEG", max(quality, found.quality if quality < 2 else 0), True)


@pytest.mark.parametrize(
    ("subsampling", "expected"), [(0, False), (1, True), (2, True)], ids=["444", "422", "420"]
)
def test_a_jpeg_states_its_subsampling(subsampling, expected):
    content = saved(SCENE, "JPEG", quality=80, subsampling=subsampling)
    assert stated(content) == Compression("JPEG", 80, expected)
    with Image.open(io.BytesIO(content)) as image:
        assert from_pil(image).compression == Compression("JPEG", 80, expected)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_do_too(mode):
    file = io.BytesIO()
    Image.fromarray(SCENE).convert(mode).save(file, "JPEG", quality=60)
    assert stated(file.getvalue()) == Compression("JPEG", 60, False)


def test_progressive_and_optimised_jpegs_do_too():
    content = saved(SCENE, "JPEG", quality=60, progressive=True, optimize=True)
    assert stated(content) == Compression("JPEG", 60, True)


@settings(max_examples=40)
@given(quality=st.integers(1, 100))
def test_tables_of_libjpeg_are_found_exactly(quality):
    found = table_quality(luma_table(quality).ravel().tolist())
    assert np.array_equal(luma_table(found), luma_table(quality))


@settings(max_examples=40)
@given(quality=st.integers(20, 94), data=st.data())
def test_other_tables_count_by_their_mean_step(quality, data):
    table = luma_table(quality).astype(float)
    change = np.array(data.draw(st.lists(st.floats(0.85, 1.15), min_size=64, max_size=64)))
    other = np.clip(np.rint(table * change.reshape(8, 8)), 1, 255).astype(int)
    # All steps 15 % larger, or 15 % smaller, as qualities; steps are rounded to whole numbers.
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    worst, best = (
        5000 / each if each > 100 else (200 - each) / 2 for each in (1.15 * percent, 0.85 * percent)
    )
    assert worst - 2 <= table_quality(other.ravel().tolist()) <= best + 2


def test_a_table_of_one_step_and_photoshops_are_somewhere_sensible():
    assert table_quality([1] * 64) == 100
    assert table_quality([255] * 64) < 10
    # Photoshop's "save for web" of 60, as its JPEGs have it.
    photoshop = luma_table(80).ravel() * 1.2
    assert 70 < table_quality(np.rint(photoshop).astype(int).tolist()) < 80


@pytest.mark.parametrize("table", [[], [1] * 63, [0] * 64])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(ValueError, match="64 steps"):
        table_quality(table)


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 95])
@pytest.mark.parametrize("extra", [{}, {"xmp": b"<x/>" * 30}], ids=["plain", "extended"])
def test_a_lossy_webp_states_about_its_quality(quality, extra):
    found = stated(saved(SCENE, "WEBP", quality=quality, **extra))
    assert found is not None and found.codec == "WebP"
    assert abs(found.quality - quality) <= 12


def test_an_animated_webp_states_that_of_its_first_frame():
    frames = [Image.fromarray(SCENE), Image.fromarray(SCENE[::-1])]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], quality=50)
    found = stated(file.getvalue())
    assert found is not None and abs(found.quality - 50) <= 12


@pytest.mark.parametrize("quality", [20, 40, 60, 80, 90])
@pytest.mark.parametrize("size", [(120, 96), (1, 1), (700, 40)])
def test_an_avif_states_about_its_quality(quality, size):
    pixels = np.asarray(Image.fromarray(SCENE).resize(size))
    found = stated(saved(pixels, "AVIF", quality=quality, speed=10))
    assert found is not None and found.codec == "AVIF"
    assert abs(found.quality - quality) <= 12


def test_an_avif_with_alpha_states_that_of_its_colours():
    rgba = np.dstack([SCENE, SCENE[..., 0]])
    content = saved(rgba, "AVIF", quality=50, speed=10, xmp=b"<x/>" * 300)
    found = stated(content)
    assert found is not None and abs(found.quality - 50) <= 12


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    ],
)
def test_other_files_state_nothing(form, options):
    assert stated(saved(SCENE, form, **options)) is None
    assert from_pil(Image.fromarray(SCENE)).compression is None


def test_a_file_of_no_more_than_counts_of_nothing_is_read_at_once():
    """Each of 9,000 items has 65,535 parts that take no bytes."""
    item = struct.pack(">3H", 1, 0, 65535)
    boxes = b"\0\0\0\0" + box(b"pitm", bytes(4) + b"\0\7")
    boxes += box(b"iloc", bytes(6) + struct.pack(">H", 9000) + 9000 * item)
    assert base_q_index(box(b"meta", boxes)) is None


def test_the_file_is_left_where_it_was():
    file = io.BytesIO(saved(SCENE, "WEBP", quality=50))
    with Image.open(file) as image:
        file.seek(11)
        assert codec_of(image).stated_compression(image, file) is not None
        assert file.tell() == 11


@settings(max_examples=80)
@given(
    content=st.sampled_from(
        [saved(SCENE, "WEBP", quality=50), saved(SCENE, "AVIF", quality=50, speed=10)]
    ),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.integers(0, 800), st.integers(0, 255)), max_size=8),
)
def test_damaged_headers_state_something_or_nothing(content, cut, changes):
    damaged = bytearray(content[: int(len(content) * cut)])
    for place, value in changes:
        if place < len(damaged):
            damaged[place] = value
    assert all(0 <= index <= 127 for index in quantiser_indices(bytes(damaged)))
    assert base_q_index(bytes(damaged)) in (None, *range(256))


@given(index=st.integers(0, 127))
def test_qualities_of_webp_and_avif_are_within_1_and_100(index):
    assert 1 <= webp_quality([index]) <= 100
    assert 1 <= avif_quality(2 * index) <= 100
    assert webp_quality([index]) >= webp_quality([min(127, index + 1)])
