"""The pixels of a TIFF page.

Pillow reads most of what cameras and editors write, but noise from planes of 16 bits, from YCbCr of
lower resolution and from some tiles, and nothing from several ordinary kinds. Here strips and tiles
are unpacked one group at a time, and all else (byte order, depth, planes, channels, alpha, palette,
YCbCr) is arithmetic on arrays. What is not understood is refused by `tiff_layout` beforehand.
"""

import math
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edsr_cli.errors import PictureError
from edsr_cli.images.codecs import segments as packed
from edsr_cli.images.codecs import tiff_layout as kinds
from edsr_cli.images.codecs.jpeg import is_damaged_data
from edsr_cli.images.codecs.tiff_layout import Layout, refused
from edsr_cli.images.codecs.tiff_pages import Directory
from edsr_cli.images.colour import Samples
from edsr_cli.pixels.alpha import divide_by_alpha, opaque
from edsr_cli.pixels.depth import full_range, to_8_bits

_GROUP_BYTES = 2**22  # unpacked at a time, where a segment is not larger
_ROWS = 256  # rows converted at a time


class _Part(NamedTuple):
    """A strip, a tile, or some rows of a strip: where its pixels go, and where its data is."""

    channel: int  # the first
    top: int
    left: int
    rows: int  # as stored; a tile may reach beyond the picture
    place: int
    size: int


def read_rows(
    file: BinaryIO, page: Directory, layout: Layout, name: str, rows: int
) -> Iterator[Samples]:
    """Decode the pixels of a page from the top, as stored: not turned, and not yet RGB.

    Args:
        file: the file, seekable.
        page: the directory of the page.
        layout: how it is stored; not as JPEG of the old kind.
        name: what to call the file in messages.
        rows: about how many rows to give at a time; whole strips or tiles, if they are packed.

    Raises:
        PictureError: there are values that have no meaning.
        EOFError: the file is cut short.
        OSError, ValueError: it is damaged.
    """
    parts = _Parts(page, layout)
    step = _step(layout, rows)
    for top in range(0, layout.height, step):
        try:
            values = _read(file, parts, top, min(top + step, layout.height), page)
        except OSError as error:
            method = packed.OPTIONAL_METHODS.get(layout.method)
            if method is None or error.errno is not None:
                raise
            raise PictureError(
                f"it is compressed as {method}, and is damaged or of a kind that this build of "
                "Pillow cannot unpack.",
                "Save it with LZW or Deflate compression instead.",
                about=name,
            ) from error
        yield _to_samples(values, page, layout, name)


def by_rows(layout: Layout) -> bool:
    """Whether a page is stored in pieces, so that its rows need not be decoded all at once."""
    return layout.method != packed.OLD_JPEG and _step(layout, 1) < layout.height


def is_damaged(file: BinaryIO, page: Directory, layout: Layout) -> bool:
    """Whether there is damage in a page that decoding passes over.

    Raises:
        EOFError: the file is cut short.
    """
    if layout.method != packed.JPEG:
        return False
    tables = page.raw(347)
    parts = _Parts(page, layout).within(0, layout.height)
    return any(is_damaged_data(_data(file, part, layout), tables) for part in parts)


def _to_samples(values: NDArray[Any], page: Directory, layout: Layout, name: str) -> Samples:
    if layout.photometric == kinds.YCBCR and _converted_by_libjpeg(layout):
        values = values[..., :3]
    elif layout.photometric == kinds.YCBCR and not _is_subsampled(layout):
        values[..., :3] = _ycbcr_to_rgb(values[..., :3], page)
    alpha = None if layout.alpha is None else values[..., layout.colours]
    colours = values[..., : layout.colours]
    if layout.bits == 32 or layout.sample_format == kinds.SIGNED:
        colours = _as_unsigned(colours, layout, name)
        alpha = None if alpha is None else _as_unsigned(alpha, layout, name)
    bits = 16 if layout.bits == 32 else layout.bits
    if layout.photometric == kinds.PALETTE:
        colours = _through_palette(colours[..., 0], page, name)
        alpha = None if alpha is None else to_8_bits(full_range(alpha, bits))
        return Samples("RGB", colours, alpha, layout.colour_bits)
    if layout.photometric in (kinds.CIELAB, kinds.ICCLAB):
        colours = _lab(colours, layout)
        alpha = None if alpha is None else to_8_bits(full_range(alpha, bits))
    else:
        colours = full_range(colours, bits)
        alpha = None if alpha is None else full_range(alpha, bits)
    if layout.associated and alpha is not None and not opaque(alpha):
        if layout.photometric not in (kinds.BLACK_IS_0, kinds.RGB, kinds.CMYK):
            raise refused(name, "its colours are multiplied by alpha in a rare way")
        divide_by_alpha(colours, alpha)
    if layout.photometric == kinds.WHITE_IS_0:
        np.subtract(np.iinfo(colours.dtype).max, colours, out=colours)
    space = {kinds.RGB: "RGB", kinds.YCBCR: "RGB", kinds.CMYK: "CMYK"}.get(
        layout.photometric, "LAB" if colours.shape[2] == 3 else "GRAY"
    )
    return Samples(space, colours, alpha, layout.bits)  # type: ignore[arg-type]


