"""Numbers of bytes as people write them."""

import re
from fractions import Fraction

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([KMGT]?)"
_SIZE = re.compile(NUMBER + "(I?)B?", re.IGNORECASE)


def read_size(text: str) -> int:
    """Bytes from "800M", "1.5GB", "2GiB" or "1000000000".

    Raises:
        ValueError: the text is not a size, or less than one byte.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is not a size such as 800M, 1.5GB or 2GiB.")
    units = BINARY_UNITS if match[3] else UNITS
    size = int(Fraction(match[1]) * units[match[2].upper()])
    if size < 1:
        raise ValueError(f"{text!r} is too small.")
    return size
