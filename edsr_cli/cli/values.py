"""Option values that are more than a word or a number."""

import re
from fractions import Fraction

import typer

from edsr_cli.sizes import NUMBER, UNITS, read_size

_COUNT = re.compile(NUMBER, re.IGNORECASE)
_DECIMAL = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_DURATION = re.compile(f"(?:{_DECIMAL}h)?(?:{_DECIMAL}m)?(?:{_DECIMAL}s?)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes from "800M", "1.5GB", "2GiB" or "1000000000".

    Raises:
        typer.BadParameter: the text is not a size, or less than one byte.
    """
    try:
        return read_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def parse_scale(text: str) -> int:
    """A factor to enlarge by: "2", "3" or "4".

    Raises:
        typer.BadParameter: it is another one; the text says how to come near it.
    """
    if text in ("2", "3", "4"):
        return int(text)
    try:
        factor = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not 2, 3 or 4.") from None
    advice = ""
    if factor > 4:
        advice = " For more, enlarge what comes out once more: by 2 and then by 4 is 8 times."
    elif 1 < factor < 4:
        advice = " For a size between, enlarge by more, and reduce what comes out in an editor."
    raise typer.BadParameter(
        f"{text!r}: these networks enlarge 2, 3 or 4 times, and nothing else.{advice}"
    )


def parse_restore(text: str | None) -> str | None:
    """Check a setting of --restore: "auto" or a number from 0 to 1.

    Raises:
        typer.BadParameter: it is neither.
    """
    if text is None or text == "auto":
        return text
    if re.fullmatch(r"[0-9]{0,15}\.?[0-9]{1,15}", text, re.ASCII) and float(text) <= 1:
        return text
    raise typer.BadParameter(f"{text!r} is not auto or a number from 0 to 1.")


def parse_alpha(text: str) -> str:
    """Check a setting of --alpha: "drop", "keep" or a colour, which becomes "#rrggbb".

    Raises:
        typer.BadParameter: it is none of these.
    """
    if text in ("drop", "keep"):
        return text
    from edsr_cli.images.alpha import alpha_setting  # takes a while

    try:
        return alpha_setting(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


def parse_tile(text: str) -> str:
    """Check a panel width: "auto", "none" or a number of columns from 1.

    Raises:
        typer.BadParameter: it is none of these.
    """
    if text in ("auto", "none") or (re.fullmatch("[0-9]{1,15}", text) and int(text) > 0):
        return text
    raise typer.BadParameter(f"{text!r} is not auto, none or a number of pixels from 1.")


def parse_count(text: str) -> int:
    """A number of pixels such as "500M" or "1000000".

    Raises:
        typer.BadParameter: it is not a number, or less than one.
    """
    match = _COUNT.fullmatch(text.strip())
    if match is None or (count := int(Fraction(match[1]) * UNITS[match[2].upper()])) < 1:
        raise typer.BadParameter(f"{text!r} is not a number of pixels such as 500M.")
    return count


def parse_duration(text: str) -> float:
    """Seconds from "90s", "25m", "1.5h", "1h30m" or "90".

    Raises:
        typer.BadParameter: the text is not a duration, or not more than nothing.
    """
    match = _DURATION.fullmatch(text.strip())
    parts = (match[1], match[2], match[3]) if match else (None, None, None)
    seconds = sum(float(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=True))
    if not seconds:
        raise typer.BadParameter(f"{text!r} is not a duration such as 90s, 25m or 1h30m.")
    return seconds


def parse_betas(text: str) -> tuple[float, float]:
    """The two decay rates of Adam, from "0.9,0.999".

    Raises:
        typer.BadParameter: the text is not two numbers from 0 to below 1.
    """
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        first = second = -1.0
    if not (0 <= first < 1 and 0 <= second < 1):
        raise typer.BadParameter(f"{text!r} is not two numbers below 1, such as 0.9,0.999.")
    return first, second
