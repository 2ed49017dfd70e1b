import base64
import io
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images.colour.icc import srgb_profile
from edsr_cli.report import previews
from edsr_cli.report.previews import MOST, SIDE, Previews, busiest, make_preview
from tests.report.examples import done, failed, make_pictures, skipped


def opened(uri):
    """The picture in a data URI."""
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    return image


@pytest.mark.parametrize(
    ("width", "height", "small", "detail"),
    [
        (60, 40, (60, 40), (48, 40)),
        (400, 200, (192, 96), (48, 48)),
        (1, 1, (1, 1), (1, 1)),
        (1, 900, (1, 192), (1, 48)),
    ],
)
def test_both_pictures_and_a_detail_of_each(tmp_path, width, height, small, detail):
    size = (4 * width, 4 * height)
    record = make_pictures(done("a.png", tmp_path, input_size=(width, height), output_size=size))
    preview = make_preview(record)
    assert preview.record is record
    assert opened(preview.before).size == small
    assert max(opened(preview.after).size) == min(SIDE, max(size))
    assert opened(preview.detail_before).size == detail
    assert opened(preview.detail_after).size == tuple(4 * side for side in detail)
    # The same part of both: WebP is lossy, but not that much.
    before = np.asarray(opened(preview.detail_before).resize(tuple(4 * s for s in detail), 0))
    difference = np.abs(before.astype(int) - np.asarray(opened(preview.detail_after))).mean()
    assert difference < 40  # of noise against other noise it would be 85


@pytest.mark.parametrize("scale", [2.5, 1.2, 0.5])
def test_the_detail_is_the_same_part_at_any_scale(tmp_path, scale):
    """Columns and rows rise in steps, the lower right corner has the detail."""
    record = make_pictures(done("a.png", tmp_path, input_size=(500, 400)))
    pixels = np.zeros((400, 500, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(500) // 2, np.arange(400)[:, None] // 2
    pixels[350:, 450:, 2] = np.random.default_rng(0).integers(0, 256, (50, 50))
    before = Image.fromarray(pixels)
    before.save(record.input)
    before.resize((round(500 * scale), round(400 * scale))).save(record.output)
    preview = make_preview(record)
    details = [opened(uri) for uri in (preview.detail_before, preview.detail_after)]
    assert max(details[1].size) == SIDE
    first, second = (np.asarray(each.resize((8, 8)), float)[..., :2] for each in details)
    assert np.abs(first - second).mean() < 6


def test_colours_with_a_profile(tmp_path):
    """Like those that a browser shows: a profile is not kept, but applied."""
    record = make_pictures(done("a.png", tmp_path))
    swapped = bytearray(srgb_profile())
    red, green = swapped.index(b"rXYZ"), swapped.index(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    flat = Image.new("RGB", (60, 40), (250, 10, 10))
    flat.save(record.input, icc_profile=bytes(swapped))
    image = opened(make_preview(record).before)
    assert "icc_profile" not in image.info
    red, green, _ = image.getpixel((30, 20))
    assert green > 200 > 100 > red
    flat.save(record.input, icc_profile=b"nonsense")
    red, green, _ = opened(make_preview(record).before).getpixel((30, 20))
    assert red > 200 > 100 > green


def test_large_pictures_are_left_out(tmp_path, monkeypatch):
    record = make_pictures(done("a.png", tmp_path))
    monkeypatch.setattr(previews, "_PIXELS", record.output_pixels)
    assert make_preview(record) is not None
    monkeypatch.setattr(previews, "_PIXELS", record.output_pixels - 1)
    assert make_preview(record) is None


def test_only_what_is_done_and_still_there(tmp_path):
    kept = make_pictures(done("a.png", tmp_path))
    damaged = make_pictures(done("b.png", tmp_path))
    with open(damaged.output, "wb"):  # noqa: PTH123
        pass
    made = Previews()
    for record in (failed("x.png"), kept, done("gone.png", tmp_path), skipped("y.png"), damaged):
        made.consider(record)
    assert [preview.record for preview in made.finish(wait=True)] == [kept]
    with pytest.raises(PictureError):
        make_preview(damaged)


@pytest.fixture
def instant(monkeypatch):
    """Previews that cost nothing: the records themselves; none is passed over."""
    monkeypatch.setattr(previews, "make_preview", lambda record, frame: record)
    monkeypatch.setattr(previews, "_BACKLOG", 10**9)


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize("count", [0, 1, MOST - 1, MOST, 2 * MOST - 1, 1000, 22_000])
def test_an_even_spread(count):
    made = Previews()
    records = [done(f"{number}.png") for number in range(count)]
    for record in records:
        made.consider(record)
    kept = [records.index(record) for record in made.finish(wait=True)]
    assert len(kept) < MOST and len(kept) >= min(count, MOST // 2)
    step = kept[1] if len(kept) > 1 else 1
    assert kept == list(range(0, count, step))


def test_the_run_does_not_wait_for_previews(monkeypatch):
    """With a full backlog pictures are passed over; a stopped run drops the backlog too."""
    begun, go = threading.Event(), threading.Event()

    def slow(record, frame):
        begun.set()
        assert go.wait(60)
        return record

    monkeypatch.setattr(previews, "make_preview", slow)
    made = Previews()
    records = [done(f"{number}.png") for number in range(50)]
    for record in records:
        made.consider(record)
    assert begun.wait(60)
    threading.Timer(0.1, go.set).start()
    assert made.finish(wait=False) == records[:1]

    begun.clear(), go.clear()
    made = Previews()
    for record in records:
        made.consider(record)
    go.set()
    kept = made.finish(wait=True)
    assert kept == records[: len(kept)] and len(kept) == previews._BACKLOG


def test_a_system_without_threads_makes_no_previews(monkeypatch):
    def no_more(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    made = Previews()
    made.consider(done("a.png"))
    assert made.finish(wait=True) == []


def test_stopping_twice_is_fine():
    made = Previews()
    made.stop()
    made.stop()
    assert made.finish(wait=True) == []


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_the_busiest_part_lies_inside(height, width, data):
    pixels = np.zeros((height, width, 3), np.uint8)
    high, wide = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = busiest(pixels, high, wide)
    assert 0 <= top <= height - high and 0 <= left <= width - wide


@pytest.mark.parametrize("corner", [(0, 0), (0, 80), (80, 0), (80, 80), (40, 40)])
def test_the_busiest_part_has_the_detail(corner):
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:, 50:] = 255  # one edge is no detail
    top, left = corner
    pixels[top : top + 20 : 2, left : left + 20] ^= 90
    assert busiest(pixels, 20, 20) == corner
