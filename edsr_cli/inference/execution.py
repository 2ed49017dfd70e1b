"""A plan carried out: one picture through a network, and what is tried when something fails."""

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edsr_cli.errors import DeviceMemoryError, WeightsError
from edsr_cli.inference import memory
from edsr_cli.inference.engine import NotFiniteError, OutOfMemoryError, Precision
from edsr_cli.inference.planning import Plan
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Readable, Recent, Region, Writable

if TYPE_CHECKING:
    from edsr_cli.inference.upscaler import Upscaler

logger = logging.getLogger(__name__)

REMEDIES = "Close other programs, leave out --ensemble, take a smaller model or another --device."

_LATE = 2  # strips that are on their way to a GPU, and back
_TILE_ROWS = 8  # of the largest transforms that convolutions are computed with

Progress = Callable[[int, int], None]
"""Called with the number of LR pixels that are done, and that there are."""


class Execution:
    """One picture on its way through a network: what is left of it, and how that is done.

    Args:
        upscaler: whose picture it is.
        source, target: its windows, transposed if the plan is.
        plan, ensemble, progress, first_row: see `upscale_into` there.

    Attributes:
        plan, precision: those of what comes next; they change when something fails.
    """

    def __init__(
        self,
        upscaler: "Upscaler",
        source: Readable,
        target: Writable,
        plan: Plan,
        ensemble: bool,
        progress: Progress | None,
        first_row: int,
    ) -> None:
        self._upscaler, self._target = upscaler, target
        # A row is finished when `radius` rows below it have come, on a GPU some strips later; the
        # next try begins as far above it.
        kept = 2 * plan.footprint.radius + _LATE * plan.strip_rows
        self._source = Recent(source, kept) if source.order == "rows" else source
        self._ensemble, self._progress = ensemble, progress
        self.plan, self.precision = plan, upscaler.precision
        self._first_row = first_row
        self._done = first_row * plan.width  # pixels that are left behind
        self._reached = 0  # the row below those of the present region that are done

    def run(self) -> None:
        """Do all of it."""
        todo: deque[Region] = deque()
        if self._first_row < self.plan.height:
            todo += (replace(panel, top=self._first_row) for panel in self.plan.panels)
        while todo:
            region = todo.popleft()
            self._reached = region.top
            try:
                self._stream(region)
            except NotFiniteError:
                self._take_fp32()
            except OutOfMemoryError as error:
                # The frames of its traceback would keep rows in memory.
                self._take_less(error.with_traceback(None))
            rest = replace(region, top=self._reached)
            self._done += (rest.top - region.top) * (region.right - region.left)
            if rest.top < rest.bottom:
                todo.extendleft(reversed(list(rest.panels(self.plan.panel_width))))

    def _stream(self, region: Region) -> None:
        """Stream a region, and what it depends on, into the target."""
        upscaler, plan = self._upscaler, self.plan
        read = region.grown(plan.footprint.radius, plan.height, plan.width)
        if region.top == self._first_row > 0:
            read = replace(read, top=self._in_step(read.top))
        compiled = upscaler.compiled(self.precision, self._ensemble, plan)
        stream = compiled.stream(
            region.within(read), self._target.dtype, plan.strip_rows, sideways=plan.transposed
        )
        try:
            for top in range(read.top, read.bottom, plan.strip_rows):
                bottom = min(top + plan.strip_rows, read.bottom)
                strip = self._source.read(Region(top, bottom, read.left, read.right))
                rows = stream.push(strip, last=bottom == read.bottom)
                if len(rows):
                    self._put(region, rows)
        finally:
            stream.reset()

    def _in_step(self, top: int) -> int:
        """A row above `top` from which on strips give what they would have from row 0 on.

        Sums are rounded by where they lie in the rows that are computed at once, and by what lies
        there beside them: transforms (Lavin and Gray 2016, arXiv 1509.09308) take tiles of up to
        eight rows. So strips have to begin where they would have; the first of them, which are
        lower in all layers until the receptive field is filled, do not count; and with each layer
        it is a tile that a row depends on.
        """
        plan = self.plan
        warming = (_TILE_ROWS - 1) * plan.footprint.radius + 2 * plan.strip_rows + _TILE_ROWS
        return max(0, top - warming) // plan.strip_rows * plan.strip_rows

    def _put(self, region: Region, rows: Pixels) -> None:
        """Put the next finished rows of a region where they belong."""
        scale = self._upscaler.scale
        top = self._reached * scale
        below = top + len(rows)
        self._target.write(Region(top, below, region.left * scale, region.right * scale), rows)
        self._reached = below // scale
        if self._progress:
            columns = region.right - region.left
            done = self._done + (self._reached - region.top) * columns
            self._progress(done, self.plan.height * self.plan.width)

    def _take_fp32(self) -> None:
        """Go on in fp32 when a strip was not finite.

        Raises:
            WeightsError: it was in fp32.
        """
        if self.precision is Precision.FP32:
            raise WeightsError(
                "The network's output is not finite, so there is no picture to write.",
                "The weights are damaged or not for this network: fetch them again.",
            )
        logger.warning(
            "A strip overflowed in %s: doing it again, and the rest, in fp32.",
            self.precision.value,
        )
        self.precision = Precision.FP32

    def _take_less(self, error: OutOfMemoryError) -> None:
        """Go on with smaller pieces when memory ran out.

        Raises:
            DeviceMemoryError: there are no smaller ones.
        """
        engine, device = self._upscaler.engine, self._upscaler.device
        engine.release(device)
        if device.type == "cpu":
            memory.keep_none_that_is_freed()  # or holes between blocks would take the rest
        plan = self.plan.smaller()
        if plan is None:
            raise DeviceMemoryError(
                f"Memory ran out on {engine.describe(device)}, although one row of "
                f"{self.plan.panel_width} pixels was all that was worked on at once.",
                REMEDIES,
            ) from error
        self.plan = plan
        logger.warning(
            "Memory ran out on %s: going on with strips of %d rows in panels of %d columns.",
            engine.describe(device),
            plan.strip_rows,
            plan.panel_width,
        )
