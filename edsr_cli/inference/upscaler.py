"""Upscaling of pictures: device, number format, plan, and what to do when it fails."""

import logging
import operator
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, SupportsIndex

import numpy as np

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.errors import DeviceMemoryError, WeightsError
from edsr_cli.inference import memory, processors
from edsr_cli.inference.engine import (
    Compiled,
    Engine,
    NotFiniteError,
    OutOfMemoryError,
    Precision,
)
from edsr_cli.inference.engines import engine_for
from edsr_cli.inference.forms import Forms
from edsr_cli.inference.planning import Footprint, Plan, make_plan, smallest_plan
from edsr_cli.pixels.arrays import Pixels, empty_pixels
from edsr_cli.pixels.windows import ArrayWindow, Readable, Region, Transposed, Writable

logger = logging.getLogger(__name__)

SLOW = 2.5
"""From how many times the plain work on a plan is worth a warning."""

_REMEDIES = "Close other programs, leave out --ensemble, take a smaller model or another --device."

_TILE_ROWS = 8  # of the largest transforms that convolutions are computed with

Tile = int | Literal["auto", "none"]
Progress = Callable[[int, int], None]
"""Called with the number of LR pixels that are done, and that there are."""


@dataclass(frozen=True)
class Outcome:
    """How a picture was upscaled.

    Attributes:
        plan: the plan that the last row was made with.
        precision: the number format that the last row was made with.
    """

    plan: Plan
    precision: Precision


@dataclass(frozen=True)
class Upscaled(Outcome):
    """An upscaled picture and how it was made.

    Attributes:
        pixels: (scale * H, scale * W, 3), RGB, of the type asked for.
    """

    pixels: Pixels


def check_tile(tile: Tile) -> None:
    """Refuse what is no width of panels.

    Raises:
        TypeError, ValueError: `tile` is neither a number of columns from 1 nor "auto" nor "none".
    """
    wanted = 'tile must be "auto", "none" or a number of columns from 1'
    if isinstance(tile, bool) or not isinstance(tile, str | SupportsIndex):
        raise TypeError(f"{wanted}, not {type(tile).__name__}")
    if tile not in ("auto", "none") if isinstance(tile, str) else operator.index(tile) < 1:
        raise ValueError(f"{wanted}, not {tile!r}")


