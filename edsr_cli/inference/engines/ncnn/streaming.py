"""A picture on its way through a network, in strips of rows; exact.

As in `edsr_cli.inference.engines.torch.streaming`, every convolution keeps the last rows of its
input, and gives the rows that are complete when others come. Zeros are put around the picture
where the plain network puts them. Where a picture begins and ends, convolutions get more or fewer
rows than they give; there they are computed one by one. Between, the graph does a strip at once.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.inference.engine import OutOfMemoryError
from edsr_cli.inference.engines.ncnn import library
from edsr_cli.inference.engines.ncnn.graph import BLOCK, Graph
from edsr_cli.inference.engines.ncnn.library import Features, empty_mat, features_of
from edsr_cli.model.config import TAIL_RADIUS
from edsr_cli.model.impulse import Borders

_NEEDED = TAIL_RADIUS + 1  # columns that the outermost one depends on
TAIL_BYTES = 4 << 20
"""What the tail may work in: of few features it makes many more numbers, `NcnnEngine.memory_of`."""
_TAIL_COPIES = 5
"""Numbers that it works with for each that comes or goes: blocks, Winograd's 36 for 16, packs."""
_TILE_COLUMNS = 4 * BLOCK  # of Winograd's tiles, in pixels

Planes = NDArray[np.float32]
"""(3 * scale^2, h, w): output before its pixel shuffle."""


class Memory:
    """Where a stream computes: its allocators. `close` comes last."""

    def __init__(self) -> None:
        self._pools = library.POOLS.take()

    def extractor(self, net: Any) -> Any:
        """Something that computes with a network."""
        extractor = net.create_extractor()
        extractor.set_blob_allocator(self._pools[0])
        extractor.set_workspace_allocator(self._pools[1])
        return extractor

    def empty(self, groups: int, height: int, width: int, pack: int) -> Any:
        """A matrix."""
        return empty_mat(groups, height, width, pack, self._pools[0])

    def close(self) -> None:
        """Let go of everything; what was allocated here must be gone."""
        library.POOLS.give_back(self._pools)


class Window:
    """The rows of a convolution's input that later rows still need.

    Args:
        radius: rows that it looks up and down.

    Attributes:
        start: which row of the picture the latest window began with; negative for zeros above it.
        held: the rows, as a matrix that stays the same; None before there are all of them.
    """

    def __init__(self, radius: int) -> None:
        self.radius = radius
        self.start = self._start_of_next = -radius
        self.held: Any = None
        self._rows: Features | None = None  # those that are held, or a view on them

    def made(self, rows: Features, last: bool, memory: Memory) -> tuple[Any, Features]:
        """What is held, the rows that come, and zeros where the picture begins or ends.

        A window is 2 * radius rows higher than what can be made from it; if it is lower than that,
        nothing can. What the next one needs is kept.
        """
        groups, count, width, pack = rows.shape
        above = self.radius if self._rows is None else self._rows.shape[1]
        below = self.radius if last else 0
        mat = memory.empty(groups, above + count + below, width, pack)
        window = features_of(mat)
        window[:, :above] = 0 if self._rows is None else self._rows
        window[:, above : above + count] = rows
        window[:, above + count :] = 0
        self._keep(window)
        return mat, window

    def moved(self, window: Features) -> None:
        """Another window was made, by the graph, from what is held and a strip of rows."""
        assert self._rows is not None
        self.start = self._start_of_next
        self._start_of_next += window.shape[1] - self._rows.shape[1]
        self._rows[...] = window[:, -2 * self.radius :]

    def _keep(self, window: Features) -> None:
        count = min(2 * self.radius, window.shape[1])
        self.start = self._start_of_next
        self._start_of_next += window.shape[1] - count
        kept = window[:, window.shape[1] - count :]
        if self.held is not None:
            self._rows[...] = kept  # type: ignore[index]  # it has been set with it
        elif count == 2 * self.radius:
            self.held = empty_mat(*kept.shape)
            self._rows = features_of(self.held)
            self._rows[...] = kept
        else:
            self._rows = kept.copy()


