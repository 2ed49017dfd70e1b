"""From the pixels of an input to those of an output: networks in a row, and a reduction behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edsr_cli.errors import DeviceMemoryError
from edsr_cli.inference import Progress, Upscaler
from edsr_cli.inference.planning import Plan
from edsr_cli.inference.upscaler import SLOW, Outcome
from edsr_cli.jobs.target import Enlargement
from edsr_cli.options.pictures import Outputs
from edsr_cli.pixels.arrays import Pixels, empty_pixels
from edsr_cli.pixels.depth import at_depth
from edsr_cli.pixels.resample import Reducing, reduced
from edsr_cli.pixels.windows import ArrayWindow

Depth = Literal["uint8", "uint16"]
_DEEP_PIXEL_BYTES = 6


@dataclass(frozen=True)
class Enlarged:
    """A picture of the size that was asked for.

    Attributes:
        pixels: (H, W, 3), RGB.
        outcomes: how each network has done.
    """

    pixels: Pixels
    outcomes: tuple[Outcome, ...]


def make_plans(
    enlargement: Enlargement, networks: Sequence[Upscaler], options: Outputs
) -> tuple[Plan, ...]:
    """How the picture is cut, for each network.

    Raises:
        DeviceMemoryError: not even the smallest piece fits in the memory that may be used.
    """
    plans = []
    width, height = enlargement.before
    for number, network in enumerate(networks, 1):
        plan = network.plan(height, width, options.ensemble, options.tile)
        if number == len(networks) and enlargement.reduces and isinstance(options.tile, str):
            # So its output, which may be far larger than what is asked for, need not be kept.
            rows = _by_rows(network, height, width, options)
            plan = rows if rows is not None and rows.slowdown < SLOW else plan
        plans.append(plan)
        width, height = width * network.scale, height * network.scale
    return tuple(plans)


def _by_rows(network: Upscaler, height: int, width: int, options: Outputs) -> Plan | None:
    try:
        return network.plan(height, width, options.ensemble, options.tile, rows_only=True)
    except DeviceMemoryError:
        return None


def plan_values(
    plans: Sequence[Plan],
    enlargement: Enlargement,
    networks: Sequence[Upscaler],
    picture_bytes: int,
    options: Outputs,
) -> dict[str, float]:
    """Plans as `Record.plan` has them, without seconds; the cut is that of the last one.

    `picture_bytes` are those of the input's and the output's pixels.
    """
    # What is between two networks, or in front of the reduction, is kept with 16 bits.
    between = [plan.height * plan.width for plan in plans[1:]]
    if plans and enlargement.reduces and not plans[-1].rows_only:
        between.append(plans[-1].height * plans[-1].width * networks[-1].scale ** 2)
    pairs = list(zip(plans, networks, strict=True))
    last = plans[-1] if plans else None
    return {
        "panels": len(last.panels) if last else 0,
        "panel_width": last.panel_width if last else 0,
        "strips": -(-last.height // last.strip_rows) * len(last.panels) if last else 0,
        "strip_rows": last.strip_rows if last else 0,
        "transposed": last.transposed if last else False,
        "memory_bytes": max((plan.bytes for plan in plans), default=0),
        "weight_bytes": sum(network.weight_bytes(options.ensemble) for network in networks),
        "picture_bytes": picture_bytes + _DEEP_PIXEL_BYTES * max(between, default=0),
        "multiply_adds": sum(
            plan.pixels * network.work_per_pixel(options.ensemble) for plan, network in pairs
        ),
    }


def enlarge(
    pixels: Pixels,
    enlargement: Enlargement,
    networks: Sequence[Upscaler],
    options: Outputs,
    *,
    plans: Sequence[Plan] | None = None,
    progress: Progress | None = None,
    bits: int = 8,
) -> Enlarged:
    """Make a picture as large as it is to be.

    Args:
        pixels: (H, W, 3), RGB, uint8 or uint16, of the size `enlargement.before`.
        enlargement: what is to be done.
        networks: one for each of its scales, in the strengths that were chosen.
        options: how.
        plans: as `make_plans` has made them; None to make them now.
        progress: called with the LR pixels that are done, and that there are, of all networks.
        bits: bits a channel of the result, 8 or 16. All in front of it is kept with 16 bits.

    Raises:
        DeviceMemoryError, WeightsError: see `Upscaler.upscale`.
    """
    plans = make_plans(enlargement, networks, options) if plans is None else plans
    depth: Depth = "uint8" if bits == 8 else "uint16"
    parts = _parts(progress, plans)
    outcomes: list[Outcome] = []
    width, height = enlargement.after
    for number, (network, plan) in enumerate(zip(networks, plans, strict=True), 1):
        last = number == len(networks)
        if last and enlargement.reduces and plan.rows_only:
            result = empty_pixels(height, width, np.dtype(depth))
            rows, columns = pixels.shape[0] * network.scale, pixels.shape[1] * network.scale
            outcome = network.upscale_into(
                ArrayWindow(pixels),
                Reducing(ArrayWindow(result), rows, columns, np.dtype(np.uint16)),
                ensemble=options.ensemble,
                tile=options.tile,
                progress=parts[number - 1],
                plan=plan,
            )
            return Enlarged(result, (*outcomes, outcome))
        kept: Depth = depth if last and not enlargement.reduces else "uint16"
        upscaled = network.upscale(
            pixels, options.ensemble, options.tile, kept, parts[number - 1], plan=plan
        )
        pixels = upscaled.pixels
        outcomes.append(Outcome(upscaled.plan, upscaled.precision))
    if enlargement.reduces:
        pixels = reduced(pixels, width, height, depth)
    return Enlarged(at_depth(pixels, bits), tuple(outcomes))


def _parts(progress: Progress | None, plans: Sequence[Plan]) -> list[Progress | None]:
    """For each network, what it is to call."""
    if progress is None:
        return [None] * len(plans)
    pixels = [plan.height * plan.width for plan in plans]
    total = sum(pixels)

    def part(before: int) -> Progress:
        return lambda done, _: progress(before + done, total)

    return [part(sum(pixels[:number])) for number in range(len(plans))]
