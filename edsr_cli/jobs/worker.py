"""Who does the steps of a file's life, and what that is made from."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edsr_cli.checkpoints import store
from edsr_cli.checkpoints.convention import Stated
from edsr_cli.checkpoints.loader import LoadedNetwork, load_network
from edsr_cli.errors import EdsrError, Kind, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.images.provenance import provenance
from edsr_cli.inference import Progress, Upscaler
from edsr_cli.inference.planning import Plan
from edsr_cli.inference.processors import use_threads
from edsr_cli.jobs import steps
from edsr_cli.jobs.ledger import NO_FILE, FileState, Ledger, state_of
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.task import Task
from edsr_cli.jobs.work import Work
from edsr_cli.options.pictures import Outputs
from edsr_cli.restoration.networks import (
    Find,
    Restoration,
    RestoringUpscaler,
    at_choice,
    choice_for,
    find_restoration,
    make_upscaler,
)

_DEFAULTS, _NO_LEDGER = Outputs(), Ledger()

_SKIPPED = {
    Kind.COMPLETE: "it is up to date.",
    Kind.EDITED: "it has been changed since it was made, and is left as it is.",
}


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Does what there is to do for a file, step by step; knows nothing of threads.

    No step raises, except what is no `Exception`: what goes wrong becomes the file's record. Each
    may be done in another thread, in this order: `examine`, `decode`, `upscale`, `write`, as long
    as the work has not ended; then `finish`. `complete` does them all.

    Attributes:
        model: the model's name, for records.
        upscalers: one for each device; with the same network, scale and precision.
        options: for every picture; `overwrite` makes all outputs again, whatever they replace.
        ledger: what is known of outputs.
    """

    model: str
    upscalers: Sequence[Upscaler]
    options: Outputs = _DEFAULTS
    ledger: Ledger = _NO_LEDGER

    @property
    def scale(self) -> int:
        """The upscaling factor."""
        return self.upscalers[0].scale

    def refused(self, name: str, error: EdsrError) -> Record:
        """The record of an input that is refused before there is a task for it."""
        draft = self._draft(name, "")
        code = error.exit_code
        return replace(draft, reason=str(error), ended=time.time(), exit_code=code)

    def complete(self, task: Task, progress: Progress | None = None) -> Record:
        """Do all of it. Does not raise, except when it is interrupted.

        Args:
            task: what to read and write.
            progress: called with the LR pixels that are done, and that there are.
        """
        self.ledger.arrive(task)
        work = self.examine(task)
        for step in (self.lay_out, self.decode):
            if not work.ended:
                step(work)
        if not work.ended:
            self.upscale(work, self.upscalers[0], progress)
        if not work.ended:
            self.write(work)
        return self.finish(work)

    def plan(self, task: Task, *, speed: float | None = None, forgiving: bool = False) -> Record:
        """What `complete` would do; writes nothing.

        It reads the picture's header only, unless how much to restore depends on its pixels.

        Args:
            task: what would be read and written.
            speed: multiply-adds a second, to say how long it takes; None not to.
            forgiving: whether it is a remark, no failure, that the output exists already.
        """
        work = self.examine(task, touch=False, forgiving=forgiving)
        if not work.ended:
            self.lay_out(work, speed)
        if not work.ended and isinstance(self.upscalers[0], RestoringUpscaler):
            fixed = self.upscalers[0].restoration.fixed
            if fixed is None:
                self.decode(work)
            else:
                work.note(restore=fixed.strength, restore_reason=fixed.reason)
        if not work.ended:
            work.end(Status.PLANNED, notes=work.record.notes + _standing(work))
        return work.record

    def examine(self, task: Task, *, touch: bool = True, forgiving: bool = False) -> Work:
        """Find out what is to be done and what can go wrong, without decoding anything.

        Args:
            task: what to read and write.
            touch: see `steps.check_output`.
            forgiving: whether an output that exists already may be passed over.
        """
        work = Work(task, self.options, self._draft(task.source_name, task.destination_name))

        def inspect() -> None:
            work.inspected = steps.inspect(task, work.options)
            width, height = work.inspected.input_size
            large = (width * self.scale, height * self.scale)
            work.note(input_size=(width, height), output_size=large)
            task.output_format.check_size(*large)

        def check() -> None:
            with self.ledger.in_place(task):
                try:
                    steps.check_output(task, work.options, touch=touch)
                except steps.OutputExistsError:
                    if not forgiving:
                        raise

        if not work.attempt("decode", lambda: self._judge(work), reading=True):
            return work
        if work.verdict.skip is not None:
            assert task.destination is not None
            reason = f"{display_name(task.destination)}: {_SKIPPED[work.verdict.skip]}"
            work.end(Status.SKIPPED, kind=work.verdict.skip, reason=reason)
            return work
        if work.attempt("decode", lambda: self.ledger.check(task), reading=False) and work.attempt(
            "decode", inspect, reading=True
        ):
            work.attempt("decode", check, reading=False)
        return work

    def _judge(self, work: Work) -> None:
        task = work.task
        if task.source is not None:
            # What cannot be looked at fits no line of a ledger, and fails later, with a reason.
            work.source = state_of(task.source) or NO_FILE
            if work.source.size >= 0:
                work.note(input_bytes=work.source.size)
        overwrite = self.options.overwrite
        work.verdict = self.ledger.judge(task, work.source, overwrite=overwrite)
        work.options = replace(self.options, overwrite=work.verdict.overwrite)

    def lay_out(self, work: Work, speed: float | None = None) -> None:
        """Settle how the picture is cut before it is decoded: it may not fit at all."""
        upscaler, options = self.upscalers[0], work.options

        def lay_out() -> None:
            work.plan = plan = steps.make_plan(work.inspected, upscaler, options)
            values = self._plan_values(work, plan, upscaler)
            if speed is not None:
                values["seconds"] = round(upscaler.seconds(plan, speed, options.ensemble), 3)
            work.note(plan=values)

        work.attempt("decode", lay_out, reading=True)

    def decode(self, work: Work) -> None:
        """Read the pixels; they are kept until they are upscaled."""

        def decode() -> None:
            picture = steps.decode(work.inspected, work.options)
            work.choice = choice_for(self.upscalers[0], picture.pixels, picture.compression)
            strength, reason = None, None
            if work.choice is not None:
                strength, reason = work.choice.strength, work.choice.reason
            software = provenance(self.model, self.scale, strength)
            work.pixels, work.alpha = picture.pixels, picture.alpha
            work.metadata = replace(picture.metadata, software=software)
            work.note(notes=picture.notes, restore=strength, restore_reason=reason)

        work.attempt("decode", decode, reading=True)

    def upscale(self, work: Work, upscaler: Upscaler, progress: Progress | None = None) -> None:
        """Replace the pixels by upscaled ones.

        Args:
            work: the picture.
            upscaler: one of `upscalers`.
            progress: see `complete`.
        """

        def upscale() -> None:
            chosen = at_choice(upscaler, work.choice)
            upscaled = steps.upscale(
                work.pixels, chosen, work.options, plan=work.plan, progress=progress
            )
            work.pixels = upscaled.pixels
            work.note(device=str(upscaler.device), precision=upscaled.precision.value)
            if work.plan is not None:  # it may have become another on the way
                work.note(plan=self._plan_values(work, upscaled.plan, upscaler))

        work.attempt("upscale", upscale, reading=True)

    def write(self, work: Work, check: Callable[[], None] | None = None) -> None:
        """Write the upscaled picture, and put it on record.

        Args:
            work: the picture.
            check: called now and then; what it raises, if it is no `Exception`, ends the work.
        """
        task = work.task

        def commit(status: os.stat_result) -> None:
            self.ledger.promise(task, work.source, work.verdict, FileState.of(status))
            work.note(output_bytes=status.st_size)

        def write() -> None:
            with self.ledger.in_place(task):
                remarks = steps.write(
                    task,
                    work.options,
                    work.pixels,
                    work.metadata,
                    alpha=work.alpha,
                    scale=self.scale,
                    commit=commit,
                    check=check,
                )
            work.note(notes=work.record.notes + remarks)

        if work.attempt("encode", write, reading=False):
            work.end(Status.DONE)
        else:
            work.note(output_bytes=None)

    def finish(self, work: Work) -> Record:
        """Tell the ledger what became of a file, and give its record."""
        self.ledger.close_account(work.task, work.record)
        return work.record

    def _draft(self, source: str, destination: str) -> Record:
        first = self.upscalers[0]
        return Record(
            source,
            destination,
            Status.FAILED,  # until something better is known
            model=self.model,
            device=str(first.device),
            precision=first.precision.value,
        )

    def _plan_values(self, work: Work, plan: Plan, upscaler: Upscaler) -> dict[str, float]:
        size = work.inspected.pixel_bytes
        return steps.plan_values(plan, size, work.task, upscaler, work.options)


