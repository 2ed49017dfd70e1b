"""The threads of a batch, when something fails in one of their stages."""

import errno
import os
import threading

import pytest

from edsr_cli import images
from edsr_cli.errors import DeviceMemoryError, Kind, PictureError, ThreadError, WeightsError
from edsr_cli.files import atomic
from edsr_cli.folders.ledger import FolderLedger, OutputFolder
from edsr_cli.folders.manifest import Manifest
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import writing
from edsr_cli.jobs.ledger import LedgerError
from edsr_cli.jobs.record import Status
from edsr_cli.jobs.threads import Limits
from edsr_cli.jobs.worker import Worker
from tests.folders.engine import Collect, contents, no_more_than_until_the_stop, whole

pytestmark = pytest.mark.usefixtures("threads_end")


@pytest.mark.parametrize("number", [0, 1, 4])
def test_threads_that_cannot_be_started_are_the_reason(engine, pixels, output, monkeypatch, number):
    """Those that were started end; nobody waits for those that were not."""
    begin, begun = threading.Thread.start, []

    def refuse(thread):
        if thread.name.startswith("edsr-"):
            begun.append(thread)
            if len(begun) > number:
                raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ThreadError, match="does not let this program start another thread"):
        engine.run()
    assert len(begun) == number + 1
    monkeypatch.undo()
    assert engine.run().summary.done + len(contents(output)) >= len(pixels)


FAULTS = {
    "probe": (images, "probe"),
    "check_writable": (writing, "check_writable"),
    "decode": (images, "open_picture"),
    "upscale": (Upscaler, "upscale_into"),
    "encode": (images, "written"),
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
    run = engine.run(limits=Limits(workers=1, decoded_bytes=1 << 20, upscaled_bytes=1 << 20))
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
            (Worker, "examine"),
            (Worker, "decode"),
            (Worker, "write"),
            (FolderLedger, "close_account"),
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
        batch.run(scanner.walk(), [Bad()], scanner.count())
    assert not batch.lingering
    whole(output, pixels)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_the_run(engine, pixels, output, monkeypatch, number):
    write, calls = atomic._RawFile.write, []
    no_more_than_until_the_stop(4, monkeypatch)

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
        raise LedgerError("It is gone.") from OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(Manifest, "promise", fail)
    run = engine.run()
    assert run.summary.stopped == "manifest" and run.summary.done == 0
    assert run.summary.failed == run.summary.kinds[Kind.MANIFEST] < 8 or run.summary.failed == 8
    assert whole(output, pixels) == []
