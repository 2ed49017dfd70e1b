"""Who does the steps of a file's life."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.errors import EdsrError, Kind
from edsr_cli.images import OutputRequest, Picture, PictureWriter, create_picture
from edsr_cli.images.provenance import provenance
from edsr_cli.inference import Progress, Upscaler
from edsr_cli.jobs import enlarging, reading, writing
from edsr_cli.jobs.estimates import output_bytes, plan_values
from edsr_cli.jobs.family import Family
from edsr_cli.jobs.frames import remarks_on, upscale_frames
from edsr_cli.jobs.ledger import NO_FILE, FileState, Ledger, state_of
from edsr_cli.jobs.partial import PartialRows
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.resuming import forget, is_resumable, kept, pass_over
from edsr_cli.jobs.staging import deliver, fetch_and
from edsr_cli.jobs.target import Target, target_of
from edsr_cli.jobs.task import Task, output_name
from edsr_cli.jobs.work import Work
from edsr_cli.options.choices import Depth
from edsr_cli.options.pictures import Outputs
from edsr_cli.pixels.arrays import empty_pixels
from edsr_cli.pixels.behind import Behind
from edsr_cli.pixels.depth import dtype_of
from edsr_cli.pixels.windows import ArrayWindow, Readable, Region, Writable
from edsr_cli.restoration.networks import at_choice, choice_for

_DEFAULTS, _NO_LEDGER = Outputs(), Ledger()

_SKIPPED = {
    Kind.COMPLETE: "it is up to date.",
    Kind.EDITED: "it has been changed since it was made, and is left as it is.",
}


class Worker(Struct, frozen=True, kw_only=True):
    """Does what there is to do for a file, step by step; knows nothing of threads.

    No step raises, except what is no `Exception`: what goes wrong becomes the file's record. Each
    may be done in another thread, in this order: `examine`, `decode`, `upscale`, `write`, as long
    as the work has not ended; then `finish`. `complete` does them all.

    Attributes:
        model: the model's name, for records.
        upscalers: one for each device; with the same network, scale and precision.
        options: for every picture; `overwrite` makes all outputs again, whatever they replace.
        ledger: what is known of outputs.
        family: gives upscalers of other scales; None where there are none.
        resume: whether finished rows are kept, and gone on with; see `resuming`. None to know
            nothing of them.
    """

    model: str
    upscalers: Sequence[Upscaler]
    options: Outputs = _DEFAULTS
    ledger: Ledger = _NO_LEDGER
    family: Family | None = None
    resume: bool | None = None

    @property
    def target(self) -> Target:
        """The size of outputs."""
        return target_of(self.options, self.upscalers[0].scale)

    @property
    def scales(self) -> tuple[int, ...]:
        """Those of the model."""
        return self.family.scales if self.family else (self.upscalers[0].scale,)

    @property
    def scale(self) -> int | None:
        """The upscaling factor, if every picture goes through one network, and nothing else."""
        factor = self.target.factor
        return int(factor) if factor is not None and factor in self.scales else None

    def all_networks(self) -> list[Upscaler]:
        """What pictures may go through on the first device, one for each scale.

        Raises:
            WeightsError, UsageError: one cannot be had; see `Family`.
        """
        first = self.upscalers[0]
        if self.family is None or self.scale == first.scale:
            return [first]
        return [
            self.family.upscaler(scale, str(first.device), first.precision.value)
            for scale in dict.fromkeys(self.target.scales(self.scales))
        ]

    def networks(self, work: Work, upscaler: Upscaler | None = None) -> tuple[Upscaler, ...]:
        """What a picture goes through, in the strength that was chosen.

        Args:
            work: the picture, behind `examine`.
            upscaler: one of `upscalers`, for the device; None for the first.

        Raises:
            WeightsError, UsageError: a network is needed that cannot be had; see `Family`.
        """
        first = upscaler or self.upscalers[0]
        found: list[Upscaler] = []
        for scale in work.enlargement.scales:
            # What the first has restored, and made larger, has no damage that a second would see.
            plain = bool(found)
            if self.family is None or (scale == first.scale and not plain):
                found.append(first)
            else:
                device, precision = str(first.device), first.precision.value
                found.append(self.family.upscaler(scale, device, precision, plain=plain))
        return (*(at_choice(each, work.choice) for each in found[:1]), *found[1:])

    def refused(self, name: str, error: EdsrError) -> Record:
        """The record of an input that is refused before there is a task for it."""
        draft = self._draft(name, "")
        code = error.exit_code
        return replace(draft, reason=str(error), ended=time.time(), exit_code=code)

    def complete(
        self,
        task: Task,
        progress: Progress | None = None,
        device: AbstractContextManager[object] | None = None,
    ) -> Record:
        """Do all of it. Does not raise, except when it is interrupted.

        Args:
            task: what to read and write.
            progress: called with the LR pixels that are done, and that there are.
            device: a lock to hold while it is upscaled, where several threads call this.
        """
        self.ledger.arrive(task)
        anew = task.destination if self.resume is False else None
        work = self.examine(task)
        for step in (self.lay_out, self.decode):
            if not work.ended:
                step(work)
        if anew is not None and not work.ended:
            pass_over(anew)
        with device or nullcontext():
            if not work.ended:
                self.upscale(work, self.upscalers[0], progress)
        if not work.ended:
            self.write(work)
        record = self.finish(work)
        if anew is not None and record.status is Status.DONE:
            forget(anew)
        return record

    def examine(
        self, task: Task, *, touch: bool = True, header: bool = False, forgiving: bool = False
    ) -> Work:
        """Find out what is to be done and what can go wrong, without decoding anything.

        Args:
            task: what to read and write.
            touch: see `writing.check_output`.
            header: whether only the header will be read; see `fetch_and`.
            forgiving: whether an output that exists already may be passed over.
        """
        work = Work(task, self.options, self._draft(task.source_name, task.destination_name))

        def inspect(file: BinaryIO | None) -> None:
            work.inspected = reading.inspect(task, work.options, file)
            width, height = work.inspected.input_size
            work.note(input_size=(width, height))
            work.enlargement = self.target.enlargement(width, height, self.scales)
            work.note(output_size=work.enlargement.after)
            task.output_format.check_size(*work.enlargement.after)
            work.resumable = bool(self.resume) and is_resumable(work)
            if work.inspected.frames > 1:
                work.note(notes=remarks_on(work.inspected))
            else:
                made = output_bytes(work)
                made += enlarging.DEEP_PIXEL_BYTES * work.enlargement.between
                work.large = work.resumable or reading.is_large(work.inspected, made, work.options)
            if work.enlargement.remark:
                work.note(notes=(*work.record.notes, work.enlargement.remark), model="")

        def begin() -> None:
            self.ledger.check(task)
            writing.check_promises(work.options, task.output_format)

        def check() -> None:
            with self.ledger.in_place(task):
                try:
                    writing.check_output(task, work.options, touch=touch, free=work.verdict.free)
                except writing.OutputExistsError:
                    if not forgiving:
                        raise

        if not work.attempt("decode", lambda: self._judge(work), reading=True):
            return work
        if work.verdict.skip is not None:
            reason = f"{output_name(task)}: {_SKIPPED[work.verdict.skip]}"
            work.end(Status.SKIPPED, kind=work.verdict.skip, reason=reason)
            return work
        if not work.attempt("decode", begin, reading=False):
            return work
        if work.attempt("decode", lambda: fetch_and(inspect, work, header=header), reading=True):
            work.attempt("decode", check, reading=False)
        return work

    def _judge(self, work: Work) -> None:
        task = work.task
        if task.source is not None:
            # What cannot be looked at fits no line of a ledger, and fails later, with a reason.
            found = task.origin.state() if task.origin else state_of(task.source)
            work.source = found or NO_FILE
            if work.source.size >= 0:
                work.note(input_bytes=work.source.size)
        overwrite = self.options.overwrite
        work.verdict = self.ledger.judge(task, work.source, overwrite=overwrite)
        if work.verdict.overwrite != overwrite:  # else it would be checked anew for every picture
            work.options = self.options.part(Outputs, overwrite=work.verdict.overwrite)

    def lay_out(self, work: Work) -> None:
        """Settle how the picture is cut before it is decoded: it may not fit at all."""

        def lay_out() -> None:
            networks = self.networks(work)
            work.plans = enlarging.make_plans(
                work.enlargement, networks, work.options, by_rows=work.large
            )
            work.resumable = work.resumable and is_resumable(work)
            work.note(plan=plan_values(work, work.plans, networks))

        work.attempt("decode", lay_out, reading=True)

    def decode(self, work: Work) -> None:
        """Read the pixels, which are kept until they are upscaled; of a large picture the first."""

        def decode() -> None:
            opened = work.opened if work.large else None
            picture = reading.decode(work.inspected, work.options, work.task.output_format, opened)
            self.take(work, picture)

        work.attempt("decode", decode, reading=True)

    def take(self, work: Work, picture: Picture) -> None:
        """Make a picture the one at work: its pixels, and all that follows from them."""
        strength, reason = None, None
        for network in self.networks(work)[:1]:
            window, linear = picture.window, picture.linear
            work.choice = choice_for(network, window, picture.compression, linear=linear)
        if work.choice is not None:
            strength, reason = work.choice.strength, work.choice.reason
        model = self.model if work.enlargement.scales else None
        software = provenance(model, work.enlargement.ratio, strength)
        work.window, work.alpha = picture.window, picture.alpha
        work.grey, work.linear = picture.grey, picture.linear
        stored = 8 * picture.window.dtype.itemsize
        work.bits = work.output_bits(stored)
        work.metadata = writing.metadata(
            picture.metadata, software, work.options, work.task.output_format
        )
        notes = tuple(dict.fromkeys(work.record.notes + picture.notes))
        if work.bits < stored and work.options.depth is Depth.AUTO:
            name = work.task.output_format.name
            notes += (f"written with {work.bits} bits a channel, all that {name} has here",)
        work.note(notes=notes, restore=strength, restore_reason=reason)

    def upscale(
        self,
        work: Work,
        upscaler: Upscaler,
        progress: Progress | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Make the pixels of the output; of a large picture the output itself, which ends the work.

        Args:
            work: the picture.
            upscaler: one of `upscalers`.
            progress: see `complete`.
            check: see `write`.
        """
        width, height = work.enlargement.after

        def upscale() -> None:
            pixels = empty_pixels(height, width, dtype_of(work.bits))
            self.enlarge(work, upscaler, work.window, ArrayWindow(pixels), progress)
            work.window, work.pixels = None, pixels

        def upscale_and_write() -> None:
            with ExitStack() as stack:
                rows = stack.enter_context(kept(work, self.networks(work, upscaler)))
                writer = stack.enter_context(self._output(work, check))
                target = stack.enter_context(Behind(writer))
                self.enlarge(work, upscaler, work.window, target, progress, rows)

        def upscale_all() -> None:
            upscale_frames(self, work, upscaler, progress, check)

        several = work.inspected.frames > 1
        if not (work.large or several):
            work.attempt("upscale", upscale, reading=True)
        elif work.attempt("upscale", upscale_all if several else upscale_and_write, reading=False):
            work.end(Status.DONE)
        else:
            work.note(output_bytes=None)

    def enlarge(
        self,
        work: Work,
        upscaler: Upscaler,
        source: Readable,
        target: Writable,
        progress: Progress | None,
        rows: PartialRows | None = None,
    ) -> None:
        """Have the networks of a picture make it larger, and put on record how they did."""
        networks = self.networks(work, upscaler)
        outcomes = enlarging.enlarge(
            source,
            target,
            work.enlargement,
            networks,
            work.options,
            plans=work.plans,
            progress=progress,
            linear=work.linear,
            room=enlarging.on_disk if work.large else empty_pixels,
            kept=rows,
        )
        work.note(device=str(upscaler.device))
        for outcome in outcomes:
            work.note(precision=outcome.precision.value)
        if work.plans is not None:  # they may have become others on the way
            plans = [outcome.plan for outcome in outcomes]
            work.note(plan=plan_values(work, plans, networks))

    def write(
        self, work: Work, check: Callable[[], None] | None = None, threads: int | None = None
    ) -> None:
        """Write the upscaled picture, and put it on record.

        Args:
            work: the picture.
            check: called now and then; what it raises, if it is no `Exception`, ends the work.
            threads: see `writing.request`.
        """

        def write() -> None:
            width, height = work.enlargement.after
            with self._output(work, check, threads) as writer:
                writer.write(Region(0, height, 0, width), work.pixels)

        if work.attempt("encode", write, reading=False):
            work.end(Status.DONE)
        else:
            work.note(output_bytes=None)

    @contextmanager
    def _output(
        self, work: Work, check: Callable[[], None] | None, threads: int | None = None
    ) -> Iterator[PictureWriter]:
        """Give a writer for the output."""
        request = self.request(work, threads)
        with (
            self.destination(work, check) as file,
            create_picture(file, work.task.output_format, request) as writer,
        ):
            yield writer
        work.note(notes=work.record.notes + writer.notes)

    def request(self, work: Work, threads: int | None = None) -> OutputRequest:
        """What is asked of the file for the picture at work."""
        return writing.request(
            work.options,
            work.enlargement.after,
            work.metadata,
            alpha=work.alpha,
            grey=work.grey,
            bits=work.bits,
            threads=threads,
        )

    @contextmanager
    def destination(self, work: Work, check: Callable[[], None] | None) -> Iterator[BinaryIO]:
        """Give the file for the output, and put it on record when it is there."""
        task = work.task

        def commit(status: os.stat_result) -> None:
            self.ledger.promise(task, work.source, work.verdict, FileState.of(status))
            work.note(output_bytes=status.st_size)

        mtime_ns = work.time_to_keep()
        with (
            self.ledger.in_place(task),
            writing.destination(
                task, work.options, mtime_ns=mtime_ns, commit=commit, check=check
            ) as file,
        ):
            yield file
        if task.goal is not None:
            deliver(work, self.ledger, task.goal)

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
