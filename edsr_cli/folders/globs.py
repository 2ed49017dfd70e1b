"""Which files of a folder are taken: glob patterns of `--include` and `--exclude`."""

import os
import re
import unicodedata
from collections.abc import Callable, Sequence

from edsr_cli.errors import UsageError

# The packages for this have other rules. In wcmatch "**" matches a "/" only as a whole part of a
# path, and "[[:alpha:]]" is a letter; in pathspec, whose rules are those of .gitignore, a pattern
# for a folder is one for all that is in it, and "!" and "#" mean something else.


class Choice:
    """The files to take.

    A pattern with a "/" is about the whole path below the input folder, any other about the name
    of a file or folder at any depth. "*" and "?" do not match a "/", "**" does, "[...]" is one of
    a set. Case does not matter: who asks for *.jpg wants IMG_0001.JPG too.

    Args:
        include: take only files that match one of these; empty for all.
        exclude: leave out files and folders that match one of these.

    Raises:
        UsageError: a pattern is empty.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = [_matcher(pattern) for pattern in include]
        self._exclude = [_matcher(pattern) for pattern in exclude]

    def takes_file(self, path: str) -> bool:
        """Whether a file is taken; `path` is below the input folder, with "/" between the parts."""
        included = not self._include or any(matches(path) for matches in self._include)
        return included and self.enters_folder(path)

    def enters_folder(self, path: str) -> bool:
        """Whether a folder is looked into."""
        return not any(matches(path) for matches in self._exclude)


def _matcher(pattern: str) -> Callable[[str], bool]:
    normal = pattern.replace(os.sep, "/").strip("/")
    if not normal:
        raise UsageError(f"The pattern {pattern!r} matches nothing.", "Give one such as '*.jpg'.")
    whole = "/" in normal
    expression = re.compile(_translate(_composed(normal)), re.IGNORECASE | re.DOTALL)

    def matches(path: str) -> bool:
        text = path if whole else path.rpartition("/")[2]
        return expression.fullmatch(_composed(text)) is not None

    return matches


def _composed(text: str) -> str:
    """One form for what looks the same: macOS takes letters and their accents apart."""
    return unicodedata.normalize("NFC", text)


_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?+\]?+[^\]]*\]|.", re.DOTALL)
_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _translate(pattern: str) -> str:
    """A glob pattern as a regular expression."""
    return "".join(_WILD.get(token) or _set(token) for token in _TOKEN.findall(pattern))


def _set(token: str) -> str:
    """A set in brackets, or a plain character, as a regular expression."""
    if len(token) == 1:
        return re.escape(token)
    inner = token[1:-1]
    negated = inner.startswith("!")
    inner = inner.removeprefix("!")
    # Everything is literal but a "-" between two characters that are in order.
    parts = re.findall(r"(.)-(.)|(.)", inner, re.DOTALL)
    ranges = [
        re.escape(single) if single else f"{re.escape(low)}-{re.escape(high)}"
        for low, high, single in parts
        if single or low <= high
    ]
    if not ranges:  # such as [z-a]
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(ranges)}]"
