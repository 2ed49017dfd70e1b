"""The report of a run: collected while it goes on, written when it is over."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from edsr_cli.errors import EdsrError, UsageError
from edsr_cli.images import atomic_write, check_writable
from edsr_cli.images.source import display_name
from edsr_cli.jobs.batch.record import Record
from edsr_cli.jobs.batch.report.about import About
from edsr_cli.jobs.batch.report.json_file import json_report
from edsr_cli.jobs.batch.report.page import page
from edsr_cli.jobs.batch.report.previews import Previews
from edsr_cli.jobs.batch.report.records import RecordFile
from edsr_cli.jobs.batch.run import State
from edsr_cli.jobs.batch.summary import Summary

logger = logging.getLogger(__name__)

_JSON, _PAGE = (".json",), (".html", ".htm")


def check_path(path: Path) -> None:
    """Find out, before a run, whether its report can be written.

    Args:
        path: the file: .json for JSON, .html or .htm for a page.

    Raises:
        UsageError: its ending is another, or it cannot be written.
    """
    name = display_name(path)
    if path.suffix.lower() not in _JSON + _PAGE:
        raise UsageError(
            f"{name}: a report is JSON or a page.", "Let its name end in .json or .html."
        )
    if path.is_dir():
        raise UsageError(f"{name}: this is a folder.", "Give --report a file.")
    check_writable(path.parent, UsageError)


class Report:
    """Writes a report when a run is over, also one that was stopped. A listener of `Batch.run`.

    Use it in a `with` statement; without a call of `finished` nothing is written. What it needs in
    memory does not grow with the number of pictures.

    Args:
        path: the file to write, or to replace; `check_path` has found it good.
        about: what the run is about.
    """

    def __init__(self, path: Path, about: About) -> None:
        self._path, self._about = path, about
        self._previews = Previews() if path.suffix.lower() in _PAGE else None
        self._failure: OSError | None = None
        self._records = RecordFile()

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previews is not None:
            self._previews.stop()
        self._records.close()

    def ended(self, record: Record) -> None:
        """Remember what became of a file."""
        if self._failure is not None:
            return
        try:
            self._records.append(record)
        except OSError as error:  # the pictures matter more
            self._failure = error
            logger.warning("There will be no report: its temporary file fails (%s).", error)
            return
        if self._previews is not None:
            self._previews.consider(record)

    def tick(self, state: State) -> None:
        """Not of interest."""

    def finished(self, summary: Summary) -> None:
        """Write the report.

        Raises:
            EdsrError: it cannot be written.
        """
        if self._failure is None:
            try:
                self._write(summary)
            except OSError as error:  # of the temporary file; those of the report are explained
                self._failure = error
        if self._failure is not None:
            raise EdsrError(
                f"{display_name(self._path)}: the report cannot be written, since its temporary "
                f"file failed ({self._failure.strerror}).",
                "The manifest in the output folder has what became of each picture.",
            ) from self._failure

    def _write(self, summary: Summary) -> None:
        with atomic_write(self._path, overwrite=True, error=EdsrError) as file:
            for piece in self._pieces(summary):
                # Everything that is no Unicode character was escaped.
                file.write(piece.encode())

    def _pieces(self, summary: Summary) -> Iterator[str]:
        if self._previews is None:
            return json_report(self._about, summary, self._records)
        previews = self._previews.finish(wait=summary.stopped is None)
        return page(self._about, summary, self._records, previews, self._path.parent)
