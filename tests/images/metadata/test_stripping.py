import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.images import Metadata, decode, encode, format_for
from edsr_cli.images.metadata.exif import without_gps
from edsr_cli.images.metadata.stripping import stripped, with_resolution
from edsr_cli.images.picture import Text
from tests.images import rich

PLACE = "47,22.5678N"
XMP = rich.xmp(
    f"<exif:GPSLatitude>{PLACE}</exif:GPSLatitude><dc:format>image/jpeg</dc:format>"
    f"<d:GpsLongitude>{PLACE}</d:GpsLongitude><tiff:XResolution>72/1</tiff:XResolution>",
    attributes=f'exif:GPSMapDatum="{PLACE}"',
    prefixes='xmlns:d="http://www.dji.com/drone-dji/1.0/"',
)
SIGNS = (b"2020:02:03", b"2021:02:03", PLACE.encode())
"""What is in the files of `rich` about places."""


def tags(exif):
    found = Image.Exif()
    found.load(exif)
    return {tag: found[tag] for tag in found} | dict(found.get_ifd(0x8769))


@pytest.mark.parametrize("order", ["<", ">"])
def test_gps_and_maker_notes_are_erased_from_exif_and_nothing_else(order):
    exif = rich.exif(order)
    found = without_gps(exif)
    before, after = tags(exif), tags(found)
    del before[0x8825], before[0x927C]
    assert after == before
    changed = [n for n, (one, other) in enumerate(zip(exif, found, strict=True)) if one != other]
    assert b"2020:02:03" in exif and b"2020:02:03" not in found
    assert exif[changed[-1] + 1 :] == found[changed[-1] + 1 :]
    for fact in rich.exif_facts(order=order):
        value = fact.value if isinstance(fact.value, bytes) else fact.value.encode()
        if fact.label == "EXIF: maker notes":
            assert value in exif and value not in found
        elif value in exif and "GPS" not in fact.label:
            assert value in found, fact.label


def test_gps_goes_from_xmp_and_texts():
    metadata = Metadata(
        xmp=XMP, texts=(Text("exif:GPSLatitude", PLACE), Text("Author", "Gps Jones"))
    )
    assert XMP.count(PLACE.encode()) == 3
    found = stripped(metadata, "gps")
    assert PLACE.encode() not in found.xmp and b"image/jpeg" in found.xmp
    assert found.texts == metadata.texts[1:]
    assert stripped(metadata, "none") is metadata


@pytest.mark.parametrize("picture", rich.pictures(), ids=lambda picture: picture.name)
def test_nothing_tells_of_places_in_what_is_written(picture, tmp_path):
    path = tmp_path / picture.name
    path.write_bytes(picture.data)
    read = decode(path)
    for form in ("png", "jpeg", "tiff", "webp"):
        file = io.BytesIO()
        encode(read.pixels, format_for(None, form), stripped(read.metadata, "gps"), file)
        assert not [sign for sign in SIGNS if sign in file.getvalue()]
        file = io.BytesIO()
        encode(read.pixels, format_for(None, form), stripped(read.metadata, "all"), file)
        written = decode(file.getvalue()).metadata
        assert written.icc_profile == read.metadata.icc_profile
        assert (written.exif, written.xmp, written.texts, written.iptc) == (None, None, (), None)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the damage
@given(st.binary(max_size=80), st.integers(0, 400))
def test_damaged_data_is_left_out_or_cleaned(data, place):
    exif = bytearray(rich.exif())
    exif[place : place + len(data)] = data
    found = stripped(Metadata(exif=bytes(exif), xmp=data), "gps")
    assert found.xmp is None
    assert found.exif is None or 0x8825 not in tags(found.exif)


def test_a_resolution_is_stated_wherever_one_stands():
    metadata = Metadata(exif=rich.exif(), xmp=XMP, dpi=(72, 72))
    found = with_resolution(metadata, 299.5, in_exif=False)
    assert found.dpi == (299.5, 299.5) and b"599/2" in found.xmp and b"72/1" not in found.xmp
    said = tags(found.exif)
    assert said[0x11A] == said[0x11B] == 299.5 and said[0x128] == 2
    assert with_resolution(Metadata(), 300, in_exif=False).exif is None
    assert tags(with_resolution(Metadata(), 300, in_exif=True).exif)[0x11A] == 300
    damaged = Metadata(exif=b"words", xmp=b"<")
    assert with_resolution(damaged, 300, in_exif=True) == Metadata(
        exif=b"words", xmp=b"<", dpi=(300, 300)
    )
