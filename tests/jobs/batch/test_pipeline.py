"""The threads of a batch: faults in every stage, several devices, stops, and memory."""

import errno
import os
import threading
import time

import numpy as np
import pytest
import torch

from edsr_cli.errors import DeviceMemoryError, PictureError, WeightsError
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import upscale as upscale_module
from edsr_cli.jobs.batch import pipeline as module
from edsr_cli.jobs.batch.flow import Room
from edsr_cli.jobs.batch.limits import Limits
from edsr_cli.jobs.batch.manifest import Manifest, ManifestError
from edsr_cli.jobs.batch.output import OutputFolder
from edsr_cli.jobs.batch.record import Kind
from edsr_cli.jobs.batch.steps import Steps
from edsr_cli.jobs.upscale import Job, Status
from tests.jobs.batch.engine import LIMITS, Collect, Engine, contents, is_upscaled, paint, paint_all

NAMES = [f"{i}.png" for i in range(8)]


@pytest.fixture(autouse=True)
def threads_end():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def pixels(engine):
    return paint_all(engine.source, NAMES)


@pytest.fixture
def output(engine):
    return engine.source.parent / "in_x2"


def whole(output, pixels):
    """Check that all outputs there are complete; gives their names."""
    assert not list(output.rglob("*.tmp"))
    names = sorted(contents(output))
    assert all(is_upscaled(output / name, pixels[name]) for name in names)
    return names


# Faults.

FAULTS = {
    "probe": (upscale_module, "probe"),
    "check_writable": (upscale_module, "check_writable"),
    "decode": (upscale_module, "decode"),
    "upscale": (Upscaler, "upscale"),
    "encode": (upscale_module, "write_picture"),
    "look": (OutputFolder, "check"),
    "find": (Manifest, "find"),
}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PictureError("It is odd."), None),
        (MemoryError(), Kind.MEMORY),
        (DeviceMemoryError("Too little."), Kind.MEMORY),
        (WeightsError("Not finite."), Kind.WEIGHTS),
        (KeyError("bug"), Kind.UNEXPECTED),
        (RuntimeError("CUDA error: an illegal memory access"), Kind.UNEXPECTED),
        (OSError(errno.EIO, "I/O error"), None),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("place", FAULTS)
def test_a_fault_in_any_stage_is_one_failed_record(
    engine, pixels, output, monkeypatch, place, error, kind
):
    owner, name = FAULTS[place]
    original, calls = getattr(owner, name), []

    def sometimes(*arguments, **options):
        calls.append(arguments)
        if len(calls) in (2, 5):
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, sometimes)
    run = engine.run(limits=Limits(1, 1 << 20, 1 << 20))
    failures = [record for record in run.records if record.status is Status.FAILED]
    assert len(run.records) == 8
    assert len(failures) == 2
    assert {record.kind for record in failures} <= ({kind} if kind else set(Kind))
    assert all(record.reason.startswith((record.input, record.output)) for record in failures)
    assert len(whole(output, pixels)) == 6
    monkeypatch.undo()
    again = engine.run()
    assert (again.summary.done, again.summary.skipped) == (2, 6)
    assert len(whole(output, pixels)) == 8


class Unforeseen(BaseException):
    """What no stage is prepared for."""


# An `Exception` in a stage's own work is a failed record; anywhere else, or of another kind, it is
# a mistake of the program.
MISTAKES = [
    *((owner, name, Unforeseen) for owner, name in FAULTS.values()),
    *(
        (owner, name, kind)
        for owner, name in [
            (Steps, "examine"),
            (Steps, "decode"),
            (Steps, "write"),
            (Steps, "put_on_record"),
            (OutputFolder, "tidy"),
        ]
        for kind in (Unforeseen, KeyError)
    ),
]


@pytest.mark.parametrize(("owner", "name", "kind"), MISTAKES)
def test_what_nobody_foresaw_ends_the_run_and_all_threads(
    engine, pixels, output, monkeypatch, owner, name, kind
):
    original, calls = getattr(owner, name), []

    def sometimes(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise kind
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, sometimes)
    with pytest.raises(kind):
        engine.run()
    whole(output, pixels)
    monkeypatch.undo()
    engine.run()
    assert len(whole(output, pixels)) == 8


