"""Which page of a TIFF file is the picture, and what is refused as camera raw."""

import io
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, probe
from edsr_cli.images.codecs.tiff_pages import classic_copy, first_directory
from edsr_cli.images.colour import icc
from edsr_cli.images.guard import only_the_first
from tests.images import builders

BIG, SMALL = builders.gradient(24, 40), builders.gradient(6, 10)
MASK = np.zeros((24, 40), np.uint8)
PROFILE = icc.srgb_profile()
PAGES = pytest.mark.parametrize("bigtiff", [False, True])
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def pages(
    *written: tuple[NDArray[Any], dict[str, Any]], bigtiff: bool = False, order: Any = "<"
) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=bigtiff, byteorder=order) as writer:
        for pixels, options in written:
            writer.write(pixels, photometric="rgb", metadata=None, **options)
    return file.getvalue()


def old_subfile(value: int) -> dict[str, Any]:
    return {"extratags": [(255, 3, 1, value, True)]}


REDUCED: dict[str, Any] = {"subfiletype": 1}


@PAGES
@ORDERS
@pytest.mark.parametrize("thumbnail", [REDUCED, {"subfiletype": 3}, old_subfile(2)])
def test_a_thumbnail_in_front_is_passed_over(
    thumbnail: dict[str, Any], order: str, bigtiff: bool
) -> None:
    """It was enlarged instead of the picture, without a word."""
    about = {
        "resolution": (300, 300), "resolutionunit": 2, "description": "the picture",
        "iccprofile": PROFILE,
    }  # fmt: skip
    data = pages((SMALL, thumbnail), (BIG, about), bigtiff=bigtiff, order=order)
    picture = decode(data)
    assert (picture.pixels == BIG).all() and picture.notes == ()
    # The metadata are those of that page, too.
    assert picture.metadata.dpi == (300, 300) and picture.metadata.icc_profile == PROFILE
    assert picture.metadata.exif is not None and b"the picture" in picture.metadata.exif
    assert (probe(data).width, probe(data).height, probe(data).frames) == (40, 24, 1)


def test_reduced_pages_and_masks_are_not_counted() -> None:
    plain: dict[str, Any] = {}
    data = pages((SMALL, REDUCED), (BIG, plain), (SMALL, REDUCED), (BIG, {"subfiletype": 2}))
    assert decode(data).notes == (only_the_first(2),)
    assert probe(data).frames == 2
    mask = builders.entry("<", 262, 3, [4])
    with pytest.raises(PictureError, match=r"its colours are a mask"):
        decode(builders.tiff(MASK, extra=[mask]))


def test_overviews_in_sub_directories_do_not_matter() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(BIG, subifds=2, photometric="rgb", metadata=None)
        writer.write(SMALL, subfiletype=1, photometric="rgb", metadata=None)
        writer.write(SMALL, subfiletype=1, photometric="rgb", metadata=None)
    picture = decode(file.getvalue())
    assert (picture.pixels == BIG).all() and picture.notes == ()


def test_a_picture_below_another_one_is_left_out_with_a_remark() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(BIG, subifds=1, photometric="rgb", metadata=None)
        writer.write(BIG[::-1], photometric="rgb", metadata=None)
    picture = decode(file.getvalue())
    assert (picture.pixels == BIG).all()
    assert picture.notes == ("left out: further pictures (SubIFDs)",)


def test_a_picture_behind_a_thumbnail_is_found_in_its_sub_directory() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(SMALL, subifds=1, subfiletype=1, photometric="rgb", metadata=None)
        writer.write(BIG, subfiletype=0, photometric="rgb", metadata=None)
    assert (decode(file.getvalue()).pixels == BIG).all()


def test_a_single_reduced_page_is_taken_with_a_remark() -> None:
    picture = decode(pages((SMALL, REDUCED)))
    assert (picture.pixels == SMALL).all()
    assert picture.notes == ("the file calls this picture a reduced one, and holds no other",)


def raw_files() -> dict[str, bytes]:
    def extra(*entries: tuple[int, int, list[int]]) -> list[list[Any]]:
        return [builders.entry("<", tag, kind, values) for tag, kind, values in entries]

    sensor = builders.tiff(MASK, extra=extra((262, 3, [32803])))
    files = {
        "DNG": builders.tiff(SMALL, 2, extra=extra((50706, 1, [1, 4, 0, 0]))),
        "one page of a sensor": sensor,
        "linear": builders.tiff(SMALL, 34892),
        "pattern": builders.tiff(MASK, extra=extra((33421, 3, [2, 2]))),
        "preview only": builders.tiff(SMALL, 2, extra=extra((254, 4, [1]), (330, 4, [8]))),
    }
    # As Nikon and Sony write it: a thumbnail, and the data of the sensor in a sub-directory.
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(SMALL, subifds=2, subfiletype=1, photometric="rgb", metadata=None)
        writer.write(BIG, subfiletype=1, photometric="rgb", metadata=None)
        writer.write(MASK, subfiletype=0, photometric="cfa", metadata=None)
    files["thumbnail and sensor"] = file.getvalue()
    plain = builders.tiff(SMALL, 2)
    (start,) = struct.unpack("<L", plain[4:8])
    for mark in (b"CR\2\0", b"IIII"):  # the offsets are wrong then, which nobody gets to see
        files[f"mark {mark!r}"] = plain[:4] + struct.pack("<L", start + 4) + mark + plain[8:]
    return files


