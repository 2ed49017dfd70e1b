"""XMP made true of the upright picture, and of the one that is written.

sizes, areas and resolutions in pixels      scaled
regions of people and things                turned with the picture; they are relative
orientation, format, colour mode, instance  set
how the old file stored its pixels          removed: the new file says it itself
gain maps, containers, motion photos,       removed with a remark: the new file has no such parts
  unapplied crops of a turned picture
thumbnails                                  removed, as those of EXIF are
"""

import re
import uuid
from fractions import Fraction

from msgspec import Struct

from edsr_cli.images.metadata import xmp
from edsr_cli.images.metadata.exif_writing import turned_point
from edsr_cli.images.metadata.xmp import EXIF, PHOTOSHOP, TIFF, Name, Node, Packet

_GPANO = "http://ns.google.com/photos/1.0/panorama/"
_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_MICROSOFT_REGIONS = "http://ns.microsoft.com/photo/1.2/"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_DRONE = "http://www.dji.com/drone-dji/1.0/"

_GONE_WITH = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": "a gain map (HDR)",
    "http://ns.apple.com/HDRGainMap/1.0/": "a gain map (HDR)",
    "http://ns.apple.com/pixeldatainfo/1.0/": "a gain map (HDR)",
    "http://ns.google.com/photos/1.0/container/": "further parts of the old file",
    "http://ns.google.com/photos/dd/1.0/container/": "further parts of the old file",
    "http://ns.google.com/photos/dd/1.0/device/": "further parts of the old file",
}
_MOTION = "MotionPhoto|MicroVideo|OLivePhoto|VideoLength"
_STORAGE = frozenset(
    (TIFF, name)
    for name in (
        "BitsPerSample", "Compression", "PhotometricInterpretation", "SamplesPerPixel",
        "PlanarConfiguration", "YCbCrSubSampling", "YCbCrPositioning", "YCbCrCoefficients",
        "ReferenceBlackWhite", "TransferFunction", "WhitePoint", "PrimaryChromaticities",
        "StripOffsets", "StripByteCounts", "RowsPerStrip", "NativeDigest",
    )
) | {(EXIF, "CompressedBitsPerPixel"), (EXIF, "ComponentsConfiguration"), (EXIF, "NativeDigest"),
     (xmp.XMP_BASIC, "Thumbnails")}  # fmt: skip

_WIDTHS = {(TIFF, "ImageWidth"), (EXIF, "PixelXDimension")}
_HEIGHTS = {(TIFF, "ImageLength"), (EXIF, "PixelYDimension")}
# What is so many pixels, by the axis it is measured along.
_PIXELS: dict[Name, int] = {
    **{(_GPANO, f"{name}{axis}Pixels"): number
       for name in ("CroppedAreaImage", "FullPano", "SourceImage")
       for number, axis in enumerate(("Width", "Height"))},
    (_GPANO, "CroppedAreaLeftPixels"): 0,
    (_GPANO, "CroppedAreaTopPixels"): 1,
    (_GPANO, "LargestValidInteriorRectLeft"): 0,
    (_GPANO, "LargestValidInteriorRectTop"): 1,
    (_GPANO, "LargestValidInteriorRectWidth"): 0,
    (_GPANO, "LargestValidInteriorRectHeight"): 1,
    (_DRONE, "CalibratedFocalLength"): 0,
    (_DRONE, "CalibratedOpticalCenterX"): 0,
    (_DRONE, "CalibratedOpticalCenterY"): 1,
    (EXIF, "FocalPlaneXResolution"): 0,
    (EXIF, "FocalPlaneYResolution"): 1,
}  # fmt: skip
_COLOUR_MODE, _GREY, _RGB = (PHOTOSHOP, "ColorMode"), "1", "3"
_POINTS = ((EXIF, "SubjectArea"), (EXIF, "SubjectLocation"))
_APPLIED = ((_REGIONS, "Regions"), (_REGIONS, "AppliedToDimensions"))
_BOUNDARY = {"rbX": 0, "rbW": 0, "rbRx": 0, "rbY": 1, "rbH": 1}


class Turn(Struct, frozen=True):
    """An EXIF orientation, and width and height in pixels of the picture as stored."""

    orientation: int
    width: int
    height: int


def upright(data: bytes, turn: Turn) -> tuple[bytes | None, list[str]]:
    """A packet made true of the upright picture, on its own in a file.

    Args:
        data: the packet, in any encoding that XMP allows.
        turn: how the picture was stored.

    Returns:
        The packet in UTF-8, None where it cannot be read; and remarks.
    """
    try:
        packet = xmp.parse(xmp.to_utf8(data))
    except ValueError:
        return None, ["its XMP data is damaged, or out of all proportion: dropped"]
    notes = _drop(packet)
    if turn.orientation != 1:  # one that is stated here alone does not count, and stays
        for node in packet.nodes:
            if node.name == (TIFF, "Orientation"):
                packet.set(node, "1")
        _turn(packet, turn, notes)
    return packet.result(), notes