def test_a_source_that_fails_ends_the_run(engine, pixels, output):
    batch, scanner = engine.parts()
    closed = []

    def source():
        try:
            walk = scanner.walk()
            yield next(walk)
            yield None
            yield next(walk)
            raise KeyError("bug")
        finally:
            closed.append(True)

    with pytest.raises(KeyError):
        batch.run(source())
    assert closed == [True]
    whole(output, pixels)


@pytest.mark.parametrize("method", ["ended", "tick", "finished"])
def test_a_listener_that_fails_ends_the_run(engine, pixels, output, method):
    class Bad(Collect):
        pass

    def fail(self, value):
        raise BrokenPipeError

    setattr(Bad, method, fail)
    batch, scanner = engine.parts()
    with pytest.raises(BrokenPipeError):
        batch.run(scanner.walk(), [Bad()], scanner.walk())
    assert not batch.lingering
    whole(output, pixels)


# Several devices, and several pictures at once.


def test_several_devices_share_the_work(engine, pixels, output, monkeypatch):
    two = Engine(engine.source, devices=("cpu", "cpu"))
    meeting, used = threading.Barrier(2), set()
    upscale = Upscaler.upscale

    def meet(upscaler, *arguments):
        if len(used) < 2:
            used.add(upscaler)
            meeting.wait(20)  # both are at work at the same time
        return upscale(upscaler, *arguments)

    monkeypatch.setattr(Upscaler, "upscale", meet)
    run = two.run()
    assert run.summary.done == 8 and used == set(two.upscalers)
    assert len(whole(output, pixels)) == 8
    assert 0 < run.summary.load.busy_share <= 1


def test_pictures_of_one_size_go_together(engine, output, monkeypatch):
    """As many as are ready and allowed, and the files are those of one at a time."""
    pixels = {}
    for i in range(24):
        pixels[f"{i}.png"] = paint(engine.source / f"{i}.png", 5 + i % 2, 7, i)
    engine.run()
    alone = contents(output)
    sizes, first = [], threading.Event()
    upscale_group = module.Pipeline._upscale_group
    upscale_batch = Upscaler.upscale_batch

    def count(upscaler, pictures, *arguments):
        sizes.append(len(pictures))
        assert len({picture.shape for picture in pictures}) == 1
        return upscale_batch(upscaler, pictures, *arguments)

    def wait(pipeline, loop, group):  # the first picture waits for the others
        if not first.is_set():
            while len(pipeline._ready) < 20:
                time.sleep(0.001)
            first.set()
        upscale_group(pipeline, loop, group)

    monkeypatch.setattr(Upscaler, "upscale_batch", count)
    monkeypatch.setattr(module.Pipeline, "_upscale_group", wait)
    run = engine.run(overwrite=True, limits=Limits(2, 1 << 20, 1 << 22, batch=4))
    assert run.summary.done == 24
    assert max(sizes) == 4 and sum(sizes) >= 20
    assert contents(output) == alone


def test_a_batch_that_fails_is_done_one_by_one(engine, pixels, output, monkeypatch):
    upscale = Upscaler.upscale

    def fail(*arguments):
        raise RuntimeError("bug")

    def sometimes(upscaler, picture, *arguments):
        if np.array_equal(picture, pixels["3.png"]):
            raise WeightsError("Not finite.")
        return upscale(upscaler, picture, *arguments)

    monkeypatch.setattr(Upscaler, "upscale_batch", fail)
    monkeypatch.setattr(Upscaler, "upscale", sometimes)
    run = engine.run(limits=Limits(2, 1 << 20, 1 << 22, batch=8))
    assert run.summary.done == 7
    assert run.by_name(engine.source)["3.png"].kind is Kind.WEIGHTS
    assert len(whole(output, pixels)) == 7


def test_a_cpu_takes_one_picture_at_a_time_unless_told_otherwise(engine, pixels, monkeypatch):
    monkeypatch.setattr(Upscaler, "upscale_batch", None)
    assert engine.run().summary.done == 8


