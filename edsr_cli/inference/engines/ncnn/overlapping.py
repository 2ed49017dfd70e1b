"""A picture on its way through a network in one piece, in windows of rows; exact.

Here a network holds nothing: from a GPU that would come, and go back to it, for every convolution;
and a small picture is a single window. Each strip goes through all of it with the rows around that
it depends on, which are computed twice, as are the columns around panels.
"""

from collections.abc import Iterator

import numpy as np

from edsr_cli.inference.engines.ncnn.graph import Graph
from edsr_cli.inference.engines.ncnn.library import features_of
from edsr_cli.inference.engines.ncnn.streaming import Memory, Planes, Tail, extracted, given
from edsr_cli.model.config import TAIL_RADIUS


class Overlapping:
    """One view of a network while a picture runs through it.

    Args:
        graph: the network, in one piece.
        memory: where it computes on the CPU.
        most_rows: rows that are made at once.
    """

    def __init__(self, graph: Graph, memory: Memory, most_rows: int) -> None:
        self._graph, self._memory, self._most_rows = graph, memory, most_rows
        self._tail = Tail(graph, memory)
        self._rows: Planes | None = None  # those that are needed still
        self._start = self._done = 0  # rows of the picture before them, and that are finished

    def push(self, rows: Planes, last: bool) -> Iterator[Planes]:
        """Take the next rows, (3, h, w) with the mean taken off, and give those that are finished.

        Raises:
            OutOfMemoryError: nothing can be pushed after that.
        """
        if self._rows is not None:
            rows = np.concatenate([self._rows, rows], 1)
        end = self._start + rows.shape[1]
        ready = end if last else end - self._graph.delay
        while (count := min(self._most_rows, ready - self._done)) > 0:
            if count < self._most_rows and not last:
                break
            yield self._finished(rows, count, last and self._done + count == end)
            self._done += count
        start = max(self._start, self._done - self._graph.delay)
        self._rows, self._start = rows[:, start - self._start :], start

    def _finished(self, rows: Planes, count: int, last: bool) -> Planes:
        """The next rows that are finished; `rows` begin with `_start`."""
        reach = self._graph.delay
        top = max(self._start, self._done - reach)
        window = rows[:, top - self._start : self._done + count + reach - self._start]
        channels, height, width = window.shape
        mat = self._memory.empty(channels, height, width, 1)
        features_of(mat)[..., 0] = window
        extractor = self._memory.extractor(self._graph.net)
        given(extractor, "x", mat)
        planes = features_of(extracted(extractor, "y", packed=False))[..., 0]
        features = features_of(extracted(extractor, "t", packed=False))  # and in fp32
        begin, end = self._done - top, self._done - top + count
        outside = max(0, TAIL_RADIUS - begin), max(0, end + TAIL_RADIUS - height)
        features = features[:, max(0, begin - TAIL_RADIUS) : end + TAIL_RADIUS]
        features = np.pad(features, [(0, 0), outside, (0, 0), (0, 0)])
        # The tail of the graph is that of pixels around which the picture goes on.
        planes = planes[:, begin:end].copy()
        self._tail.mend_border(planes, features, first=self._done == 0, last=last)
        return planes