def _is_subsampled(layout: Layout) -> bool:
    return layout.subsampling != (1, 1) and not _converted_by_libjpeg(layout) and not layout.planar


def _converted_by_libjpeg(layout: Layout) -> bool:
    return layout.method == packed.JPEG and not layout.planar


def _wanted(layout: Layout) -> list[int]:
    """The numbers of the channels of colour, and of alpha behind them."""
    return [*range(layout.colours), *([] if layout.alpha is None else [layout.alpha])]


def _step(layout: Layout, rows: int) -> int:
    """So many rows, about, that no segment is unpacked twice."""
    unit = 1 if _is_open(layout) else layout.segment[1]
    return min(max(1, rows // unit) * unit, layout.height)


def _is_open(layout: Layout) -> bool:
    """Whether the rows of strips lie in the file as they are."""
    return layout.method == packed.NONE and not layout.tiled and not _is_subsampled(layout)


def _read(file: BinaryIO, parts: "_Parts", first: int, last: int, page: Directory) -> NDArray[Any]:
    """Some rows, (last - first, W, n): channels of colour, then alpha, as stored."""
    layout, wanted = parts.layout, _wanted(parts.layout)
    dtype = np.uint8 if layout.bits <= 8 else np.uint16 if layout.bits <= 16 else np.uint32
    pixels = np.zeros((last - first, layout.width, len(wanted)), dtype)
    # Segments are unpacked together, as one by one would take long where they are small.
    for group in _groups(parts.within(first, last), _group_size(layout)):
        data = [_data(file, part, layout) for part in group]
        values = _unpack(data, [part.rows for part in group], page, layout)
        top = 0
        for part in group:
            block = values[top : top + part.rows]
            top += part.rows
            if not layout.planar:
                block = block[:, :, wanted] if block.shape[2] > len(wanted) else block
            if block.shape == pixels.shape and block.flags.writeable:
                return block  # one strip is all of it, which need not be there twice
            bottom = min(part.top + part.rows, last)
            right = min(part.left + layout.segment[0], layout.width)
            channel = wanted.index(part.channel) if layout.planar else 0
            pixels[
                part.top - first : bottom - first,
                part.left : right,
                channel : channel + block.shape[2],
            ] = block[: bottom - part.top, : right - part.left]
    return pixels


def _groups(parts: Iterator[_Part], most: int) -> Iterator[list[_Part]]:
    """At most so many parts at a time, with as many rows each; only the last may have fewer."""
    group: list[_Part] = []
    for part in parts:
        if group and (len(group) == most or not part.rows <= group[-1].rows == group[0].rows):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _group_size(layout: Layout) -> int:
    return max(1, _GROUP_BYTES // (_row_bytes(layout) * layout.segment[1]))


def _row_bytes(layout: Layout) -> int:
    """Bytes of a row of a segment; of subsampled YCbCr, of a row of units (see `_from_units`)."""
    width = layout.segment[0]
    if _is_subsampled(layout):
        across, down = layout.subsampling
        return -(-width // across) * (across * down + 2)
    return -(-width * layout.bits * (1 if layout.planar else layout.channels) // 8)


class _Parts:
    """Where the strips or tiles of a page are."""

    def __init__(self, page: Directory, layout: Layout) -> None:
        self.layout = layout
        width, rows = layout.segment
        self._across, self._down = -(-layout.width // width), -(-layout.height // rows)
        count = self._across * self._down * (layout.channels if layout.planar else 1)
        # Some writers name tiles as strips.
        offsets, sizes = (324, 325) if layout.tiled and 324 in page else (273, 279)
        self._places = page.integers(offsets, count)
        if len(self._places) < count:
            raise EOFError("there are fewer strips or tiles than the picture needs")
        self._sizes = page.integers(sizes, count)

    def within(self, first: int, last: int) -> Iterator[_Part]:
        """The parts of some rows, plane by plane, each from the top."""
        layout = self.layout
        width, rows = layout.segment
        for plane in _wanted(layout) if layout.planar else [0]:
            for row in range(first // rows, -(-last // rows)):
                for column in range(self._across):
                    index = (plane * self._down + row) * self._across + column
                    top = row * rows
                    here = rows if layout.tiled else min(rows, layout.height - top)
                    size = self._sizes[index] if index < len(self._sizes) else 0
                    part = _Part(plane, top, column * width, here, self._places[index], size)
                    yield from _pieces(part, layout, first, last)


def _pieces(part: _Part, layout: Layout, first: int, last: int) -> Iterator[_Part]:
    """A part; if it is a strip whose rows lie open, those that are asked for, some at a time."""
    row_bytes = _row_bytes(layout)
    if layout.method != packed.NONE:
        yield part
        return
    if not _is_open(layout):
        units = -(-part.rows // layout.subsampling[1]) if _is_subsampled(layout) else part.rows
        yield part._replace(size=units * row_bytes)
        return
    step = max(1, _GROUP_BYTES // row_bytes)
    for top in range(max(part.top, first), min(part.top + part.rows, last), step):
        rows = min(step, part.top + part.rows - top, last - top)
        yield part._replace(
            top=top,
            rows=rows,
            place=part.place + (top - part.top) * row_bytes,
            size=rows * row_bytes,
        )


def _data(file: BinaryIO, part: _Part, layout: Layout) -> bytes:
    if part.place <= 0:
        raise EOFError("a strip or tile is missing")
    file.seek(part.place)
    # Methods know where their data ends, so of a size that is not stated, or too large, no more is
    # read than they may need: a small file could name all of itself as each of many strips.
    most = 4 * _row_bytes(layout) * part.rows + 4096
    size = min(part.size, most) if part.size > 0 else most
    data = file.read(size)
    if not data or (part.size > 0 and len(data) < size):
        raise EOFError("a strip or tile is cut short")
    return packed.reverse_bits(data) if layout.reversed else data


def _unpack(data: list[bytes], rows: list[int], page: Directory, layout: Layout) -> NDArray[Any]:
    """Segments one below the other, as numbers (rows, width of a segment, channels)."""
    width, method = layout.segment[0], layout.method
    channels = 1 if layout.planar else layout.channels
    if method in packed.PIXEL_METHODS:
        tables = page.raw(347) if method == packed.JPEG else b""
        ycbcr = layout.photometric == kinds.YCBCR and _converted_by_libjpeg(layout)
        subsampling = layout.subsampling if ycbcr else None
        return packed.unpack_pixels(data, method, tables, width, rows, channels, subsampling)
    if method in packed.FAX_METHODS:
        options = page.integer({packed.FAX3: 292}.get(method, 293), 0)
        return packed.unpack_fax(data, method, options, width, rows)[:, :, None]
    units = rows
    if _is_subsampled(layout):
        units = [-(-count // layout.subsampling[1]) for count in rows]
    if method == packed.NONE:
        raw = np.frombuffer(b"".join(data), np.uint8).reshape(sum(units), -1)
    else:
        raw = packed.unpack_bytes(data, method, _row_bytes(layout), units)
    if _is_subsampled(layout):
        return _from_units(raw, rows, page, layout)
    values = _numbers(raw, width * channels, layout.bits, page.order)
    values = values.reshape(len(raw), width, channels)
    if layout.differences:
        for top in range(0, len(values), _ROWS):
            block = values[top : top + _ROWS]
            block[...] = np.cumsum(block, axis=1, dtype=block.dtype)  # modulo 2 to the bits
    return values


def _numbers(raw: NDArray[np.uint8], count: int, bits: int, order: str) -> NDArray[Any]:
    """Numbers of any depth from rows of bytes: shape (rows, count)."""
    if bits == 8:
        return raw
    if bits in (16, 32):
        values = np.ascontiguousarray(raw).view(f"{order}u{bits // 8}")
        return values.astype(f"=u{bits // 8}", copy=False)
    single = np.unpackbits(raw, axis=1)[:, : count * bits].reshape(len(raw), count, bits)
    values = np.zeros((len(raw), count), np.uint8 if bits < 8 else np.uint16)
    for bit in range(bits):
        values = (values << 1) | single[:, :, bit]
    return values


def _from_units(
    raw: NDArray[np.uint8], rows: list[int], page: Directory, layout: Layout
) -> NDArray[np.uint8]:
    """RGB from rows of units: some brightnesses, and the two colours that these pixels share."""
    across, down = layout.subsampling
    width = layout.segment[0]
    units = raw.reshape(len(raw), -1, across * down + 2)
    wide = units.shape[1] * across
    ycbcr = np.empty((len(raw) * down, wide, 3), np.uint8)
    bright = units[:, :, : across * down].reshape(len(raw), -1, down, across)
    ycbcr[..., 0] = bright.transpose(0, 2, 1, 3).reshape(-1, wide)
    for channel in (1, 2):
        shared = units[:, :, across * down + channel - 1]
        ycbcr[..., channel] = shared.repeat(down, axis=0).repeat(across, axis=1)
    # A segment ends in a row of units that may reach below it.
    kept, top = [], 0
    for count in rows:
        kept.append(ycbcr[top : top + count, :width])
        top += -(-count // down) * down
    return _ycbcr_to_rgb(np.concatenate(kept), page)


def _ycbcr_to_rgb(ycbcr: NDArray[np.uint8], page: Directory) -> NDArray[np.uint8]:
    """TIFF 6.0, section 21."""
    red, green, blue = page.numbers(529, 3) or (0.299, 0.587, 0.114)
    low = page.numbers(532, 6) or (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
    spans = [low[i + 1] - low[i] for i in (0, 2, 4)]
    if not all(spans) or not green or not all(map(math.isfinite, (red, green, blue, *low))):
        raise ValueError("the limits of YCbCr make no sense")
    rgb = np.empty(ycbcr.shape, np.uint8)
    for top in range(0, len(ycbcr), _ROWS):
        rows = ycbcr[top : top + _ROWS].astype(np.float32)
        y = (rows[..., 0] - low[0]) * (255 / spans[0])
        cb = (rows[..., 1] - low[2]) * (127 / spans[1])
        cr = (rows[..., 2] - low[4]) * (127 / spans[2])
        r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
        g = (y - blue * b - red * r) / green
        rows = np.stack((r, g, b), axis=2)
        rgb[top : top + _ROWS] = np.clip(np.rint(rows), 0, 255)
    return rgb


def _as_unsigned(values: NDArray[Any], layout: Layout, name: str) -> NDArray[Any]:
    """Signed numbers, and those of 32 bits, if they are in the range of 8 or 16 bits."""
    if layout.sample_format == kinds.SIGNED:
        values = values.view(f"i{values.dtype.itemsize}")
    least, most = int(values.min()), int(values.max())
    if least < 0 or most > 65535:
        raise PictureError(
            f"its grey values go from {least} to {most}, outside the 0..65535 of a 16-bit picture.",
            "Scale them to 16 bits first.",
            about=name,
        )
    return values.astype(np.uint8 if layout.bits == 8 else np.uint16)


def _through_palette(indices: NDArray[Any], page: Directory, name: str) -> NDArray[np.uint8]:
    table = np.array(page.integers(320, 3 * 2**16), np.int64)
    count = len(table) // 3
    if count == 0 or int(indices.max()) >= count:
        raise PictureError(
            "its palette has fewer colours than its pixels name.",
            "Copy it again, or save it as PNG with an image editor.",
            about=name,
        )
    # 16 bits, or by old writers' mistake 8.
    table = table >> 8 if table.max() > 255 else table
    return np.asarray(table[: 3 * count].reshape(3, count).T.astype(np.uint8)[indices])


def _lab(values: NDArray[Any], layout: Layout) -> NDArray[np.uint8]:
    """L*, a* and b* as `Samples` has them."""
    signed = layout.photometric == kinds.CIELAB  # a* and b*; in ICC's they have 128 added
    if layout.bits == 8:
        return np.bitwise_xor(values, np.array([0, 0x80, 0x80] if signed else [0] * 3, np.uint8))
    lab = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):
        rows = values[top : top + _ROWS].astype(np.uint32)
        # For L* = 100, TIFF has 0xFFFF and ICC 0xFF00; a* and b* are in 1/256 in both.
        light = (rows[..., :1] * 255 + 0x7F80) // (0xFFFF if signed else 0xFF00)
        ab = ((rows[..., 1:] ^ (0x8000 if signed else 0)) + 128) >> 8
        lab[top : top + _ROWS] = np.minimum(np.concatenate((light, ab), axis=2), 255)
    return lab
