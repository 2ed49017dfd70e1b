import contextlib
import io
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from edsr_cli.images.metadata import exif
from tests.images import builders

ORDERS = pytest.mark.parametrize("order", ["<", ">"])


@ORDERS
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_read(order: str, value: int) -> None:
    assert exif.orientation(builders.exif(order, value)) == value


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"junk" * 9, builders.exif("<", 9), builders.exif("<", 0),
             builders.exif("<", None)],
)  # fmt: skip
def test_what_makes_no_sense_is_upright(data: bytes) -> None:
    assert exif.orientation(data) == 1


@ORDERS
def test_clean_removes_orientation_and_thumbnail_and_moves_nothing(order: str) -> None:
    before = builders.exif(order)
    after = exif.clean(before)
    assert after is not None
    assert after.find(builders.MAKER_NOTE) == before.find(builders.MAKER_NOTE) > 0
    assert b"thumbnail" in before and b"thumbnail" not in after
    seen = Image.Exif()
    seen.load(after)
    assert dict(seen) == {0x100: 640, 0x10F: "Maker", 0x8769: seen[0x8769]}
    assert seen.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert seen.get_ifd(0x8769)[0x927C] == builders.MAKER_NOTE
    assert seen.get_ifd(ExifTags.IFD.IFD1) == {}


def test_a_thumbnail_in_the_middle_is_erased_where_it_lies() -> None:
    data = builders.exif() + b"something behind"
    after = exif.clean(data)
    assert after is not None and len(after) == len(data)
    assert b"thumbnail" not in after and after.endswith(b"something behind")


def test_a_wrong_thumbnail_offset_erases_nothing_else() -> None:
    data = bytearray(builders.exif())
    place = data.find(struct.pack("<HHL", 0x201, 4, 1)) + 8
    struct.pack_into("<L", data, place, data.find(builders.MAKER_NOTE))
    after = exif.clean(bytes(data))
    assert after is not None and builders.MAKER_NOTE in after


@ORDERS
def test_every_orientation_is_removed(order: str) -> None:
    """A second one would turn the output, which is upright already."""
    kept = [builders.entry(order, 0x10F, 2, [], b"Maker\0"), builders.entry(order, 0x128, 3, [2])]
    turned = [builders.entry(order, 0x112, 3, [value]) for value in (6, 3, 8)]
    mark = b"II*\0" if order == "<" else b"MM\0*"
    start = mark + struct.pack(order + "L", 8)
    after = exif.clean(start + builders.directory(order, 8, kept + turned))
    assert after is not None and exif.orientation(after) == 1
    assert [field.tag for field in exif.fields(after)] == [0x10F, 0x128]
    assert exif.fields(after)[0].value == b"Maker\0"
    # The pointer to the next directory has moved up with the entries.
    assert after[8 + 2 + 24 : 8 + 2 + 24 + 4] == bytes(4)


def test_a_value_that_ends_at_the_last_byte_is_kept() -> None:
    text = b"the last of all"
    data = b"II*\0\x08\0\0\0" + builders.directory(
        "<", 8, [builders.entry("<", 0x10E, 2, [], text)]
    )
    assert data.endswith(text)
    assert exif.fields(data) == (exif.Field(0x10E, 2, text),)
    assert exif.fields(data[:-1]) == ()  # one byte less, and it lies outside


@pytest.mark.parametrize("behind", [b"", b"more"])
def test_all_of_a_thumbnail_goes(behind: bytes) -> None:
    data = builders.exif() + behind
    start = data.index(builders.THUMBNAIL)
    after = exif.clean(data)
    assert after is not None
    if behind:
        assert after[start:] == bytes(len(builders.THUMBNAIL)) + behind
    else:
        assert len(after) == start


