"""Text for people: names in one line, and times, sizes and other numbers in words."""

from collections.abc import Iterable


def one_line(text: str) -> str:
    """One line that any terminal can show, whatever is in a file name.

    Control characters are escaped, and so are surrogates, which stand for bytes that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the known word that is most like a wrong one; empty if none is like it."""
    from difflib import get_close_matches

    folded = {each.casefold(): each for each in known}
    close = get_close_matches(word.casefold()[:100], folded, n=1, cutoff=0.6)
    return f"Did you mean {folded[close[0]]}?" if close else ""


def about(seconds: float) -> str:
    """A time that is an estimate: "about 3 min", in units that suit it."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 10:
        return f"about {round(seconds)} s"
    if seconds < 57.5:
        return f"about {5 * round(seconds / 5)} s"
    if seconds < 57.5 * 60:
        minutes = round(seconds / 60)
        return f"about {minutes if minutes < 10 else 5 * round(minutes / 5)} min"
    hours = max(1.0, seconds / 3600)
    if hours < 48:
        return f"about {hours:.1f} h" if hours < 9.95 else f"about {round(hours)} h"
    return f"about {round(hours / 24)} days"


def duration(seconds: float) -> str:
    """Seconds as "40 ms", "1.4 s", "12 s", "3 min 5 s" or "2 h 40 min"."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: int) -> str:
    """Bytes as "512 B", "12.3 kB" or "4.56 GB"."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{significant(value)} {unit}"
    return f"{significant(value / 1000)} TB"


def significant(value: float) -> str:
    """A number with three digits that count, or more in front of the point."""
    for digits, limit in ((3, 0.9995), (2, 9.995), (1, 99.95)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"
