"""A file at work: what is known and held of it, and how its steps may fail."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from msgspec.structs import replace

from edsr_cli.errors import EdsrError, ExitCode
from edsr_cli.files.reasons import kind_of
from edsr_cli.images import Metadata
from edsr_cli.inference.planning import Plan
from edsr_cli.jobs.ledger import NO_FILE, Verdict
from edsr_cli.jobs.reading import Inspected
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.target import Enlargement
from edsr_cli.jobs.task import Task, input_name, names
from edsr_cli.options.pictures import Outputs
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.planes import Plane
from edsr_cli.pixels.windows import Readable
from edsr_cli.restoration.choice import Choice

logger = logging.getLogger(__name__)

_MILLISECOND = 10**6  # nanoseconds


class Work:
    """A file at work.

    Attributes:
        task: what to read and write.
        options: how; `overwrite` as the ledger has decided.
        source: the state of the input before it was read.
        verdict: what the ledger has decided; known behind `Worker.examine`.
        whole: whether all of the input is here; of an object in a store, pieces may be.
        plans: how it is cut for each network, if that is settled before it is upscaled.
        choice: how much to restore it; None where the upscaler leaves no choice.
        large: whether it goes from file to file by rows; known behind `Worker.examine`.
        resumable: whether finished rows are kept; known behind `Worker.lay_out`.
        metadata, alpha, grey, linear: of the input; known behind `Worker.decode`.
        bits: bits a channel of the output; known behind `Worker.decode`.
        opened: the file of a large one, from `Worker.decode` on.
    """

    def __init__(self, task: Task, options: Outputs, record: Record) -> None:
        self.task, self.options = task, options
        self._record, self._noted = record, dict[str, Any]()
        self._stages: dict[str, float] = {}
        self.source, self.verdict = NO_FILE, Verdict()
        self.plans: Sequence[Plan] | None = None
        self.choice: Choice | None = None
        self.metadata = Metadata()
        self.alpha: Plane | None = None
        self.whole = True
        self.large = self.resumable = self.grey = self.linear = False
        self.bits = 8
        self.opened = ExitStack()
        self._inspected: Inspected | None = None
        self._enlargement: Enlargement | None = None
        self._window: Readable | None = None
        self._pixels: Pixels | None = None

    @property
    def record(self) -> Record:
        """What is known of it so far."""
        if self._noted:  # a record has many fields, so they are not copied for every note
            self._record = replace(self._record, **self._noted)
            self._noted.clear()
        return self._record

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return "ended" in self._noted or self._record.ended > 0

    @property
    def inspected(self) -> Inspected:
        """What the header says; known behind `Worker.examine`."""
        assert self._inspected is not None
        return self._inspected

    @inspected.setter
    def inspected(self, inspected: Inspected) -> None:
        self._inspected = inspected

    def output_bits(self, stored: int) -> int:
        """Bits a channel of the output, if the pixels of the input have so many."""
        return self.task.output_format.bits(stored, self.options.depth)

    @property
    def enlargement(self) -> Enlargement:
        """How it becomes as large as it is to be; known behind `Worker.examine`."""
        assert self._enlargement is not None
        return self._enlargement

    @enlargement.setter
    def enlargement(self, enlargement: Enlargement) -> None:
        self._enlargement = enlargement

    @property
    def window(self) -> Readable:
        """The pixels of the input, (H, W, 3); known behind `Worker.decode`."""
        assert self._window is not None
        return self._window

    @window.setter
    def window(self, window: Readable | None) -> None:
        self._window = window

    @property
    def waiting_bytes(self) -> int:
        """What its input takes in memory while it waits to be upscaled."""
        return 0 if self.large else self.inspected.pixel_bytes

    @property
    def decoding_bytes(self) -> int:
        """What it takes while it is decoded: of a large one, what its decoder needs for all of it.

        Of another, the decoder's is of the size of the pixels, and is not counted.
        """
        return self.inspected.decoder_bytes if self.large else self.inspected.pixel_bytes

    @property
    def pixels(self) -> Pixels:
        """The output, (H, W, 3), behind `Worker.upscale`; not of what is large."""
        assert self._pixels is not None
        return self._pixels

    @pixels.setter
    def pixels(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def time_to_keep(self) -> int | None:
        """The time of change that the output is to have, in nanoseconds since 1970; None for now.

        Where it is to be that of the input, and nobody tells that, a remark says so.
        """
        if not self.options.keep_times or self.task.source is None:
            return None
        kept, replaced = self.source.mtime_ns, self.verdict.replaces
        if self.task.origin is not None and not kept:
            self.note(
                notes=(*self.record.notes, "no time of change is kept: its server tells none")
            )
            return None
        if replaced is not None and replaced.mtime_ns == kept:
            # Of two files of one size and time a ledger could not tell which one is there.
            kept += _MILLISECOND
        return kept

    def note(self, **values: Any) -> None:
        """Put what is known now into the record."""
        self._noted |= values

    def end(self, status: Status, **values: Any) -> None:
        """Make the record final, and let go of the pixels."""
        self._window = self._pixels = self.alpha = None
        self.opened.close()
        seconds = sum(self._stages.values())
        self.note(status=status, seconds=seconds, ended=time.time(), **values)

    def attempt(self, stage: str, step: Callable[[], None], *, reading: bool) -> bool:
        """Do a step, and say whether it went well; what goes wrong ends the file.

        Args:
            stage: what its time counts for.
            step: what to do.
            reading: whether a failure is about the input, not the output.
        """
        try:
            with self._timed(stage):
                step()
        except Exception as error:  # one file must not end the others
            self._fail(error, reading)
            return False
        return True

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            spent = self._stages.get(stage, 0.0) + time.perf_counter() - begin
            self._stages[stage] = spent
            self.note(stages=dict(self._stages))

    def _fail(self, error: Exception, reading: bool) -> None:
        name = input_name(self.task)
        # Rows of an input may be decoded while the output is written.
        about_input = isinstance(error, EdsrError) and error.about == name
        kind = kind_of(error, reading or about_input)
        if isinstance(error, EdsrError):
            about = names(self.task).get(error.about)
            shown = EdsrError(error.what, error.hint, about=about or error.about)
            reason, code = str(shown) if about else f"{name}: {shown}", error.exit_code
            if error.__cause__ is not None:
                logger.debug("What is behind the error below:", exc_info=error.__cause__)
        else:
            detail = " ".join(str(error).split())
            reason = f"{name}: unexpected {type(error).__name__}: {detail}"
            code = ExitCode.SOME_FAILED
            logger.debug("What is behind the error below:", exc_info=True)
        self.end(Status.FAILED, kind=kind, reason=reason, exit_code=code)
