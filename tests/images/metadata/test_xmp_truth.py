import re

import numpy as np
import pytest

from edsr_cli.images.metadata import xmp
from edsr_cli.images.metadata.xmp_truth import Turn, upright, written
from edsr_cli.pixels.arrays import upright as upright_pixels
from tests.images import rich

TURN = Turn(1, rich.WIDTH, rich.HEIGHT)
PREFIXES = {
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "crs": xmp.CAMERA_RAW,
    "drone-dji": "http://www.dji.com/drone-dji/1.0/",
    "photoshop": xmp.PHOTOSHOP,
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "HDRGainMap": "http://ns.apple.com/HDRGainMap/1.0/",
}


def packet(body: str = "", attributes: str = "") -> bytes:
    prefixes = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())
    return rich.xmp(body, attributes, prefixes)


def scaled(data: bytes, factor: float = 3, **options: object) -> bytes:
    clean, notes = upright(data, TURN)
    assert clean is not None and notes == []
    size = (round(rich.WIDTH * factor), round(rich.HEIGHT * factor))
    values = {"media_type": "image/png", "srgb": False, "software": None} | options
    return written(clean, (factor, factor), size, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('GPano:FullPanoWidthPixels="4000"', 'GPano:FullPanoWidthPixels="12000"'),
        ('GPano:CroppedAreaTopPixels="7"', 'GPano:CroppedAreaTopPixels="21"'),
        ('GPano:InitialViewHeadingDegrees="7"', 'GPano:InitialViewHeadingDegrees="7"'),
        ('exif:FocalPlaneXResolution="1234/10"', 'exif:FocalPlaneXResolution="3702/10"'),
        ('drone-dji:CalibratedFocalLength="3666.666504"',
         'drone-dji:CalibratedFocalLength="10999.99951"'),
        ('tiff:XResolution="300/1"', 'tiff:XResolution="300/1"'),
        ('crs:CropUnit="0" crs:CropWidth="100" crs:AlreadyApplied="True"', 'crs:CropWidth="300"'),
        ('crs:CropUnit="1" crs:CropWidth="100" crs:AlreadyApplied="True"', 'crs:CropWidth="100"'),
        ('dc:format="image/jpeg"', 'dc:format="image/png"'),
        ('photoshop:ColorMode="4"', 'photoshop:ColorMode="3"'),
        ("exif:PixelXDimension='20'", "exif:PixelXDimension='60'"),
    ],
)  # fmt: skip
def test_attributes(before: str, after: str) -> None:
    assert after.encode() in scaled(packet(attributes=before))


def test_elements() -> None:
    body = (
        "<exif:PixelXDimension> 20 </exif:PixelXDimension><tiff:ImageLength>12</tiff:ImageLength>"
    )
    result = scaled(packet(body))
    assert b"<exif:PixelXDimension>60</" in result and b"<tiff:ImageLength>36</" in result


def test_regions_in_pixels_and_relative_ones() -> None:
    def region(unit: str, x: str) -> str:
        return (
            f'<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType="Resource">'
            f'<Iptc4xmpExt:RegionBoundary Iptc4xmpExt:rbUnit="{unit}" Iptc4xmpExt:rbX="{x}"/>'
            "</rdf:li></rdf:Bag></Iptc4xmpExt:ImageRegion>"
        )

    result = scaled(packet(region("pixel", "5") + region("relative", "0.5")))
    assert b'rbX="15"' in result and b'rbX="0.5"' in result


def test_a_new_instance_of_the_same_document() -> None:
    ids = 'xmpMM:InstanceID="xmp.iid:1" xmpMM:DocumentID="xmp.did:1"'
    made = scaled(packet(attributes=ids), software="edsr x")
    assert made == scaled(packet(attributes=ids), software="edsr x")
    assert made != scaled(packet(attributes=ids), software="edsr y")
    assert b'"xmp.did:1"' in made and b'"xmp.iid:1"' not in made
    assert re.search(rb'InstanceID="xmp.iid:[0-9a-f-]{36}"', made)


