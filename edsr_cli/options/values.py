"""Kinds of values: how they are read from the command line, and what Python may give for them."""

import math
import operator
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal, Protocol, SupportsIndex, TypeVar

from edsr_cli import sizes
from edsr_cli.options.choices import (
    Autocast,
    Chroma,
    Depth,
    Grey,
    Preset,
    Schedule,
    Strip,
    TiffKind,
)
from edsr_cli.options.template import read_template

Setting = float | Literal["auto"]
"""How much to restore: 0 for the plain network to 1 for the restoring one, or "auto"."""

Tile = int | Literal["auto", "none"]
"""Columns of a panel in LR pixels, "none" for one, "auto" to split where memory demands it."""

PathLike = str | os.PathLike[str]

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class Given(Protocol[In, Out]):
    """The type of a field that is given as one type and kept as another."""

    def __set__(self, instance: Any, value: In) -> None: ...

    def __get__(self, instance: Any, owner: Any) -> Out: ...


Path = Given[PathLike, str]
MaybePath = Given[PathLike | None, str | None]
Paths = Given[PathLike | Sequence[PathLike], tuple[str, ...]]
Texts = Given[str | Sequence[str], tuple[str, ...]]
Settings = Given[Setting | str | Sequence[Setting | str], tuple[Setting, ...]]
Number = Given[int | str | None, int | None]
Pair = tuple[float, float]
Sides = Given[str | Pair | None, Pair | None]

MOST_DPI = 65535
"""Pixels per inch that a JPEG can state."""

LARGEST_FACTOR = 16
"""How many times a picture can be enlarged: by two networks, four times each."""

_COUNT = re.compile(sizes.NUMBER, re.IGNORECASE)
_CROP = re.compile(r"[1-9][0-9]{0,8}x[1-9][0-9]{0,8}\+[0-9]{1,9}\+[0-9]{1,9}")
_DECIMAL = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_FACTOR = re.compile(r"[0-9]{0,9}\.?[0-9]{1,9}")
_FIT = re.compile(r"([0-9]{1,9})\s*[x×]\s*([0-9]{1,9})", re.IGNORECASE)
_PAPER = re.compile(_DECIMAL + r"\s*[x×]\s*" + _DECIMAL + r"\s*(mm|cm|in)", re.IGNORECASE)
_UNITS_PER_INCH = {"mm": 25.4, "cm": 2.54, "in": 1.0}
_DURATION = re.compile(f"(?:{_DECIMAL}h)?(?:{_DECIMAL}m)?(?:{_DECIMAL}s?)?", re.IGNORECASE)


