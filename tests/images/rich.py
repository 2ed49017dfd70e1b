"""Pictures rich in metadata, made byte by byte, and the facts that each of them tells."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from PIL import Image

from edsr_cli.images.colour import spaces as colour_spaces
from tests.images import builders

HEIGHT, WIDTH, SCALE = 12, 20, 2
PIXELS = builders.gradient(HEIGHT, WIDTH)
PROFILE = colour_spaces.ADOBE_RGB.profile()
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@dataclass
class Fact:
    """One thing that a file says.

    Attributes:
        label: what it is, a row of the table.
        value: how it is found in a file: a text or bytes that are nowhere else.
        scaled: what is found instead where it is made true of the output; None where it is kept.
        gone: words of a remark where the output cannot have it; none where only BMP cannot.
        silent: whether it may be gone without a remark, as documented.
    """

    label: str
    value: str | bytes
    scaled: str | bytes | None = None
    gone: str = ""
    silent: bool = False


@dataclass
class Rich:
    """A picture: its name with suffix, its bytes, and its facts."""

    name: str
    data: bytes
    facts: list[Fact] = field(default_factory=list)


def maker_note(order: str, place: int) -> bytes:
    """Notes as Canon writes them: a directory whose offsets count from the EXIF data's start."""
    owner = builders.entry(order, 0x0009, 2, [], b"Owner-behind-an-offset\0")
    kind = builders.entry(order, 0x0006, 2, [], b"Canon Test-behind-offset\0")
    return builders.directory(order, place, [kind, owner])


def exif(order: str = "<", orientation: int | None = 1, make: bytes = b"Canon\0") -> bytes:
    """EXIF data of a camera: maker notes, GPS, things in pixels, a thumbnail."""
    length = len(maker_note(order, 0))

    def build(note: bytes) -> bytes:
        mark = b"II*\0" if order == "<" else b"MM\0*"
        first = [
            builders.entry(order, 0x10F, 2, [], make),
            builders.entry(order, 0x110, 2, [], b"Canon Camera-Model\0"),
            builders.entry(order, 0x112, 3, [orientation or 1]),
            builders.entry(order, 0x11A, 5, [300, 1]),
            builders.entry(order, 0x11B, 5, [200, 1]),
            builders.entry(order, 0x128, 3, [2]),
            builders.entry(order, 0x131, 2, [], b"Firmware-1.10\0"),
            builders.entry(order, 0x13B, 2, [], b"Exif-Artist\0"),
            builders.entry(order, 0x8298, 2, [], b"Exif-Copyright\0"),
            builders.entry(order, 0x8769, 4, [0]),
            builders.entry(order, 0x8825, 4, [0]),
        ]
        camera = [
            builders.entry(order, 0x9003, 2, [], b"2020:01:02 03:04:05\0"),
            builders.entry(order, 0x9214, 3, [4, 6, 3, 5]),
            builders.entry(order, 0x927C, 7, [], note),
            builders.entry(order, 0xA002, 3, [WIDTH]),
            builders.entry(order, 0xA003, 3, [HEIGHT]),
            builders.entry(order, 0xA20E, 5, [12_345, 10]),
            builders.entry(order, 0xA20F, 5, [6_789, 10]),
            builders.entry(order, 0xA434, 2, [], b"Exif-Lens\0"),
        ]
        gps = [
            builders.entry(order, 1, 2, [], b"N\0"),
            builders.entry(order, 2, 5, [47, 1, 22, 1, 1_234, 100]),
            builders.entry(order, 0x1D, 2, [], b"2020:02:03\0"),
        ]
        first = [entry for entry in first if entry[0] != 0x112 or orientation is not None]
        places = [8, 0, 0, 0]
        places[1] = 8 + len(builders.directory(order, 8, first))
        places[2] = places[1] + len(builders.directory(order, places[1], camera))
        places[3] = places[2] + len(builders.directory(order, places[2], gps))
        for entry in first:
            if entry[0] in (0x8769, 0x8825):
                place = places[1] if entry[0] == 0x8769 else places[2]
                entry[3] = struct.pack(order + "L", place)
        small = [
            builders.entry(order, 0x201, 4, [places[3] + 30]),
            builders.entry(order, 0x202, 4, [len(builders.THUMBNAIL)]),
        ]
        return (
            mark
            + struct.pack(order + "L", 8)
            + builders.directory(order, 8, first, places[3])
            + builders.directory(order, places[1], camera)
            + builders.directory(order, places[2], gps)
            + builders.directory(order, places[3], small)
            + builders.THUMBNAIL
        )

    filler = bytes([0xAB]) * length
    place = build(filler).index(filler)
    return build(maker_note(order, place))


