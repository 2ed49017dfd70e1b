"""The report of a run: collected while it goes on, written when it is over."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edsr_cli.errors import EdsrError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.names import display_name
from edsr_cli.folders.summary import Summary
from edsr_cli.jobs.record import Record
from edsr_cli.report.places import PAGE, REPORT
from edsr_cli.report.previews import Previews
from edsr_cli.report.records import About, RecordFile, json_report

if TYPE_CHECKING:
    from edsr_cli.folders.run import State

logger = logging.getLogger(__name__)


class Report:
    """Writes a report when a run is over, also one that was stopped. A listener of `Batch.run`.

    Use it in a `with` statement; without a call of `finished` nothing is written. What it needs in
    memory does not grow with the number of pictures.

    Args:
        path: the file to write; `REPORT.check` has found it good. An older report is replaced.
        about: what the run is about.
        overwrite: whether any file may be replaced.
        frame: see `Previews`.

    Raises:
        EdsrError: there is no room for its temporary file.
    """

    def __init__(
        self, path: Path, about: About, overwrite: bool = False, frame: int | None = None
    ) -> None:
        self._path, self._about, self._overwrite = path, about, overwrite
        self._failure: OSError | None = None
        try:
            self._records = RecordFile()
        except OSError as error:
            raise EdsrError(
                f"a report takes a temporary file, which cannot be made ({error.strerror}).",
                "Set TMPDIR to a folder on a disk with room.",
                about=display_name(path),
            ) from error
        self._previews = Previews(frame) if path.suffix.lower() in PAGE else None

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

    def tick(self, state: "State") -> None:
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
                "the report cannot be written, since its temporary "
                f"file failed ({self._failure.strerror}).",
                "The manifest in the output folder has what became of each picture.",
                about=display_name(self._path),
            ) from self._failure

    def _write(self, summary: Summary) -> None:
        replace = self._overwrite or REPORT.is_at(self._path)  # or what may be there since
        with atomic_write(self._path, overwrite=replace, error=EdsrError) as file:
            for piece in self._pieces(summary):
                # Everything that is no Unicode character was escaped.
                file.write(piece.encode())

    def _pieces(self, summary: Summary) -> Iterator[str]:
        if self._previews is None:
            return json_report(self._about, summary, self._records)
        from edsr_cli.report.page import page  # jinja2 is for pages only

        previews = self._previews.finish(wait=summary.stopped is None)
        return page(self._about, summary, self._records, previews, self._path.parent)