def test_the_switch_for_exact_convolutions_is_on_for_the_whole_run(engine, pixels, monkeypatch):
    """It is one for the process: loops must not turn it off for each other."""
    seen = []
    write = Steps.write

    def look(*arguments):
        seen.append(torch.backends.cudnn.allow_tf32)
        return write(*arguments)

    monkeypatch.setattr(Steps, "write", look)
    before = torch.backends.cudnn.allow_tf32
    engine.run()
    assert set(seen) == {False} and torch.backends.cudnn.allow_tf32 == before


# Stops.


class StopAfter(Collect):
    """Asks for a stop when so many pictures have ended."""

    def __init__(self, batch, count):
        super().__init__()
        self.batch, self.count = batch, count

    def ended(self, record):
        super().ended(record)
        if len(self.records) == self.count:
            self.batch.ask_to_stop()


def test_asked_to_stop_it_finishes_what_is_at_work(engine, pixels, output, monkeypatch):
    """And what is not begun stays for the next run."""
    upscale = Upscaler.upscale
    monkeypatch.setattr(
        Upscaler, "upscale", lambda *arguments: (time.sleep(0.05), upscale(*arguments))[1]
    )
    batch, scanner = engine.parts()
    listener = StopAfter(batch, 2)
    summary = batch.run(scanner.walk(), [listener])
    assert summary.stopped == "interrupted" and listener.summaries == [summary]
    assert 2 <= summary.done < 8 and summary.failed == 0
    assert len(whole(output, pixels)) == summary.done  # all that was made was told
    monkeypatch.undo()
    again = engine.run()
    assert (again.summary.skipped, again.summary.done) == (summary.done, 8 - summary.done)
    assert len(whole(output, pixels)) == 8


def test_a_stop_before_anything_has_begun(engine, pixels):
    batch, scanner = engine.parts()
    batch.ask_to_stop()
    summary = batch.run(scanner.walk())
    assert summary.stopped == "interrupted" and summary.done < 8
    batch, scanner = engine.parts(overwrite=True)
    batch.ask_to_stop()
    assert batch.plan(scanner.walk()).ended == 0


def test_the_first_failure_can_stop_the_run(engine, pixels, monkeypatch):
    (engine.source / "00.png").touch()
    upscale = Upscaler.upscale
    monkeypatch.setattr(
        Upscaler, "upscale", lambda *arguments: (time.sleep(0.05), upscale(*arguments))[1]
    )
    run = engine.run(fail_fast=True)
    assert run.summary.stopped == "failure"
    assert run.summary.failed == 1 and run.summary.done < 8
    run = engine.run(fail_fast=True, plan=True)
    assert run.summary.stopped == "failure" and run.summary.planned < 8
    assert engine.run().summary.stopped is None


class Stop(BaseException):
    """As a second Ctrl-C raises it."""


@pytest.mark.parametrize("stage", ["decode", "upscale", "encode"])
def test_broken_off_in_the_middle_of_a_stage(engine, pixels, output, monkeypatch, stage):
    """Nothing partial is left, and it takes no longer than a strip or a write."""
    reached = threading.Event()
    # Small strips and pieces, so that there is a middle.
    monkeypatch.setattr("edsr_cli.inference.planning._GOOD_ROWS", 1)
    monkeypatch.setattr("edsr_cli.inference.devices.STRIP_PIXELS", {"cpu": 1})
    owner, name = {
        "decode": (Job, "decode"),
        "upscale": (Upscaler, "_run"),
        "encode": (upscale_module, "write_picture"),
    }[stage]
    original = getattr(owner, name)

    def strips(*arguments):
        for reached_row in original(*arguments):
            time.sleep(0.1)
            yield reached_row

    def signal(*arguments, **options):
        reached.set()
        if stage == "decode":
            time.sleep(0.5)
        if stage == "upscale":
            return strips(*arguments)
        if stage == "decode":
            return original(*arguments, **options)
        check = options["check"]

        def slow():
            time.sleep(0.5)
            check()

        return original(*arguments, **(options | {"check": slow}))

    monkeypatch.setattr(owner, name, signal)

    class Breaker(Collect):
        def tick(self, state):
            if reached.is_set():
                raise Stop

    batch, scanner = engine.parts()
    with pytest.raises(Stop):
        batch.run(scanner.walk(), [Breaker()])
    assert not batch.lingering
    assert whole(output, pixels) == []


