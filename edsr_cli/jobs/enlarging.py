"""From the pixels of an input to those of an output: networks in a row, and a reduction behind."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import prod
from typing import Any

import numpy as np

from edsr_cli.errors import DeviceMemoryError
from edsr_cli.files.scratch import scratch
from edsr_cli.inference import Progress, Upscaler
from edsr_cli.inference.planning import Plan
from edsr_cli.inference.upscaler import SLOW, Outcome
from edsr_cli.jobs.partial import PartialRows
from edsr_cli.jobs.target import Enlargement
from edsr_cli.options.pictures import Outputs
from edsr_cli.pixels.arrays import Pixels, empty_pixels
from edsr_cli.pixels.depth import at_depth
from edsr_cli.pixels.resample import Reducing
from edsr_cli.pixels.transfer import for_network
from edsr_cli.pixels.windows import ArrayWindow, Readable, Region, Writable

_DEEP = np.dtype(np.uint16)  # of what is kept in front of the result
DEEP_PIXEL_BYTES = 6
_BAND_BYTES = 2**22  # copied at a time

Room = Callable[[int, int, np.dtype[Any]], Pixels]
"""Gives an array (height, width, 3) of a type."""


def on_disk(height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    """An array in a scratch file; see `scratch` for what is raised."""
    size = 3 * height * width * dtype.itemsize
    return np.ndarray((height, width, 3), dtype, buffer=scratch(size))


def make_plans(
    enlargement: Enlargement,
    networks: Sequence[Upscaler],
    options: Outputs,
    *,
    by_rows: bool = False,
) -> tuple[Plan, ...]:
    """How the picture is cut, for each network.

    Args:
        enlargement: what is to be done.
        networks: one for each of its scales.
        options: how.
        by_rows: whether what comes out is best made in rows of full width, from the top.

    Raises:
        DeviceMemoryError: not even the smallest piece fits in the memory that may be used.
    """
    plans = []
    width, height = enlargement.before
    for number, network in enumerate(networks, 1):
        plan = network.plan(height, width, options.ensemble, options.tile)
        wanted = by_rows or enlargement.reduces
        if number == len(networks) and wanted and isinstance(options.tile, str):
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


def enlarge(
    source: Readable,
    target: Writable,
    enlargement: Enlargement,
    networks: Sequence[Upscaler],
    options: Outputs,
    *,
    plans: Sequence[Plan] | None = None,
    progress: Progress | None = None,
    linear: bool = False,
    room: Room = empty_pixels,
    kept: PartialRows | None = None,
) -> tuple[Outcome, ...]:
    """Make a picture as large as it is to be.

    Args:
        source: the picture, (H, W, 3), RGB, of the size `enlargement.before`.
        target: where it goes, of the size `enlargement.after`. Its type is that of the result; all
            in front of it has 16 bits.
        enlargement: what is to be done.
        networks: one for each of its scales, in the strengths that were chosen.
        options: how.
        plans: as `make_plans` has made them; None to make them now.
        progress: called with the LR pixels that are done, and that there are, of all networks.
        linear: whether the numbers of source and target count light; networks see them as sRGB.
        room: where to keep what is between two networks, and what is not made in the order that
            the target wants.
        kept: what the last network has made before, and where to keep what it makes now, if it
            makes it by rows.

    Returns:
        How each network has done.

    Raises:
        DeviceMemoryError, WeightsError: see `Upscaler.upscale`.
    """
    if plans is None:
        by_rows = target.order == "rows"
        plans = make_plans(enlargement, networks, options, by_rows=by_rows)
    source, target = for_network(source, target, linear=linear and bool(networks))
    final = target
    if enlargement.reduces:
        height, width = (prod((side, *enlargement.scales)) for side in source.shape[:2])
        final = Reducing(target, height, width, _DEEP if networks else source.dtype)
    parts = _parts(progress, plans)
    outcomes = []
    for number, (network, plan, report) in enumerate(zip(networks, plans, parts, strict=True), 1):
        is_last, first_row = number == len(networks), 0
        straight = is_last and (final.order == "any" or plan.rows_only)
        into = final
        if not straight:
            height, width = (network.scale * side for side in source.shape[:2])
            made = ArrayWindow(room(height, width, final.dtype if is_last else _DEEP))
            into = made
        with ExitStack() as stack:
            if kept is not None and straight and plan.rows_only:
                finished = kept.go_on(into, plan, network.scale, _in_pixels(report, plan, network))
                into, plan = stack.enter_context(finished)
                first_row = kept.count // network.scale
            outcomes.append(
                network.upscale_into(
                    source,
                    into,
                    ensemble=options.ensemble,
                    tile=options.tile,
                    progress=report,
                    plan=plan,
                    first_row=first_row,
                )
            )
        if straight:
            return tuple(outcomes)
        source = made
    _copy(source, final)
    return tuple(outcomes)


def _copy(source: Readable, target: Writable) -> None:
    """Put a picture into a window of its size, whatever the depth of either."""
    height, width = source.shape[:2]
    rows = max(1, _BAND_BYTES // (6 * width))
    for top in range(0, height, rows):
        region = Region(top, min(top + rows, height), 0, width)
        target.write(region, at_depth(source.read(region), 8 * target.dtype.itemsize))


def _in_pixels(progress: Progress | None, plan: Plan, network: Upscaler) -> Callable[[int], None]:
    """What to call with rows that a network has made, for progress in LR pixels."""

    def report(rows: int) -> None:
        if progress is not None:
            progress(rows // network.scale * plan.width, plan.height * plan.width)

    return report


def _parts(progress: Progress | None, plans: Sequence[Plan]) -> list[Progress | None]:
    """For each network, what it is to call."""
    if progress is None:
        return [None] * len(plans)
    pixels = [plan.height * plan.width for plan in plans]
    total = sum(pixels)

    def part(before: int) -> Progress:
        return lambda done, _: progress(before + done, total)

    return [part(sum(pixels[:number])) for number in range(len(plans))]