class Stream:
    """One view of a network while a picture runs through it.

    Args:
        graph: the network.
        memory: where it computes.
        most_rows: rows that are worked on at once. Strips grow at the end of a picture, when
            everything gives the rows that it still holds; they go on in pieces.
    """

    def __init__(self, graph: Graph, memory: Memory, most_rows: int) -> None:
        self._graph, self._memory, self._most_rows = graph, memory, most_rows
        self._windows = [Window(block.radius) for block in graph.blocks for _ in block.numbers]
        self._given = [0] * len(graph.blocks)  # rows that each block has given so far
        self._waiting: deque[Features] = deque()  # for the long skip
        self._tail = Tail(graph, memory)

    def push(self, rows: Planes, last: bool) -> Iterator[Planes]:
        """Take the next rows, (3, h, w) with the mean taken off, and give those that are finished.

        Raises:
            OutOfMemoryError: nothing can be pushed after that.
        """
        windows = [*self._windows, self._tail.window]
        if last or any(window.held is None for window in windows):
            return self._one_by_one(0, rows[..., None], last)
        return self._at_once(rows)

    def _one_by_one(self, start: int, rows: Features, last: bool) -> Iterator[Planes]:
        """Rows through everything from a block on."""
        blocks = self._graph.blocks
        for index in range(start, len(blocks) + 1):
            while rows.shape[1] > self._most_rows:
                yield from self._one_by_one(index, rows[:, : self._most_rows], False)
                rows = rows[:, self._most_rows :]
            if index == len(blocks):
                yield from self._tail.push(rows, last)
            else:
                rows = self._block(index, rows, last)
            if not rows.shape[1]:
                return

    def _block(self, index: int, rows: Features, last: bool) -> Features:
        """Rows through one block."""
        graph, block = self._graph, self._graph.blocks[index]
        if index == graph.body:
            self._waiting.append(rows.copy())
        first = self._windows[block.first]
        mat, window = first.made(rows, last, self._memory)
        branch = self._convolution(block.first, mat)
        if block.skip and branch.shape[1]:
            mat, _ = self._windows[block.first + 1].made(branch, last, self._memory)
            branch = self._convolution(block.first + 1, mat)
            # When the second convolution can finish a row, that row of the block's input is still
            # in the window of the first.
            begin = self._given[index] - first.start
            if branch.shape[1]:
                branch += window[:, begin : begin + branch.shape[1]]
        self._given[index] += branch.shape[1]
        if block is graph.blocks[-1]:
            self._add_waiting(branch)
        return branch

    def _convolution(self, number: int, window: Any) -> Features:
        """The rows that can be made from a window."""
        if window.h <= 2 * self._windows[number].radius:
            return np.empty((1, 0, window.w, 1), np.float32)
        extractor = self._memory.extractor(self._graph.net)
        given(extractor, f"c{number}", window)
        return features_of(extracted(extractor, f"y{number}"))

    def _at_once(self, rows: Planes) -> Iterator[Planes]:
        """Rows through everything, where there are rows before them and after."""
        extractor, windows = self._memory.extractor(self._graph.net), self._windows
        channels, height, width = rows.shape
        strip = self._memory.empty(channels, height, width, 1)
        features_of(strip)[..., 0] = rows
        given(extractor, "x", strip)
        for number, each in enumerate(windows):
            given(extractor, f"h{number}", each.held)
        for index, block in enumerate(self._graph.blocks):
            for number in block.numbers:
                mat = extracted(extractor, f"n{number}")
                given(extractor, f"n{number}", library.NOTHING)  # it would keep all windows
                window = features_of(mat)
                windows[number].moved(window)
                if number == block.first and index == self._graph.body:
                    self._waiting.append(window[:, 2 * block.radius :].copy())
                if number == block.first and block.skip:
                    identity = library.upper_rows(mat, mat.h - 2 * block.radius)
                    given(extractor, f"i{number}", identity)
            self._given[index] += rows.shape[1]
        groups, _, _, pack = self._waiting[0].shape
        waited = self._memory.empty(groups, height, width, pack)
        features_of(waited)[...] = 0
        self._add_waiting(features_of(waited))
        given(extractor, f"i{len(windows) - 1}", waited)
        given(extractor, "ht", self._tail.window.held)
        window = features_of(extracted(extractor, "t"))
        self._tail.window.moved(window)
        yield self._tail.finished(window, last=False)

    def _add_waiting(self, branch: Features) -> None:
        """Add to as many rows those that have waited longest."""
        done = 0
        while done < branch.shape[1]:
            rows = self._waiting.popleft()
            count = min(rows.shape[1], branch.shape[1] - done)
            branch[:, done : done + count] += rows[:, :count]
            done += count
            if count < rows.shape[1]:
                self._waiting.appendleft(rows[:, count:])


