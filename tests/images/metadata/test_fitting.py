"""Where texts, IPTC and the rest go in each format, told apart in the files themselves."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edsr_cli.images import Metadata, decode, encode, formats, outputs
from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.images.metadata import iptc, xmp, xmp_extension
from edsr_cli.images.metadata.fitting import fit
from edsr_cli.images.picture import OutputFormat, Text
from edsr_cli.images.provenance import provenance
from tests.images import builders, rich

RECORD = provenance("model", 2)
by_xmp = pytest.mark.parametrize("output", [outputs.JPEG, outputs.WEBP, outputs.TIFF, outputs.AVIF])


def encoded(output: OutputFormat, metadata: Metadata) -> tuple[bytes, tuple[str, ...]]:
    file = io.BytesIO()
    notes = encode(rich.PIXELS, output, metadata, file)
    return file.getvalue(), notes


def markers(data: bytes) -> list[tuple[int, bytes]]:
    """The markers of a JPEG up to its pixels."""
    found, place = [], 2
    while data[place + 1] != 0xDA:
        kind, size = struct.unpack_from(">xBH", data, place)
        found.append((kind, data[place + 4 : place + 2 + size]))
        place += 2 + size
    return found


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(data):
        size, name = struct.unpack_from(">L4s", data, place)
        found.append((name, data[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def texts_of(data: bytes) -> list[str]:
    packet = xmp.parse(decode(data).metadata.xmp or b"<x/>")
    return packet.texts((xmp.OWN, "Text"))


def test_as_many_comments_as_are_read_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked at a few times, not compared with all others."""
    compared = 0

    def equal(one: Text, other: object) -> bool:
        nonlocal compared
        compared += 1
        return one is other

    texts = tuple(Text("Comment", f"edsr {number}") for number in range(100))
    monkeypatch.setattr(Text, "__eq__", equal)
    metadata, _ = fit(Metadata(texts=texts), outputs.JPEG, 1, 1)
    assert len(metadata.texts) == 100 and compared < 200


@pytest.mark.parametrize(("grey", "mode"), [(False, "3"), (True, "1")])
def test_the_mode_of_photoshop_is_that_of_the_output(grey: bool, mode: str) -> None:
    data = rich.xmp("<photoshop:ColorMode>4</photoshop:ColorMode>")
    file = io.BytesIO()
    encode(rich.PIXELS, outputs.PNG, Metadata(xmp=data), file, grey=grey)
    packet = xmp.parse(decode(file.getvalue()).metadata.xmp or b"<x/>")
    assert set(packet.texts((xmp.PHOTOSHOP, "ColorMode"))) == {mode}


def test_half_of_a_character_spoils_nothing() -> None:
    for output in (outputs.PNG, outputs.JPEG, outputs.GIF, outputs.WEBP, outputs.TIFF):
        data, _ = encoded(output, Metadata(texts=(Text("Comment", "a\ud800b"),)))
        assert decode(data).pixels.shape == rich.PIXELS.shape


def test_only_some_of_what_is_dropped_of_iptc_is_named() -> None:
    data = b"".join(struct.pack(">BBBH", 0x1C, 3, number, 1) + b"x" for number in range(200))
    _, notes = fit(Metadata(iptc=data), outputs.WEBP, 1, 1)
    assert len(notes) == 1 and notes[0].count(",") == 19


def test_texts_of_png() -> None:
    long = "x" * 2000
    given = (Text("Author", "é"), Text("Title", "Ω", "el"), Text("A\n b", "c"), Text("Long", long),
             Text("", "none"), Text("L" * 100, "y"), Text("Long Ω", long + "Ω"))  # fmt: skip
    data, notes = encoded(outputs.PNG, Metadata(texts=given))
    assert notes == ()
    found = [item for item in chunks(data) if item[0] in (b"tEXt", b"zTXt", b"iTXt")]
    assert found[:3] == [
        (b"tEXt", b"Author\0\xe9"),
        (b"iTXt", b"Title\0\0\0el\0\0" + "Ω".encode()),
        (b"tEXt", b"A b\0c"),
    ]
    assert found[3][0] == b"zTXt" and zlib.decompress(found[3][1][6:]) == long.encode()
    assert found[4][1] == b"Comment\0none" and found[5][1] == b"L" * 79 + b"\0y"
    assert found[6][0] == b"iTXt" and found[6][1].startswith(b"Long ?\0\1\0")
    again = decode(data).metadata.texts
    assert [text.value for text in again] == [text.value for text in given]
    assert again[1].language == "el"