def test_a_device_that_does_not_listen_is_left_behind(engine, pixels, output, monkeypatch):
    """Its thread ends by itself; who broke off the run need not wait for that."""
    monkeypatch.setattr("edsr_cli.jobs.batch.run._PATIENCE", 0.05)
    reached, go_on = threading.Event(), threading.Event()
    upscale = Upscaler.upscale

    def stuck(*arguments):
        reached.set()
        assert go_on.wait(20)
        return upscale(*arguments)

    monkeypatch.setattr(Upscaler, "upscale", stuck)

    class Breaker(Collect):
        def tick(self, state):
            if reached.is_set():
                raise Stop

    batch, scanner = engine.parts()
    with pytest.raises(Stop):
        batch.run(scanner.walk(), [Breaker()])
    assert batch.lingering
    assert contents(output) == {}
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("edsr-"):
            thread.join(20)
    assert contents(output) == {}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_the_run(engine, pixels, output, monkeypatch, number):
    from edsr_cli.images import atomic

    write, calls = atomic._RawFile.write, []
    monkeypatch.setattr(
        Upscaler,
        "upscale",
        lambda *arguments, original=Upscaler.upscale: (time.sleep(0.02), original(*arguments))[1],
    )

    def full(file, data):
        calls.append(data)
        if len(calls) > 2:
            file.failure = OSError(number, os.strerror(number))
            raise file.failure
        return write(file, data)

    monkeypatch.setattr(atomic._RawFile, "write", full)
    run = engine.run()
    assert run.summary.stopped == "disk-full"
    assert run.summary.done == 2 and run.summary.kinds[Kind.DISK_FULL] == run.summary.failed
    assert 1 <= run.summary.failed < 6
    assert len(whole(output, pixels)) == 2
    monkeypatch.undo()
    again = engine.run()
    assert (again.summary.skipped, again.summary.done) == (2, 6)


def test_a_manifest_that_cannot_be_written_stops_the_run(engine, pixels, output, monkeypatch):
    """What is made without being recorded would be somebody else's."""

    def fail(manifest, made):
        raise ManifestError("It is gone.") from OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(Manifest, "promise", fail)
    run = engine.run()
    assert run.summary.stopped == "manifest" and run.summary.done == 0
    assert run.summary.failed == run.summary.kinds[Kind.MANIFEST] < 8 or run.summary.failed == 8
    assert whole(output, pixels) == []


# Sources that do not end, and memory.


def test_a_source_may_go_on_for_ever_and_give_a_file_twice(engine, pixels, output, monkeypatch):
    """The second time waits for the end of the first."""
    batch, scanner = engine.parts()
    tasks = list(scanner.walk())
    listener = StopAfter(batch, 4)
    at_work, most, lock = [], [], threading.Lock()
    write = Steps.write

    def slow(steps, work, check):
        with lock:
            at_work.append(work.task.source)
            most.append(len(at_work) - len(set(at_work)))
        time.sleep(0.05)
        record = write(steps, work, check)
        with lock:
            at_work.remove(work.task.source)
        return record

    monkeypatch.setattr(Steps, "write", slow)

    def source():
        for task in (tasks[0], tasks[0], tasks[1]):
            yield None
            yield task
        pixels["0.png"] = paint(tasks[0].source, seed=99)
        yield tasks[0]
        while True:
            time.sleep(0.01)
            yield None

    summary = batch.run(source(), [listener])
    assert max(most) == 0
    statuses = [(record.input[-5:], record.status.value) for record in listener.records]
    assert statuses.count(("0.png", "done")) >= 1 and ("1.png", "done") in statuses
    assert summary.stopped == "interrupted" and summary.ended == 4
    assert whole(output, pixels) == ["0.png", "1.png"]


