"""Kinds of values: how they are read from the command line, and what Python may give for them."""

import math
import operator
import os
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol, SupportsIndex, TypeVar

from msgspec import Struct

from edsr_cli.options.choices import (
    Autocast,
    Chroma,
    Depth,
    Frames,
    Grey,
    Preset,
    Schedule,
    Strip,
    TiffKind,
)
from edsr_cli.options.reading import (
    LARGEST_FACTOR,
    MOST_DPI,
    Pair,
    Setting,
    read_alpha,
    read_betas,
    read_count,
    read_crop,
    read_dpi,
    read_duration,
    read_factor,
    read_fit,
    read_paper,
    read_positive,
    read_restore,
    read_restores,
    read_scale,
    read_size,
    read_template,
    read_tile,
)

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
Sides = Given[str | Pair | None, Pair | None]


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


def _written(value: Any) -> str:
    """Text of a value; numbers in the form that `reading` takes, which is to a billionth."""
    if isinstance(value, str | int):
        return str(value)
    return f"{float(value):.9f}".rstrip("0").rstrip(".")


def _joined(between: str, unit: str = "") -> Callable[[Any], str]:
    """Makes text of several numbers."""
    return lambda values: between.join(map(_written, values)) + unit


class Kind(Struct, frozen=True):
    """A kind of values.

    Attributes:
        check: makes a value from Python right, given the option's name and the value; raises
            TypeError or ValueError, and the message begins with the name.
        type: what the command line reads where there is no `read`.
        read: makes a value from text; raises ValueError with the reason, which names the text.
        several: whether the option may be given several times, each for one more value.
        write: makes text of a value, or of one of several, that is read as that value.
    """

    check: Callable[[str, Any], Any]
    type: Any = str
    read: Callable[[str], Any] | None = None
    several: bool = False
    write: Callable[[Any], str] = _written

    def of(self, text: str) -> Any:
        """The value that text on the command line stands for, or one of several.

        Raises:
            ValueError: there is none; the message names the text.
        """
        if self.read is not None:
            return self.read(text)
        if self.type is str or text in (choices := _choices(self.type)):
            return self.type(text)
        if choices:
            raise ValueError(f"{text!r} is not one of {', '.join(map(repr, choices))}.")
        try:
            return self.type(text)
        except ValueError:
            wanted = "a whole number" if self.type is int else "a number"
            raise ValueError(f"{text!r} is not {wanted}.") from None


def _choices(kind: Any) -> list[str]:
    """The texts of an enumeration; none of other types."""
    return [each.value for each in kind] if issubclass(kind, StrEnum) else []


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


TEXT, FLAG, WHOLE = Kind(_text), Kind(_flag, bool), Kind(_whole, int)
NUMBER = Kind(_number, float, write=str)
PATH = Kind(_path)
TEXTS, PATHS = Kind(_each(_text), several=True), Kind(_each(_path), several=True)
SCALE = Kind(_whole, read=read_scale)
SCALES = Kind(_each(_whole), read=read_scale, several=True)
FACTOR = Kind(_factor, read=read_factor)
POSITIVE = Kind(_positive, read=read_positive)
DPI = Kind(_dpi, read=read_dpi)
FIT = Kind(_text_or(_pair(_at_least_one), read_fit), read=read_fit, write=_joined("x"))
PAPER = Kind(_text_or(_pair(_positive), read_paper), read=read_paper, write=_joined("x", "in"))
CHROMA, STRIP, GREY, TIFF = one_of(Chroma), one_of(Strip), one_of(Grey), one_of(TiffKind)
FRAMES = one_of(Frames)
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
SIZE = Kind(_text_or(_bytes, read_size), read=read_size)
COUNT = Kind(_text_or(_at_least_one, read_count), read=read_count)
DURATION = Kind(_text_or(_number, read_duration), read=read_duration)
BETAS = Kind(_text_or(_betas, read_betas), read=read_betas, write=_joined(","))
THREADS = Kind(_threads, int)
CALLBACK = Kind(_called)
"""What Python calls back; the command line cannot give it."""
