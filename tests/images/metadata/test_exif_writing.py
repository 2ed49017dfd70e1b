import struct
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.images.metadata import exif_writing
from edsr_cli.images.metadata.exif_writing import FIRST, ExifWriter
from edsr_cli.images.provenance import provenance
from tests.images import builders, rich

ORDERS = pytest.mark.parametrize("order", ["<", ">"])
CAMERA = exif_data.EXIF_IFD


def values(exif: bytes, directory: int = CAMERA) -> dict[int, object]:
    seen = Image.Exif()
    seen.load(exif)
    return dict(seen if directory == FIRST else seen.get_ifd(directory))


@ORDERS
def test_what_is_added_moves_nothing(order: str) -> None:
    before = rich.exif(order)
    writer = ExifWriter(before)
    writer.put(FIRST, 0x10D, 2, b"A document\0")
    writer.put(CAMERA, 0x9286, 7, b"ASCII\0\0\0a comment")
    writer.put(exif_data.INTEROP_IFD, 1, 2, b"R98\0")
    after = bytes(writer.data)
    assert after.index(b"Owner-behind-an-offset") == before.index(b"Owner-behind-an-offset")
    old, new = values(before, FIRST), values(after, FIRST)
    assert new.pop(0x10D) == "A document"
    assert {k: v for k, v in new.items() if k < 0x8000} == {
        k: v for k, v in old.items() if k < 0x8000
    }
    camera = values(after)
    assert camera.pop(0x9286) == b"ASCII\0\0\0a comment" and 0xA005 in camera
    for tag, value in values(before).items():
        assert camera[tag] == value
    tags = [field.tag for field in exif_data.fields(after)]
    assert tags == sorted(tags)


@ORDERS
def test_values_that_grow_and_shrink(order: str) -> None:
    writer = ExifWriter(rich.exif(order))
    size = len(writer.data)
    writer.put(FIRST, 0x13B, 2, b"Short\0")
    assert len(writer.data) == size and values(bytes(writer.data), FIRST)[0x13B] == "Short"
    writer.put(FIRST, 0x13B, 2, b"ab\0")
    assert values(bytes(writer.data), FIRST)[0x13B] == "ab"
    writer.put(FIRST, 0x13B, 2, b"A far longer name than before\0")
    assert values(bytes(writer.data), FIRST)[0x13B] == "A far longer name than before"
    assert values(bytes(writer.data), FIRST)[0x8298] == "Exif-Copyright"


def test_from_nothing() -> None:
    writer = ExifWriter(None)
    writer.put(CAMERA, 0x9286, 7, b"UNICODE\0a\0")
    writer.put(FIRST, 0x131, 2, b"x\0")
    made = bytes(writer.data)
    assert values(made, FIRST)[0x131] == "x" and values(made)[0x9286] == b"UNICODE\0a\0"


@pytest.mark.parametrize(("orientation", "order"), list(product(range(1, 9), "<>")))
def test_points_turn_with_the_picture(orientation: int, order: str) -> None:
    """A marked pixel is where the turned subject area says, by Pillow's own turning."""
    from edsr_cli.pixels.arrays import upright

    pixels = np.zeros((rich.HEIGHT, rich.WIDTH, 3), np.uint8)
    pixels[6, 4] = 255  # y, x of the subject area
    turned = exif_writing.turned(rich.exif(order), orientation, rich.WIDTH, rich.HEIGHT)
    x, y, width, height = values(turned)[0x9214]  # type: ignore[misc]
    assert upright(pixels, orientation)[y, x].all()
    assert (width, height) == ((3, 5) if orientation < 5 else (5, 3))
    focal = [float(values(turned)[tag]) for tag in (0xA20E, 0xA20F)]  # type: ignore[arg-type]
    assert focal == ([1234.5, 678.9] if orientation < 5 else [678.9, 1234.5])
    first = values(turned, FIRST)
    assert (first[0x11A], first[0x11B]) == ((300, 200) if orientation < 5 else (200, 300))


