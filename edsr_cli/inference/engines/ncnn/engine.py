"""ncnn behind the seam: `edsr_cli.inference.engine` says what each part is for.

Nothing here imports ncnn before it has to: a plan needs none.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.errors import UsageError
from edsr_cli.inference import memory, processors
from edsr_cli.inference.engine import Device, NotFiniteError, OutOfMemoryError, Precision
from edsr_cli.inference.engines.ncnn import costs
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import NetworkConfig
from edsr_cli.pixels.arrays import Pixels, joined
from edsr_cli.pixels.windows import Region

if TYPE_CHECKING:
    from edsr_cli.inference.engines.ncnn.graph import Graph
    from edsr_cli.inference.engines.ncnn.streaming import Planes

STRIP_PIXELS = 1 << 12
"""Pixels in a strip: with 64 channels as many as fit in the cache of a core."""

SMALL_PIXELS = 1 << 8
"""Pixels of a picture for which the network is a graph in one piece, without Winograd's
convolution. For so few that is as fast as strips with it are, and its weights need not be
transformed before, which takes 50 ms and 50 MB at x4 with 64 channels."""

_CPU = Device("cpu")


class NcnnEngine:
    """The engine; it has no state of its own."""

    def device(self, name: str) -> Device:
        if name in ("auto", "cpu"):
            return _CPU
        raise UsageError(
            f"The ncnn engine computes on the CPU, not on {name!r}.",
            "Use --device cpu or --engine torch.",
        )

    def precision(self, name: str, device: Device) -> Precision:
        if name in ("auto", "fp32"):
            return Precision.FP32
        raise UsageError(
            f"The ncnn engine computes in fp32, not in {name!r}.",
            "Use --precision fp32 or --engine torch.",
        )

    def warm_up(self) -> None:
        import edsr_cli.inference.engines.ncnn.streaming  # noqa: F401

    def describe(self, device: Device) -> str:
        return processors.described(processors.threads())

    def speed_key(self, device: Device) -> str:
        from importlib.metadata import version

        threads, most = processors.threads(), processors.available()
        return f"cpu ({threads} threads on {most}); ncnn {version('ncnn')}"

    def strip_pixels(self, device: Device) -> int:
        return STRIP_PIXELS

    def small_pixels(self, device: Device) -> int:
        return SMALL_PIXELS

    def memory(self, device: Device) -> int:
        return memory.budget()

    def memory_of(self, limit: int, device: Device) -> int:
        # What does not follow from the size of strips: above all the tail's copies.
        return limit - min(limit // 2, 10 << 20)

    def footprint(
        self, config: NetworkConfig, scale: int, precision: Precision, ensemble: bool
    ) -> Footprint:
        return costs.footprint(config, scale, ensemble)

    def compile(
        self,
        weights: Checkpoint,
        scale: int,
        device: Device,
        precision: Precision,
        *,
        ensemble: bool,
        transposed: bool,
        small: bool,
    ) -> "NcnnNetwork":
        from edsr_cli.inference.engines.ncnn.graph import Graph
        from edsr_cli.inference.engines.views import TRANSPOSE, VIEWS
        from edsr_cli.model.impulse import LinearTail, tail_layers

        views = VIEWS if ensemble else (TRANSPOSE if transposed else VIEWS[0],)
        needed = costs.weight_bytes(weights.config, scale, ensemble=ensemble)
        winograd = not small and needed < memory.available() // 2
        tail = LinearTail(tail_layers(weights.config, weights.tensors, scale), scale)
        gpu = device.index  # None for the CPU
        in_one_piece = small or gpu is not None
        half = precision is Precision.FP16

        def make() -> list[Graph]:
            return [
                Graph(
                    weights, tail, view,
                    winograd=winograd, in_one_piece=in_one_piece, gpu=gpu, half=half,
                )
                for view in views
            ]  # fmt: skip

        return NcnnNetwork(make)

    def release(self, device: Device) -> None:
        pass  # pools are emptied when a stream ends


class NcnnNetwork:
    """A network on a device.

    Args:
        make: makes the views, the mean of which is wanted, for as many threads as there are to be
            now: ncnn fixes their number when it gets weights.

    Raises:
        OutOfMemoryError: they do not fit.
    """

    def __init__(self, make: "Callable[[], list[Graph]]") -> None:
        self._make, self._lock = make, threading.Lock()
        self._threads = processors.threads()
        self._graphs = make()

    def stream(
        self, wanted: Region, dtype: np.dtype[Any], most_rows: int, *, sideways: bool
    ) -> "NcnnStream":
        with self._lock:
            if self._threads != processors.threads():
                self._graphs, self._threads = self._make(), processors.threads()
            graphs = self._graphs
        return NcnnStream(graphs, wanted, dtype, most_rows, sideways)


class NcnnStream:
    """A picture on its way through a network.

    Args:
        graphs: its views.
        wanted, dtype, most_rows, sideways: see `edsr_cli.inference.engine.Compiled.stream`.
    """

    def __init__(
        self,
        graphs: "list[Graph]",
        wanted: Region,
        dtype: np.dtype[Any],
        most_rows: int,
        sideways: bool,
    ) -> None:
        from edsr_cli.inference.engines.ncnn.overlapping import Overlapping
        from edsr_cli.inference.engines.ncnn.streaming import Memory, Stream

        self._memory = Memory()
        made = Overlapping if graphs[0].in_one_piece else Stream
        self._streams = [made(graph, self._memory, most_rows) for graph in graphs]
        self._scale, self._mean = graphs[0].scale, graphs[0].before
        self._finite = all(graph.finite for graph in graphs)
        self._dtype, self._sideways = dtype, sideways
        self._columns = slice(wanted.left, wanted.right)
        # Rows that are still to come before, and up to the end of, those that are wanted.
        self._before, self._left = wanted.top, wanted.bottom

    def push(self, rows: Pixels, last: bool) -> Pixels:
        if not self._finite:
            raise NotFiniteError
        try:
            with np.errstate(all="ignore"):  # what is not finite is seen at the end
                return self._push(rows, last)
        except MemoryError as error:
            # Its frames would keep rows in memory.
            raise OutOfMemoryError(str(error)) from error.with_traceback(None)

    def reset(self) -> None:
        self._streams = []
        self._memory.close()

    def _push(self, rows: Pixels, last: bool) -> Pixels:
        strip = rows.transpose(2, 0, 1).astype(np.float32)
        if rows.dtype == np.uint16:
            strip /= 257
        strip += self._mean
        made = zip(*(stream.push(strip, last) for stream in self._streams), strict=True)
        parts = [self._pixels(views) for views in made]
        columns = (self._columns.stop - self._columns.start) * self._scale
        nothing = np.empty((0, columns, 3), self._dtype)
        return joined(parts or [nothing], sideways=self._sideways)

    def _pixels(self, views: "tuple[Planes, ...]") -> Pixels:
        """What is wanted of the next rows, rounded and clamped.

        Raises:
            NotFiniteError: see there.
        """
        begin, end = (min(views[0].shape[1], left) for left in (self._before, self._left))
        self._before -= begin
        self._left -= end
        planes = np.ascontiguousarray(views[0][:, begin:end, self._columns])
        for view in views[1:]:
            planes += view[:, begin:end, self._columns]
        if not np.isfinite(planes).all():
            raise NotFiniteError
        planes *= (1 if self._dtype == np.uint8 else 257) / len(views)
        np.rint(planes, out=planes)
        levels = planes.clip(0, np.iinfo(self._dtype).max, out=planes).astype(self._dtype)
        # The pixel shuffle, from (3 * scale^2, h, w).
        scale, (_, height, width) = self._scale, levels.shape
        parts = levels.reshape(3, scale, scale, height, width)
        if self._sideways:
            turned = parts.transpose(4, 2, 3, 1, 0).reshape(width * scale, height * scale, 3)
            return turned.transpose(1, 0, 2)
        return parts.transpose(3, 1, 4, 2, 0).reshape(height * scale, width * scale, 3)