def written(
    data: bytes,
    factors: tuple[float, float],
    size: tuple[int, int],
    media_type: str | None,
    srgb: bool,
    software: str | None,
) -> bytes:
    """A packet made true of the picture that is written.

    Args:
        data: the packet, from `upright`.
        factors: new width over old width, and new height over old height.
        size: new width and height in pixels.
        media_type: of the format, such as "image/png"; None for no format.
        srgb: whether the pixels go with a profile for sRGB now.
        software: what made the picture, if that is to be told.

    Raises:
        ValueError: it cannot be parsed.
    """
    packet = xmp.parse(data)
    for node in packet.nodes:
        if node.inner is None or not node.text.strip():
            continue
        if node.name in _WIDTHS or node.name in _HEIGHTS:
            packet.set(node, str(size[node.name in _HEIGHTS]))
        elif node.name in _PIXELS:
            packet.set(node, _times(node.text, factors[_PIXELS[node.name]]))
        elif node.path == ((xmp.DC, "format"),) and media_type:
            packet.set(node, media_type)
        elif node.path == (_COLOUR_MODE,):
            packet.set(node, _RGB)
        elif node.path == ((PHOTOSHOP, "ICCProfile"),) and srgb:
            packet.set(node, "sRGB IEC61966-2.1")
        elif node.path == ((xmp.XMP_MM, "InstanceID"),) and software:
            # It names one state of a document, and changes whenever that is saved.
            name = f"{node.text} {software} {size} {media_type}"
            packet.set(node, f"xmp.iid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}")
    for path in _POINTS:
        nodes = [node for node in packet.find(path) if node.inner]
        each = (*factors, *factors) if len(nodes) == 4 else (*factors, max(factors))
        for node, factor in zip(nodes, each, strict=False):
            packet.set(node, _times(node.text, factor))
    _scale_regions(packet, factors)
    return packet.result()


def in_grey(data: bytes) -> bytes:
    """A packet made true of greyscale.

    Args:
        data: the packet, from `written`.
    """
    if _COLOUR_MODE[1].encode() not in data:
        return data
    packet = xmp.parse(data)
    for node in packet.find(_COLOUR_MODE):
        packet.set(node, _GREY)
    return packet.result()


def _drop(packet: Packet) -> list[str]:
    words: dict[str, None] = {}
    for node in packet.nodes:
        gone = _GONE_WITH.get(node.name[0])
        if gone is None and len(node.path) == 1 and re.match(_MOTION, node.name[1]):
            gone = "a motion photo"
        if gone:
            words[gone] = None
        if gone or (node.name in _STORAGE and len(node.path) == 1):
            packet.drop(node)
    return [f"its XMP data on {word} was dropped: the output has none" for word in words]


def _turn(packet: Packet, turn: Turn, notes: list[str]) -> None:
    sideways = turn.orientation >= 5
    for path in _POINTS:
        nodes = [node for node in packet.find(path) if node.inner]
        if numbers := _whole([node.text for node in nodes]):
            if len(numbers) >= 2:
                point = numbers[0], numbers[1]
                numbers[:2] = turned_point(point, turn.orientation, turn.width, turn.height)
            if len(numbers) == 4 and sideways:
                numbers[2:] = numbers[3], numbers[2]
            for node, number in zip(nodes, numbers, strict=True):
                packet.set(node, str(number))
    if sideways:
        for one, other in (((EXIF, "FocalPlaneXResolution"), (EXIF, "FocalPlaneYResolution")),
                           ((TIFF, "XResolution"), (TIFF, "YResolution"))):  # fmt: skip
            for first, second in zip(packet.find(one), packet.find(other), strict=False):
                packet.set(first, second.text)
                packet.set(second, first.text)
    _turn_regions(packet, turn, notes)
    unapplied = not any(
        text.strip().lower() == "true" for text in packet.texts((xmp.CAMERA_RAW, "AlreadyApplied"))
    )
    dropped = {
        "settings of Camera Raw": [
            n for n in packet.nodes if n.name[0] == xmp.CAMERA_RAW and len(n.path) == 1
        ] if unapplied else [],
        "the panorama": [n for n in packet.nodes if n.path[:1] and n.path[0][0] == _GPANO],
    }  # fmt: skip
    for word, found in dropped.items():
        for node in found:
            packet.drop(node)
        if found:
            notes.append(f"its XMP data on {word} does not fit the turned picture: dropped")