def _standing(work: Work) -> tuple[str, ...]:
    """A remark on an output that exists already."""
    destination = work.task.destination
    if destination is None or not os.path.lexists(destination):
        return ()
    name = steps.output_name(work.task)
    if work.options.overwrite:
        return (f"{name} exists already, and would be replaced",)
    return (f"{name} exists already; to replace it, add --overwrite",)


Networks = tuple[LoadedNetwork, Restoration | None]


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What a worker is made from, wherever it is to work: values only, so it can be pickled.

    Tasks and records can be, too. So another process, or another machine that sees the same files,
    opens a worker of its own, with a ledger of its own, and gives a record for each task.

    Attributes:
        options: which network, what it runs with, and what holds for every picture.
        devices: names of devices; there is an upscaler for each.
    """

    options: Outputs = _DEFAULTS
    devices: tuple[str, ...] = ("auto",)

    def load(self, find: Find = store.resolve) -> Networks:
        """The networks, on the CPU.

        Args:
            find: gives the file of a model that is not bundled; see `load_network`.

        Raises:
            WeightsError: the model is unknown, has no such scale, or its file cannot be used.
            UsageError: the model cannot restore.
        """
        options = self.options
        stated = Stated(
            options.layout, options.value_range, options.mean_shift, options.residual_scale
        )
        use_threads(options.threads)
        loaded = load_network(options.model, options.scale, stated, find)
        return loaded, find_restoration(loaded, options.model, options.restore, find)

    def open(self, networks: Networks | None = None) -> Worker:
        """A worker with upscalers on its devices, and with no ledger.

        Args:
            networks: what `load` has given; None to load them.

        Raises:
            WeightsError, UsageError: see `load`.
            UsageError: there is no such device, it cannot use the precision, or several devices
                would use different number formats.
        """
        loaded, restoration = self.load() if networks is None else networks
        options = self.options
        upscalers = [
            make_upscaler(
                loaded, restoration, name, options.precision, options.max_memory, options.engine
            )
            for name in self.devices
        ]
        if len({upscaler.precision for upscaler in upscalers}) > 1:
            raise UsageError(
                "The devices would use different number formats, and so give different pictures.",
                "Choose one with --precision.",
            )
        return Worker(model=loaded.name, upscalers=upscalers, options=options)