class PrecisionName(StrEnum):
    """Values of --precision."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class EngineName(StrEnum):
    """Values of --engine."""

    AUTO = "auto"
    TORCH = "torch"
    NCNN = "ncnn"


@dataclass(frozen=True)
class Kind:
    """A kind of values.

    Attributes:
        check: makes a value from Python right, given the option's name and the value; raises
            TypeError or ValueError, and the message begins with the name.
        type: what the command line reads where there is no `read`.
        read: makes a value from text; raises ValueError with the reason, which names the text.
        several: whether the option may be given several times, each for one more value.
    """

    check: Callable[[str, Any], Any]
    type: Any = str
    read: Callable[[str], Any] | None = None
    several: bool = False


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
    if _FACTOR.fullmatch(text) and 0 < float(text) <= LARGEST_FACTOR:
        return _factor("", float(text))
    raise ValueError(f"{text!r} is not a factor such as 2 or 1.5, at most {LARGEST_FACTOR}.")


def read_positive(text: str) -> float:
    """A number above 0, such as "12" or "0.5".

    Raises:
        ValueError: it is none.
    """
    if _FACTOR.fullmatch(text) and float(text) > 0:
        return float(text)
    raise ValueError(f"{text!r} is not a number above 0.")


def read_dpi(text: str) -> float:
    """Pixels per inch, such as "300".

    Raises:
        ValueError: it is no number, or one that files cannot state.
    """
    if _FACTOR.fullmatch(text) and 1 < float(text) <= MOST_DPI:
        return float(text)
    raise ValueError(f"{text!r} is not a number of pixels per inch such as 300.")


def read_fit(text: str) -> Pair:
    """Width and height in pixels, from "3840x2160".

    Raises:
        ValueError: the text is no size.
    """
    match = _FIT.fullmatch(text.strip())
    if match is None or not (int(match[1]) and int(match[2])):
        raise ValueError(f"{text!r} is not a size in pixels such as 3840x2160.")
    return int(match[1]), int(match[2])


def read_paper(text: str) -> Pair:
    """Width and height in inches, from "30x20cm", "300x200mm" or "12x8in".

    Raises:
        ValueError: the text is no size.
    """
    match = _PAPER.fullmatch(text.strip())
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
    if not _CROP.fullmatch(text):
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


def read_count(text: str) -> int:
    """A number of pixels such as "500M" or "1000000".

    Raises:
        ValueError: it is not a number, or less than one.
    """
    match = _COUNT.fullmatch(text.strip())
    if match is None or (count := int(Fraction(match[1]) * sizes.UNITS[match[2].upper()])) < 1:
        raise ValueError(f"{text!r} is not a number of pixels such as 500M.")
    return count


def read_duration(text: str) -> float:
    """Seconds from "90s", "25m", "1.5h", "1h30m" or "90".

    Raises:
        ValueError: the text is not a duration, or not more than nothing.
    """
    match = _DURATION.fullmatch(text.strip())
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


def _wrong(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def _is_number(value: object) -> bool:
    """Whether a value is a number, NumPy's included, and no bool."""
    return hasattr(value, "__float__") and not isinstance(value, bool | str | bytes)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    return str(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "True, False or None", value)
    return value


def _number(name: str, value: Any) -> float:
    if not _is_number(value):
        raise _wrong(name, "a number or None", value)
    return value


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise _wrong(name, "a whole number or None", value)
    return operator.index(value)


def _path(name: str, value: object) -> str:
    if not isinstance(value, str | os.PathLike):
        raise _wrong(name, "a name or a path", value)
    return os.fspath(value)


def _each(check: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, ...]]:
    """Checks one value or several, and gives a tuple."""

    def checked(name: str, value: Any) -> tuple[Any, ...]:
        alone = isinstance(value, str | bytes | os.PathLike) or not isinstance(value, Iterable)
        return tuple(check(name, each) for each in ([value] if alone else value))

    return checked