@ORDERS
@pytest.mark.parametrize("factor", [1, 2, 3, 1.5, 4000])
def test_what_is_measured_in_pixels_is_scaled(order: str, factor: float) -> None:
    scaled = exif_writing.scaled(rich.exif(order), (factor, factor), 60, 36)
    area = tuple(round(value * factor) for value in (4, 6, 3, 5))
    assert tuple(values(scaled)[0x9214]) == area  # type: ignore[arg-type]
    assert float(values(scaled)[0xA20E]) == pytest.approx(1234.5 * factor)  # type: ignore[arg-type]
    assert values(scaled, FIRST)[0x11A] == 300  # dots per inch stay
    if factor == 1:
        assert scaled == rich.exif(order)


def test_what_grows_beyond_32_bits_is_the_largest_number() -> None:
    writer = ExifWriter(None)
    writer.put_numbers(CAMERA, 0x9214, [2**31, 5])
    scaled = exif_writing.scaled(bytes(writer.data), (4, 4), 1, 1)
    assert ExifWriter(scaled).shorts(CAMERA, 0x9214) == [2**32 - 1, 20]


def test_resolutions_of_any_size_stay_ratios() -> None:
    for above, below in ((2**32 - 1, 1), (2**32 - 1, 2**32 - 3), (1, 2**32 - 1), (0, 7), (7, 0)):
        writer = ExifWriter(rich.exif())
        writer.put(CAMERA, 0xA20E, 5, struct.pack("<2L", above, below))
        scaled = exif_writing.scaled(bytes(writer.data), (4, 4), 1, 1)
        _, value = ExifWriter(scaled).get(CAMERA, 0xA20E) or (0, b"")
        new = struct.unpack("<2L", value)
        if below == 0:
            assert new == (7, 0)
        else:
            wanted = min(4 * above / below, 2**32 - 1)
            assert new[0] / new[1] == pytest.approx(wanted, rel=1e-3, abs=1e-9)


@ORDERS
def test_the_camera_keeps_its_name(order: str) -> None:
    record = provenance("model", 4)
    made = exif_writing.with_software(rich.exif(order), record)
    assert values(made, FIRST)[0x131] == "Firmware-1.10"
    assert values(made, FIRST)[0x0B] == record
    again = exif_writing.with_software(made, record)
    assert values(again, FIRST)[0x0B] == f"{record}; {record}"
    bare = exif_writing.with_software(None, record)
    assert values(bare, FIRST) == {0x131: record}
    twice = exif_writing.with_software(bare, record)
    assert values(twice, FIRST) == {0x131: f"{record}; {record}"}
    for _ in range(200):  # but not for ever
        twice = exif_writing.with_software(twice, record)
    assert len(str(values(twice, FIRST)[0x131])) <= 2000


@ORDERS
def test_a_user_comment_is_added_once(order: str) -> None:
    made = exif_writing.with_user_comment(rich.exif(order), "prompt Ω")
    assert made is not None
    encoding = "utf-16-le" if order == "<" else "utf-16-be"
    assert values(made)[0x9286] == b"UNICODE\0" + "prompt Ω".encode(encoding)
    assert exif_writing.with_user_comment(made, "another") is None


def test_record() -> None:
    from edsr_cli import __version__

    assert provenance("edsr-free", 4) == f"edsr {__version__}, model edsr-free x4"
    assert provenance("a", 2, 0.25) == f"edsr {__version__}, model a x2 (restore 0.25)"
    assert provenance("a", 2, 0) == f"edsr {__version__}, model a x2 (restore 0)"
    assert provenance("ä\n" + "x" * 500, 3).isascii() and "\n" not in provenance("a\nb", 3)


@given(st.data())
def test_no_damage_does_more_than_raise_value_error(data: st.DataObject) -> None:
    changed = bytearray(rich.exif(data.draw(st.sampled_from("<>"))))
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(changed[: data.draw(st.integers(0, len(changed)))])
    for work in (
        lambda: exif_writing.turned(broken, 6, 20, 12),
        lambda: exif_writing.scaled(broken, (4, 4), 80, 48),
        lambda: exif_writing.with_software(broken, "edsr x"),
        lambda: exif_writing.with_user_comment(broken, "x"),
    ):
        try:
            work()
        except ValueError:
            continue


def test_directories_upon_each_other_are_no_trap() -> None:
    data = b"II*\0\x08\0\0\0" + builders.directory("<", 8, [builders.entry("<", 0x8769, 4, [8])])
    for work in (exif_writing.with_software, exif_writing.with_user_comment):
        try:
            work(data, "x")
        except ValueError:
            continue
