"""What people write for a value on the command line, and what it means."""

import re
from fractions import Fraction
from string import Formatter
from typing import Literal

Setting = float | Literal["auto"]
"""How much to restore: 0 for the plain network to 1 for the restoring one, or "auto"."""

Tile = int | Literal["auto", "none"]
"""Columns of a panel in LR pixels, "none" for one, "auto" to split where memory demands it."""

Pair = tuple[float, float]
"""Two numbers, such as a width and a height."""

MOST_DPI = 65535
"""Pixels per inch that a JPEG can state."""

LARGEST_FACTOR = 16
"""How many times a picture can be enlarged: by two networks, four times each."""

FIELDS = ("stem", "scale", "width", "height", "model", "ext")
"""What may stand in braces in the name of an output."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([KMGT]?)"
_COUNT = f"(?i){_NUMBER}"
_SIZE = f"(?i){_NUMBER}(I?)B?"
_CROP = r"[1-9][0-9]{0,8}x[1-9][0-9]{0,8}\+[0-9]{1,9}\+[0-9]{1,9}"
_DECIMAL = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_FACTOR = r"[0-9]{0,9}\.?[0-9]{1,9}"
_FIT = r"(?i)([0-9]{1,9})\s*[x×]\s*([0-9]{1,9})"
_PAPER = rf"(?i){_DECIMAL}\s*[x×]\s*{_DECIMAL}\s*(mm|cm|in)"
_UNITS_PER_INCH = {"mm": 25.4, "cm": 2.54, "in": 1.0}
_DURATION = f"(?i)(?:{_DECIMAL}h)?(?:{_DECIMAL}m)?(?:{_DECIMAL}s?)?"


def read_scale(text: str) -> int:
    """A factor to enlarge by: "2", "3" or "4".

    Raises:
        ValueError: it is another one; the message says how to come near it.
    """
    if text in ("2", "3", "4"):
        return int(text)
    try:
        float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not 2, 3 or 4.") from None
    raise ValueError(f"{text!r}: these networks enlarge 2, 3 or 4 times, and nothing else.")


def read_factor(text: str) -> int | float:
    """A factor to make pictures larger by, or smaller if it is less than 1.

    Raises:
        ValueError: it is no number, not more than 0 or more than `LARGEST_FACTOR`.
    """
    if re.fullmatch(_FACTOR, text) and 0 < float(text) <= LARGEST_FACTOR:
        factor = float(text)
        return int(factor) if factor.is_integer() else factor
    raise ValueError(f"{text!r} is not a factor such as 2 or 1.5, at most {LARGEST_FACTOR}.")


def read_positive(text: str) -> float:
    """A number above 0, such as "12" or "0.5".

    Raises:
        ValueError: it is none.
    """
    if re.fullmatch(_FACTOR, text) and float(text) > 0:
        return float(text)
    raise ValueError(f"{text!r} is not a number above 0.")


def read_dpi(text: str) -> float:
    """Pixels per inch, such as "300".

    Raises:
        ValueError: it is no number, or one that files cannot state.
    """
    if re.fullmatch(_FACTOR, text) and 1 < float(text) <= MOST_DPI:
        return float(text)
    raise ValueError(f"{text!r} is not a number of pixels per inch such as 300.")


def read_fit(text: str) -> Pair:
    """Width and height in pixels, from "3840x2160".

    Raises:
        ValueError: the text is no size.
    """
    match = re.fullmatch(_FIT, text.strip())
    if match is None or not (int(match[1]) and int(match[2])):
        raise ValueError(f"{text!r} is not a size in pixels such as 3840x2160.")
    return int(match[1]), int(match[2])


def read_paper(text: str) -> Pair:
    """Width and height in inches, from "30x20cm", "300x200mm" or "12x8in".

    Raises:
        ValueError: the text is no size.
    """
    match = re.fullmatch(_PAPER, text.strip())
    unit = _UNITS_PER_INCH[match[3].lower()] if match else 1.0
    sides = (float(match[1]) / unit, float(match[2]) / unit) if match else (0.0, 0.0)
    if not (sides[0] and sides[1]):
        raise ValueError(f"{text!r} is not the size of a print such as 30x20cm or 12x8in.")
    return sides


def read_restore(text: str) -> Setting:
    """A setting of --restore: "auto" or a number from 0 to 1.

    Raises:
        ValueError: it is neither.
    """
    if text == "auto":
        return "auto"
    if re.fullmatch(r"[0-9]{0,15}\.?[0-9]{1,15}", text, re.ASCII) and float(text) <= 1:
        return float(text)
    raise ValueError(f"{text!r} is not auto or a number from 0 to 1.")


def read_restores(text: str) -> tuple[Setting, ...]:
    """Settings of --restore with commas between them, such as "0,0.5,1".

    Raises:
        ValueError: one is none.
    """
    return tuple(read_restore(each.strip()) for each in text.split(","))


def read_crop(text: str) -> str:
    """A part of a picture as "WxH+X+Y", in pixels; see `crop_numbers`.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(_CROP, text):
        raise ValueError(f"{text!r} is not WxH+X+Y, such as 200x150+40+0.")
    return text


