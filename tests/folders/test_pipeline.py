"""The threads of a batch: several devices, pictures of one size, endless sources, and memory."""

import gc
import os
import threading
import time
import weakref
from contextlib import suppress

import pytest
from PIL import Image

from edsr_cli.images import open_picture
from edsr_cli.images.codecs.rows import RowEncoder
from edsr_cli.inference import Upscaler
from edsr_cli.jobs import threads as module
from edsr_cli.jobs.flow import Room
from edsr_cli.jobs.threads import Limits
from edsr_cli.jobs.worker import Worker
from tests.folders.engine import LIMITS, Collect, Engine, StopAfter, paint, whole
from tests.images.test_streams import TURNED
from tests.jobs.conftest import by_rows

pytestmark = pytest.mark.usefixtures("threads_end")


def test_several_devices_share_the_work(engine, pixels, output, monkeypatch):
    two = Engine(engine.source, devices=("cpu", "cpu"))
    meeting, used = threading.Barrier(2), set()
    upscale = Upscaler.upscale_into

    def meet(upscaler, *arguments, **options):
        if len(used) < 2:
            used.add(upscaler)
            meeting.wait(60)  # both are at work at the same time
        return upscale(upscaler, *arguments, **options)

    monkeypatch.setattr(Upscaler, "upscale_into", meet)
    run = two.run()
    assert run.summary.done == 8 and used == set(two.upscalers)
    assert len(whole(output, pixels)) == 8
    assert 0 < run.summary.load.busy_share <= 1


def test_a_source_may_go_on_for_ever_and_give_a_file_twice(engine, pixels, output, monkeypatch):
    """The second time waits for the end of the first."""
    batch, scanner = engine.parts()
    tasks = list(scanner.walk())
    listener = StopAfter(batch, 4)
    at_work, most, lock = [], [], threading.Lock()
    write = Worker.write

    def slow(worker, work, *how):
        with lock:
            at_work.append(work.task.source)
            most.append(len(at_work) - len(set(at_work)))
        time.sleep(0.05)
        write(worker, work, *how)
        with lock:
            at_work.remove(work.task.source)

    monkeypatch.setattr(Worker, "write", slow)

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
    upscale = Upscaler.upscale_into
    monkeypatch.setattr(
        Upscaler,
        "upscale_into",
        lambda *args, **options: (go_on.wait(60), upscale(*args, **options))[1],
    )
    fed = []

    class Watch(Collect):
        def tick(self, state):
            fed.append(state.fed)
            if len(fed) > 5:
                go_on.set()

    size = 6 * 9 * 3
    run = engine.run(
        Watch(), limits=Limits(workers=2, decoded_bytes=10 * size, upscaled_bytes=40 * size)
    )
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
    limits = Limits(workers=3, decoded_bytes=4 * small, upscaled_bytes=5 * 4 * small)
    watched = limits.decoded_bytes if slow == "upscale" else limits.upscaled_bytes
    bound = (4 if slow == "upscale" else 3) * small
    reached = threading.Event()

    def look(room, size):
        take(room, size)
        total = room.used
        used.setdefault(room.limit, []).append((total, size))
        if room.limit == watched and total >= bound:
            reached.set()

    monkeypatch.setattr(Room, "take", look)
    name = "upscale" if slow == "upscale" else "write"
    owner = Upscaler if slow == "upscale" else Worker
    original = getattr(owner, name)
    monkeypatch.setattr(
        owner, name, lambda *args, **options: (reached.wait(60), original(*args, **options))[1]
    )
    run = engine.run(limits=limits)
    assert run.summary.done == 20
    decoded, upscaled = used[limits.decoded_bytes], used[limits.upscaled_bytes]
    assert len(decoded) == len(upscaled) == 20
    assert all(total <= limits.decoded_bytes or total == size == large for total, size in decoded)
    assert all(
        total <= limits.upscaled_bytes or total == size == 4 * large for total, size in upscaled
    )
    busiest = max(total for total, _ in (decoded if slow == "upscale" else upscaled))
    assert busiest >= bound


