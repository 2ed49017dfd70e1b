"""Pictures that are written as they come, a strip of rows at a time, from the top.

Strips are compressed in threads, and what comes of them is written in order by the thread that
brings the rows. No more strips wait than keep the threads busy, so memory follows the width of the
picture, not its height. Where strips begin does not depend on how the rows come, so the file does
not either.
"""

import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from shutil import copyfileobj
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edsr_cli.images.picture import OutputRequest
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import spread_over
from edsr_cli.pixels.windows import Region

Strip = NDArray[Any]
"""Rows as a file has them, (h, W, channels): grey or RGB, and alpha behind it if there is any."""


class RowEncoder(ABC):
    """An `Encoder` that takes rows from the top, as they come or all at once.

    What a strip becomes in a file is said by `_compressed`; where that goes, by `_put`.

    Args:
        request: what is asked of the picture; see `Codec.create`.
        strip_rows: rows in a strip; the last may have fewer.
        above: rows above a strip that `_compressed` is to see; at the top there are none.
        stored: the type of samples in the file, such as ">u2"; None for that of the pixels.
    """

    order: Literal["any", "rows"] = "rows"

    def __init__(
        self,
        request: OutputRequest,
        *,
        strip_rows: int,
        above: int = 0,
        stored: DTypeLike | None = None,
    ) -> None:
        self.shape, self.dtype, alpha = request.shape, request.dtype, request.alpha
        self.channels = self.shape[2] + (alpha is not None)
        self.strip_rows = max(1, min(strip_rows, self.shape[0]))
        self._alpha, self._most_above = alpha, above
        self._stored = np.dtype(stored or self.dtype)
        self._reached = 0  # the row below those that have come
        self._above: Strip = self._empty(0)
        self._strip = self._empty(self.strip_rows)
        self._work = InOrder(request.options.threads)

    def write(self, region: Region, pixels: Pixels) -> None:
        """Take the next rows, which are copied."""
        height, width, colours = self.shape
        if (region.top, region.left, region.right) != (self._reached, 0, width):
            raise ValueError(f"the rows from {self._reached} on are to come, not {region}")
        while self._reached < region.bottom:
            place = self._reached % self.strip_rows
            count = min(self.strip_rows - place, region.bottom - self._reached)
            first = self._reached - region.top
            rows = self._strip[place : place + count]
            rows[..., :colours] = pixels[first : first + count]
            if self._alpha is not None:
                alpha = self._alpha[self._reached : self._reached + count]
                rows[..., colours] = spread_over(alpha, self.dtype)
            self._reached += count
            if place + count == self.strip_rows or self._reached == height:
                self._pass_on(place + count)

    def finish(self) -> tuple[str, ...]:
        """Write what is left; remarks on what was found out only now."""
        if self._reached < self.shape[0]:
            raise ValueError(f"only {self._reached} of {self.shape[0]} rows have come")
        self._work.finish(self._put)
        return ()

    def abandon(self) -> None:
        """Give the work up, and leave the file as it is."""
        self._work.abandon()

    @abstractmethod
    def _compressed(self, strip: Strip, above: Strip, top: int) -> Any:
        """What a strip is in the file, which begins at the row `top`; called in any thread."""

    @abstractmethod
    def _put(self, compressed: Any) -> None:
        """Write what the next strip has become."""

    def _pass_on(self, rows: int) -> None:
        """Have the strip compressed, and begin another."""
        above, strip = self._above, self._strip[:rows]
        top, last = self._reached - rows, self._reached == self.shape[0]
        for job in self._jobs(strip, above, top):
            self._work.submit(job, self._put)
        seen = strip
        if rows < self._most_above:  # else in NumPy's byte order, whatever that of both is
            seen = np.concatenate((above, strip), dtype=self._stored)
        self._above = seen[max(0, len(seen) - self._most_above) :]
        self._strip = self._empty(0 if last else self.strip_rows)

    def _jobs(self, strip: Strip, above: Strip, top: int) -> Iterator[Callable[[], Any]]:
        """What is to be done for a strip, in pieces of which each is one to `_put`."""
        yield lambda: self._compressed(strip, above, top)

    def _empty(self, rows: int) -> Strip:
        return np.empty((rows, self.shape[1], self.channels), self._stored)


class InOrder:
    """Work that threads do, whose results are taken in the order of the work.

    It does not keep who takes them, which is whoever has this: the two would keep each other, and
    the file, until Python's collector comes by.

    Args:
        threads: how many work; with one, it is the caller's.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._results: deque[Future[Any]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], Any], take: Callable[[Any], None]) -> None:
        """Have something done, after what else is waiting, if that is enough for all threads.

        Args:
            work: what to do.
            take: called with each result that is due, by the calling thread.
        """
        if self._threads <= 1:
            take(work())
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "edsr-strips")
        self._take_all_but(self._threads, take)
        work = cache(work)
        try:
            self._results.append(self._pool.submit(work))
        except RuntimeError:  # the system gives no more threads, but one that it gave may have it
            self.finish(take)
            self._threads = 1
            take(work())

    def finish(self, take: Callable[[Any], None]) -> None:
        """Take what is left; see `submit`."""
        self._take_all_but(0, take)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the threads, and drop what they have not begun."""
        self._results.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _take_all_but(self, count: int, take: Callable[[Any], None]) -> None:
        while len(self._results) > count:
            take(self._results.popleft().result())


class Seekable:
    """A file to seek in, whatever the real one is: what is written to a pipe is kept on disk first.

    Args:
        file: where it goes in the end; written from its current position.

    Attributes:
        file: where to write; positions count from `start`.
        start: the position that is the beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._real, self._scratch = file, ExitStack()
        if file.seekable():
            self.file, self.start = file, file.tell()
        else:
            self.file, self.start = self._scratch.enter_context(tempfile.TemporaryFile()), 0  # noqa: SIM115

    def close(self) -> None:
        """Hand over what was kept, and leave the position at the end."""
        self.file.seek(0, 2)
        if self.file is not self._real:
            self.file.seek(0)
            copyfileobj(self.file, self._real, 1 << 20)
        self.abandon()

    def abandon(self) -> None:
        """Drop what was kept."""
        self._scratch.close()
