"""Rows that are written while the next ones are made."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Literal

from edsr_cli.errors import ThreadError
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Region, Writable

_WAITING = 2  # regions


class Behind:
    """A window of which the regions are written in another thread, in their order: a `Writable`.

    Use it in a `with` statement, whose end waits for all of them. What fails there is raised by
    one of the next calls, or at the end. Pixels that were handed over must be left alone.

    Args:
        window: where they go.
    """

    def __init__(self, window: Writable) -> None:
        self.shape, self.dtype = window.shape, window.dtype
        self.order: Literal["any", "rows"] = window.order
        self._window = window
        self._writer = ThreadPoolExecutor(1, "edsr-write")
        self._has_thread = True  # or will have one
        self._coming: deque[Future[None]] = deque()

    def write(self, region: Region, pixels: Pixels) -> None:
        """Put pixels where the region says, soon; it waits while there are some ahead of them."""
        self._wait_for_all_but(_WAITING - 1)
        if self._has_thread:
            try:
                self._coming.append(self._writer.submit(self._window.write, region, pixels))
                return
            except RuntimeError as error:
                if not ThreadError.is_behind(error):
                    raise
            # The region is in the queue all the same, where a later thread would find it.
            self._writer.shutdown(cancel_futures=True)
            self._has_thread = False
        self._window.write(region, pixels)

    def __enter__(self) -> "Behind":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._wait_for_all_but(0)
        finally:
            self._writer.shutdown(cancel_futures=True)

    def _wait_for_all_but(self, count: int) -> None:
        while len(self._coming) > count:
            self._coming.popleft().result()
