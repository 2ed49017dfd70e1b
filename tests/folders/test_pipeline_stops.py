"""The threads of a batch, when they are asked to stop, or made to."""

import threading

import pytest

from edsr_cli import images
from edsr_cli.inference import Upscaler
from edsr_cli.inference.execution import Execution
from edsr_cli.jobs.threads import Threaded
from edsr_cli.jobs.worker import Worker
from tests.folders.engine import (
    Collect,
    StopAfter,
    contents,
    no_more_than_until_the_stop,
    whole,
)

pytestmark = pytest.mark.usefixtures("threads_end")


def test_asked_to_stop_it_finishes_what_is_at_work(engine, pixels, output, monkeypatch):
    """And what is not begun stays for the next run."""
    no_more_than_until_the_stop(3, monkeypatch)
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
    no_more_than_until_the_stop(1, monkeypatch)
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
    reached, abandoned = threading.Event(), threading.Event()
    # Small strips and pieces, so that there is a middle.
    for engine_name, pixels_of_strip in (("torch", {"cpu": 1}), ("ncnn", 1)):
        room = f"edsr_cli.inference.engines.{engine_name}"
        monkeypatch.setattr(f"{room}.costs.GOOD_ROWS", 1)
        monkeypatch.setattr(f"{room}.engine.STRIP_PIXELS", pixels_of_strip)
    owner, name = {
        "decode": (Worker, "decode"),
        "upscale": (Execution, "_put"),
        "encode": (images, "written"),
    }[stage]
    original = getattr(owner, name)

    abandon = Threaded._abandon
    monkeypatch.setattr(Threaded, "_abandon", lambda self: (abandon(self), abandoned.set()))

    def in_the_middle():
        """No stage gets to its end before the run is broken off, however slow that is."""
        reached.set()
        assert abandoned.wait(60)

    def signal(*arguments, **options):
        if stage != "encode":
            in_the_middle()
            return original(*arguments, **options)
        check = options["check"]

        def slow():
            in_the_middle()
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
    monkeypatch.setattr("edsr_cli.jobs.threads._PATIENCE", 0.05)
    reached, go_on = threading.Event(), threading.Event()
    upscale = Upscaler.upscale_into

    def stuck(*arguments, **options):
        reached.set()
        assert go_on.wait(60)
        return upscale(*arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", stuck)

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
            thread.join(60)
    assert contents(output) == {}
