"""What callers of the Python API give: made right, or refused by the argument's name."""

import operator
from typing import SupportsIndex

from edsr_cli.sizes import read_size


def check_texts(**given: object) -> None:
    """Refuse what is no text.

    Raises:
        TypeError: an argument is not a string.
    """
    for name, value in given.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string, not {type(value).__name__}")


def check_numbers(**given: object) -> None:
    """Refuse what is neither a number nor None.

    Raises:
        TypeError: an argument is neither.
    """
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise TypeError(f"{name} must be a number or None, not {type(value).__name__}")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither a bool nor None.

    Raises:
        TypeError: it is neither.
    """
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name} must be True, False or None, not {type(value).__name__}")


def check_whole(name: str, value: object) -> None:
    """Refuse what is neither a whole number nor None.

    Raises:
        TypeError: it is neither.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, SupportsIndex)):
        raise TypeError(f"{name} must be a whole number or None, not {type(value).__name__}")


def memory_limit(max_memory: int | str | None) -> int | None:
    """Bytes from a number or from text such as "500M".

    Raises:
        TypeError, ValueError: it is no number of bytes from 1.
    """
    if isinstance(max_memory, str):
        try:
            return read_size(max_memory)
        except ValueError as error:
            raise ValueError(f"max_memory: {error}") from None
    if max_memory is None:
        return None
    if isinstance(max_memory, bool) or not isinstance(max_memory, SupportsIndex):
        raise TypeError(
            "max_memory must be a whole number of bytes, text such as '500M', or None, not "
            f"{type(max_memory).__name__}"
        )
    limit = operator.index(max_memory)
    if limit < 1:
        raise ValueError(f"max_memory must be at least one byte, not {limit}")
    return limit


def thread_count(threads: int | str | None) -> int:
    """A number of threads; 0 for "auto" and None.

    Raises:
        TypeError, ValueError: it is none of these, or negative.
    """
    if threads is None or threads == "auto":
        return 0
    wanted = 'threads must be a whole number from 0, "auto" or None'
    if isinstance(threads, str):
        raise ValueError(f"{wanted}, not {threads!r}")
    if isinstance(threads, bool) or not isinstance(threads, SupportsIndex):
        raise TypeError(f"{wanted}, not {type(threads).__name__}")
    count = operator.index(threads)
    if count < 0:
        raise ValueError(f"{wanted}, not {count}")
    return count