class Upscaler:
    """A network at one scale, ready to upscale pictures of any size.

    Any number of threads may use it at once: the weights are there once, and every call has its own
    rows. The limit on memory is for each call.

    Args:
        weights: the network; what runs on the device is made from it.
        scale: one of the network's scales.
        device: "auto", "cpu", "cuda", "cuda:N", "mps", "vulkan" or "vulkan:N".
        precision: "auto", "fp32", "bf16" or "fp16": the format of the residual blocks.
        max_memory: bytes that the network's rows may take on the device; None to go by what is
            free when a picture comes.
        engine: who computes; None for the one that suits the device and the precision.

    Raises:
        UsageError: there is no such device, or it cannot use the precision.
        ValueError: the network does not have the scale.
    """

    def __init__(
        self,
        weights: Checkpoint,
        scale: int,
        device: str = "auto",
        precision: str = "auto",
        max_memory: int | None = None,
        engine: Engine | None = None,
    ) -> None:
        if scale not in weights.config.scales:
            raise ValueError(f"the network has the scales {weights.config.scales}, not {scale}")
        self.engine = engine or engine_for(device, precision)
        self.device = self.engine.device(device)
        self.precision = self.engine.precision(precision, self.device)
        self.weights, self.scale = weights, scale
        self.max_memory = max_memory
        if max_memory is None:
            memory.keep_what_is_freed()
        else:
            memory.keep_none_that_is_freed()
        processors.survive_forks()
        self._warned = False
        self._forms = Forms()

    def plan(
        self,
        height: int,
        width: int,
        ensemble: bool = False,
        tile: Tile = "auto",
        *,
        rows_only: bool = False,
    ) -> Plan:
        """How a picture of this size, in LR pixels, would be cut; nothing is loaded for that.

        Args:
            height, width: its size.
            ensemble, tile: as for `upscale`.
            rows_only: whether its output has to come in rows of full width, from the top, or its
                input does. Then it is neither transposed nor split, so that memory follows its
                width.

        Raises:
            ValueError, TypeError: `tile` is no width, or splits what must not be split.
            DeviceMemoryError: not even the smallest piece fits in `max_memory`.
        """
        check_tile(tile)
        # Panels of a width that the user chose are panels of columns.
        transposed = width > height and isinstance(tile, str) and not rows_only
        if transposed:
            height, width = width, height
        panel_width = {"auto": None, "none": width}[tile] if isinstance(tile, str) else int(tile)
        if rows_only and panel_width is not None and panel_width < width:
            raise ValueError(f"what is written row by row cannot be cut into panels ({tile=})")
        footprint = self.footprint(ensemble)
        if self.max_memory is None:
            budget, spare = self.engine.memory(self.device), 0
        else:
            budget = self.engine.memory_of(self.max_memory, self.device)
            spare = self.max_memory - budget
        pixels = self.engine.strip_pixels(self.device)
        try:
            plan = make_plan(
                height, width, footprint, budget, pixels, panel_width, spare, rows_only
            )
        except DeviceMemoryError:
            if self.max_memory is not None:
                raise
            # What is free is a guess, so the smallest plan is worth a try.
            plan = smallest_plan(height, width, footprint, rows_only)
        return replace(plan, transposed=transposed)

    def footprint(self, ensemble: bool = False) -> Footprint:
        """What the network costs."""
        return self.engine.footprint(self.weights.config, self.scale, self.precision, ensemble)

    def work_per_pixel(self, ensemble: bool = False) -> int:
        """Multiply-adds for each LR pixel."""
        return self.footprint(ensemble).multiply_adds

    def weight_bytes(self, ensemble: bool = False) -> int:
        """Memory for the weights: those of the network, and the copies that are computed with."""
        return self.footprint(ensemble).weight_bytes

    def seconds(self, plan: Plan, speed: float, ensemble: bool = False) -> float:
        """How long a plan takes, about, at so many multiply-adds a second."""
        work = plan.height * plan.width * self.work_per_pixel(ensemble)
        return work / speed * max(1.0, plan.slowdown)

    def upscale(
        self,
        pixels: Pixels,
        ensemble: bool = False,
        tile: Tile = "auto",
        dtype: Literal["uint8", "uint16"] | None = None,
        progress: Progress | None = None,
        *,
        plan: Plan | None = None,
    ) -> Upscaled:
        """Upscale a picture that is an array; for the rest see `upscale_into`.

        Args:
            pixels: (H, W, 3), RGB, uint8 (0..255) or uint16 (0..65535).
            ensemble, tile, progress, plan: as for `upscale_into`.
            dtype: type of the output; None for that of the input.

        Raises:
            As `upscale_into`, and ValueError or TypeError if `pixels` is not such an array.
        """
        source = ArrayWindow(pixels)
        check_tile(tile)
        height, width, _ = source.shape
        wanted = np.dtype(dtype or source.dtype)
        output = empty_pixels(height * self.scale, width * self.scale, wanted)
        outcome = self.upscale_into(
            source,
            ArrayWindow(output),
            ensemble=ensemble,
            tile=tile,
            progress=progress,
            plan=plan,
        )
        return Upscaled(outcome.plan, outcome.precision, output)

    def upscale_into(
        self,
        source: Readable,
        target: Writable,
        *,
        ensemble: bool = False,
        tile: Tile = "auto",
        progress: Progress | None = None,
        plan: Plan | None = None,
        first_row: int = 0,
    ) -> Outcome:
        """Upscale a picture from one window into another.

        When memory runs out, what is left of the picture is cut smaller; when a number format
        overflows, what is left of it is done in fp32. Finished rows stay; only the
        rows above that the rest depends on are run through the network again.

        Args:
            source: where the picture is read, (H, W, 3). Rows may be read more than once: where a
                panel begins, and after a failure.
            target: where it goes, (scale * H, scale * W, 3). Its type is that of the output. The
                orders of both decide how the picture may be cut, see `plan`.
            ensemble: average the eight views of the geometric self-ensemble.
            tile: columns of a panel in LR pixels; "none" for one panel of full width; "auto" to
                split only where memory demands it.
            progress: see `Progress`.
            plan: what `plan` gave for this size and these options; None to make it now.
            first_row: LR row to begin with, where another call has done what is above it; the plan
                must be for rows only. With the plan of that call, the rest is what it would have
                made, bit for bit.

        Raises:
            ValueError, TypeError: the sizes do not fit each other, or the plan cuts what is to be
                gone on with into panels; or see `plan`.
            DeviceMemoryError: one-row strips of the narrowest panel do not fit.
            WeightsError: the network's output is not finite even in fp32.
        """
        height, width, _ = source.shape
        if target.shape != (height * self.scale, width * self.scale, 3):
            raise ValueError(f"x{self.scale} of {source.shape} does not fit {target.shape}")
        if plan is None:
            rows_only = "rows" in (source.order, target.order)
            plan = self.plan(height, width, ensemble, tile, rows_only=rows_only)
        self._warn_if_slow(plan, tile)
        if plan.transposed:
            source, target = Transposed(source), Transposed(target)
        if first_row and not (plan.rows_only and 0 < first_row <= height):
            raise ValueError(f"{plan} cannot be gone on with from row {first_row}")
        work = _Work(self, source, target, plan, ensemble, progress, first_row)
        work.run()
        return Outcome(work.plan, work.precision)

    def compiled(self, precision: Precision, ensemble: bool, transposed: bool) -> Compiled:
        """The network on the device; see `edsr_cli.inference.engine.Engine.compile`.

        Raises:
            DeviceMemoryError: its weights do not fit.
        """
        try:
            return self._forms.get(self._compile, precision, ensemble, transposed)
        except OutOfMemoryError as error:
            raise DeviceMemoryError(
                "The model's weights do not fit in the memory of "
                f"{self.engine.describe(self.device)}.",
                _REMEDIES,
            ) from error

    def _compile(self, precision: Precision, ensemble: bool, transposed: bool) -> Compiled:
        return self.engine.compile(
            self.weights,
            self.scale,
            self.device,
            precision,
            ensemble=ensemble,
            transposed=transposed,
        )

    def _warn_if_slow(self, plan: Plan, tile: Tile) -> None:
        """Say, once, that pictures take far longer because they are cut so small."""
        # Nothing can be done about pictures that are small themselves.
        if (
            plan.slowdown < SLOW
            or self._warned
            or plan.panel_width == plan.width <= plan.strip_rows
        ):
            return
        self._warned = True
        if self.max_memory is not None:
            remedy = "a larger --max-memory helps"
        elif isinstance(tile, str):
            remedy = "little memory is free"
        else:
            remedy = "a wider --tile helps"
        logger.warning(
            "This takes about %.0f times as long as it would in one piece, since it is cut into"
            " pieces of %d x %d pixels: %s.",
            plan.slowdown,
            plan.panel_width,
            plan.strip_rows,
            remedy,
        )


class _Work:
    """One picture on its way through a network: what is left of it, and how that is done.

    Args:
        upscaler: whose picture it is.
        source, target: its windows, transposed if the plan is.
        plan, ensemble, progress, first_row: see `Upscaler.upscale_into`.

    Attributes:
        plan, precision: those of what comes next; they change when something fails.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        source: Readable,
        target: Writable,
        plan: Plan,
        ensemble: bool,
        progress: Progress | None,
        first_row: int = 0,
    ) -> None:
        self._upscaler, self._source, self._target = upscaler, source, target
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
        compiled = upscaler.compiled(self.precision, self._ensemble, plan.transposed)
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
                _REMEDIES,
            ) from error
        self.plan = plan
        logger.warning(
            "Memory ran out on %s: going on with strips of %d rows in panels of %d columns.",
            engine.describe(device),
            plan.strip_rows,
            plan.panel_width,
        )