def crop_numbers(crop: str) -> tuple[int, int, int, int]:
    """Width, height, left and top of what `read_crop` has read."""
    width, height, left, top = map(int, re.split("[x+]", crop))
    return width, height, left, top


def read_alpha(text: str) -> str:
    """A setting of --alpha: "drop", "keep" or a colour, which becomes "#rrggbb".

    Raises:
        ValueError: it is none of these.
    """
    if text in ("drop", "keep"):
        return text
    from edsr_cli.images.alpha import alpha_setting  # takes a while

    try:
        return alpha_setting(text)
    except ValueError as error:
        raise ValueError(f"{error}.") from None


def read_tile(text: str) -> Tile:
    """A panel width: "auto", "none" or a number of columns from 1.

    Raises:
        ValueError: it is none of these.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    if re.fullmatch("[0-9]{1,15}", text) and int(text) > 0:
        return int(text)
    raise ValueError(f"{text!r} is not auto, none or a number of pixels from 1.")


def read_size(text: str) -> int:
    """Bytes from "800M", "1.5GB", "2GiB" or "1000000000".

    Raises:
        ValueError: the text is not a size, or less than one byte.
    """
    match = re.fullmatch(_SIZE, text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is not a size such as 800M, 1.5GB or 2GiB.")
    units = _BINARY_UNITS if match[3] else _UNITS
    size = int(Fraction(match[1]) * units[match[2].upper()])
    if size < 1:
        raise ValueError(f"{text!r} is too small.")
    return size


def read_count(text: str) -> int:
    """A number of pixels such as "500M" or "1000000".

    Raises:
        ValueError: it is not a number, or less than one.
    """
    match = re.fullmatch(_COUNT, text.strip())
    if match is None or (count := int(Fraction(match[1]) * _UNITS[match[2].upper()])) < 1:
        raise ValueError(f"{text!r} is not a number of pixels such as 500M.")
    return count


def read_duration(text: str) -> float:
    """Seconds from "90s", "25m", "1.5h", "1h30m" or "90".

    Raises:
        ValueError: the text is not a duration, or not more than nothing.
    """
    match = re.fullmatch(_DURATION, text.strip())
    parts = (match[1], match[2], match[3]) if match else (None, None, None)
    seconds = sum(float(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=True))
    if not seconds:
        raise ValueError(f"{text!r} is not a duration such as 90s, 25m or 1h30m.")
    return seconds


def read_betas(text: str) -> tuple[float, float]:
    """The two decay rates of Adam, from "0.9,0.999".

    Raises:
        ValueError: the text is not two numbers from 0 to below 1.
    """
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        first = second = -1.0
    if not (0 <= first < 1 and 0 <= second < 1):
        raise ValueError(f"{text!r} is not two numbers below 1, such as 0.9,0.999.")
    return first, second


def read_template(text: str) -> str:
    """A name with fields, such as "{stem}_{width}x{height}{ext}".

    Raises:
        ValueError: a field is unknown, the name would lead to another folder, or it does not end
            in {ext}; the message names it.
    """
    known = ", ".join("{" + name + "}" for name in FIELDS)
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(
            f"{text!r} has a brace without its other; the fields are {known}."
        ) from None
    for _, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            raise ValueError(f"{text!r} has another field than {known}.")
    literal = "".join(part for part, *_ in parts)
    if "/" in literal or "\\" in literal:
        raise ValueError(f"{text!r} leads to another folder; choose that with -o.")
    if not literal.isprintable():
        raise ValueError(f"{text!r} has characters that cannot be seen.")
    if not text.endswith("{ext}"):
        raise ValueError(f"{text!r} does not end in {{ext}}, which is the ending of the format.")
    if text == "{ext}":
        raise ValueError("there is nothing in front of {ext}.")
    return text


def fields_of(template: str) -> frozenset[str]:
    """The fields that a name has."""
    return frozenset(field for _, field, *_ in Formatter().parse(template) if field)
