"""Upscaling of pictures in memory: device, number format, plan, and what to do when it fails."""

import logging
import operator
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, SupportsIndex

import numpy as np
import torch

from edsr_cli.errors import DeviceMemoryError
from edsr_cli.inference import devices, processors
from edsr_cli.inference.assembly import Precision
from edsr_cli.inference.planning import Footprint, Plan, make_plan, smallest_plan
from edsr_cli.inference.streaming import Node
from edsr_cli.inference.streams import Streams
from edsr_cli.inference.transfer import download, upload
from edsr_cli.inference.trouble import safer, smaller
from edsr_cli.model.networks import EDSR, MDSR
from edsr_cli.pixels.arrays import Pixels, check_pixels, empty_pixels
from edsr_cli.pixels.windows import Region

logger = logging.getLogger(__name__)

SLOW = 2.5
"""From how many times the plain work on a plan is worth a warning."""

Tile = int | Literal["auto", "none"]
Progress = Callable[[int, int], None]
"""Called with the number of LR pixels that are done, and that there are."""


@dataclass(frozen=True)
class Upscaled:
    """An upscaled picture and how it was made.

    Attributes:
        pixels: (scale * H, scale * W, 3), RGB, of the type asked for.
        plan: the plan that the last row was made with.
        precision: the number format that the last row was made with.
    """

    pixels: Pixels
    plan: Plan
    precision: Precision


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


class _NotFiniteError(Exception):
    """A strip has infinities or NaNs in it."""


class _OneByOneError(Exception):
    """Several pictures at once cannot be done like this; each by itself, perhaps."""


