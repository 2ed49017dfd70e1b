"""What a whole run came to: counts, reasons, times, and which stage held up the others."""

import re
import time
from collections import Counter
from typing import Any

from msgspec import Struct, field

from edsr_cli.errors import Kind
from edsr_cli.folders.scanning import Ignored
from edsr_cli.jobs.executors import Load
from edsr_cli.jobs.record import Record, Status

KEPT_FAILURES = 1000
"""Failures that a summary holds; the manifest has them all."""

KEPT_REMARKS = 100
"""Kinds of remarks that a summary counts; a report as JSON has them all."""

_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")


class Summary(Struct):
    """What a run came to. Its size does not depend on the number of pictures.

    Attributes:
        began: when the run began, in seconds since 1970.
        seconds: how long it took, or has taken so far.
        status: records of each status.
        kinds: skipped and failed records of each kind.
        ignored: what was no task, by reason.
        unread: pictures of formats that cannot be read, by the endings of their names.
        restored: pictures done, or planned, by the strength above 0 that they were restored with.
        remarked: pictures done, or planned, that there are remarks on.
        remarks: such pictures by what was remarked, with an ellipsis for numbers; the first
            `KEPT_REMARKS` kinds.
        failures: the first `KEPT_FAILURES` failures.
        input_pixels, output_pixels: of the pictures done.
        input_bytes, output_bytes: of the files of the pictures done.
        stages: seconds of work of each stage, added up over its threads.
        load: how the devices spent their time.
        stopped: why the run ended early: "interrupted", "failure" (--fail-fast), or the kind of
            failure that ends every run, "disk-full" or "manifest"; None if it did not.
    """

    began: float = field(default_factory=time.time)
    seconds: float = 0.0
    status: Counter[Status] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    ignored: Counter[Ignored] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    restored: Counter[float] = field(default_factory=Counter)
    remarked: int = 0
    remarks: Counter[str] = field(default_factory=Counter)
    failures: list[Record] = field(default_factory=list)
    input_pixels: int = 0
    output_pixels: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    load: Load = field(default_factory=Load)
    stopped: str | None = None

    @property
    def done(self) -> int:
        """Pictures that were upscaled."""
        return self.status[Status.DONE]

    @property
    def skipped(self) -> int:
        """Pictures whose outputs are up to date."""
        return self.status[Status.SKIPPED]

    @property
    def failed(self) -> int:
        """Pictures that could not be done."""
        return self.status[Status.FAILED]

    @property
    def planned(self) -> int:
        """Pictures that would be upscaled, in a run that only plans."""
        return self.status[Status.PLANNED]

    @property
    def ended(self) -> int:
        """All records so far."""
        return sum(self.status.values())

    @property
    def megapixels_per_second(self) -> float:
        """Output pixels over the time of the whole run, in millions a second."""
        return self.output_pixels / self.seconds / 1e6 if self.seconds else 0.0

    def add(self, record: Record) -> None:
        """Count a record."""
        self.status[record.status] += 1
        if record.kind is not None:
            self.kinds[record.kind] += 1
        self.stages.update(record.stages)
        if record.status is Status.FAILED and len(self.failures) < KEPT_FAILURES:
            self.failures.append(record)
        if record.restore and record.status in (Status.DONE, Status.PLANNED):
            self.restored[record.restore] += 1
        if record.notes and record.status in (Status.DONE, Status.PLANNED):
            self.remarked += 1
            for remark in {_NUMBER.sub("\u2026", note) for note in record.notes}:
                if remark in self.remarks or len(self.remarks) < KEPT_REMARKS:
                    self.remarks[remark] += 1
        if record.status is Status.DONE:
            if record.input_size is not None:  # else it is of an earlier run
                self.input_pixels += record.input_size[0] * record.input_size[1]
            self.output_pixels += record.output_pixels
            self.input_bytes += record.input_bytes or 0
            self.output_bytes += record.output_bytes or 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the failures."""
        return {
            "began": round(self.began, 3),
            "seconds": round(self.seconds, 3),
            "done": self.done,
            "skipped": self.skipped,
            "failed": self.failed,
            "planned": self.planned,
            "kinds": {kind.value: count for kind, count in self.kinds.items()},
            "ignored": {why.value: count for why, count in self.ignored.items()},
            "unread": dict(self.unread),
            "restored": {f"{strength:g}": count for strength, count in self.restored.items()},
            "remarked": self.remarked,
            "remarks": dict(self.remarks),
            "input_pixels": self.input_pixels,
            "output_pixels": self.output_pixels,
            "input_bytes": self.input_bytes,
            "output_bytes": self.output_bytes,
            "megapixels_per_second": round(self.megapixels_per_second, 3),
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "device_busy": round(self.load.busy_share, 4),
            "bottleneck": self.load.bottleneck,
            "stopped": self.stopped,
        }
