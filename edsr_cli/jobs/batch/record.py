"""What became of each file, and why: JSON-ready, immutable, one object per file."""

from dataclasses import asdict, dataclass, field
from typing import Any

from edsr_cli.errors import Kind
from edsr_cli.jobs.results import Status

ENDING = frozenset((Kind.DISK_FULL, Kind.MANIFEST))
"""Failures that end a run, since everything else would fail, too."""


@dataclass(frozen=True)
class Record:
    """What became of one file. The fields are those of `edsr upscale --json`, and more.

    Attributes:
        input, output: paths. The output is empty where a folder could not be listed.
        status: done, skipped, failed or planned.
        kind: why it was skipped or failed; None otherwise.
        reason: the same as a sentence for people, with the file's name; None otherwise.
        model, device, precision: what it was made with; precision as it ended up.
        input_size, output_size: (width, height) in pixels, if it got as far.
        input_bytes, output_bytes: sizes of the files in bytes, if it got as far.
        seconds: time that was spent on it, without waiting between the stages.
        stages: seconds of each stage, among "decode", "upscale" and "encode".
        plan: as in `edsr_cli.jobs.upscale.Result`; only where it was planned.
        restore, restore_reason: as in `edsr_cli.jobs.upscale.Result`.
        notes: remarks about the picture.
        ended: when it ended, in seconds since 1970.
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

    @property
    def output_pixels(self) -> int:
        """Pixels of the output; 0 if there is none."""
        return self.output_size[0] * self.output_size[1] if self.output_size else 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        stages = {name: round(seconds, 4) for name, seconds in self.stages.items()}
        rounded = {"seconds": round(self.seconds, 4), "ended": round(self.ended, 3)}
        return asdict(self) | rounded | {"stages": stages}
