"""IPTC-IIM records, which JPEG, TIFF and PSD hold in Photoshop's image resources or beside them.

IIM is a row of data sets: a mark, the numbers of record and data set, a length, and the value. XMP
has taken over what people use of it (IPTC Photo Metadata Standard; Metadata Working Group 2.0).
"""

import hashlib
import re
import struct
from collections.abc import Sequence

from edsr_cli.images.metadata import xmp
from edsr_cli.images.metadata.xmp import DC, IPTC_CORE, PHOTOSHOP, XMP_BASIC, Name, Property

IPTC_RESOURCE, _DIGEST_RESOURCE = 0x0404, 0x0425
_MAX_RESOURCES = 100_000  # of one file
_MARK = 0x1C
_UTF8 = b"\x1b%G"

# Data sets of record 2: where XMP has them, and as what.
_SAME: dict[int, tuple[Name, str]] = {
    5: ((DC, "title"), "Alt"),
    10: ((PHOTOSHOP, "Urgency"), "text"),
    15: ((PHOTOSHOP, "Category"), "text"),
    20: ((PHOTOSHOP, "SupplementalCategories"), "Bag"),
    25: ((DC, "subject"), "Bag"),
    40: ((PHOTOSHOP, "Instructions"), "text"),
    80: ((DC, "creator"), "Seq"),
    85: ((PHOTOSHOP, "AuthorsPosition"), "text"),
    90: ((PHOTOSHOP, "City"), "text"),
    92: ((IPTC_CORE, "Location"), "text"),
    95: ((PHOTOSHOP, "State"), "text"),
    100: ((IPTC_CORE, "CountryCode"), "text"),
    101: ((PHOTOSHOP, "Country"), "text"),
    103: ((PHOTOSHOP, "TransmissionReference"), "text"),
    105: ((PHOTOSHOP, "Headline"), "text"),
    110: ((PHOTOSHOP, "Credit"), "text"),
    115: ((PHOTOSHOP, "Source"), "text"),
    116: ((DC, "rights"), "Alt"),
    120: ((DC, "description"), "Alt"),
    122: ((PHOTOSHOP, "CaptionWriter"), "text"),
}
_DATES = {55: (60, (PHOTOSHOP, "DateCreated")), 62: (63, (XMP_BASIC, "CreateDate"))}  # with times
_WITHOUT_LOSS = {0, 60, 63}  # the version of IIM, and times, which go with their dates


def data_sets(iptc: bytes) -> list[tuple[int, int, bytes]]:
    """Record, data set and value of everything in IIM data, as far as it is sound."""
    found = []
    place = 0
    while place + 5 <= len(iptc) and iptc[place] == _MARK:
        record, number, size = struct.unpack_from(">BBH", iptc, place + 1)
        place += 5
        if size & 0x8000:  # the length has so many bytes of its own
            length = size & 0x7FFF
            if length > 4:
                break
            size = int.from_bytes(iptc[place : place + length], "big")
            place += length
        if place + size > len(iptc):
            break
        found.append((record, number, iptc[place : place + size]))
        place += size
    return found


def to_properties(iptc: bytes) -> tuple[list[Property], list[str]]:
    """What XMP can say of IIM data, and names of the data sets it cannot, such as "2:150"."""
    sets = data_sets(iptc)
    utf8 = any(value == _UTF8 for record, number, value in sets if (record, number) == (1, 90))
    values: dict[int, list[str]] = {}
    moments: dict[int, str] = {}
    left: dict[str, None] = {}
    for record, number, value in sets:
        if record == 2 and number in _SAME:
            values.setdefault(number, []).append(_decoded(value, utf8))
        elif record == 2 and number in (*_DATES, *(time for time, _ in _DATES.values())):
            moments[number] = _decoded(value, utf8)
        elif record != 1 and (record != 2 or number not in _WITHOUT_LOSS):
            left[f"{record}:{number}"] = None
    properties = []
    for number, texts in values.items():
        name, kind = _SAME[number]
        properties.append(Property(name, tuple(texts), kind))
    for date, (time, name) in _DATES.items():
        if date in moments:
            properties.append(Property(name, (_moment(moments[date], moments.get(time, "")),)))
    return properties, list(left)


def _decoded(value: bytes, utf8: bool) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("utf-8" if utf8 else "cp1252", "replace")
    return xmp.without_controls(text)


def _moment(date: str, time: str) -> str:
    """CCYYMMDD and HHMMSS+HHMM as XMP writes them; as they are where they are not of that form."""
    if not re.fullmatch(r"[0-9]{8}", date):
        return f"{date} {time}".strip()
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    if found := re.fullmatch(r"([0-9]{2})([0-9]{2})([0-9]{2})(?:([+-][0-9]{2})([0-9]{2}))?", time):
        zone = f"{found[4]}:{found[5]}" if found[4] else ""
        return f"{day}T{found[1]}:{found[2]}:{found[3]}{zone}"
    return day


def resources(iptc: bytes) -> bytes:
    """IIM data as Photoshop's image resources, with the digest that tells if it was changed."""
    digest = hashlib.md5(iptc, usedforsecurity=False).digest()
    parts = ((IPTC_RESOURCE, iptc), (_DIGEST_RESOURCE, digest))
    return b"".join(
        b"8BIM" + struct.pack(">HHL", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in parts
    )


def find(parts: Sequence[tuple[int, bytes]]) -> bytes | None:
    """The IIM data among Photoshop's image resources."""
    for number, data in parts:
        if number == IPTC_RESOURCE and data_sets(data):
            return data
    return None


def photoshop_resources(data: bytes) -> list[tuple[int, bytes]]:
    """Number and content of Photoshop's image resources, as PSD, JPEG and TIFF hold them."""
    found: list[tuple[int, bytes]] = []
    place = 0
    while place + 12 <= len(data) and len(found) < _MAX_RESOURCES:
        if data[place : place + 4] not in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"):
            break
        (number,) = struct.unpack_from(">H", data, place + 4)
        name = data[place + 6] + 1  # with its length in front, padded to an even size
        place += 6 + name + name % 2
        if place + 4 > len(data):
            break
        (size,) = struct.unpack_from(">L", data, place)
        place += 4
        if place + size > len(data):
            break
        found.append((number, data[place : place + size]))
        place += size + size % 2
    return found
