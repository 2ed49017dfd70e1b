"""The quantisers of a lossy WebP, from the header of its VP8 frame (RFC 6386, sections 9, 19)."""

_START_CODE = b"\x9d\x01\x2a"
_EVEN = 128  # the probability of 0, in 256ths, of what is not worth modelling


class _Bits:
    """The boolean decoder (RFC 6386, section 7)."""

    def __init__(self, content: bytes) -> None:
        self._content, self._next = content, 2
        self._value = int.from_bytes(content[:2].ljust(2, b"\0"), "big")
        self._range, self._count = 255, 0

    def flag(self, probability: int = _EVEN) -> bool:
        split = 1 + ((self._range - 1) * probability >> 8)
        found = self._value >= split << 8
        if found:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._range <<= 1
            self._value <<= 1
            self._count += 1
            if self._count == 8:
                self._count = 0
                if self._next < len(self._content):
                    self._value |= self._content[self._next]
                self._next += 1
        return found

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.flag()
        return value

    def optional(self, bits: int) -> int | None:
        """A number with a sign behind it, if a flag in front says that it is there."""
        if not self.flag():
            return None
        value = self.number(bits)
        return -value if self.flag() else value


def quantiser_indices(content: bytes) -> list[int]:
    """The quantiser indices of a WebP file's segments, 0 (fine) to 127; empty if it has no VP8.

    Args:
        content: the beginning of the file.
    """
    frame = _vp8(content)
    if frame is None:
        return []
    bits = _Bits(frame)
    bits.number(2)  # colour space, clamping
    absolute, segments = False, [0]
    if bits.flag():  # segments
        has_map, has_data = bits.flag(), bits.flag()
        if has_data:
            absolute = bits.flag()
            segments = [bits.optional(7) or 0 for _ in range(4)]
            for _ in range(4):
                bits.optional(6)  # strengths of the loop filter
        if has_map:
            for _ in range(3):
                if bits.flag():
                    bits.number(8)
    bits.number(1 + 6 + 3)  # kind, level and sharpness of the loop filter
    if bits.flag() and bits.flag():  # changes to its level
        for _ in range(8):
            bits.optional(6)
    bits.number(2)  # partitions
    base = bits.number(7)
    values = segments if absolute else [base + change for change in segments]
    return [min(127, max(0, value)) for value in values]


def _vp8(content: bytes) -> bytes | None:
    """The first partition of the VP8 frame, or what there is of it."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    place = 12
    while place + 8 <= len(content):
        name, size = (
            content[place : place + 4],
            int.from_bytes(content[place + 4 : place + 8], "little"),
        )
        start = place + 8
        if name == b"ANMF":  # a frame of an animation has its chunks behind 16 bytes of its own
            place = start + 16
            continue
        if name == b"VP8 ":
            frame = content[start : start + size]
            is_key = len(frame) > 10 and not frame[0] & 1 and frame[3:6] == _START_CODE
            return frame[10:] if is_key else None
        place = start + size + (size & 1)
    return None
