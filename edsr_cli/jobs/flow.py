"""What threads share: queues, room in memory, crews, and which outputs are being made."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from edsr_cli.errors import ThreadError

T = TypeVar("T")


class AbandonedError(BaseException):
    """The work is given up: whoever waits for something will not get it.

    No `Exception`, so that nobody takes it for the failure of a file.
    """


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        ThreadError: the system does not let us.
    """
    try:
        thread.start()
    except RuntimeError as error:
        if not ThreadError.is_behind(error):
            raise
        raise ThreadError from error


class Room:
    """Bytes that may be in use at once; first come, first served.

    What is larger than all of the room is let in when nobody else is there.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._waiting: deque[object] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Wait until there is room for `size` bytes, and take it.

        Raises:
            AbandonedError: the room is closed.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._closed or (self._waiting[0] is ticket and self._fits(size))
                )
                if self._closed:
                    raise AbandonedError
                self.used += size
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self.used -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self.limit


class Channel(Generic[T]):
    """A queue that has an end.

    Whoever waits is told when it is empty or full no longer, not of each item: with 100,000
    pictures of which all are done, waking threads took a quarter of the time.

    Args:
        limit: the number of items it holds; None for any number.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._finished = self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item, when there is a place for it.

        Raises:
            AbandonedError: the channel is closed.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._limit is None or len(self._items) < self._limit
            )
            if self._closed:
                raise AbandonedError
            self._items.append(item)
            if len(self._items) == 1:
                self._changed.notify_all()

    def get(self, timeout: float | None = None) -> T | None:
        """The next item; None at the end of all, or after `timeout` seconds without one."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self.ended, timeout)
            if not self._items:
                return None
            item = self._items.popleft()
            if self._limit is not None and len(self._items) == self._limit - 1:
                self._changed.notify_all()
            return item

    @property
    def ended(self) -> bool:
        """Whether there will be no items any more."""
        return self._closed or (self._finished and not self._items)

    def finish(self) -> None:
        """Say that no more items will be put in."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what is in the channel, and take and give nothing any more."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


class Crew:
    """Threads that do the same work.

    Args:
        name: for debuggers.
        size: number of threads.
        work: what each does, given its number from 0; it returns when there is nothing left.
        done: called by the last of them.
        crashed: called with what `work` raises, except `AbandonedError`.
    """

    def __init__(
        self,
        name: str,
        size: int,
        work: Callable[[int], None],
        done: Callable[[], None],
        crashed: Callable[[BaseException], None],
    ) -> None:
        self._work, self._done, self._crashed = work, done, crashed
        self._left, self._lock = size, threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"edsr-{name}-{number}")
            for number in range(size)
        ]

    def start(self) -> None:
        """Begin.

        Raises:
            ThreadError: not all threads can be started; those that were are at work.
        """
        for thread in self._threads:
            start_thread(thread)

    def join(self, deadline: float | None = None) -> bool:
        """Wait for all threads to end, at most `deadline` seconds each; whether they have."""
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(deadline)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, number: int) -> None:
        try:
            self._work(number)
        except AbandonedError:
            pass
        except BaseException as error:
            self._crashed(error)
        finally:
            with self._lock:
                self._left -= 1
                last = self._left == 0
            if last:
                self._done()


class InFlight:
    """Keeps two tasks from making one output at the same time.

    Tasks of a scan never do, but a file that changes while it is upscaled comes a second time.
    """

    def __init__(self) -> None:
        self._outputs: set[Path] = set()
        self._closed = False
        self._changed = threading.Condition()

    def enter(self, output: Path) -> None:
        """Wait until nobody makes the output, and make it.

        Raises:
            AbandonedError: nothing new is to be begun.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or output not in self._outputs)
            if self._closed:
                raise AbandonedError
            self._outputs.add(output)

    def leave(self, output: Path) -> None:
        """The output is made, or not going to be."""
        with self._changed:
            self._outputs.discard(output)
            self._changed.notify_all()

    def close(self) -> None:
        """Begin nothing new."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
