"""Upscaling of pictures: device, number format, plan, and the network in the forms it takes."""

import logging
import operator
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, SupportsIndex

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.errors import DeviceMemoryError
from edsr_cli.inference import memory, processors
from edsr_cli.inference.engine import Compiled, Engine, OutOfMemoryError, Precision
from edsr_cli.inference.engines import engine_for
from edsr_cli.inference.execution import REMEDIES, Execution, Progress
from edsr_cli.inference.planning import Footprint, Plan, make_plan, smallest_plan
from edsr_cli.pixels.arrays import Pixels, empty_pixels
from edsr_cli.pixels.windows import ArrayWindow, Readable, Transposed, Writable

logger = logging.getLogger(__name__)

SLOW = 2.5
"""From how many times the plain work on a plan is worth a warning."""

KEPT = 2
"""Forms that are kept: pictures of both orientations, or both number formats where one overflows at
times. Each is a copy of the weights, with the self-ensemble eight of them. Those for small
pictures, whose copies are small, too, are counted apart."""

Tile = int | Literal["auto", "none"]

Make = Callable[[Precision, bool, bool, bool], Compiled]
"""Compiles in a number format, as the mean of all views, for transposed pictures, for small ones;
see `edsr_cli.inference.engine.Engine.compile`."""


class Outcome(Struct, frozen=True):
    """How a picture was upscaled.

    Attributes:
        plan: the plan that the last row was made with.
        precision: the number format that the last row was made with.
    """

    plan: Plan
    precision: Precision


class Upscaled(Outcome, frozen=True):
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
        execution = Execution(self, source, target, plan, ensemble, progress, first_row)
        execution.run()
        return Outcome(execution.plan, execution.precision)

    def compiled(self, precision: Precision, ensemble: bool, plan: Plan) -> Compiled:
        """The network on the device, for a picture; see `edsr_cli.inference.engine.Engine.compile`.

        Raises:
            DeviceMemoryError: its weights do not fit.
        """
        small = plan.height * plan.width <= self.engine.small_pixels(self.device)
        try:
            return self._forms.get(self._compile, precision, ensemble, plan.transposed, small)
        except OutOfMemoryError as error:
            raise DeviceMemoryError(
                "The model's weights do not fit in the memory of "
                f"{self.engine.describe(self.device)}.",
                REMEDIES,
            ) from error

    def _compile(
        self, precision: Precision, ensemble: bool, transposed: bool, small: bool
    ) -> Compiled:
        return self.engine.compile(
            self.weights,
            self.scale,
            self.device,
            precision,
            ensemble=ensemble,
            transposed=transposed,
            small=small,
        )

    def _warn_if_slow(self, plan: Plan, tile: Tile) -> None:
        """Say, once, that pictures take far longer because they are cut so small."""
        if plan.slowdown < SLOW or self._warned:
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


class Forms:
    """A network's compiled forms; any thread may ask for them.

    Attributes:
        kept: those that were asked for last, the latest at the end.
    """

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[Precision, bool, bool, bool], Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, make: Make, precision: Precision, ensemble: bool, transposed: bool, small: bool
    ) -> Compiled:
        """A form; see `Make`, which makes those that are not kept.

        It is not kept itself: a method of who owns the forms would tie a knot that holds the
        weights, on a GPU too, until the interpreter looks for such knots, long after both are let
        go.

        Raises:
            OutOfMemoryError: its weights do not fit on the device.
        """
        # The mean of all views is the same whichever way the picture lies.
        key = (precision, ensemble, transposed and not ensemble, small)
        with self._lock:
            if key not in self.kept:
                alike = [each for each in self.kept if each[-1] == small]
                for oldest in alike[: max(0, len(alike) + 1 - KEPT)]:
                    del self.kept[oldest]
                self.kept[key] = make(*key)
            self.kept.move_to_end(key)
            return self.kept[key]
