"""Files made byte by byte, for what Pillow cannot write."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6

BOMB = zlib.compress(bytes(70_000_000), 9)
"""Little that unpacks to a lot; made once, since that takes a third of a second."""


def chunk(name: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


def png(
    samples: NDArray[Any],
    colour_type: int = RGB,
    bits: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    size: tuple[int, int] | None = None,
) -> bytes:
    """A PNG of samples (H, W, channels), uint8 or uint16, with chunks before and after the pixels.

    `size` replaces the true width and height in the header.
    """
    height, width = samples.shape[:2]
    bits = bits or samples.dtype.itemsize * 8
    rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">LLBBBBB", *(size or (width, height)), bits, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), before, chunk(b"IDAT", zlib.compress(raw)), after]
    return PNG_MAGIC + b"".join(parts) + chunk(b"IEND", b"")


def entry(order: str, tag: int, kind: int, values: Sequence[int], data: bytes = b"") -> list[Any]:
    """A TIFF directory entry for `directory`: `data` where the value is given as bytes."""
    layout = {1: "B", 3: "H", 4: "L", 5: "L", 7: "B"}.get(kind, "B")
    packed = data or struct.pack(f"{order}{len(values)}{layout}", *values)
    count = len(packed) // {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8}[kind]
    return [tag, kind, count, packed]


def directory(order: str, start: int, entries: list[list[Any]], following: int = 0) -> bytes:
    """A TIFF directory that begins at `start`, and the values that do not fit into it."""
    table = struct.pack(order + "H", len(entries))
    values = b""
    end = start + 2 + 12 * len(entries) + 4
    for tag, kind, count, packed in sorted(entries):
        if len(packed) <= 4:
            field = packed.ljust(4, b"\0")
        else:
            field = struct.pack(order + "L", end + len(values))
            values += packed
        table += struct.pack(order + "HHL", tag, kind, count) + field
    return table + struct.pack(order + "L", following) + values


def tiff(
    samples: NDArray[Any],
    photometric: int = 1,
    bits: int | None = None,
    order: str = "<",
    extra: list[list[Any]] | None = None,
    data: bytes | None = None,
) -> bytes:
    """An uncompressed TIFF of one strip; samples (H, W) or (H, W, channels), integers or floats.

    `extra` entries replace those of the same tag.
    """
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if data is None:
        data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    bits = bits or samples.dtype.itemsize * 8
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    entries = [
        entry(order, 256, 4, [width]),
        entry(order, 257, 4, [height]),
        entry(order, 258, 3, [bits] * channels),
        entry(order, 259, 3, [1]),
        entry(order, 262, 3, [photometric]),
        entry(order, 273, 4, [8]),
        entry(order, 277, 3, [channels]),
        entry(order, 278, 4, [height]),
        entry(order, 279, 4, [len(data)]),
        entry(order, 339, 3, [kind] * channels),
    ]
    replaced = {item[0] for item in extra or []}
    entries = [item for item in entries if item[0] not in replaced] + (extra or [])
    padded = data + b"\0" * (len(data) % 2)
    start = 8 + len(padded)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "L", start) + padded + directory(order, start, entries)


THUMBNAIL = b"\xff\xd8" + b"thumbnail" * 5 + b"\xff\xd9"
MAKER_NOTE = b"MAKERNOTE\0" + bytes(range(40))


def exif(order: str = "<", orientation: int | None = 6, thumbnail: bool = True) -> bytes:
    """EXIF data as a camera writes it, without the "Exif" in front.

    Make, orientation, a stale width, a sub-directory with maker note and sizes, a thumbnail.
    """
    mark = b"II*\0" if order == "<" else b"MM\0*"
    sub_entries = [
        entry(order, 0x9003, 2, [], b"2020:01:02 03:04:05\0"),
        entry(order, 0x927C, 7, [], MAKER_NOTE),
        entry(order, 0xA002, 3, [640]),
        entry(order, 0xA003, 3, [480]),
    ]
    entries = [entry(order, 0x100, 4, [640]), entry(order, 0x10F, 2, [], b"Maker\0")]
    if orientation is not None:
        entries.append(entry(order, 0x112, 3, [orientation]))
    first_bytes = len(directory(order, 8, [*entries, entry(order, 0x8769, 4, [0])]))
    sub = directory(order, 8 + first_bytes, sub_entries)
    second = 8 + first_bytes + len(sub)
    tail = b""
    if thumbnail:
        count = 2
        place = second + 2 + 12 * count + 4
        tail = directory(
            order,
            second,
            [entry(order, 0x201, 4, [place]), entry(order, 0x202, 4, [len(THUMBNAIL)])],
        )
        tail += THUMBNAIL
    entries.append(entry(order, 0x8769, 4, [8 + first_bytes]))
    first = directory(order, 8, entries, second if thumbnail else 0)
    assert len(first) == first_bytes
    return mark + struct.pack(order + "L", 8) + first + sub + tail


def icc(
    space: bytes, tags: dict[bytes, bytes], kind: bytes = b"scnr", pcs: bytes = b"XYZ "
) -> bytes:
    """An ICC profile of version 2 with the given tags and a white point."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3l", 63190, 65536, 54061)
    text = b"text\0\0\0\0none\0"
    tags = {b"wtpt": white, b"cprt": text, b"desc": _description(), **tags}
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">L", len(tags)), b""
    for name, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += name + struct.pack(">LL", offset + len(body), len(data))
        body += padded
    header = struct.pack(">L4sL4s4s4s", offset + len(body), b"none", 0x02400000, kind, space, pcs)
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3l", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


def _description() -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">L", 5) + b"test\0" + bytes(4 + 4 + 2 + 1 + 67)


def grey_icc(curve: bytes) -> bytes:
    """An ICC profile for greyscale with a tone curve."""
    return icc(b"GRAY", {b"kTRC": curve}, kind=b"mntr")


def gamma_curve(gamma: float) -> bytes:
    """An ICC curve x ** gamma."""
    return b"curv\0\0\0\0" + struct.pack(">LH", 1, round(gamma * 256))


def cmyk_icc(black: int | None = None) -> bytes:
    """An ICC profile that takes cyan for red ink: C = 1 is a Lab red, everything else white.

    With `black`, it is one of a press where more ink only makes darker: 0 to 4 full inks go from
    white down to that lightness, 0..255.
    """
    red, white = (136, 208, 195), (255, 128, 128)  # 8-bit Lab
    corners = range(16)
    if black is None:
        cube = b"".join(bytes(red if corner & 8 else white) for corner in corners)
    else:
        light = [255 - (255 - black) * corner.bit_count() // 4 for corner in corners]
        cube = b"".join(bytes((value, 128, 128)) for value in light)
    identity = struct.pack(">9l", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + cube + ramp * 3
    # LittleCMS looks for the black of a press on a way back that these profiles do not have.
    kind = b"prtr" if black is None else b"scnr"
    tables = {b"A2B0": table} if black is None else {b"A2B0": table, b"A2B1": table}
    return icc(b"CMYK", tables, kind=kind, pcs=b"Lab ")


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """The bytes of a file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def gradient(height: int = 12, width: int = 20) -> NDArray[np.uint8]:
    """RGB pixels that all differ, so that a turned or shifted picture shows."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 12, y * 20, (x + 2 * y) * 5], axis=2).astype(np.uint8)
