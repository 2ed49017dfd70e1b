"""What is done to one picture of a batch, step by step; knows nothing of threads."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from edsr_cli.errors import Kind
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of
from edsr_cli.images.source import open_source
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.batch.made import FileState, Made
from edsr_cli.jobs.batch.manifest import ManifestError
from edsr_cli.jobs.batch.output import OutputFolder, state_of
from edsr_cli.jobs.batch.recipe import Recipe
from edsr_cli.jobs.batch.record import ENDING, Record
from edsr_cli.jobs.batch.tasks import BatchTask, Unlisted
from edsr_cli.jobs.batch.verdict import Verdict, Wanted, judge
from edsr_cli.jobs.upscale import Job, Settings, Status

_SKIPPED = {
    Kind.COMPLETE: "it is up to date.",
    Kind.EDITED: "it has been changed since it was made, and is left as it is.",
}


class Work:
    """One picture on its way.

    Attributes:
        task: what to read and write.
        job: what is known and held of it.
        source: the state of the input before it was read.
        verdict: what to do about it.
        result: the state of the finished output.
        stages: seconds spent on it so far.
    """

    def __init__(self, task: BatchTask, job: Job) -> None:
        self.task, self.job = task, job
        self.source = FileState(-1, -1)  # fits no file
        self.verdict = Verdict()
        self.result: FileState | None = None
        self.stages: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - begin

    @cached_property
    def sha256(self) -> str:
        """Digest of the input."""
        digest = hashlib.sha256()
        with open_source(self.task.source, display_name(self.task.source)) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def record(self, status: Status, kind: Kind | None = None, reason: str | None = None) -> Record:
        """What became of it."""
        known = self.job.result
        return Record(
            input=known.input,
            output=known.output,
            status=status,
            kind=kind,
            reason=reason,
            model=known.model,
            device=known.device,
            precision=known.precision,
            input_size=known.input_size,
            output_size=known.output_size,
            input_bytes=self.source.size if self.source.size >= 0 else None,
            output_bytes=self.result.size if self.result and status is Status.DONE else None,
            seconds=sum(self.stages.values()),
            stages=dict(self.stages),
            plan=known.plan,
            restore=known.restore,
            restore_reason=known.restore_reason,
            notes=known.notes,
            ended=time.time(),
        )


class Steps:
    """The steps of a run. None of them raises; what goes wrong becomes a record.

    Args:
        upscaler: any of the upscalers that do the work: what it says holds for all.
        settings: for every picture; `overwrite` makes all outputs again, whatever they replace.
        recipe: what outputs are made with.
        folders: the output folders, by path.
        checksum: whether inputs are known by their content instead of size and time.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        settings: Settings,
        recipe: Recipe,
        folders: Mapping[Path, OutputFolder],
        checksum: bool = False,
    ) -> None:
        self._upscaler, self._settings, self._recipe = upscaler, settings, recipe.identity
        self._folders, self._checksum = folders, checksum

    def examine(self, task: BatchTask, touch: bool = True) -> Work | Record:
        """Find out what is to be done, without decoding anything.

        Args:
            task: what to read and write.
            touch: see `Job.inspect`.
        """
        work = self._begin(task)
        with work.timed("decode"):
            done = work.job.attempt(lambda: self._examine(work, touch))
        if not done:
            return self.failed(work)
        skip = work.verdict.skip
        if skip is None:
            return work
        reason = f"{display_name(task.destination)}: {_SKIPPED[skip]}"
        return work.record(Status.SKIPPED, skip, reason)

    def plan(self, task: BatchTask) -> Record:
        """What would be done; nothing is written."""
        work = self.examine(task, touch=False)
        if isinstance(work, Record):
            return work
        work.job.plan()
        if work.job.failure is not None:
            return self.failed(work)
        return work.record(Status.PLANNED)

    def decode(self, work: Work) -> Record | None:
        """Read the pixels; a record if that failed."""
        with work.timed("decode"):
            done = work.job.attempt(work.job.decode)
        return None if done else self.failed(work)

    def write(self, work: Work, check: Callable[[], None]) -> Record:
        """Write the upscaled picture, and put it on record.

        Args:
            work: the picture.
            check: called now and then; what it raises, if it is no `Exception`, ends the work.
        """
        folder = self._folders[work.task.folder]

        def commit(status: os.stat_result) -> None:
            work.result = FileState.of(status)
            folder.manifest.promise(self._made(work, work.result))

        def write() -> None:
            with self._in_place(work):
                work.job.write(commit, check)

        with work.timed("encode"):
            done = work.job.attempt(write)
        return work.record(Status.DONE) if done else self.failed(work)

    def failed(self, work: Work) -> Record:
        """The record of a picture, a step of which has failed."""
        job = work.job
        assert job.failure is not None
        return work.record(Status.FAILED, kind_of(job.failure, job.reading), job.result.error)

    def put_on_record(self, record: Record, task: BatchTask) -> None:
        """Tell the manifest of a failure, for people who look there."""
        if record.status is Status.FAILED and record.kind not in ENDING:
            values = {"input": task.name, "kind": record.kind, "reason": record.reason}
            with suppress(ManifestError):  # nothing depends on it
                self._folders[task.folder].manifest.remark("failed", values)

    def _begin(self, task: BatchTask) -> Work:
        return Work(task, Job(task, self._upscaler, self._settings))

    def _examine(self, work: Work, touch: bool) -> None:
        task, job, folder = work.task, work.job, self._folders[work.task.folder]
        # What cannot be looked at fits no line of the manifest, and fails below, with a reason.
        work.source = state_of(task.source) or work.source
        wanted = Wanted(
            task.name, work.source, self._recipe, (lambda: work.sha256) if self._checksum else None
        )
        made = folder.manifest.find(task.output_name)
        found = state_of(task.destination)
        work.verdict = judge(wanted, found, made, self._settings.overwrite)
        if work.verdict.skip is not None:
            return
        if self._checksum:
            _ = work.sha256  # of what is read now, not of what may be there later
        job.settings = replace(self._settings, overwrite=work.verdict.overwrite)
        with self._in_place(work):
            job.reading = True
            job.inspect(touch)

    @contextmanager
    def _in_place(self, work: Work) -> Iterator[None]:
        """Make sure that the output folder is there before the block, and if writing fails in it.

        A folder that goes away in between is the reason, whatever the failure says.
        """
        folder = self._folders[work.task.folder]
        work.job.reading = False
        folder.check()
        try:
            yield
        except Exception:
            if not work.job.reading:
                folder.check()
            raise

    def _made(self, work: Work, result: FileState) -> Made:
        return Made(
            output=work.task.output_name,
            input=work.task.name,
            source=work.source,
            result=result,
            recipe=self._recipe,
            sha256=work.sha256 if self._checksum else None,
            replaces=work.verdict.replaces,
        )


def unlisted(item: Unlisted) -> Record:
    """The record of a folder that cannot be listed."""
    name = display_name(item.path)
    reason = f"{name}: it cannot be listed ({item.error.strerror}). Check its permissions."
    return Record(
        str(item.path),
        "",
        Status.FAILED,
        kind_of(item.error, reading=True),
        reason,
        ended=time.time(),
    )
