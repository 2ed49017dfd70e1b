"""What is done to pictures, in words: which steps, how strong, how often.

A specification names steps, separated by commas, each with a value or a range and, where only a
share of the pictures gets it, that share:

    jpeg:50                      every picture is compressed as JPEG at quality 50
    blur:0-0.4@0.5,jpeg:30-98    half of them are blurred, all are compressed at 30 to 98

Steps are taken in the order of `Spec`, whatever the order they are written in: that of a camera, a
program that makes the picture smaller, and an encoder.
"""

import re
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

from edsr_cli.errors import UsageError

MARGIN = 8
"""LR pixels around a patch that are degraded with it and cut off again: what lies beyond the border
is not known to the filters, and a shifted grid of JPEG blocks begins up to 7 pixels late."""


class Filter(StrEnum):
    """How a picture was made smaller, beside MATLAB's bicubic rule."""

    BOX = "box"
    BILINEAR = "bilinear"
    HAMMING = "hamming"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Strength(Struct, frozen=True):
    """How strong a step is, and how often it is taken.

    Attributes:
        low, high: the range that values are drawn from, evenly.
        share: of the pictures, 0..1.
    """

    low: float
    high: float
    share: float = 1.0

    def __str__(self) -> str:
        low, high = _text(self.low), _text(self.high)
        return (low if low == high else f"{low}-{high}") + _share(self.share)


