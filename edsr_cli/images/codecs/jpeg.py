"""Whether a JPEG file is damaged inside, which its decoders make the best of without a word.

libjpeg goes on with what is left when the data of a picture makes no sense: colours shift, or the
rest is grey. It warns, but Pillow does not pass that on, so the data is read once more, at an
eighth of its size, by a library that does.
"""

import re
from typing import BinaryIO

_DAMAGE = "Corrupt JPEG data"  # how libjpeg's warnings begin that are about the data
_PROFILE = "ICC marker"  # damage of the profile, which is told elsewhere
_LEFT_AT_END = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))
_IN_DATA = frozenset((0x00, *range(0xD0, 0xD8)))  # what may follow 0xFF in the data of a scan
_MOST_BYTES_A_PIXEL, _MOST_METADATA = 12, 2**26


def is_damaged(file: BinaryIO, pixels: int) -> bool:
    """Whether the data of the first picture in a JPEG file is damaged.

    Damage after which the data still makes sense as a picture of that size, if another one, cannot
    be seen: that is about a third of all.

    Args:
        file: the file, seekable, of which Pillow has decoded the picture. Its position is kept.
        pixels: width times height of the picture.
    """
    position = file.tell()
    file.seek(0)
    # No picture takes more than this, and what follows it, such as a film, may be long.
    data = file.read(_MOST_BYTES_A_PIXEL * pixels + _MOST_METADATA)
    file.seek(position)
    return is_damaged_data(data)


def is_damaged_data(data: bytes, tables: bytes = b"") -> bool:
    """Whether the data of the first picture in a JPEG stream is damaged; see `is_damaged`.

    Args:
        data: the stream.
        tables: a stream of nothing but tables that `data` relies on, as TIFF files have it.
    """
    if len(tables) > 4:  # one stream of both: without the end of the first, and the second's start
        data = tables[:-2] + data[2:]
    warning = _first_warning(data)
    left = _LEFT_AT_END.search(warning)
    if left:  # zeros only fill up
        body = data[: _end_of_picture(data)]
        return int(left[1]) > len(body) - len(body.rstrip(b"\0"))
    return warning.startswith(_DAMAGE) and _PROFILE not in warning


def _first_warning(data: bytes) -> str:
    """What libjpeg finds wrong with a picture first; nothing if all is well."""
    import simplejpeg  # type: ignore[import-untyped]  # here, because only a JPEG needs it

    try:
        space = simplejpeg.decode_jpeg_header(data)[2]
        # CMYK cannot become greyscale; all others can, which takes the least memory.
        space = "CMYK" if space in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, space, min_height=1, min_width=1, strict=True)
    except ValueError as error:
        return str(error)
    return ""


def _end_of_picture(data: bytes) -> int:
    """Where the end marker of the first picture is; the end of the data where there is none."""
    place = 2
    while 0 <= place < len(data) - 3:
        marker = data[place + 1]
        if data[place] != 0xFF:  # libjpeg skips what is between segments
            place = data.find(b"\xff", place)
        elif marker == _END:
            return place
        elif marker == 0xFF:
            place += 1
        elif marker in _WITHOUT_LENGTH:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            while marker == _SCAN and 0 <= place < len(data) - 1:
                place = data.find(b"\xff", place)
                if data[place + 1] not in _IN_DATA:
                    break
                place += 2
    return len(data) - 2 if data.endswith(b"\xff\xd9") else len(data)
