"""The quantiser of an AVIF picture, from the headers of its AV1 frame.

The names are those of the AV1 specification, sections 5.5 and 5.9, and of ISO/IEC 14496-12 for the
boxes around it. What still pictures do not have, such as frames that refer to others, is not read.
"""

from collections.abc import Iterator

from msgspec import Struct

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_SELECT = 2
_KEY_FRAME = 0


class _UnknownError(Exception):
    """The headers have something in them that is not read here, or end too early."""


class _Bits:
    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            byte, bit = divmod(self._place, 8)
            if byte >= len(self._content):
                raise _UnknownError
            value = value << 1 | (self._content[byte] >> (7 - bit)) & 1
            self._place += 1
        return value

    def flag(self) -> bool:
        return bool(self.number(1))


class _Sequence(Struct):
    """What a frame's header cannot be read without."""

    reduced: bool = False
    width_bits: int = 0
    height_bits: int = 0
    width: int = 0
    height: int = 0
    frame_id_bits: int = 0
    large_superblocks: bool = False
    screen_content_tools: int = _SELECT
    integer_mv: int = _SELECT
    order_hint_bits: int = 0
    superres: bool = False


def base_q_index(content: bytes) -> int | None:
    """The base_q_idx of an AVIF file's picture, 0 (lossless) to 255; None if it is not found.

    Args:
        content: the beginning of the file.
    """
    try:
        sequence = None
        for kind, payload in _units(_primary_item(content)):
            if kind == _SEQUENCE_HEADER:
                sequence = _sequence(_Bits(payload))
            elif kind in (_FRAME_HEADER, _FRAME) and sequence is not None:
                return _base_q_index(_Bits(payload), sequence)
    except (_UnknownError, IndexError):
        pass
    return None


def _boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, beginning and end of what is in each box."""
    while start + 8 <= min(end, len(content)):
        size, header = int.from_bytes(content[start : start + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(content[start + 8 : start + 16], "big"), 16
        stop = start + size if size else end
        if stop < start + header:
            raise _UnknownError
        yield content[start + 4 : start + 8], start + header, min(stop, end)
        start = stop


def _primary_item(content: bytes) -> bytes:
    """The data of the picture, or what there is of it; not of one that is made of others."""
    for name, start, end in _boxes(content, 0, len(content)):
        if name == b"meta":
            inside = {box: (a, b) for box, a, b in _boxes(content, start + 4, end)}
            if b"pitm" not in inside or b"iloc" not in inside:
                break
            a, b = inside[b"pitm"]
            primary = int.from_bytes(content[a + 4 : a + (8 if content[a] else 6)], "big")
            a, b = inside[b"iloc"]
            return content[_offset(content[a:b], primary) :]
    raise _UnknownError


def _offset(iloc: bytes, wanted: int) -> int:
    """Where the data of an item begin, by an "iloc" box."""
    version = iloc[0]
    sizes = (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if version else 0)
    id_bytes, place = (4 if version == 2 else 2), 6

    def number(size: int) -> int:
        nonlocal place
        place += size
        if place > len(iloc):
            raise _UnknownError
        return int.from_bytes(iloc[place - size : place], "big")

    for _ in range(number(id_bytes)):
        item = number(id_bytes)
        in_file = not version or number(2) & 15 == 0
        number(2)  # where external data are
        base, extents = number(sizes[2]), number(2)
        following = place + extents * (sizes[3] + sizes[0] + sizes[1])
        if item == wanted and in_file and extents:
            number(sizes[3])
            return base + number(sizes[0])
        place = following
    raise _UnknownError


def _units(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and payload of each OBU."""
    place = 0
    while place < len(content):
        header = content[place]
        place += 2 if header & 4 else 1
        size = len(content) - place
        if header & 2:
            size = 0
            for shift in range(0, 56, 7):  # leb128
                byte = content[place]
                place += 1
                size |= (byte & 127) << shift
                if not byte & 128:
                    break
        yield header >> 3 & 15, content[place : place + size]
        place += size


