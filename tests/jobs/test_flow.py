import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.jobs.flow import AbandonedError, Channel, Crew, Room

SOON = 0.05  # seconds after which something that waits is taken to wait
LATE = 60  # seconds after which something that is to come is taken not to come


def background(function, *arguments):
    """Call something in a thread; gives an event for its end, and what it raised."""
    ended, raised = threading.Event(), []

    def run():
        try:
            function(*arguments)
        except BaseException as error:
            raised.append(error)
        ended.set()

    threading.Thread(target=run).start()
    return ended, raised


def test_room_is_bounded():
    room = Room(10)
    room.take(6)
    room.take(4)
    waiting, raised = background(room.take, 1)
    assert not waiting.wait(SOON)
    room.give(4)
    assert waiting.wait(LATE) and not raised
    assert room.used == 7


def test_what_is_larger_than_the_room_comes_in_alone():
    room = Room(10)
    room.take(1)
    large, _ = background(room.take, 99)
    assert not large.wait(SOON)
    small, _ = background(room.take, 1)  # it came later, and does not overtake
    assert not small.wait(SOON)
    room.give(1)
    assert large.wait(LATE) and not small.wait(SOON)
    room.give(99)
    assert small.wait(LATE)


def test_a_closed_room_lets_nobody_wait():
    room = Room(1)
    room.take(1)
    ended = [background(room.take, 1) for _ in range(3)]
    room.close()
    for event, raised in ended:
        assert event.wait(LATE) and isinstance(raised[0], AbandonedError)
    with pytest.raises(AbandonedError):
        room.take(0)


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 5))
def test_no_more_is_in_the_room_than_fits(sizes, threads):
    room, seen = Room(20), []

    def use(size):
        room.take(size)
        seen.append((room.used, size))
        room.give(size)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(use, sizes))
    assert len(seen) == len(sizes) and room.used == 0
    assert all(used <= 20 or size > 20 or used == max(sizes) for used, size in seen)


def test_channels_keep_order_and_end():
    channel = Channel()
    for item in "abc":
        channel.put(item)
    channel.finish()
    assert not channel.ended and len(channel) == 3
    assert [channel.get(), channel.get(), channel.get(), channel.get()] == ["a", "b", "c", None]
    assert channel.ended


def test_channels_wait_for_items_and_for_places():
    channel = Channel(limit=1)
    assert channel.get(timeout=0.01) is None and not channel.ended
    channel.put("a")
    put, _ = background(channel.put, "b")
    assert not put.wait(SOON)
    assert channel.get() == "a"
    assert put.wait(LATE)
    assert channel.get() == "b"
    got, _ = background(channel.get)
    assert not got.wait(SOON)
    channel.finish()
    assert got.wait(LATE)


def test_a_closed_channel_gives_and_takes_nothing():
    channel = Channel(limit=1)
    channel.put("a")
    put, raised = background(channel.put, "b")
    channel.close()
    assert put.wait(LATE) and isinstance(raised[0], AbandonedError)
    assert channel.get() is None and channel.ended and len(channel) == 0
    with pytest.raises(AbandonedError):
        channel.put("c")


def test_the_last_of_a_crew_says_so():
    went, numbers, crashes = threading.Barrier(3), [], []
    done = threading.Event()

    def work(number):
        went.wait(LATE)
        numbers.append(number)
        if number == 1:
            raise KeyError("bug")
        if number == 2:
            raise AbandonedError

    crew = Crew("test", 3, work, done.set, crashes.append)
    crew.start()
    assert done.wait(LATE) and crew.join()
    assert sorted(numbers) == [0, 1, 2]
    assert [type(error) for error in crashes] == [KeyError]


def test_one_can_stop_waiting_for_a_crew():
    go_on = threading.Event()
    crew = Crew("test", 2, lambda number: go_on.wait(LATE), lambda: None, print)
    crew.start()
    begin = time.monotonic()
    assert not crew.join(0.01) and time.monotonic() - begin < LATE / 2
    go_on.set()
    assert crew.join()