def _turn_regions(packet: Packet, turn: Turn, notes: list[str]) -> None:
    """Turn regions with the picture.

    Programs disagree on whether regions are said of the picture as stored or upright; the size that
    they were applied to tells, and the Metadata Working Group's go with the picture as stored.
    """
    width, height = (packet.find(*_APPLIED, (_DIMENSIONS, axis)) for axis in "wh")
    sizes = _whole([node.text for node in (*width[:1], *height[:1])])
    if turn.orientation >= 5 and len(sizes) == 2 and turn.width != turn.height:
        taller = sizes[1] > sizes[0]
        if taller == (turn.width > turn.height):
            return  # upright already
    areas: dict[int, dict[str, Node]] = {}
    for node in packet.nodes:
        if node.name[0] == _AREA:
            areas.setdefault(node.parent, {})[node.name[1]] = node
    for area in areas.values():
        _turn_area(packet, area, turn.orientation)
    if turn.orientation >= 5 and len(sizes) == 2:
        packet.set(width[0], str(sizes[1]))
        packet.set(height[0], str(sizes[0]))
    others = [
        node
        for node in packet.nodes
        if len(node.path) == 1
        and (node.name == (_IPTC_EXTENSION, "ImageRegion")
             or (node.name[0] == _MICROSOFT_REGIONS and node.name[1] == "RegionInfo"))
    ]  # fmt: skip
    for node in others:
        packet.drop(node)
    if others:
        notes.append("its XMP data on regions does not fit the turned picture: dropped")


def _turn_area(packet: Packet, area: dict[str, Node], orientation: int) -> None:
    """Turn a region: its centre and size are fractions of the picture's."""
    try:
        x, y = float(area["x"].text), float(area["y"].text)
    except (KeyError, ValueError):
        return
    if orientation >= 5:
        x, y = y, x
        if "w" in area and "h" in area:
            width, height = area["w"].text, area["h"].text
            packet.set(area["w"], height)
            packet.set(area["h"], width)
    if orientation in (2, 3, 6, 7):
        x = 1 - x
    if orientation in (3, 4, 7, 8):
        y = 1 - y
    packet.set(area["x"], f"{x:.6g}")
    packet.set(area["y"], f"{y:.6g}")


def _scale_regions(packet: Packet, factors: tuple[float, float]) -> None:
    for axis, factor in zip("wh", factors, strict=True):
        for node in packet.find(*_APPLIED, (_DIMENSIONS, axis)):
            packet.set(node, _times(node.text, factor))
    units = {
        node.parent for node in packet.nodes
        if node.name == (_IPTC_EXTENSION, "rbUnit") and node.text.strip() == "pixel"
    }  # fmt: skip
    crops = {
        node.parent for node in packet.nodes
        if node.name == (xmp.CAMERA_RAW, "CropUnit") and node.text.strip() == "0"
    }  # fmt: skip
    for node in packet.nodes:
        namespace, name = node.name
        if node.inner and namespace == _IPTC_EXTENSION and name in _BOUNDARY:
            outer = node.parent
            while outer >= 0 and outer not in units:
                outer = packet.nodes[outer].parent
            if outer >= 0:
                packet.set(node, _times(node.text, factors[_BOUNDARY[name]]))
        elif node.parent in crops and node.name in (
            (xmp.CAMERA_RAW, "CropWidth"), (xmp.CAMERA_RAW, "CropHeight")
        ):  # fmt: skip
            packet.set(node, _times(node.text, factors[name == "CropHeight"]))


def _whole(texts: list[str]) -> list[int]:
    """The whole numbers that texts are; none where one is not."""
    if all(re.fullmatch(r"\s*[0-9]{1,9}\s*", text) for text in texts):
        return [int(text) for text in texts]
    return []


def _times(text: str, factor: float) -> str:
    """A number as XMP writes it (a whole one, a decimal, a ratio) times a factor."""
    text = text.strip()
    if factor == 1:
        return text
    by = Fraction(factor).limit_denominator(1000)
    if re.fullmatch(r"[0-9]{1,12}", text):
        return str(round(int(text) * by))
    if match := re.fullmatch(r"([0-9]{1,12})/([0-9]{1,12})", text):
        return f"{int(match[1]) * by.numerator}/{int(match[2]) * by.denominator}"
    if re.fullmatch(r"[+-]?[0-9]{0,12}\.[0-9]{0,12}", text) and text not in (".", "+.", "-."):
        return f"{float(text) * float(by):.10g}"
    return text