class Tail:
    """Upsampler and last convolution, and the mean put back, for one picture.

    Args:
        graph: the network.
        memory: where it computes.

    Attributes:
        window: rows that later ones need.
    """

    def __init__(self, graph: Graph, memory: Memory) -> None:
        self._graph, self._memory = graph, memory
        self.window = Window(TAIL_RADIUS)

    def push(self, rows: Features, last: bool) -> Iterator[Planes]:
        """Take the next rows, and give those that are finished, if any are."""
        _, window = self.window.made(rows, last, self._memory)
        if window.shape[1] > 2 * TAIL_RADIUS:
            yield self.finished(window, last)

    def finished(self, window: Features, last: bool) -> Planes:
        """The rows that a window gives.

        Args:
            window: those rows, and `TAIL_RADIUS` above and below.
            last: whether those below lie outside the picture.
        """
        planes = self._in_blocks(window)
        self.mend_border(planes, window, first=self.window.start == -TAIL_RADIUS, last=last)
        return planes

    def _in_blocks(self, window: Features) -> Planes:
        """What the tail makes of a window where no border is near, some columns at a time."""
        groups, height, width, pack = window.shape
        outputs = 3 * self._graph.scale**2
        numbers = _TAIL_COPIES * (groups * pack + outputs) * height
        tiles = TAIL_BYTES // (window.itemsize * numbers * _TILE_COLUMNS)
        step = max(1, tiles) * _TILE_COLUMNS
        planes = np.empty((outputs, height - 2 * TAIL_RADIUS, width), np.float32)
        for left in range(0, width, step):
            # Whole tiles before them, so that sums are rounded as they are without a cut.
            before = min(left, _TILE_COLUMNS)
            made = self._blocks(window[:, :, left - before : left + step + TAIL_RADIUS])
            part = planes[:, :, left : left + step]
            part[...] = made[:, : part.shape[1], before : before + part.shape[2]]
        return planes

    def _blocks(self, window: Features) -> Planes:
        """What the tail makes of columns at once, and, by rounding up to blocks, a little more."""
        groups, height, width, pack = window.shape
        down, right = -(-height // BLOCK), -(-width // BLOCK)
        mat = self._memory.empty(BLOCK * BLOCK * groups, down, right, pack)
        blocks = features_of(mat).reshape(BLOCK, BLOCK, groups, down, right, pack)
        for y, x in np.ndindex(BLOCK, BLOCK):
            part = window[:, y::BLOCK, x::BLOCK]
            blocks[y, x, :, part.shape[1] :] = blocks[y, x, :, :, part.shape[2] :] = 0
            blocks[y, x, :, : part.shape[1], : part.shape[2]] = part
        made = self._made(Borders(), mat)
        _, down, right = made.shape
        parts = made.reshape(-1, BLOCK, BLOCK, down, right).transpose(0, 3, 1, 4, 2)
        return parts.reshape(-1, down * BLOCK, right * BLOCK)

    def mend_border(self, planes: Planes, window: Features, *, first: bool, last: bool) -> None:
        """Compute the pixels on the picture's outermost ring with kernels of their own.

        Args:
            planes: what the window gives, to be changed.
            window: see `finished`.
            first, last: whether the rows above, and those below, lie outside the picture.
        """
        width = window.shape[2]
        for begin, end, top, bottom in self._regions(planes.shape[1], first, last):
            rows = window[
                :, begin + TAIL_RADIUS * top : end + 2 * TAIL_RADIUS - TAIL_RADIUS * bottom
            ]
            if top or bottom:
                planes[:, begin:end] = self._convolution(Borders(top, bottom), rows)
            if width == 1:
                borders = Borders(top, bottom, left=True, right=True)
                planes[:, begin:end] = self._convolution(borders, rows)
                continue
            missing = [(0, 0), (0, 0), (0, max(0, _NEEDED - width)), (0, 0)]
            columns = np.pad(rows[:, :, :_NEEDED], missing)
            borders = Borders(top, bottom, left=True)
            planes[:, begin:end, :1] = self._convolution(borders, columns)
            columns = np.pad(rows[:, :, -_NEEDED:], [side[::-1] for side in missing])
            borders = Borders(top, bottom, right=True)
            planes[:, begin:end, -1:] = self._convolution(borders, columns)

    @staticmethod
    def _regions(count: int, first: bool, last: bool) -> Iterator[tuple[int, int, bool, bool]]:
        """Rows from and to, of those that a window gives, with a border above, and below."""
        if first and last and count == 1:
            yield 0, 1, True, True
            return
        if first:
            yield 0, 1, True, False
        if first < count - last:
            yield int(first), count - last, False, False
        if last:
            yield count - 1, count, False, True

    def _convolution(self, borders: Borders, window: Features) -> Planes:
        """What the tail makes of a window, all of whose pixels have these borders."""
        mat = self._memory.empty(*window.shape)
        features_of(mat)[...] = window
        return self._made(borders, mat)

    def _made(self, borders: Borders, mat: Any) -> Planes:
        extractor = self._memory.extractor(self._graph.tail(borders))
        given(extractor, "c", mat)
        made = extracted(extractor, "y", packed=False)
        return features_of(made)[..., 0]


def given(extractor: Any, name: str, mat: Any) -> None:
    """Give a matrix to a graph."""
    library.check(extractor.input(name, mat))


def extracted(extractor: Any, name: str, *, packed: bool = True) -> Any:
    """Compute a matrix; with one channel of a pixel after another if it is not to be packed."""
    status, mat = extractor.extract(name, int(packed))
    library.check(status)
    if mat.empty():
        raise OutOfMemoryError("ncnn could not allocate memory")
    return mat
