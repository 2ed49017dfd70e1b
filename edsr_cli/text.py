"""Text for people."""

from collections.abc import Iterable
from difflib import get_close_matches


def one_line(text: str) -> str:
    """One line that any terminal can show, whatever is in a file name.

    Control characters are escaped, and so are surrogates, which stand for bytes that are not UTF-8.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the known word that is most like a wrong one; empty if none is like it."""
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