def _text_or(
    check: Callable[[str, Any], Any], read: Callable[[str], Any]
) -> Callable[[str, Any], Any]:
    """Checks text as the command line would read it, and everything else as it is."""

    def checked(name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return check(name, value)
        try:
            return read(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    return checked


def _bytes(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise _wrong(name, "a whole number of bytes, text such as '500M', or None", value)
    limit = operator.index(value)
    if limit < 1:
        raise ValueError(f"{name} must be at least one byte, not {limit}")
    return limit


def _at_least_one(name: str, value: object) -> int:
    count = _whole(name, value)
    if count < 1:
        raise ValueError(f"{name} must be at least 1, not {count}")
    return count


def _factor(name: str, value: Any) -> int | float:
    factor = float(_number(name, value))
    if not 0 < factor <= LARGEST_FACTOR:
        raise ValueError(f"{name} must be more than 0 and at most {LARGEST_FACTOR}, not {value}")
    return int(factor) if factor.is_integer() else factor


def _positive(name: str, value: Any) -> float:
    number = float(_number(name, value))
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be more than 0, not {value}")
    return number


def _dpi(name: str, value: Any) -> float:
    dpi = float(_number(name, value))
    if not 1 < dpi <= MOST_DPI:
        raise ValueError(f"{name} must be more than 1 and at most {MOST_DPI}, not {value}")
    return dpi


def _pair(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Checks both of two values."""

    def checked(name: str, value: Any) -> Any:
        if not isinstance(value, Sequence) or len(value) != 2:
            raise _wrong(name, "text, or a width and a height", value)
        return check(name, value[0]), check(name, value[1])

    return checked


def _template(name: str, value: Any) -> str:
    try:
        return read_template(_text(name, value))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _restore(name: str, value: Any) -> Setting:
    if value == "auto" or (_is_number(value) and 0 <= value <= 1):
        return value
    raise ValueError(f"{name} must be 'auto' or from 0 to 1, not {value!r}")


def _restores(name: str, value: Any) -> tuple[Setting, ...]:
    """One setting or several; texts as the command line would read them."""
    several = isinstance(value, Iterable) and not isinstance(value, str)
    found: list[Setting] = []
    for each in value if several else [value]:
        if isinstance(each, tuple):  # what the command line has read
            found += each
        elif isinstance(each, str):
            found += _text_or(_restore, read_restores)(name, each)
        else:
            found.append(_restore(name, each))
    return tuple(dict.fromkeys(found))


def _alpha(name: str, value: object) -> str:
    try:
        return read_alpha(_text(name, value))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _threads(name: str, value: object) -> int:
    """A number of threads; 0 for "auto"."""
    if value == "auto":
        return 0
    wanted = f'{name} must be a whole number from 0, "auto" or None'
    if isinstance(value, str):
        raise ValueError(f"{wanted}, not {value!r}")
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{wanted}, not {type(value).__name__}")
    count = operator.index(value)
    if count < 0:
        raise ValueError(f"{wanted}, not {count}")
    return count


def _betas(name: str, value: Any) -> tuple[float, float]:
    try:
        return read_betas(",".join(str(float(each)) for each in value))
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers from 0 to below 1, not {value!r}") from None


def _called(name: str, value: object) -> object:
    if not callable(value):
        raise _wrong(name, "callable or None", value)
    return value


def one_of(choices: type[StrEnum]) -> Kind:
    """The values of an enumeration, or their texts."""

    def check(name: str, value: Any) -> StrEnum:
        if value not in list(choices):
            known = ", ".join(repr(each.value) for each in choices)
            raise ValueError(f"{name} must be one of {known}, not {value!r}")
        return choices(value)

    return Kind(check, choices)


def _depth(name: str, value: Any) -> Depth:
    number = _is_number(value) and not isinstance(value, float)
    return one_of(Depth).check(name, str(value) if number else value)


TEXT, FLAG, NUMBER, WHOLE = Kind(_text), Kind(_flag, bool), Kind(_number, float), Kind(_whole, int)
PATH = Kind(_path)
TEXTS, PATHS = Kind(_each(_text), several=True), Kind(_each(_path), several=True)
SCALE = Kind(_whole, read=read_scale)
SCALES = Kind(_each(_whole), read=read_scale, several=True)
FACTOR = Kind(_factor, read=read_factor)
POSITIVE = Kind(_positive, read=read_positive)
DPI = Kind(_dpi, read=read_dpi)
FIT = Kind(_text_or(_pair(_at_least_one), read_fit), read=read_fit)
PAPER = Kind(_text_or(_pair(_positive), read_paper), read=read_paper)
CHROMA, STRIP, GREY, TIFF = one_of(Chroma), one_of(Strip), one_of(Grey), one_of(TiffKind)
DEPTH = Kind(_depth, Depth)
TEMPLATE = Kind(_template, read=read_template)
VALUE_RANGE = Kind(_number, int)
PRECISION = Kind(_text, PrecisionName)
ENGINE = Kind(_text, EngineName)
PRESET, SCHEDULE, AUTOCAST = one_of(Preset), one_of(Schedule), one_of(Autocast)
RESTORE = Kind(_restore, read=read_restore)
RESTORES = Kind(_restores, read=read_restores, several=True)
CROPS = Kind(_each(_text_or(_text, read_crop)), read=read_crop, several=True)
ALPHA = Kind(_alpha, read=read_alpha)
TILE = Kind(_text_or(_at_least_one, read_tile), read=read_tile)
SIZE = Kind(_text_or(_bytes, sizes.read_size), read=sizes.read_size)
COUNT = Kind(_text_or(_at_least_one, read_count), read=read_count)
DURATION = Kind(_text_or(_number, read_duration), read=read_duration)
BETAS = Kind(_text_or(_betas, read_betas), read=read_betas)
THREADS = Kind(_threads, int)
CALLBACK = Kind(_called)
"""What Python calls back; the command line cannot give it."""