@by_xmp
def test_texts_become_properties(output: OutputFormat) -> None:
    given = (Text("Author", "A & <b>"), Text("copyright", "C"), Text("Odd key", "d\0e"),
             Text("Creation Time", "2020-01-02T03:04:05Z"), Text("Software", "S"))  # fmt: skip
    data, notes = encoded(output, Metadata(texts=given))
    packet = xmp.parse(decode(data).metadata.xmp or b"")
    assert notes == ()
    assert packet.texts((xmp.DC, "creator")) == ["A & <b>"]
    assert packet.texts((xmp.DC, "rights")) == ["C"]
    assert packet.texts((xmp.XMP_BASIC, "CreateDate")) == ["2020-01-02T03:04:05Z"]
    assert packet.texts((xmp.XMP_BASIC, "CreatorTool")) == ["S"]
    assert packet.texts((xmp.OWN, "Text")) == ["Odd key: de"]


@by_xmp
def test_what_contradicts_a_property_stands_beside_it(output: OutputFormat) -> None:
    given = (Text("Author", "Xmp-Creator"), Text("Author", "Another"), Text("Creation Time", "now"))
    data, notes = encoded(output, Metadata(xmp=rich.RICH_XMP, texts=given))
    packet = xmp.parse(decode(data).metadata.xmp or b"")
    assert notes == () and packet.texts((xmp.DC, "creator")) == ["Xmp-Creator"]
    assert set(packet.texts((xmp.OWN, "Text"))) == {"Author: Another", "Creation Time: now"}
    # Once more, nothing is said twice.
    twice, _ = encoded(output, replace(decode(data).metadata, texts=given))
    assert set(texts_of(twice)) == {"Author: Another", "Creation Time: now"}


@pytest.mark.parametrize("output", [outputs.JPEG, outputs.WEBP, outputs.TIFF, outputs.AVIF])
def test_prompts_are_user_comments(output: OutputFormat) -> None:
    """Where the programs that made them look for them in formats without texts."""
    given = Metadata(texts=(Text("parameters", rich.PROMPT), Text("parameters", "second")))
    data, notes = encoded(output, given)
    comment = Image.open(io.BytesIO(data)).getexif().get_ifd(0x8769)[0x9286]
    assert comment == b"UNICODE\0" + rich.PROMPT.encode("utf-16-le")
    assert texts_of(data) == ["parameters: second"] and notes == ()
    taken, _ = encoded(output, Metadata(exif=decode(data).metadata.exif, texts=given.texts[1:]))
    assert texts_of(taken) == ["parameters: second"]


def test_comments_of_jpeg() -> None:
    data, notes = encoded(
        outputs.JPEG, Metadata(texts=(Text("Comment", "é"), Text("Comment", "b")))
    )
    found = [content for kind, content in markers(data) if kind == 0xFE]
    assert found == ["é".encode(), b"b"] and notes == ()


def test_iptc_of_jpeg_and_png() -> None:
    data, _ = encoded(outputs.JPEG, Metadata(iptc=rich.IPTC))
    [found] = [content for kind, content in markers(data) if kind == 0xED]
    assert found.startswith(b"Photoshop 3.0\0008BIM\x04\x04") and rich.IPTC in found
    again, _ = encoded(outputs.PNG, decode(data).metadata)
    image = Image.open(io.BytesIO(again))
    lines = image.info["Raw profile type iptc"].split("\n")
    assert lines[1] == "iptc" and rich.IPTC in bytes.fromhex("".join(lines[3:]))
    assert int(lines[2]) == len(bytes.fromhex("".join(lines[3:])))
    assert decode(again).metadata.iptc == rich.IPTC


def test_iptc_becomes_properties() -> None:
    dates = rich.iim((55, "20200102"), (60, "030405+0100"), (62, "2020"), (110, "Credit"))
    data, notes = encoded(outputs.WEBP, Metadata(iptc=dates))
    packet = xmp.parse(decode(data).metadata.xmp or b"")
    assert packet.texts((xmp.PHOTOSHOP, "DateCreated")) == ["2020-01-02T03:04:05+01:00"]
    assert packet.texts((xmp.XMP_BASIC, "CreateDate")) == ["2020"]
    assert packet.texts((xmp.PHOTOSHOP, "Credit")) == ["Credit"] and notes == ()
    latin = struct.pack(">BBBH", 0x1C, 2, 80, 1) + b"\xe9"
    assert iptc.to_properties(latin)[0][0].values == ("é",)
    long = struct.pack(">BBBHL", 0x1C, 2, 80, 0x8004, 40_000) + b"x" * 40_000
    assert iptc.data_sets(long) == [(2, 80, b"x" * 40_000)]
    assert (
        iptc.data_sets(long[:-1]) == [] and iptc.data_sets(b"\x1c\2\x50\x80\x09" + bytes(9)) == []
    )


