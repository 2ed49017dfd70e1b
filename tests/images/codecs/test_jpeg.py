import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import decode, probe
from edsr_cli.images.codecs import jpeg, vips
from tests.images import builders

NOTE = "the file is damaged: parts of the picture may be wrong"
_Y, _X = np.mgrid[:90, :131]
PHOTO = Image.fromarray(
    np.stack([_X + _Y, 200 - _Y + (_X * _Y) % 17, 60 + (_X**2 // 40 + _Y) % 90], 2).astype(np.uint8)
)
PLAIN = builders.saved(PHOTO, "JPEG")
SCAN = PLAIN.index(b"\xff\xda")


def arithmetic() -> bytes:
    """A grey picture of 8 x 8 in arithmetic code, from T.81: no data at all, so all is grey."""
    table = b"\xff\xdb\0\x43\0" + bytes([1] * 64)
    frame = b"\xff\xc9\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0"
    return b"\xff\xd8" + table + frame + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + b"\xff\xd9"


SOUND = {
    "plain": PLAIN,
    "best": builders.saved(PHOTO, "JPEG", quality=100, subsampling=0),
    "worst": builders.saved(PHOTO, "JPEG", quality=1),
    "4:2:2": builders.saved(PHOTO, "JPEG", subsampling=1),
    "progressive": builders.saved(PHOTO, "JPEG", progressive=True),
    "optimised": builders.saved(PHOTO, "JPEG", optimize=True),
    "restart markers": builders.saved(PHOTO, "JPEG", restart_marker_blocks=2),
    "progressive with restart markers": builders.saved(
        PHOTO, "JPEG", progressive=True, restart_marker_rows=1
    ),
    "grey": builders.saved(PHOTO.convert("L"), "JPEG"),
    "CMYK": builders.saved(PHOTO.convert("CMYK"), "JPEG"),
    "progressive CMYK": builders.saved(PHOTO.convert("CMYK"), "JPEG", progressive=True),
    "one pixel": builders.saved(Image.new("RGB", (1, 1)), "JPEG"),
    "RGB": builders.saved(PHOTO, "JPEG", keep_rgb=True),
    "with bytes behind": PLAIN + b"behind" * 99,
    "several pictures": builders.saved(PHOTO, "MPO", save_all=True, append_images=[PHOTO]),
    "metadata": builders.saved(PHOTO, "JPEG", exif=b"Exif\0\0" + builders.exif(), comment=b"a"),
    "filled up with zeros": PLAIN[:-2] + bytes(40) + b"\xff\xd9",
    "filled up, with bytes behind": PLAIN[:-2] + bytes(40) + b"\xff\xd9" + b"behind" * 99,
    "filled up with 0xFF": PLAIN[:-2] + b"\xff" * 9 + b"\xff\xd9",
    "arithmetic code": arithmetic(),
    "odd JFIF version": PLAIN.replace(b"JFIF\0\x01\x01", b"JFIF\0\x09\x09"),
    "odd Adobe transform": PLAIN[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x09" + PLAIN[2:],
    "odd limits of a sequential scan": PLAIN.replace(b"\0\x3f\0", b"\0\0\0", 1),
}


@pytest.mark.parametrize("name", ["plain", "progressive", "restart markers", "grey", "CMYK"])
def test_a_file_of_which_only_the_end_is_missing_is_read(name: str) -> None:
    """As recovered cards have them. Pillow alone refuses it, or takes whatever is missing."""
    whole = SOUND[name]
    for cut in (whole[:-1], whole[:-2]):
        picture = decode(cut)
        assert np.array_equal(picture.pixels, decode(whole).pixels)
        assert (
            picture.notes[0]
            == "the end of the file is missing, but what is there is a whole picture"
        )
    with pytest.raises(PictureError, match="the file is cut short"):
        decode(whole[:-9])


@pytest.mark.parametrize("name", SOUND)
def test_no_alarm_for_a_sound_file(name: str) -> None:
    data = SOUND[name]
    Image.open(io.BytesIO(data)).load()  # what Pillow refuses needs no remark
    assert NOTE not in decode(data).notes


def damaged(data: bytes, start: int, length: int) -> bytes:
    changed = bytearray(data)
    for place in range(start, start + length):
        changed[place] = (changed[place] * 7 + 13) % 255
    return bytes(changed)


@pytest.mark.parametrize(
    "name", ["plain", "best", "progressive", "restart markers", "grey", "CMYK", "several pictures"]
)
def test_damage_in_the_middle_is_remarked(name: str) -> None:
    """Such a file was accepted without a word: Pillow passes over what libjpeg says."""
    data = SOUND[name]
    start = data.index(b"\xff\xda") + 300
    broken = damaged(data, start, 40)
    before, after = (np.asarray(Image.open(io.BytesIO(d))).astype(int) for d in (data, broken))
    assert np.abs(before - after).max() > 20  # the picture suffers, and Pillow takes it
    assert decode(broken).notes[0] == NOTE
    assert decode(data).notes == decode(broken).notes[1:]


@pytest.mark.parametrize("junk", [b"\x12\x34" * 20, b"\0" * 20 + b"\x07" * 30])
def test_data_that_is_left_over_is_damage(junk: bytes) -> None:
    assert decode(PLAIN[:-2] + junk + b"\xff\xd9").notes == (NOTE,)


def test_a_piece_that_is_missing_is_damage() -> None:
    assert NOTE in decode(PLAIN[: SCAN + 400] + PLAIN[SCAN + 700 :]).notes
    marker = PLAIN[: SCAN + 400] + b"\xff\xd3" + PLAIN[SCAN + 400 :]
    assert NOTE in decode(marker).notes


def test_the_file_stays_where_it_was() -> None:
    file = io.BytesIO(PLAIN)
    file.seek(7)
    assert not jpeg.CODEC.is_damaged(file, 90 * 131) and file.tell() == 7


def test_data_that_ends_in_the_middle_of_a_marker_has_no_end() -> None:
    cut = b"\xff\xd8\xff\xda\0\2\x11\xff\0\x22\xff"
    assert jpeg._end_of_picture(cut) == len(cut)
    assert jpeg._end_of_picture(cut + b"\xd9\xff\xd9\0\0") == len(cut) - 1


def test_segments_that_claim_anything_end() -> None:
    header = PLAIN[:2] + b"\xff\xfe" + struct.pack(">H", 0) + PLAIN[2:]
    for data in (
        header,
        b"\xff\xd8" + b"\xff\xda\0\2" * 1000,
        b"\xff\xd8" + b"\xff" * 1000,
        b"\xff\xd8",
    ):
        jpeg.CODEC.is_damaged(io.BytesIO(data), 1)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("rows", [16, 96])
def test_a_jpeg_in_a_tiff(mode: str, rows: int) -> None:
    """Its strips share their tables."""
    data = builders.saved(
        PHOTO.convert(mode), "TIFF", compression="jpeg", tiffinfo={278: rows}, quality=90
    )
    assert NOTE not in decode(data).notes
    starts = [place for place in range(len(data)) if data.startswith(b"\xff\xda", place)]
    assert len(starts) == -(-90 // rows)
    place = starts[-1] + 60
    broken = data[:place] + b"\xff\xd3" + data[place + 2 :]  # a marker that does not belong there
    assert decode(broken).notes[0] == NOTE


@pytest.mark.parametrize(
    ("mode", "options", "bytes_a_pixel"),
    [
        ("RGB", {}, 4),
        ("RGB", {"progressive": True, "subsampling": "4:4:4"}, 4 + 6),
        ("RGB", {"progressive": True, "subsampling": "4:2:0"}, 4 + 3),
        ("L", {"progressive": True}, 4 + 2),
        ("CMYK", {"progressive": True}, 4 + 8),
    ],
)
def test_coefficients_of_a_progressive_picture_are_reckoned(
    mode: str, options: dict[str, Any], bytes_a_pixel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vips, "library", lambda: None)
    data = builders.saved(Image.new(mode, (64, 40)), "JPEG", **options)
    assert probe(data).decoder_bytes == bytes_a_pixel * 64 * 40