def exif_facts(orientation: int = 1, order: str = "<") -> list[Fact]:
    area = (4, 6, 3, 5)
    if orientation == 6:
        area = (HEIGHT - 1 - 6, 4, 5, 3)
    new = struct.pack(order + "4H", *(value * SCALE for value in area))
    focal = [12_345, 6_789]
    if orientation >= 5:
        focal.reverse()
    ratio = Fraction(focal[0] * SCALE, 10)
    focal_plane = struct.pack(order + "2L", ratio.numerator, ratio.denominator)
    sizes = (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)
    size = struct.pack(order + "HHLL", 0xA002, 4, 1, sizes[0] * SCALE)
    return [
        Fact("EXIF: camera, lens, date", "Canon Camera-Model"),
        Fact("EXIF: camera, lens, date", "Exif-Lens"),
        Fact("EXIF: camera, lens, date", "2020:01:02 03:04:05"),
        Fact("EXIF: artist, copyright", "Exif-Artist"),
        Fact("EXIF: artist, copyright", "Exif-Copyright"),
        Fact("EXIF: the camera's Software", "Firmware-1.10"),
        Fact("EXIF: place (GPS)", "2020:02:03"),
        Fact("EXIF: maker notes", b"Owner-behind-an-offset", gone="maker notes"),
        Fact("EXIF: width and height", b"never", scaled=size),
        Fact("EXIF: subject area", b"never", scaled=new),
        Fact("EXIF: focal plane resolution", b"never", scaled=focal_plane),
        Fact("EXIF: thumbnail", builders.THUMBNAIL, silent=True),
    ]