def test_a_source_is_read_only_a_little_ahead(engine, output, monkeypatch):
    """So that nothing grows with the number of pictures."""
    names = [f"{i:03}.png" for i in range(200)]
    paint(engine.source / names[0])
    for name in names[1:]:
        os.link(engine.source / names[0], engine.source / name)
    go_on = threading.Event()
    upscale = Upscaler.upscale
    monkeypatch.setattr(
        Upscaler, "upscale", lambda *arguments: (go_on.wait(20), upscale(*arguments))[1]
    )
    fed = []

    class Watch(Collect):
        def tick(self, state):
            fed.append(state.fed)
            if len(fed) > 5:
                go_on.set()

    size = 6 * 9 * 3
    run = engine.run(Watch(), limits=Limits(2, 10 * size, 40 * size))
    assert run.summary.done == 200
    # What waits to be decoded, what is being decoded, what waits for the device, and what is on it.
    assert fed[4] == fed[5] <= module._AHEAD + 1 + 2 + 10 + 1


@pytest.mark.parametrize("slow", ["upscale", "encode"])
def test_memory_is_bounded_in_bytes(engine, output, monkeypatch, slow):
    """Whichever stage is slow; one picture that is larger than the bound gets through alone."""
    small, large = 3 * 20 * 20, 3 * 60 * 60
    for i in range(20):
        side = 60 if i == 7 else 20
        paint(engine.source / f"{i:02}.png", side, side, i)
    used, take = {}, Room.take

    def look(room, size):
        take(room, size)
        used.setdefault(room.limit, []).append((room.used, size))

    monkeypatch.setattr(Room, "take", look)
    name = "upscale" if slow == "upscale" else "write"
    owner = Upscaler if slow == "upscale" else Steps
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments: (time.sleep(0.01), original(*arguments))[1])
    limits = Limits(3, 4 * small, 5 * 4 * small)
    run = engine.run(limits=limits)
    assert run.summary.done == 20
    decoded, upscaled = used[limits.decoded_bytes], used[limits.upscaled_bytes]
    assert len(decoded) == len(upscaled) == 20
    assert all(total <= limits.decoded_bytes or total == size == large for total, size in decoded)
    assert all(
        total <= limits.upscaled_bytes or total == size == 4 * large for total, size in upscaled
    )
    busiest = max(total for total, _ in (decoded if slow == "upscale" else upscaled))
    assert busiest >= (4 if slow == "upscale" else 3) * small  # the bound was reached


def test_the_device_never_waits_while_a_picture_is_ready(engine, pixels, monkeypatch):
    """A picture that is slow to decode does not hold up those behind it."""
    go_on, seen = threading.Event(), []
    decode, upscale = Job.decode, Upscaler.upscale

    def slow(job):
        if job.task.source.name == "0.png":
            assert go_on.wait(20)
        decode(job)

    def watch(*arguments):
        seen.append(1)
        if len(seen) == 7:
            go_on.set()
        return upscale(*arguments)

    monkeypatch.setattr(Job, "decode", slow)
    monkeypatch.setattr(Upscaler, "upscale", watch)
    assert engine.run().summary.done == 8


def test_how_it_is_going(engine, pixels, monkeypatch):
    states = []

    class Watch(Collect):
        def tick(self, state):
            states.append((state.loops[0].current, state.loops[0].progress, state.stopping))

    upscale = Upscaler.upscale

    def slow(upscaler, *arguments):
        result = upscale(upscaler, *arguments)
        time.sleep(0.1)
        return result

    monkeypatch.setattr(Upscaler, "upscale", slow)
    run = engine.run(Watch(), limits=LIMITS)
    assert run.states[-1][1:] == (8, 8, True)  # found, and counted by the other walk
    assert [ended for ended, *_ in run.states] == sorted(ended for ended, *_ in run.states)
    assert any(len(current) == 1 and progress == (54, 54) for current, progress, _ in states)
    assert not any(stopping for *_, stopping in states)
