"""What became of each file, and why: JSON-ready, immutable, one object for each file."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from edsr_cli.errors import ExitCode, Kind


class Status(StrEnum):
    """How the work on a file ended."""

    DONE = "done"
    PLANNED = "planned"
    SKIPPED = "skipped"
    FAILED = "failed"


ENDING = frozenset((Kind.DISK_FULL, Kind.MANIFEST))
"""Failures that end a run, since everything else would fail, too."""

SKIPPED = {
    "complete": "up to date",
    "edited": "changed since they were made, left as they are",
}
"""Why pictures were skipped, in words for tables and headings."""

FAILED = {
    "unreadable": "damaged, or no picture",
    "too-large": "too large",
    "permission": "no permission",
    "missing": "vanished, or a link to nowhere",
    "name": "a name that the system cannot take",
    "exists": "an output that edsr batch has not made is in the way; --overwrite replaces it",
    "output": "the output cannot be written",
    "disk-full": "the disk is full",
    "manifest": "what is done cannot be recorded",
    "memory": "not enough memory",
    "weights": "the network's output is not finite",
    "unexpected": "unexpected",
}
"""Why pictures have failed, in words."""


class Record(Struct, frozen=True):
    """What became of one file, or what is known of it while it is at work.

    Attributes:
        input, output: paths as the user gave them, or "-". The output is empty where there is no
            task: for a folder that could not be listed, or an input that was refused.
        status: done, skipped, failed or planned.
        kind: why it was skipped or failed; None otherwise.
        reason: the same as a sentence for people, with the file's name, and what to do about it;
            None otherwise.
        model, device, precision: what it was made with; precision as it ended up.
        input_size, output_size: (width, height) in pixels, if it got as far.
        input_bytes, output_bytes: sizes of the files in bytes, if it got as far.
        seconds: time that was spent on it, without waiting between the stages.
        stages: seconds of each stage, among "decode", "upscale" and "encode".
        plan: panels, strips, estimated memory (bytes) and work (multiply-adds), as they ended up;
            empty if it did not get as far. If it is transposed, the picture's rows count as columns
            and the other way round. "memory_bytes" is for the network's rows; weights, pictures
            (what is read and what is made), the encoder, and for a moment the decoder, where that
            gives a picture whole, come besides, "scratch_bytes" on disk;
            "kept_bytes" at most beside the output, where rows are kept for --resume.
            "seconds", where it was planned only: for the network, about.
        restore, restore_reason: how much the picture is restored, 0 to 1, and why; None where the
            model has no second network for that.
        notes: remarks about the picture.
        ended: when it ended, in seconds since 1970; 0 while it has not.
        exit_code: the exit code that it stands for.
    """

    input: str
    output: str
    status: Status
    kind: Kind | None = None
    reason: str | None = None
    model: str = ""
    device: str = ""
    precision: str = ""
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    input_bytes: int | None = None
    output_bytes: int | None = None
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    plan: dict[str, float] = field(default_factory=dict)
    restore: float | None = None
    restore_reason: str | None = None
    notes: tuple[str, ...] = ()
    ended: float = 0.0
    exit_code: ExitCode = ExitCode.DONE

    @property
    def output_pixels(self) -> int:
        """Pixels of the output; 0 if there is none."""
        return self.output_size[0] * self.output_size[1] if self.output_size else 0

    @property
    def error(self) -> str | None:
        """What went wrong and what to do about it, if it failed."""
        return self.reason if self.status is Status.FAILED else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values with `error`, and without a plan where there is none."""
        values = asdict(self) | {
            "error": self.error,
            "seconds": round(self.seconds, 4),
            "stages": {name: round(seconds, 4) for name, seconds in self.stages.items()},
            "ended": round(self.ended, 3),
        }
        without = {"exit_code"} if self.plan else {"exit_code", "plan"}
        return {name: value for name, value in values.items() if name not in without}


def exit_code(records: Iterable[Record]) -> ExitCode:
    """The exit code of a run: the failures' own if they agree, else `SOME_FAILED`."""
    codes = {record.exit_code for record in records} - {ExitCode.DONE}
    if not codes:
        return ExitCode.DONE
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_FAILED