class Spec(Struct, frozen=True):
    """A specification; a step that is None is not taken.

    Attributes:
        clean: share of the pictures that nothing is done to.
        blur: a Gaussian, sigma in LR pixels. In one of five, that along rows is drawn anew, and
            with it whether there is any.
        filters: one of these makes the picture smaller.
        filter_share: in place of MATLAB's bicubic rule, in this share of the pictures.
        noise: white Gaussian noise, sigma in levels of 255.
        shot: noise that grows with the root of the light, as a sensor's, sigma at white in levels.
        grey: share of the noisy pictures whose noise is the same in all three channels.
        jpeg: compression as JPEG, quality 1..100 on libjpeg's scale.
        full_colour: share of the JPEGs whose colours are kept at full resolution (4:4:4); the
            others have 4:2:0.
        again: a second compression, on another grid of blocks, as a share of the JPEGs.
    """

    clean: float = 0.0
    blur: Strength | None = None
    filters: tuple[Filter, ...] = ()
    filter_share: float = 1.0
    noise: Strength | None = None
    shot: Strength | None = None
    grey: float = 0.0
    jpeg: Strength | None = None
    full_colour: float = 0.0
    again: Strength | None = None

    @property
    def needs_hr(self) -> bool:
        """Whether the LR picture has to be made anew from the HR picture."""
        return self.blur is not None or bool(self.filters)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is done at all."""
        return self.clean == 1.0 or not (
            self.needs_hr or self.noise or self.shot or self.jpeg or self.again
        )

    def __str__(self) -> str:
        if self.is_clean:
            return "clean"
        parts = [f"clean{_share(self.clean)}"] if self.clean else []
        for name in ("blur", "filters", "noise", "shot", "grey", "jpeg", "full_colour", "again"):
            value = getattr(self, name)
            if not value:
                continue
            if name == "filters":
                parts.append(f"filter:{'|'.join(value)}{_share(self.filter_share)}")
            elif name in _SHARES:
                parts.append(f"{_SHARES[name]}{_share(value)}")
            else:
                parts.append(f"{name}:{value}")
        return ",".join(parts)


_SHARES = {"clean": "clean", "grey": "grey", "full_colour": "444"}
_RANGES = {  # name: least and greatest value
    "blur": (0.0, 4.0),
    "noise": (0.0, 100.0),
    "shot": (0.0, 100.0),
    "jpeg": (1.0, 100.0),
    "again": (1.0, 100.0),
}
_DECIMAL = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_SPAN = re.compile(f"({_DECIMAL})(?:-({_DECIMAL}))?")
_ITEM = re.compile(r"([a-z0-9]+)(?::([^@]*))?(?:@(.*))?")

PHOTO = Spec(
    clean=0.2,
    blur=Strength(0, 0.4, 0.35),
    filters=(Filter.BOX, Filter.BILINEAR, Filter.HAMMING, Filter.BICUBIC, Filter.LANCZOS),
    filter_share=0.3,
    noise=Strength(0, 10, 0.3),
    shot=Strength(0, 10, 0.1),
    grey=0.4,
    jpeg=Strength(25, 95, 0.85),
    full_colour=0.3,
    again=Strength(50, 95, 0.1),
)
"""Photographs as they are on the web and on telephones."""

NAMED = {"clean": Spec(), "photo": PHOTO}


def parse(text: str) -> Spec:
    """Read a specification, or a name of `NAMED`.

    Raises:
        UsageError: it cannot be understood; the message names the part.
    """
    if text.strip().lower() in NAMED:
        return NAMED[text.strip().lower()]
    spec, seen = Spec(), set[str]()
    for item in text.split(","):
        match = _ITEM.fullmatch(item.strip())
        if match is None:
            raise _misunderstood(item)
        name, value, share = match[1], match[2], match[3]
        if name in seen:
            raise UsageError(f"The degradation {text!r} has {name} twice.")
        seen.add(name)
        spec = replace(spec, **_read(item, name, value, share))
    for name, needs, is_idle in (
        ("again", "jpeg", bool(spec.again and not spec.jpeg)),
        ("444", "jpeg", bool(spec.full_colour and not spec.jpeg)),
        ("grey", "noise or shot", bool(spec.grey and not (spec.noise or spec.shot))),
        ("clean@SHARE", "other steps", spec.clean > 0 and spec.is_clean),
    ):
        if is_idle:
            raise UsageError(f"The degradation {text!r}: {name} does nothing without {needs}.")
    return spec


def _read(item: str, name: str, value: str | None, share: str | None) -> dict[str, Any]:
    """The fields of `Spec` that an item stands for."""
    part = _number(item, share, 0, 1) if share is not None else 1.0
    for field, written in _SHARES.items():
        if name == written and value is None:
            return {field: part}
    if name == "filter" and value:
        try:
            return {"filters": tuple(map(Filter, value.split("|"))), "filter_share": part}
        except ValueError:
            names = ", ".join(Filter)
            raise UsageError(f"{item!r}: a filter is one of {names}.") from None
    if name not in _RANGES or not value:
        raise _misunderstood(item)
    span = _SPAN.fullmatch(value)
    if span is None:
        raise UsageError(f"{item!r}: {value!r} is not a number, or a range such as 30-98.")
    least, greatest = _RANGES[name]
    first = _number(item, span[1], least, greatest)
    last = first if span[2] is None else _number(item, span[2], least, greatest)
    if last < first:
        raise UsageError(f"{item!r}: the range runs backwards.")
    return {name: Strength(first, last, part)}


def _number(item: str, text: str, least: float, greatest: float) -> float:
    if not re.fullmatch(_DECIMAL, text):
        raise UsageError(f"{item!r}: {text!r} is not a number.")
    value = float(text)
    if not least <= value <= greatest:
        raise UsageError(f"{item!r}: {text} is not from {least:g} to {greatest:g}.")
    return value


def _misunderstood(item: str) -> UsageError:
    if item.strip().lower() in (*NAMED, "unknown"):
        return UsageError(f"{item.strip().lower()} stands alone, without other steps.")
    return UsageError(
        f"{item!r} is not a step of degradation.",
        "Give clean, photo, or steps such as blur:0-0.4@0.5,noise:0-10,jpeg:30-98,444@0.3.",
    )


def _share(share: float) -> str:
    return "" if share == 1.0 else f"@{_text(share)}"


def _text(number: float) -> str:
    """A number in decimals, as it can be read again."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


assert {field.name for field in fields(Spec)} >= _SHARES.keys() | _RANGES.keys()
