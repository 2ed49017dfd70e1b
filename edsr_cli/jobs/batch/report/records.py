"""The records of a run, kept on disk until the report is written."""

import json
import tempfile
from collections.abc import Iterator
from typing import Any

from edsr_cli.jobs.record import Record


class RecordFile:
    """Records in a temporary file without a name, which goes away with the process.

    However many there are, they take no memory. As JSON they are ASCII: names that are not UTF-8
    come back as they were.

    Raises:
        OSError: by all methods: the temporary file cannot be written or read.
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
        self._file.close()