def test_the_profile_after_a_conversion() -> None:
    data = packet(attributes='photoshop:ICCProfile="U.S. Web Coated"')
    assert b'"U.S. Web Coated"' in scaled(data)
    assert b'"sRGB IEC61966-2.1"' in scaled(data, srgb=True)


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        ('HDRGainMap:HDRGainMapVersion="1"', "gain map"),
        ('GCamera:MicroVideo="1" GCamera:MicroVideoOffset="99"', "motion photo"),
    ],
)
def test_parts_that_are_gone(attributes: str, word: str) -> None:
    data, notes = upright(packet(attributes=f'{attributes} xmp:Rating="1"'), TURN)
    assert data is not None and b"Rating" in data
    assert attributes.split("=")[0].encode() not in data
    assert len(notes) == 1 and word in notes[0]


def test_other_settings_of_the_camera_stay() -> None:
    data, notes = upright(packet(attributes='GCamera:SpecialTypeID="portrait"'), TURN)
    assert data is not None and b"portrait" in data and notes == []


REGION = (
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions stDim:w="{w}" '
    'stDim:h="{h}" stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType='
    '"Resource"><mwg-rs:Area stArea:x="{x}" stArea:y="{y}" stArea:w="0.1" stArea:h="0.2"/>'
    "</rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
)


def area(data: bytes | None) -> dict[str, float]:
    found = re.findall(r'stArea:([xywh])="([0-9.]+)"', (data or b"").decode())
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_turn_with_the_picture(orientation: int) -> None:
    height, width = 100, 160
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[20, 120] = 255
    region = REGION.format(w=width, h=height, x=120.5 / width, y=20.5 / height)
    data, notes = upright(packet(region), Turn(orientation, width, height))
    found = area(data)
    turned = upright_pixels(pixels, orientation)
    y, x = int(found["y"] * turned.shape[0]), int(found["x"] * turned.shape[1])
    assert turned[y, x].all() and notes == []
    assert (found["w"], found["h"]) == ((0.1, 0.2) if orientation < 5 else (0.2, 0.1))


def test_regions_of_the_upright_picture_stay() -> None:
    region = REGION.format(w=100, h=160, x=0.25, y=0.5)
    data, _ = upright(packet(region), Turn(6, 160, 100))
    assert area(data) == {"x": 0.25, "y": 0.5, "w": 0.1, "h": 0.2}


@pytest.mark.parametrize(
    ("body", "attributes", "word"),
    [
        ("", 'GPano:FullPanoWidthPixels="4000"', "panorama"),
        ("", 'crs:CropTop="0.1" crs:HasCrop="True"', "Camera Raw"),
        ("<MP:RegionInfo><rdf:Description/></MP:RegionInfo>", "", "regions"),
    ],
)
def test_what_does_not_fit_a_turned_picture(body: str, attributes: str, word: str) -> None:
    data, notes = upright(packet(body, attributes), Turn(6, 160, 100))
    assert len(notes) == 1 and word in notes[0]
    assert data is not None and b"crs:Crop" not in data and b"FullPano" not in data
    _, notes = upright(packet(body, attributes), TURN)
    assert notes == []


def test_applied_settings_stay() -> None:
    data = packet(attributes='crs:CropTop="0.1" crs:AlreadyApplied="True"')
    result, notes = upright(data, Turn(6, 160, 100))
    assert notes == [] and result is not None and b'crs:CropTop="0.1"' in result


def test_axes_are_exchanged() -> None:
    data = packet(attributes='exif:FocalPlaneXResolution="1/2" exif:FocalPlaneYResolution="3/4"')
    result, _ = upright(data, Turn(8, 160, 100))
    assert result is not None and b'XResolution="3/4" exif:FocalPlaneYResolution="1/2"' in result


@pytest.mark.parametrize("data", [b"<x", b"<!DOCTYPE x><x/>", b"\xff\xff", b"plain"])
def test_what_is_no_packet(data: bytes) -> None:
    assert upright(data, TURN) == (
        None,
        ["its XMP data is damaged, or out of all proportion: dropped"],
    )