def test_clean_leaves_nothing_where_only_an_orientation_was() -> None:
    data = b"II*\0\x08\0\0\0" + builders.directory("<", 8, [builders.entry("<", 0x112, 3, [6])])
    assert exif.clean(data) is None
    assert exif.clean(data[:-4]) is None  # without the pointer to a next directory


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"II*\0", b"II*\0\xff\xff\0\0", b"MM\0*\0\0\0\x08\0\x09"]
)
def test_damaged_data_is_reported(data: bytes) -> None:
    for function in (exif.clean, exif.fields, lambda d: exif.with_size(d, 1, 1)):
        with pytest.raises(ValueError):
            function(data)


@ORDERS
def test_with_size_sets_what_is_there(order: str) -> None:
    changed = exif.with_size(builders.exif(order), 100_000, 70_000)
    seen = Image.Exif()
    seen.load(changed)
    assert (seen[0x100], seen.get(0x101)) == (100_000, None)
    assert seen.get_ifd(0x8769)[0xA002] == 100_000
    assert seen.get_ifd(0x8769)[0xA003] == 70_000


@ORDERS
def test_fields_give_values_as_they_are(order: str) -> None:
    found = {field.tag: field for field in exif.fields(builders.exif(order))}
    assert found[0x10F] == exif.Field(0x10F, 2, b"Maker\0")
    assert found[0x10F].count == 6
    sub = found[0x8769].value
    assert isinstance(sub, tuple)
    assert exif.Field(0x927C, 7, builders.MAKER_NOTE) in sub


def test_a_directory_that_points_to_itself_ends() -> None:
    data = b"II*\0\x08\0\0\0" + builders.directory("<", 8, [builders.entry("<", 0x8769, 4, [8])])
    assert exif.fields(data) == ()


def looped(count: int, *entries: tuple[int, int, int, int]) -> bytes:
    """EXIF data of one directory with `count` entries, those given in turn."""
    table = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    table = table * (count // len(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + table + bytes(4)


LOOPS = {
    "to itself": looped(65_000, (0x8769, 4, 1, 8)),
    "to many that overlap": looped(5000, *((0x8769, 4, 1, 8 + 12 * i) for i in range(5000))),
    "values that overlap": looped(65_000, *((i, 7, 700_000, 8) for i in range(65_000))),
    "orientations": looped(65_000, (0x112, 3, 1, 6)),
}


@pytest.mark.parametrize("name", LOOPS)
def test_hostile_directories_take_linear_time_and_memory(name: str) -> None:
    """Before, the first of these took 19 minutes in a PNG, and with `-f tiff` days."""
    start = time.process_time()
    for function in (exif.clean, exif.fields, lambda data: exif.with_size(data, 9, 9)):
        with contextlib.suppress(ValueError):
            result = function(LOOPS[name])
            assert result is None or len(result) <= len(LOOPS[name])
    assert time.process_time() - start < 5


def test_sub_directories_are_met_once() -> None:
    """Each offset once, wherever it is named."""
    entries = [builders.entry("<", tag, 4, [38]) for tag in (0x8769, 0x8825)]
    first = builders.directory("<", 8, entries)
    second = builders.directory("<", 8 + len(first), [builders.entry("<", 0x9003, 2, [], b"now")])
    assert len(first) == 30
    found = exif.fields(b"II*\0\x08\0\0\0" + first + second)
    assert found == (exif.Field(0x8769, 4, (exif.Field(0x9003, 2, b"now"),)),)


def test_a_prefix_is_stripped_however_often_it_is_there() -> None:
    assert exif.strip_prefix(b"Exif\0\0Exif\0\0II*\0") == b"II*\0"


@given(st.data())
def test_no_damage_does_more_than_raise_value_error(data: st.DataObject) -> None:
    changed = bytearray(builders.exif(data.draw(st.sampled_from("<>"))))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(4, len(changed) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(changed[: data.draw(st.integers(4, len(changed)))])
    assert 1 <= exif.orientation(broken) <= 8
    for function in (exif.clean, exif.fields, lambda d: exif.with_size(d, 9, 9)):
        try:
            function(broken)
        except ValueError:
            pass
        else:
            continue


def test_builder_is_what_pillow_takes_for_exif() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2, 3)).save(file, "JPEG", exif=b"Exif\0\0" + builders.exif())
    assert Image.open(file).getexif()[0x112] == 6