class Upscaler:
    """A network at one scale, ready to upscale pictures of any size.

    Any number of threads may use it at once: the weights are there once, and every call has its own
    rows. The limit on memory is for each call.

    Args:
        network: the network, on the CPU, where it stays; what runs on the device is made from it.
        scale: one of the network's scales.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16": the format of the residual blocks.
        max_memory: bytes that the network's rows may take on the device; None to go by what is
            free when a picture comes.

    Raises:
        UsageError: there is no such device, or it cannot use the precision.
        ValueError: the network does not have the scale.
    """

    def __init__(
        self,
        network: EDSR | MDSR,
        scale: int,
        device: str = "auto",
        precision: str = "auto",
        max_memory: int | None = None,
    ) -> None:
        if scale not in network.config.scales:
            raise ValueError(f"the network has the scales {network.config.scales}, not {scale}")
        self.device = devices.pick_device(device)
        self.precision = devices.pick_precision(precision, self.device)
        self.network = network.requires_grad_(False).eval()
        self.scale = scale
        self.max_memory = max_memory
        if max_memory is not None:
            devices.keep_no_freed_memory()
        processors.survive_forks()
        self._warned = False
        self._streams = Streams(self.network, scale, self.device)

    def plan(
        self,
        height: int,
        width: int,
        ensemble: bool = False,
        tile: Tile = "auto",
        count: int = 1,
    ) -> Plan:
        """How a picture of this size, in LR pixels, would be cut, or `count` of them at once.

        Raises:
            DeviceMemoryError: not even the smallest piece fits in `max_memory`.
        """
        check_tile(tile)
        # Panels of a width that the user chose are panels of columns.
        transposed = width > height and isinstance(tile, str)
        if transposed:
            height, width = width, height
        node = self._streams.get(ensemble, self.precision, transposed)
        # Pixels of the output, in fp32: as they come, put together, and rounded; and summed up.
        output = (4 if ensemble else 3) * 3 * self.scale**2 * 4
        footprint = Footprint(
            node.delay,
            count * (node.held_bytes + node.copied_bytes),
            count * node.work_bytes,
            count * output,
        )
        panel_width = {"auto": None, "none": width}[tile] if isinstance(tile, str) else int(tile)
        spare = 0
        if self.max_memory is None:
            budget = devices.memory_budget(self.device)
        else:
            budget = devices.for_tensors(self.max_memory, self.device)
            spare = self.max_memory - budget
        strip_pixels = devices.STRIP_PIXELS[self.device.type] // count
        try:
            plan = make_plan(height, width, footprint, budget, strip_pixels, panel_width, spare)
        except DeviceMemoryError:
            if self.max_memory is not None:
                raise
            # What is free is a guess, so the smallest plan is worth a try.
            plan = smallest_plan(height, width, footprint)
        return replace(plan, transposed=transposed)

    def work_per_pixel(self, ensemble: bool = False) -> int:
        """Multiply-adds for each LR pixel."""
        return self._streams.get(ensemble, self.precision, False).multiply_adds

    def weight_bytes(self, ensemble: bool = False) -> int:
        """Memory for the weights: those of the network, and the copies that are computed with."""
        count = sum(parameter.numel() for parameter in self.network.parameters())
        return 4 * count * (9 if ensemble else 2)

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
        """Upscale one picture.

        When memory runs out, what is left of the picture is cut smaller; when a number format
        overflows, what is left of it is done in fp32. Finished rows stay; only the
        rows above that the rest depends on are run through the network again.

        Args:
            pixels: (H, W, 3), RGB, uint8 (0..255) or uint16 (0..65535).
            ensemble: average the eight views of the geometric self-ensemble.
            tile: columns of a panel in LR pixels; "none" for one panel of full width; "auto" to
                split only where memory demands it.
            dtype: type of the output; None for that of the input.
            progress: see `Progress`.
            plan: what `plan` gave for this size and these options; None to make it now.

        Raises:
            ValueError, TypeError: `pixels` is not such an array.
            DeviceMemoryError: one-row strips of the narrowest panel do not fit.
            WeightsError: the network's output is not finite even in fp32.
        """
        check_pixels(pixels)
        return self._upscale(pixels[None], ensemble, tile, dtype, progress, plan)[0]

    def upscale_batch(
        self,
        pictures: Sequence[Pixels],
        ensemble: bool = False,
        tile: Tile = "auto",
        dtype: Literal["uint8", "uint16"] | None = None,
        progress: Progress | None = None,
    ) -> list[Upscaled]:
        """Upscale several pictures of one size and type at once: small ones leave a GPU idle.

        The results are those of `upscale`. Where that takes smaller pieces or another number
        format, which one picture must not do to the others, each is done by itself.

        Args:
            pictures: at least one; all of the same shape and type.
            ensemble, tile, dtype: as for `upscale`.
            progress: as for `upscale`; called with the pixels of one of the pictures.

        Raises:
            As `upscale`, and ValueError if the pictures differ in shape or type.
        """
        for pixels in pictures:
            check_pixels(pixels)
        if len({(pixels.shape, pixels.dtype) for pixels in pictures}) != 1:
            raise ValueError("the pictures of a batch must have one shape and type")
        if len(pictures) > 1:
            try:
                stacked: Pixels = np.stack(pictures)  # type: ignore[assignment]
                return self._upscale(stacked, ensemble, tile, dtype, progress)
            except (_OneByOneError, DeviceMemoryError, MemoryError):
                devices.release_memory(self.device)
        return [self.upscale(pixels, ensemble, tile, dtype, progress) for pixels in pictures]

    def batch_size(self, height: int, width: int) -> int:
        """How many pictures of a size, in LR pixels, are worth upscaling at once.

        On a CPU this is 1: a strip that is larger than its caches is slower, not faster.
        """
        if self.device.type == "cpu":
            return 1
        return max(1, devices.STRIP_PIXELS[self.device.type] // (height * width))

    def _upscale(
        self,
        pixels: Pixels,
        ensemble: bool,
        tile: Tile,
        dtype: Literal["uint8", "uint16"] | None,
        progress: Progress | None,
        plan: Plan | None = None,
    ) -> list[Upscaled]:
        """`upscale` for pictures of one size, (N, H, W, 3).

        Raises:
            _OneByOneError: there are several, and something is amiss.
        """
        count, height, width, _ = pixels.shape
        plan = plan or self.plan(height, width, ensemble, tile, count)
        self._warn_if_slow(plan, tile)
        precision = self.precision
        output = empty_pixels(
            count, height * self.scale, width * self.scale, np.dtype(dtype or pixels.dtype)
        )
        total, done = height * width, 0
        todo = deque(plan.panels)
        while todo:
            region = todo.popleft()
            reached = region.top
            trouble: Exception | None = None
            node = self._streams.get(ensemble, precision, plan.transposed).fresh()
            node.limit_rows(plan.strip_rows)
            try:
                with devices.exact_convolutions():
                    for reached in self._run(node, pixels, output, region, plan):
                        if progress:
                            progress(
                                done + (reached - region.top) * (region.right - region.left), total
                            )
            except _NotFiniteError as error:
                trouble = error
            except (RuntimeError, MemoryError) as error:
                if not devices.is_out_of_memory(error):
                    raise
                trouble = error.with_traceback(None)  # its frames would keep tensors alive
            finally:
                node.reset()
            done += (reached - region.top) * (region.right - region.left)
            if trouble is None:
                continue
            if count > 1:
                raise _OneByOneError from trouble
            rest = Region(reached, region.bottom, region.left, region.right)
            if isinstance(trouble, _NotFiniteError):
                precision = safer(precision)
            else:
                devices.release_memory(self.device)
                plan = smaller(plan, trouble, self.device)
            todo.extendleft(reversed(list(rest.panels(plan.panel_width))))
        return [Upscaled(picture, plan, precision) for picture in output]

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

    def _run(
        self, node: Node, pixels: Pixels, output: Pixels, region: Region, plan: Plan
    ) -> Iterator[int]:
        """Stream one region into the output; yields the row below those that are done."""
        scale, strip_rows = self.scale, plan.strip_rows
        if plan.transposed:
            # Views: what they hold is transposed on the device.
            pixels, output = pixels.swapaxes(1, 2), output.swapaxes(1, 2)
        read = region.grown(node.delay, plan.height, plan.width)
        columns = slice((region.left - read.left) * scale, (region.right - read.left) * scale)
        row = read.top * scale  # where the next rows that the node gives belong
        for top in range(read.top, read.bottom, strip_rows):
            bottom = min(top + strip_rows, read.bottom)
            strip = upload(
                pixels[:, top:bottom, read.left : read.right], self.device, plan.transposed
            )
            with torch.inference_mode():
                rows = node.push(strip, last=bottom == read.bottom)
                skip = min(rows.shape[2], max(0, region.top * scale - row))
                rows = rows[:, :, skip:, columns]
                row += skip
                if rows.shape[2] == 0:
                    continue
                if not bool(torch.isfinite(rows).all()):
                    raise _NotFiniteError
                below = row + rows.shape[2]
                output[:, row:below, region.left * scale : region.right * scale] = download(
                    rows, output.dtype, plan.transposed
                )
            row = below
            yield row // scale