def test_long_xmp_of_jpeg_is_extended() -> None:
    packet = rich.xmp(f"<dc:source>{'x' * 150_000}</dc:source>", 'xmp:Rating="3"')
    data, notes = encoded(outputs.JPEG, Metadata(xmp=packet))
    found = [content for kind, content in markers(data) if kind == 0xE1]
    assert len(found) == 4 and notes == ()
    name = re.search(rb"HasExtendedXMP>([0-9A-F]{32})<", found[0])
    assert name is not None
    pieces = {}
    for content in found[1:]:
        assert content.startswith(b"http://ns.adobe.com/xmp/extension/\0" + name[1])
        size, place = struct.unpack_from(">2L", content, 67)
        pieces[place] = content[75:]
    whole = b"".join(pieces[place] for place in sorted(pieces))
    assert len(whole) == size and xmp_extension.digest(whole).encode() == name[1]
    assert xmp.parse(decode(data).metadata.xmp or b"").texts((xmp.DC, "source")) == ["x" * 150_000]


def test_the_record_where_exif_has_no_room() -> None:
    exif = builders.exif(orientation=None, thumbnail=False)
    exif += bytes(outputs.JPEG_MARKER_BYTES - 6 - len(exif))
    data, notes = encoded(outputs.JPEG, Metadata(exif=exif, software=RECORD))
    assert notes == () and (0xFE, RECORD.encode()) in markers(data)
    assert decode(data).metadata.exif is not None


@pytest.mark.parametrize("output", formats.FORMATS, ids=lambda output: output.name)
def test_damaged_exif_does_not_cost_the_record(output: OutputFormat) -> None:
    data, notes = encoded(output, Metadata(exif=b"nonsense", software=RECORD))
    assert len(notes) == 1 and (RECORD.encode() in data) == output.names_its_maker


def test_an_unreadable_place_for_texts_is_remarked() -> None:
    given = Metadata(xmp=b"<not-xmp/>", texts=(Text("Author", "A"),))
    assert encoded(outputs.WEBP, given)[1] == ("WebP cannot hold its texts: dropped",)


@pytest.mark.parametrize(
    ("options", "exif", "dpi"),
    [
        ({"dpi": (300, 200)}, None, (300, 200)),
        ({}, None, None),
        ({}, {0x10F: "Maker"}, None),  # for which Pillow makes up 72
        ({}, {0x11A: 150.0, 0x11B: 100.0, 0x128: 2}, (150, 100)),
        ({}, {0x11A: 100.0, 0x11B: 50.0, 0x128: 3}, (254, 127)),
        ({}, {0x11A: 0.0, 0x11B: 50.0, 0x128: 3}, None),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_resolution_of_a_jpeg(
    options: dict[str, tuple[int, int]],
    exif: dict[int, object] | None,
    dpi: tuple[float, float] | None,
    orientation: int,
) -> None:
    made = Image.Exif()
    for tag, value in (exif or {}).items():
        made[tag] = value
    if orientation != 1:
        made[0x112] = orientation
    blob = b"Exif\0\0" + made.tobytes() if len(made) else b""
    data = builders.saved(Image.fromarray(rich.PIXELS), "JPEG", exif=blob, **options)
    found = decode(data).metadata
    assert found.dpi == (dpi[::-1] if dpi and orientation == 6 else dpi)
    for output in (outputs.JPEG, outputs.PNG, outputs.TIFF, outputs.BMP):
        again = decode(encoded(output, replace(found, exif=None))[0]).metadata.dpi
        assert again == (pytest.approx(found.dpi, rel=1e-3) if found.dpi else None)


def test_sizes_follow_the_pixels() -> None:
    exif = exif_data.clean(rich.exif())
    given = Metadata(exif=exif, size=(rich.WIDTH, rich.HEIGHT))
    file = io.BytesIO()
    encode(np.repeat(rich.PIXELS, 3, 1), outputs.PNG, given, file)  # three times as wide only
    seen = Image.open(file).getexif().get_ifd(0x8769)
    assert (seen[0xA002], seen[0xA003]) == (rich.WIDTH * 3, rich.HEIGHT)
    assert seen[0x9214] == (12, 6, 9, 5)
    assert (float(seen[0xA20E]), float(seen[0xA20F])) == (3703.5, 678.9)
