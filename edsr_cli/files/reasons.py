"""What systems say when they cannot open or write a file: in words, what to do, and of which kind.

One table, so that a number has one meaning wherever it turns up.
"""

import errno

from msgspec import Struct

from edsr_cli.errors import EdsrError, Kind

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What is said where nothing more can be written."""

_ELSEWHERE = "Write it somewhere else."
_OTHER_CACHE = "Choose another folder with --cache-dir."


class Reason(Struct, frozen=True):
    """What stands behind a number of the system.

    Attributes:
        words: what follows "it cannot be written: "; empty for the system's own words.
        hint: what to do about an output.
        kind: None where the failure's kind depends only on whether a file was read or written.
        reading: whether it is of that kind only where a file was read.
        cache_words, cache_hint: the same about the cache of weights. Without a hint, the number
            says nothing about the cache.
    """

    words: str = ""
    hint: str = _ELSEWHERE
    kind: Kind | None = None
    reading: bool = False
    cache_words: str = ""
    cache_hint: str = ""


def _gone(words: str = "", hint: str = _ELSEWHERE, **cache: str) -> Reason:
    return Reason(words, hint, Kind.MISSING, True, **cache)


_TOO_MANY = Reason(
    "too many files are open", "Close other programs, or raise the limit (ulimit -n)."
)
_FORBIDDEN = Reason(
    "no permission to write there", _ELSEWHERE, Kind.PERMISSION, cache_hint=_OTHER_CACHE
)

_REASONS = {
    errno.ENOSPC: Reason(
        "the disk is full",
        "Make room, or write somewhere else.",
        Kind.DISK_FULL,
        cache_hint="Make room, or choose another folder with --cache-dir.",
    ),
    errno.EDQUOT: Reason(
        "the quota of the disk is used up",
        "Make room, or write somewhere else.",
        Kind.DISK_FULL,
        cache_words="the quota is used up",
        cache_hint="Make room, or choose another folder with --cache-dir.",
    ),
    errno.EFBIG: Reason(
        "the file grows larger than is allowed here", cache_hint="Choose another --cache-dir."
    ),
    errno.EROFS: Reason(
        "the disk is read-only", _ELSEWHERE, Kind.PERMISSION, cache_hint=_OTHER_CACHE
    ),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ENOENT: _gone("its folder does not exist", "Create the folder first."),
    errno.ENOTDIR: _gone(
        "its folder is not a folder",
        "Check the name.",
        cache_words="a part of this path is no folder",
        cache_hint=_OTHER_CACHE,
    ),
    errno.ELOOP: _gone(),
    errno.ESTALE: _gone(),
    errno.ENAMETOOLONG: Reason("the name is too long", "Choose a shorter name.", Kind.NAME),
    errno.EILSEQ: Reason(kind=Kind.NAME),
    errno.EISDIR: Reason("there is a folder of that name", "Choose another name."),
    errno.EEXIST: Reason(
        kind=Kind.EXISTS, cache_words="there is a file of that name", cache_hint=_OTHER_CACHE
    ),
    errno.ENOMEM: Reason(kind=Kind.MEMORY),
    errno.EMFILE: _TOO_MANY,
    errno.ENFILE: _TOO_MANY,
}

_UNKNOWN = Reason()


def why_not_written(problem: OSError) -> tuple[str, str]:
    """What follows "it cannot be written: ", without a full stop, and what to do."""
    reason = _REASONS.get(problem.errno or 0, _UNKNOWN)
    return reason.words or problem.strerror or str(problem), reason.hint


def why_not_cached(problem: OSError) -> tuple[str, str]:
    """The same about the cache of weights; there may be nothing to do."""
    reason = _REASONS.get(problem.errno or 0, _UNKNOWN)
    words = (reason.cache_words or reason.words) if reason.cache_hint else ""
    return words or problem.strerror or str(problem), reason.cache_hint


def kind_of_system_error(problem: OSError, reading: bool) -> Kind | None:
    """The kind of a failure, if the system's number tells.

    Args:
        problem: what was raised.
        reading: whether a file was read, not written.
    """
    reason = _REASONS.get(problem.errno or 0, _UNKNOWN)
    return None if reason.reading and not reading else reason.kind


def kind_of(error: BaseException, reading: bool) -> Kind:
    """The kind of any failure.

    Args:
        error: what was raised.
        reading: whether the input was concerned, not the output.
    """
    if isinstance(error, MemoryError):
        return Kind.MEMORY
    if isinstance(error, OSError):
        kind = kind_of_system_error(error, reading)
    elif isinstance(error, EdsrError):
        kind = error.kind
    else:
        return Kind.UNEXPECTED
    return kind or (Kind.UNREADABLE if reading else Kind.OUTPUT)
