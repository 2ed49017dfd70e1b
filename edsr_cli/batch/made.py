"""What is on record about an output."""

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FileState:
    """What tells whether a file has changed.

    Attributes:
        size: bytes.
        mtime_ns: time of the last change, in nanoseconds since 1970.
    """

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileState":
        """The state that a stat call has found."""
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Made:
    """An output, made or about to appear.

    Attributes:
        output: its path below the output folder, with "/" between the parts.
        input: the name of the task that it was made from.
        source: the input when it was read.
        result: the output when it was finished.
        recipe: identity of the model and the options that it was made with.
        sha256: of the input; None where nobody asked for it.
        replaces: the file of ours that it replaced, if there was one.
    """

    output: str
    input: str
    source: FileState
    result: FileState
    recipe: str
    sha256: str | None = None
    replaces: FileState | None = None

    def to_line(self) -> dict[str, Any]:
        """JSON-ready values."""
        values = {"event": "made"} | vars(self)
        for name in ("source", "result", "replaces"):
            state = getattr(self, name)
            values[name] = None if state is None else [state.size, state.mtime_ns]
        return values

    @classmethod
    def from_line(cls, values: dict[str, Any]) -> "Made":
        """The inverse of `to_line`.

        Raises:
            KeyError, TypeError, ValueError: the line does not have such values.
        """
        texts = [values[name] for name in ("output", "input", "recipe")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("not a text")
        sha256, replaces = values["sha256"], values["replaces"]
        if not (sha256 is None or isinstance(sha256, str)):
            raise TypeError("not a digest")
        return cls(
            texts[0],
            texts[1],
            _state(values["source"]),
            _state(values["result"]),
            texts[2],
            sha256,
            None if replaces is None else _state(replaces),
        )


def _state(value: Any) -> FileState:
    size, mtime_ns = value
    if type(size) is not int or type(mtime_ns) is not int:
        raise TypeError("not a state")
    return FileState(size, mtime_ns)