def _sequence(bits: _Bits) -> _Sequence:
    bits.number(3)  # seq_profile
    bits.flag()  # still_picture
    found = _Sequence(reduced=bits.flag())
    if found.reduced:
        bits.number(5)  # seq_level_idx
    else:
        if bits.flag():  # timing_info_present_flag
            raise _UnknownError
        delays = bits.flag()
        for _ in range(bits.number(5) + 1):  # operating points
            bits.number(12)
            if bits.number(5) > 7:
                bits.flag()  # seq_tier
            if delays and bits.flag():
                bits.number(4)
    found.width_bits, found.height_bits = bits.number(4) + 1, bits.number(4) + 1
    found.width, found.height = (
        bits.number(found.width_bits) + 1,
        bits.number(found.height_bits) + 1,
    )
    if not found.reduced and bits.flag():
        found.frame_id_bits = bits.number(4) + 2 + bits.number(3) + 1
    found.large_superblocks = bits.flag()
    bits.number(2)  # enable_filter_intra, enable_intra_edge_filter
    if not found.reduced:
        _inter_tools(bits, found)
    found.superres = bits.flag()
    return found


def _inter_tools(bits: _Bits, found: _Sequence) -> None:
    bits.number(4)  # from enable_interintra_compound to enable_dual_filter
    has_order_hint = bits.flag()
    if has_order_hint:
        bits.number(2)  # enable_jnt_comp, enable_ref_frame_mvs
    found.screen_content_tools = _SELECT if bits.flag() else bits.number(1)
    if found.screen_content_tools:
        found.integer_mv = _SELECT if bits.flag() else bits.number(1)
    if has_order_hint:
        found.order_hint_bits = bits.number(3) + 1


def _base_q_index(bits: _Bits, sequence: _Sequence) -> int:
    override = False
    if not sequence.reduced and (bits.flag() or bits.number(2) != _KEY_FRAME or not bits.flag()):
        raise _UnknownError  # it shows a frame from before, is no key frame, or is not shown
    keeps_cdf = bits.flag()
    tools = sequence.screen_content_tools
    tools = bits.number(1) if tools == _SELECT else tools
    if tools and sequence.integer_mv == _SELECT:
        bits.flag()
    bits.number(sequence.frame_id_bits)
    if not sequence.reduced:
        override = bits.flag()
    bits.number(sequence.order_hint_bits)
    width, height = sequence.width, sequence.height
    if override:
        width, height = bits.number(sequence.width_bits) + 1, bits.number(sequence.height_bits) + 1
    if sequence.superres and bits.flag():
        raise _UnknownError
    if bits.flag():  # render_and_frame_size_different
        bits.number(32)
    if tools:
        bits.flag()  # allow_intrabc
    if not (sequence.reduced or keeps_cdf):
        bits.flag()  # disable_frame_end_update_cdf
    _skip_tiles(bits, width, height, 7 if sequence.large_superblocks else 6)
    return bits.number(8)


def _skip_tiles(bits: _Bits, width: int, height: int, shift: int) -> None:
    """Read over tile_info, for superblocks of 2 ** shift pixels."""
    columns, rows = ((-(-size // 8) * 8 + (1 << shift) - 1) >> shift for size in (width, height))
    if not bits.flag():  # uniform_tile_spacing_flag
        raise _UnknownError
    least_columns = _log2(4096 >> shift, columns)
    least = max(least_columns, _log2(4096 * 2304 >> 2 * shift, rows * columns))
    column_log2 = _increments(bits, least_columns, _log2(1, min(columns, 64)))
    row_log2 = _increments(bits, max(least - column_log2, 0), _log2(1, min(rows, 64)))
    if column_log2 or row_log2:
        bits.number(column_log2 + row_log2)  # context_update_tile_id
        bits.number(2)  # tile_size_bytes_minus_1


def _increments(bits: _Bits, value: int, most: int) -> int:
    while value < most and bits.flag():
        value += 1
    return value


def _log2(unit: int, target: int) -> int:
    """The smallest k for which unit * 2 ** k is at least the target."""
    k = 0
    while unit << k < target:
        k += 1
    return k