def xmp(body: str, attributes: str = "", prefixes: str = "") -> bytes:
    """A packet with properties as elements and as attributes."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description '
        'rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" '
        f"{prefixes} {attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    ).encode()


RICH_XMP = xmp(
    "<dc:creator><rdf:Seq><rdf:li>Xmp-Creator</rdf:li></rdf:Seq></dc:creator>"
    "<exif:SubjectArea><rdf:Seq><rdf:li>7</rdf:li><rdf:li>8</rdf:li></rdf:Seq></exif:SubjectArea>"
    "<xmp:Thumbnails><rdf:Alt><rdf:li>Xmp-Thumbnail</rdf:li></rdf:Alt></xmp:Thumbnails>"
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions stDim:w="200" '
    'stDim:h="120" stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description '
    'mwg-rs:Name="Xmp-Face"><mwg-rs:Area stArea:x="0.25" stArea:y="0.5" stArea:w="0.125" '
    'stArea:h="0.375"/></rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>',
    f'xmp:Rating="4" tiff:ImageWidth="{WIDTH}" exif:PixelYDimension="{HEIGHT}" '
    'tiff:BitsPerSample="16" xmpMM:InstanceID="xmp.iid:old" xmpMM:DocumentID="xmp.did:Xmp-Document"'
    ' dc:format="image/x-old"',
    'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
    'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" '
    'xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"',
)
XMP_FACTS = [
    Fact("XMP: creator, rating, document", "Xmp-Creator"),
    Fact("XMP: creator, rating, document", 'xmp:Rating="4"'),
    Fact("XMP: creator, rating, document", "xmp.did:Xmp-Document"),
    Fact("XMP: regions (faces)", "Xmp-Face"),
    Fact("XMP: regions (faces)", "never", scaled='stDim:w="400"'),
    Fact("XMP: width, height, subject area", "never", scaled=f'tiff:ImageWidth="{WIDTH * SCALE}"'),
    Fact("XMP: width, height, subject area", "never", scaled="<rdf:li>14</rdf:li>"),
    Fact(
        "XMP: width, height, subject area",
        "never",
        scaled=f'exif:PixelYDimension="{HEIGHT * SCALE}"',
    ),
    Fact("XMP: instance, format", "xmp.iid:old", scaled='xmpMM:InstanceID="xmp.iid:'),
    Fact("XMP: instance, format", "image/x-old", scaled='dc:format="image/'),
    Fact("XMP: thumbnail", "Xmp-Thumbnail", silent=True),
    Fact("XMP: how the old file stored pixels", "tiff:BitsPerSample", silent=True),
]

GAIN_MAP = xmp(
    "",
    'hdrgm:Version="1.0" hdrgm:GainMapMax="Gain-Value" xmp:Rating="5"',
    'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"',
)
CONTAINER = xmp(
    "<Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Semantic='Primary-Part'/></rdf:li>"
    "</rdf:Seq></Container:Directory>",
    'GCamera:MotionPhoto="1" GCamera:MotionPhotoPresentationTimestampUs="987654321"',
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
    'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"',
)


def iim(*sets: tuple[int, str]) -> bytes:
    """IPTC data of record 2, in UTF-8."""
    parts = [(1, 90, b"\x1b%G"), (2, 0, b"\0\4")]
    parts += [(2, number, text.encode()) for number, text in sets]
    return b"".join(struct.pack(">BBBH", 0x1C, r, n, len(v)) + v for r, n, v in parts)


IPTC = iim(
    (5, "Iptc-Title"),
    (25, "Iptc-Keyword-Ä"),
    (25, "Iptc-Second"),
    (80, "Iptc-Author"),
    (116, "Iptc-Rights"),
    (120, "Iptc-Caption"),
    (55, "20200102"),
    (150, "Iptc-Odd"),
)
IPTC_FACTS = [
    *(
        Fact("IPTC: title, keywords, author, rights", text)
        for text in (
            "Iptc-Title",
            "Iptc-Keyword-Ä",
            "Iptc-Second",
            "Iptc-Author",
            "Iptc-Rights",
            "Iptc-Caption",
        )
    ),
    Fact("IPTC: what XMP has no name for", "Iptc-Odd", gone="2:150"),
]


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHL", number, 0, len(data)) + data + b"\0" * (len(data) % 2)


PHOTOSHOP = (
    resource(1028, IPTC)
    + resource(1034, b"\1")
    + resource(1035, b"https://example.org/Url")
    + resource(2000, bytes(26))
    + resource(1037, bytes(4))
)
PHOTOSHOP_FACTS = [
    *IPTC_FACTS,
    Fact("Photoshop: address, copyright flag", "https://example.org/Url"),
    Fact("Photoshop: address, copyright flag", "CopyrightFlag"),
    Fact("Photoshop: paths", "never", gone="its paths"),
    Fact("Photoshop: settings", "never", gone="Photoshop's settings"),
]


def marker(kind: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data


def jpeg(*markers: bytes, tail: bytes = b"", **options: object) -> bytes:
    """A JPEG with markers behind those that Pillow writes."""
    data = builders.saved(Image.fromarray(PIXELS), "JPEG", quality=95, **options)
    return data[:2] + b"".join(markers) + data[2:] + tail


def app1(data: bytes) -> bytes:
    return marker(0xE1, b"Exif\0\0" + data)


def xmp_marker(data: bytes) -> bytes:
    return marker(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + data)


def extended(body: str) -> list[bytes]:
    """Markers of XMP whose greater part is in an extension, in two pieces."""
    rest = xmp(body)
    name = hashlib.md5(rest, usedforsecurity=False).hexdigest().upper().encode()
    main = xmp(
        "",
        f'xmpNote:HasExtendedXMP="{name.decode()}" xmp:Rating="3"',
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/"',
    )
    head = b"http://ns.adobe.com/xmp/extension/\0" + name
    cut = len(rest) // 2
    return [xmp_marker(main)] + [
        marker(0xE1, head + struct.pack(">2L", len(rest), start) + part)
        for start, part in ((cut, rest[cut:]), (0, rest[:cut]))  # in no order
    ]


def text(keyword: str, value: str) -> bytes:
    return builders.chunk(b"tEXt", keyword.encode() + b"\0" + value.encode("latin-1"))


def ztxt(keyword: str, value: str) -> bytes:
    packed = zlib.compress(value.encode("latin-1"))
    return builders.chunk(b"zTXt", keyword.encode() + b"\0\0" + packed)


def itxt(keyword: str, value: str, language: str = "") -> bytes:
    head = keyword.encode() + b"\0\0\0" + language.encode() + b"\0\0"
    return builders.chunk(b"iTXt", head + value.encode())


def png(*chunks: bytes, after: bytes = b"") -> bytes:
    return builders.png(PIXELS, before=b"".join(chunks), after=after)


def raw_profile(kind: str, data: bytes) -> bytes:
    digits = data.hex()
    lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    return ztxt(f"Raw profile type {kind}", f"\n{kind}\n{len(data):8}\n{lines}\n")


def tiff(*extra: list, order: str = "<") -> bytes:  # type: ignore[type-arg]
    return builders.tiff(PIXELS, 2, order=order, extra=list(extra))


def tiff_exif(make: bytes, note: bytes) -> bytes:
    """A TIFF whose EXIF directory holds maker notes."""
    made = Image.Exif()
    made[0x10F], made[0x13B] = make.decode(), "Tiff-Artist"
    made.get_ifd(0x8769)[0x927C] = note
    made.get_ifd(0x8769)[0x9003] = "2021:01:02 03:04:05"
    made.get_ifd(0x8825)[0x1D] = "2021:02:03"
    return builders.saved(Image.fromarray(PIXELS), "TIFF", exif=made.tobytes())


def gif(*blocks: bytes) -> bytes:
    data = builders.saved(Image.fromarray(PIXELS).quantize(16), "GIF")
    place = 13 + 3 * (2 << (data[10] & 7))
    return data[:place] + b"".join(blocks) + data[place:]


def box(name: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">L4s", 8 + len(data), name) + data


def jp2(*boxes: bytes, comment: bytes | None = None) -> bytes:
    options = {"comment": comment} if comment else {}
    data = builders.saved(Image.fromarray(PIXELS), "JPEG2000", **options)
    place = data.index(b"jp2c") - 4
    return data[:place] + b"".join(boxes) + data[place:]


def psd(*resources: bytes) -> bytes:
    data = b"".join(resources)
    head = struct.pack(">4sH6xHLLHH", b"8BPS", 1, 3, HEIGHT, WIDTH, 8, 3)
    planes = b"".join(PIXELS[..., channel].tobytes() for channel in range(3))
    return head + struct.pack(">LL", 0, len(data)) + data + struct.pack(">LH", 0, 0) + planes


def tga() -> bytes:
    data = builders.saved(Image.fromarray(PIXELS), "TGA")
    data = data[:-26] if data.endswith(b"TRUEVISION-XFILE.\0") else data
    area = (
        struct.pack("<H", 495) + b"Tga-Author".ljust(41, b"\0") + b"Tga-Comment".ljust(324, b"\0")
    )
    return data + area.ljust(495, b"\0") + struct.pack("<2L", len(data), 0) + b"TRUEVISION-XFILE.\0"


def entry_bytes(tag: int, data: bytes, kind: int = 7) -> list:  # type: ignore[type-arg]
    return builders.entry("<", tag, kind, [], data)


UUID_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
UUID_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
UUID_GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
PROMPT = "a cat, Steps: 20, Prompt-Text"
C2PA_JPEG = marker(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x40jumb\0\0\0\x20jumdc2pa" + bytes(40))
MOVABLE = b"FUJIFILM\x0c\0\0\0\1\0\0\x10\2\0\x06\0\0\0\x1a\0\0\0\0\0\0\0FINE-M\0"
ICC = Fact("ICC profile", PROFILE)
RATING5 = Fact("XMP: creator, rating, document", 'xmp:Rating="5"')


def pictures() -> list[Rich]:
    """All of them."""
    made: list[Rich] = []

    def add(name: str, data: bytes, facts: Sequence[Fact]) -> None:
        made.append(Rich(name, data, list(facts)))

    _jpegs(add)
    _pngs(add)
    _tiffs(add)
    _others(add)
    return made


Add = Callable[[str, bytes, Sequence[Fact]], None]


def _jpegs(add: Add) -> None:
    for order, word in (("<", "little"), (">", "big")):
        for orientation in (1, 6):
            data = jpeg(app1(exif(order, orientation)), dpi=(300, 200))
            facts = exif_facts(orientation, order)
            dpi = (300, 200) if orientation == 1 else (200, 300)
            facts.append(
                Fact("resolution", "never", scaled=f"dpi {dpi[0]} x {dpi[1]}", silent=True)
            )
            add(f"exif-{word}-{orientation}.jpg", data, facts)
    add("xmp.jpg", jpeg(xmp_marker(RICH_XMP), icc_profile=PROFILE), [*XMP_FACTS, ICC])
    body = "<dc:source>" + "Extended-Text " * 9000 + "</dc:source>"
    add("extended-xmp.jpg", jpeg(*extended(body)), [Fact("XMP: extended", "Extended-Text " * 9000)])
    for encoding in ("utf-16-be", "utf-16-le", "utf-32-le"):
        packet = RICH_XMP.decode().encode(encoding)
        add(f"{encoding}.jpg", jpeg(xmp_marker(packet)), XMP_FACTS)
    add(
        "ultra-hdr.jpg",
        jpeg(xmp_marker(GAIN_MAP)),
        [Fact("XMP: gain map", "Gain-Value", gone="gain map"), RATING5],
    )
    add(
        "motion.jpg",
        jpeg(xmp_marker(CONTAINER), tail=b"\0\0\0\x18ftypmp42" + bytes(range(200))),
        [
            Fact("XMP: parts of the old file, motion photo", "Primary-Part", gone="further parts"),
            Fact("XMP: parts of the old file, motion photo", "987654321", gone="motion photo"),
            Fact("data behind a JPEG", "never", gone="data behind the picture"),
        ],
    )
    iptc = marker(0xED, b"Photoshop 3.0\0" + PHOTOSHOP)
    add("iptc.jpg", jpeg(iptc), PHOTOSHOP_FACTS)
    add(
        "iptc-comment.jpg",
        jpeg(iptc, marker(0xFE, b"Jpeg-Comment")),
        [*IPTC_FACTS, Fact("JPEG: comments", "Jpeg-Comment")],
    )
    add(
        "comments.jpg",
        jpeg(marker(0xFE, "Jpeg-Comment-é".encode()), marker(0xFE, b"Jpeg-Second")),
        [Fact("JPEG: comments", "Jpeg-Comment-é"), Fact("JPEG: comments", "Jpeg-Second")],
    )
    add(
        "c2pa.jpg",
        jpeg(C2PA_JPEG, marker(0xE6, b"GoPro\0data")),
        [
            Fact("content credentials (C2PA)", "never", gone="C2PA"),
            Fact("JPEG: other markers", "never", gone="APP6 GoPro"),
        ],
    )
    add(
        "everything.jpg",
        jpeg(
            app1(exif()),
            xmp_marker(RICH_XMP),
            iptc,
            marker(0xFE, b"Jpeg-Comment"),
            icc_profile=PROFILE,
        ),
        [*exif_facts(), *XMP_FACTS, *PHOTOSHOP_FACTS, ICC, Fact("JPEG: comments", "Jpeg-Comment")],
    )


def _pngs(add: Add) -> None:
    add(
        "texts.png",
        png(
            text("Author", "Png-Author"),
            text("Copyright", "Png-Rights \xa9"),
            itxt("Title", "Png-Title \u03a9", "el"),
            text("Software", "Png-Software"),
            text("Creation Time", "Thu, 02 Jan 2020"),
        ),
        [
            *(
                Fact("PNG: author, copyright, title, software", value)
                for value in (
                    "Png-Author",
                    "Png-Rights \xa9",
                    "Png-Title \u03a9",
                    "Png-Software",
                    "Thu, 02 Jan 2020",
                )
            )
        ],
    )
    add("prompt.png", png(ztxt("parameters", PROMPT)), [Fact("PNG: prompts", PROMPT)])
    workflow = '{"nodes": [' + ", ".join(f'"Node-{n}"' for n in range(9000)) + "]}"
    add(
        "workflow.png",
        png(itxt("workflow", workflow), text("prompt", '{"3": "Comfy-Prompt"}')),
        [Fact("PNG: prompts", workflow), Fact("PNG: prompts", '{"3": "Comfy-Prompt"}')],
    )
    add(
        "late.png",
        png(after=text("Comment", "Late-Comment")),
        [Fact("PNG: comment", "Late-Comment")],
    )
    add(
        "twice.png",
        png(text("Author", "First-Author"), text("Author", "Second-Author")),
        [
            Fact("PNG: author, copyright, title, software", "First-Author"),
            Fact("PNG: author, copyright, title, software", "Second-Author"),
        ],
    )
    chunk = builders.chunk
    add(
        "exif.png",
        png(chunk(b"eXIf", exif()), chunk(b"iCCP", b"x\0\0" + zlib.compress(PROFILE))),
        [*exif_facts(), ICC],
    )
    add("late-exif.png", png(after=chunk(b"eXIf", exif(">", 6))), exif_facts(6, ">"))
    add("xmp.png", png(itxt("XML:com.adobe.xmp", RICH_XMP.decode())), XMP_FACTS)
    add("iptc.png", png(raw_profile("iptc", resource(1028, IPTC))), IPTC_FACTS)
    add(
        "odd.png",
        png(chunk(b"caBX", b"c2pa"), chunk(b"pCAL", b"Calibration"), chunk(b"mDCV", bytes(24))),
        [
            Fact("content credentials (C2PA)", "never", gone="C2PA"),
            Fact("PNG: other chunks", "never", gone="chunk 'pCAL'"),
            Fact("HDR mastering data", "never", gone="mastering"),
        ],
    )


def _tiffs(add: Add) -> None:
    add(
        "tags.tif",
        tiff(
            entry_bytes(269, b"Tiff-Document\0", 2),
            entry_bytes(270, b"Tiff-Description\0", 2),
            entry_bytes(315, b"Tiff-Artist\0", 2),
            entry_bytes(305, b"Tiff-Software\0", 2),
            entry_bytes(700, RICH_XMP, 1),
            entry_bytes(34675, PROFILE),
        ),
        [
            *(
                Fact("TIFF: names, description, artist, software", f"Tiff-{word}")
                for word in ("Document", "Description", "Artist", "Software")
            ),
            *XMP_FACTS,
            ICC,
        ],
    )
    add("iptc.tif", tiff(entry_bytes(33723, IPTC)), IPTC_FACTS)
    longs = IPTC + b"\0" * (-len(IPTC) % 4)
    entry = builders.entry("<", 33723, 4, list(struct.unpack(f"<{len(longs) // 4}L", longs)))
    add("iptc-longs.tif", tiff(entry), IPTC_FACTS)
    add("photoshop.tif", tiff(entry_bytes(34377, PHOTOSHOP)), PHOTOSHOP_FACTS)
    common = [
        Fact("TIFF: names, description, artist, software", "Tiff-Artist"),
        Fact("EXIF: camera, lens, date", "2021:01:02 03:04:05"),
        Fact("EXIF: place (GPS)", "2021:02:03"),
    ]
    add(
        "canon.tif",
        tiff_exif(b"Canon", builders.MAKER_NOTE),
        [*common, Fact("maker notes of a TIFF", builders.MAKER_NOTE, gone="maker notes")],
    )
    add(
        "fuji.tif",
        tiff_exif(b"FUJIFILM", MOVABLE),
        [*common, Fact("maker notes of a TIFF without offsets into it", MOVABLE)],
    )
    add(
        "geo.tif",
        tiff(
            builders.entry("<", 33922, 12, [], bytes(48)),
            entry_bytes(65001, b"private-data"),
            entry_bytes(37724, b"Adobe Photoshop layers"),
        ),
        [
            Fact("TIFF: GeoTIFF, layers, private tags", "never", gone=word)
            for word in ("GeoTIFF", "layers", "65001")
        ],
    )


def _others(add: Add) -> None:
    for form, suffix in (("WEBP", "webp"), ("AVIF", "avif")):
        lossless = {"lossless": True} if form == "WEBP" else {}
        # Pillow would move the EXIF data of an AVIF to take the orientation out.
        data = builders.saved(
            Image.fromarray(PIXELS),
            form,
            exif=b"Exif\0\0" + exif(orientation=None),
            xmp=RICH_XMP,
            icc_profile=PROFILE,
            **lossless,
        )
        facts = [*exif_facts(), *XMP_FACTS, ICC]
        add(f"all.{suffix}", data, facts)
    data = builders.saved(Image.fromarray(PIXELS), "WEBP", lossless=True)
    odd = data + b"C2PA\x04\0\0\0jumb" + b"ABCD\x02\0\0\0xy"
    odd = odd[:4] + struct.pack("<L", len(odd) - 8) + odd[8:]
    add(
        "odd.webp",
        odd,
        [
            Fact("content credentials (C2PA)", "never", gone="C2PA"),
            Fact("WebP: other chunks", "never", gone="chunk 'ABCD'"),
        ],
    )
    data = builders.saved(Image.fromarray(PIXELS), "AVIF")
    credentials = box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), bytes(20))
    add("c2pa.avif", data + credentials, [Fact("content credentials (C2PA)", "never", gone="C2PA")])
    packet = b"!\xff\x0bXMP DataXMP" + RICH_XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"
    comment = b"!\xfe\x0bGif-Comment\0"
    add("all.gif", gif(comment, packet), [*XMP_FACTS, Fact("GIF: comments", "Gif-Comment")])
    add(
        "all.jp2",
        jp2(
            box(b"uuid", UUID_XMP, RICH_XMP),
            box(b"uuid", b"JpgTiffExif->JP2", exif()),
            box(b"uuid", UUID_IPTC, IPTC),
            box(b"uuid", UUID_GEO, b"geo"),
            box(b"xml ", b"<a>Jp2-Xml</a>"),
            comment=b"Jp2-Comment",
        ),
        [
            *XMP_FACTS,
            *exif_facts(),
            *IPTC_FACTS,
            Fact("JPEG 2000: XML, comments", "Jp2-Xml"),
            Fact("JPEG 2000: XML, comments", "Jp2-Comment"),
            Fact("JPEG 2000: GeoJP2", "never", gone="GeoJP2"),
        ],
    )
    resolution = struct.pack(">LHHLHH", 300 << 16, 1, 1, 300 << 16, 1, 1)
    add(
        "all.psd",
        psd(
            PHOTOSHOP,
            resource(1005, resolution),
            resource(1060, RICH_XMP),
            resource(1058, exif()),
            resource(1039, PROFILE),
        ),
        [
            *PHOTOSHOP_FACTS,
            *XMP_FACTS,
            *exif_facts(),
            ICC,
            Fact("resolution", "never", scaled="dpi 300 x 300", silent=True),
        ],
    )
    add(
        "all.tga",
        tga(),
        [Fact("TGA: author, comment", "Tga-Author"), Fact("TGA: author, comment", "Tga-Comment")],
    )