def test_the_device_never_waits_while_a_picture_is_ready(engine, pixels, monkeypatch):
    """A picture that is slow to decode does not hold up those behind it."""
    go_on, seen = threading.Event(), []
    decode, upscale = Worker.decode, Upscaler.upscale_into

    def slow(worker, work):
        if work.task.source.name == "0.png":
            assert go_on.wait(60)
        decode(worker, work)

    def watch(*arguments, **options):
        seen.append(1)
        if len(seen) == 7:
            go_on.set()
        return upscale(*arguments, **options)

    monkeypatch.setattr(Worker, "decode", slow)
    monkeypatch.setattr(Upscaler, "upscale_into", watch)
    assert engine.run().summary.done == 8


@pytest.mark.parametrize("fails", [False, True], ids=["done", "a thread has died"])
def test_a_run_that_is_over_keeps_nothing(engine, pixels, monkeypatch, fails):
    """Its networks have native memory, which Python's collector knows nothing of."""
    encoders = weakref.WeakSet()
    create = RowEncoder.__init__

    def note(encoder, *arguments, **options):
        encoders.add(encoder)
        create(encoder, *arguments, **options)

    def die(*arguments):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(RowEncoder, "__init__", note)
    batch, scanner = engine.parts()
    gone = [weakref.ref(batch), weakref.ref(engine.upscalers[0])]
    engine.upscalers = ()
    gc.disable()
    try:
        if fails:
            monkeypatch.setattr(Worker, "finish", die)
        with suppress(RuntimeError):
            batch.run(scanner.walk(), counting=scanner.count())
        del batch, scanner
        assert [each() for each in gone] == [None, None]
        assert not encoders
    finally:
        gc.enable()


def test_how_it_is_going(engine, pixels, monkeypatch):
    states = []

    class Watch(Collect):
        def tick(self, state):
            current = state.loops[0].current
            label = current and current.label
            states.append((label, state.loops[0].progress, state.stopping))

    upscale = Upscaler.upscale_into

    def slow(upscaler, *arguments, **options):
        result = upscale(upscaler, *arguments, **options)
        time.sleep(0.1)
        return result

    monkeypatch.setattr(Upscaler, "upscale_into", slow)
    run = engine.run(Watch(), limits=LIMITS)
    assert run.states[-1][1:] == (8, 8, True)  # found, and counted by the other walk
    assert [ended for ended, *_ in run.states] == sorted(ended for ended, *_ in run.states)
    assert any(current in pixels and progress == (54, 54) for current, progress, _ in states)
    assert not any(stopping for *_, stopping in states)


def test_what_a_decoder_takes_of_a_picture_by_rows_is_reckoned(engine, output, monkeypatch):
    """As long as it decodes: pixels that are on disk, or not decoded yet, take no room."""
    by_rows(monkeypatch)
    for name in ("turned.jpg", "straight.png"):
        path = engine.source / name
        how = {"exif": TURNED, "progressive": True} if name == "turned.jpg" else {}
        Image.new("RGB", (90, 70), "teal").save(path, **how)
    asked, take = [], Room.take

    def look(room, size):
        take(room, size)
        asked.append((room.limit, size, room.used))

    rooms, give = {}, Room.give

    def back(room, size):
        give(room, size)
        rooms[room.limit] = room.used

    monkeypatch.setattr(Room, "take", look)
    monkeypatch.setattr(Room, "give", back)
    run = engine.run(include=("turned.jpg", "straight.png"))
    assert run.summary.done == 2
    with open_picture(engine.source / "turned.jpg") as picture:
        needed = picture.info.decoder_bytes
    assert needed > 3 * 90 * 70
    assert sorted(size for limit, size, _ in asked if limit == LIMITS.decoded_bytes) == [0, needed]
    assert rooms == {LIMITS.decoded_bytes: 0}
