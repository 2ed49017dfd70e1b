"""Writers by rows: what comes in pieces is what comes at once, and strict readers take it."""

import io
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.images import (
    Metadata,
    OutputFormat,
    OutputOptions,
    OutputRequest,
    create_picture,
    write_picture,
)
from edsr_cli.images.codecs import png_writing, rows
from edsr_cli.images.outputs import BMP, JPEG, PNG, TIFF
from edsr_cli.pixels.grey import joined
from edsr_cli.pixels.windows import Region

BY_ROWS = (PNG, JPEG, TIFF, BMP)
METADATA = Metadata(dpi=(300.0, 240.0))
Array = NDArray[Any]


def drawn(seed: int, size: tuple[int, int], bits: int) -> Array:
    """Smooth areas, which all filters and runs suit, beside noise, which none does."""
    random = np.random.default_rng(seed)
    steps = random.integers(-2, 3, (*size, 3))
    steps[:, size[1] // 2 :] *= 40
    walk = np.cumsum(steps, axis=1) * (1 if bits == 8 else 99)
    return walk.astype(np.uint8 if bits == 8 else np.uint16)


def write(output: OutputFormat, pixels: Array, heights: Iterator[int], **options: Any) -> bytes:
    file = io.BytesIO()
    height, width = pixels.shape[:2]
    bits = 8 * pixels.dtype.itemsize
    request = OutputRequest((width, height), METADATA, bits=bits, **options)
    with create_picture(file, output, request) as writer:
        assert writer.order == "rows" and writer.dtype == pixels.dtype
        top = 0
        while top < height:
            bottom = min(height, top + next(heights))
            piece = pixels[top:bottom].copy()
            writer.write(Region(top, bottom, 0, width), piece)
            piece[:] = 0  # whoever brings the rows may use the memory again
            top = bottom
    return file.getvalue()


def tiff_as_read(data: bytes) -> Array:
    return np.asarray(tifffile.imread(io.BytesIO(data)))


def jpeg_as_read(data: bytes) -> Array:
    return imagecodecs.jpeg8_decode(data)


READERS: dict[str, Callable[[bytes], Array]] = {
    "PNG": imagecodecs.png_decode,  # libpng
    "TIFF": tiff_as_read,
    "BMP": imagecodecs.bmp_decode,
    "JPEG": jpeg_as_read,
}


@pytest.mark.parametrize("output", BY_ROWS, ids=lambda output: output.name)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_pieces_make_the_same_file(output: OutputFormat, data: st.DataObject) -> None:
    """Whatever the size, the depth, the channels, the pieces and the threads."""
    size = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    bits = data.draw(st.sampled_from(output.depths))
    pixels = drawn(data.draw(st.integers(0, 99)), size, bits)
    grey = data.draw(st.booleans()) and output.grey
    alpha = pixels[::-1, :, 0] if output.alpha and data.draw(st.booleans()) else None
    level = data.draw(st.sampled_from((None, 0, 1, 6)))
    kind = data.draw(st.sampled_from(("strips", "tiled", "pyramid")))
    chroma = data.draw(st.sampled_from(("444", "420")))
    heights = np.random.default_rng(data.draw(st.integers(0, 99))).integers(1, 40, 90).tolist()
    files = set()
    with pytest.MonkeyPatch.context() as patch:
        # Small pictures are to have many strips, in deflate's window, too.
        patch.setattr(png_writing, "_STRIP_BYTES", 1500)
        patch.setattr(png_writing, "_WINDOW", 4000)
        patch.setattr("edsr_cli.images.codecs.tiff_encoder._STRIP_BYTES", 1500)
        patch.setattr("edsr_cli.images.codecs.jpeg_writing._STRIP_PIXELS", 500)
        patch.setattr("edsr_cli.images.codecs.bmp_writing._STRIP_BYTES", 1500)
        for steps, threads in ((heights, 1), ([size[0]], 3)):
            options = OutputOptions(level, chroma=chroma, tiff=kind, threads=threads)
            files.add(write(output, pixels, iter(steps), options=options, alpha=alpha, grey=grey))
    [content] = files
    found = READERS[output.name](content)
    expected = joined(pixels) if grey else pixels
    if alpha is not None:
        expected = np.concatenate((expected, alpha[..., None]), axis=2)
    if output is JPEG:
        whole = io.BytesIO()
        image = Image.fromarray(expected[..., 0] if grey else expected)
        image.save(whole, "JPEG", quality=95, subsampling=options.subsampling)
        expected = jpeg_as_read(whole.getvalue())
    assert found.dtype == pixels.dtype
    assert (found.reshape(expected.shape) == expected.reshape(expected.shape)).all()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_are_joined(first: bytes, second: bytes) -> None:
    adler = png_writing.zlib.adler32
    joined_one = png_writing.joined_adler(adler(first), adler(second), len(second))
    assert joined_one == adler(first + second)


@given(st.integers(0, 2**32 - 1))
def test_paeth_is_that_of_the_standard(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.choice(np.array([0, 1, 2, 127, 128, 254, 255], np.uint8), (3, 400))
    left, up, corner = values.astype(int)
    guess = left + up - corner
    far = np.abs(guess - np.stack((left, up, corner)))
    expected = np.stack((left, up, corner))[far.argmin(axis=0), np.arange(400)]
    assert (png_writing.paeth(*values[:, None]) == expected).all()


def test_the_smallest_differences_decide_on_the_filter() -> None:
    """None for noise around 0, Sub, Up, Average and Paeth for what is made for them."""
    random = np.random.default_rng(3)
    above = random.integers(0, 256, 300, np.uint8)
    ramp = np.empty(300, np.uint8)
    for place in range(300):
        before = int(ramp[place - 3]) if place >= 3 else 0
        ramp[place] = (before + int(above[place])) // 2
    for number, row in ((1, np.full(300, 99, np.uint8)), (2, above), (3, ramp)):
        assert png_writing.filtered(row[None], above, 3)[0, 0] == number
    around_zero = random.integers(-1, 2, 300).astype(np.uint8)
    assert png_writing.filtered(around_zero[None], above, 3)[0, 0] == 0
    # Steps of 100 to the right, of 5 down: at each step but one, the left or the upper is right.
    stairs = np.repeat(np.arange(100) // 10 % 2 * 100, 3).astype(np.uint8)
    assert png_writing.filtered(stairs[None] + 5, stairs, 3)[0, 0] == 4


@pytest.mark.parametrize("output", BY_ROWS, ids=lambda output: output.name)
@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_memory_does_not_follow_the_height(output: OutputFormat, threads: int) -> None:
    class Nowhere(io.RawIOBase):
        place = 0

        def seekable(self) -> bool:
            return True

        def tell(self) -> int:
            return self.place

        def seek(self, place: int, whence: int = 0) -> int:
            self.place = place
            return place

        def write(self, data: Any) -> int:
            return memoryview(data).nbytes

    def peak(height: int) -> int:
        rows = drawn(1, (50, 2000), 8)
        tracemalloc.start()
        options = OutputOptions(threads=threads)
        request = OutputRequest((2000, height), options=options)
        with create_picture(Nowhere(), output, request) as writer:  # type: ignore[arg-type]
            for top in range(0, height, 50):
                writer.write(Region(top, top + 50, 0, 2000), rows)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    # How many strips wait to be compressed, 8.8 to 12 MB, is up to the machine; the rows that the
    # higher picture has more are 24 MB.
    assert peak(6000) < 1.6 * peak(2000) < 2000 * 2000 * 3 * 2


@pytest.mark.parametrize("output", BY_ROWS, ids=lambda output: output.name)
def test_rows_that_are_out_of_order_or_missing(output: OutputFormat) -> None:
    pixels = drawn(1, (9, 5), 8)
    for regions in ([Region(3, 9, 0, 5)], [Region(0, 5, 0, 5), Region(4, 9, 0, 5)]):
        with pytest.raises(Exception, match="rows"), create_picture(
            io.BytesIO(), output, OutputRequest((5, 9))
        ) as writer:  # fmt: skip
            for region in regions:
                writer.write(region, pixels[region.top : region.bottom])
    with pytest.raises(Exception, match="only 3 of 9 rows"), create_picture(
        io.BytesIO(), output, OutputRequest((5, 9))
    ) as writer:  # fmt: skip
        writer.write(Region(0, 3, 0, 5), pixels[:3])


@pytest.mark.parametrize("output", BY_ROWS, ids=lambda output: output.name)
def test_a_failure_half_way_leaves_nothing(
    output: OutputFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a file nor a thread."""
    path = tmp_path / "out"
    encoder = type(create_picture(io.BytesIO(), output, OutputRequest((1, 1)))._encoder)
    real = encoder._compressed
    calls = []

    def fail(self: Any, *strip: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("no")
        return real(self, *strip)

    monkeypatch.setattr(encoder, "_compressed", fail)
    pixels = drawn(1, (2500, 1000), 8)
    with pytest.raises(Exception, match=f"out: it cannot be written as {output.name}"):
        write_picture(path, pixels, output, Metadata(), options=OutputOptions(threads=2))
    assert list(tmp_path.iterdir()) == []
    assert not [each for each in threading.enumerate() if each.name.startswith("edsr-strips")]


def test_a_system_that_gives_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = drawn(1, (2000, 600), 8)
    expected = write(PNG, pixels, iter([2000]))
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if len(begun) == 1:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for already in ([], [threading.current_thread()]):
        begun[:] = already
        assert write(PNG, pixels, iter([2000]), options=OutputOptions(threads=3)) == expected


def test_work_is_done_once_where_there_is_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thread has begun with the second piece when the second thread is refused."""
    start = threading.Thread.start
    ready, begun = threading.Event(), threading.Event()
    calls: list[int] = []
    taken: list[int] = []

    def allow_one(thread: threading.Thread) -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        start(thread)

    def refuse(thread: threading.Thread) -> None:
        ready.set()
        assert begun.wait(60)
        raise RuntimeError("can't start new thread")

    def second() -> int:
        begun.set()
        calls.append(1)
        return 1

    monkeypatch.setattr(threading.Thread, "start", allow_one)
    work = rows.InOrder(3)
    work.submit(lambda: 0 if ready.wait(60) else -1, taken.append)
    work.submit(second, taken.append)
    work.submit(lambda: 2, taken.append)
    work.finish(taken.append)
    assert taken == [0, 1, 2] and calls == [1]


def test_results_come_in_order() -> None:
    taken: list[int] = []
    work = rows.InOrder(3)
    ready = threading.Event()
    work.submit(lambda: ready.wait() and 0, taken.append)
    for number in range(1, 3):
        work.submit(lambda number=number: number, taken.append)  # type: ignore[misc]
    ready.set()
    work.finish(taken.append)
    assert taken == [0, 1, 2]
