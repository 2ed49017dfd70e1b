"""What a report says: what was asked for, and the records of all files; as JSON, if wanted."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from edsr_cli import __version__
from edsr_cli.folders.summary import Summary
from edsr_cli.jobs.record import Record


class About(Struct, frozen=True):
    """What was asked for.

    Attributes:
        inputs: the input folders, or their addresses.
        outputs: the output folders, or their addresses.
        settings: names and values for people, such as "model" and "edsr-free", in their order.
        watching: whether pictures that came later were to be done too.
        version: of this program.
    """

    inputs: tuple[Path | str, ...]
    outputs: tuple[Path | str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    watching: bool = False
    version: str = __version__

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "version": self.version,
            "inputs": [str(path) for path in self.inputs],
            "outputs": [str(path) for path in self.outputs],
            "settings": dict(self.settings),
            "watching": self.watching,
        }


class RecordFile:
    """Records in a temporary file without a name, which goes away with the process.

    However many there are, they take no memory. As JSON they are ASCII: names that are not UTF-8
    come back as they were.

    Raises:
        OSError: by all methods but `close`: the temporary file cannot be written or read.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - see close

    def append(self, record: Record) -> None:
        """Add a record."""
        self._file.write(json.dumps(record.to_dict()) + "\n")

    def lines(self) -> Iterator[str]:
        """All records from the first to the last, each as one line of JSON; then one may append."""
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip("\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All records from the first to the last, as `Record.to_dict` gives them."""
        return map(json.loads, self.lines())

    def close(self) -> None:
        """Forget them."""
        with suppress(OSError):  # there may be no room for what was not written yet
            self._file.close()


def json_report(about: About, summary: Summary, records: RecordFile) -> Iterator[str]:
    """One JSON object, piece by piece: what `About` and `Summary` have, and "files", a line each.

    Args:
        about: what was asked for.
        summary: what it came to.
        records: of all files, in the order in which they ended.
    """
    head = about.to_dict() | {"summary": summary.to_dict()}
    yield json.dumps(head, indent=2).removesuffix("\n}")
    yield ',\n  "files": ['
    separator = "\n    "
    for line in records.lines():
        yield separator + line
        separator = ",\n    "
    yield "\n  ]\n}\n"