@pytest.mark.parametrize("name", raw_files())
def test_camera_raw_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """The thumbnail of a raw file was enlarged, and the exit code was 0."""
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_files()[name])
    for function in (probe, decode):
        with pytest.raises(PictureError, match="raw") as caught:
            function(path)
        assert "raw converter" in caught.value.hint


@pytest.mark.parametrize(
    "start", [b"IIU\0", b"IIRO\x08", b"MMOR", b"FUJIFILMCCD-RAW 0201", b"II\x1a\0\0\0HEAPCCDR",
              b"FOVb", b"\0MRM"],
)  # fmt: skip
def test_raw_files_that_are_no_tiff_are_named(start: bytes) -> None:
    with pytest.raises(PictureError, match="camera raw") as caught:
        decode(start + bytes(200))
    assert "raw converter" in caught.value.hint


def chain(count: int, entries: int) -> bytes:
    """A sound page, then a chain of directories that overlap, with many entries each."""
    first = builders.tiff(SMALL, 2)
    (place,) = struct.unpack("<L", first[4:8])
    (number,) = struct.unpack_from("<H", first, place)
    pointer = place + 2 + 12 * number
    start = len(first)
    step = 18 if entries == 1 else 4
    data = bytearray(first + bytes(step * count + 12 * entries + 100))
    struct.pack_into("<L", data, pointer, start)
    for index in range(count):
        here = start + step * index
        struct.pack_into("<H", data, here, entries)
        struct.pack_into("<L", data, here + 2 + 12 * entries, here + step)
    return bytes(data)


@pytest.mark.parametrize(("count", "entries"), [(3000, 60_000), (20_000, 1), (1, 1)])
def test_many_directories_take_linear_time(count: int, entries: int) -> None:
    data = chain(count, entries)
    start = time.process_time()
    assert (decode(data).pixels == SMALL).all()
    assert probe(data).frames >= 1
    assert time.process_time() - start < 5


def test_a_chain_that_comes_back_ends() -> None:
    data = bytearray(builders.tiff(SMALL, 2))
    (place,) = struct.unpack_from("<L", data, 4)
    (number,) = struct.unpack_from("<H", data, place)
    struct.pack_into("<L", data, place + 2 + 12 * number, place)
    assert decode(bytes(data)).notes == ()


def test_damage_in_a_later_directory_does_not_matter() -> None:
    data = bytearray(builders.tiff(SMALL, 2))
    (place,) = struct.unpack_from("<L", data, 4)
    (number,) = struct.unpack_from("<H", data, place)
    struct.pack_into("<L", data, place + 2 + 12 * number, 2**31)
    assert (decode(bytes(data)).pixels == SMALL).all()


def test_values_that_overlap_are_not_copied_over_and_over() -> None:
    """A small file could name all of itself 65,000 times."""
    entries = b"".join(struct.pack(">HHQQ", 60_000 + n, 7, 60_000, 16) for n in range(300))
    data = b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 300) + entries + bytes(70_000)
    file = io.BytesIO(data)
    assert len(classic_copy(file, first_directory(file)).getvalue()) < 2 * len(data)


def test_exif_of_a_bigtiff_in_big_endian_order() -> None:
    """Pillow cannot read such files; their tags are copied for it."""
    exif = struct.pack(">Q", 1) + struct.pack(">HHQ", 0x9003, 2, 20) + bytes(8) + bytes(8)
    data = bytearray(pages((BIG, {"extratags": [(65000, 4, 1, 0, True)]}), bigtiff=True, order=">"))
    place = len(data)
    text = b"2020:01:02 03:04:05\0"
    entry = data.index(struct.pack(">HHQ", 65000, 4, 1))
    struct.pack_into(">HHQQ", data, entry, 34665, 16, 1, place)
    data += exif[:20] + struct.pack(">Q", place + len(exif)) + exif[28:] + text
    found = decode(bytes(data)).metadata.exif
    assert found is not None and text in found
