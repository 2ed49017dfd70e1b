"""What pictures take, in memory, time and room on the disk; and dry runs, which say so."""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from edsr_cli.checkpoints.store.cache import cache_folder, speeds_file
from edsr_cli.errors import EdsrError, WeightsError
from edsr_cli.files.scratch import scratch_folder
from edsr_cli.inference import Upscaler
from edsr_cli.inference.calibration import speed_of
from edsr_cli.inference.planning import Plan
from edsr_cli.jobs.enlarging import DEEP_PIXEL_BYTES
from edsr_cli.jobs.partial import bytes_at_most
from edsr_cli.jobs.record import Record, Status
from edsr_cli.jobs.staging import fetch
from edsr_cli.jobs.task import Task, output_name
from edsr_cli.jobs.work import Work
from edsr_cli.restoration.networks import RestoringUpscaler
from edsr_cli.stores.failures import StoreError
from edsr_cli.text import about

if TYPE_CHECKING:
    from edsr_cli.jobs.worker import Worker


def plan(
    worker: "Worker", task: Task, *, speed: float | None = None, forgiving: bool = False
) -> Record:
    """What `Worker.complete` would do; writes nothing.

    It reads the picture's header only, unless how much to restore depends on its pixels.

    Args:
        worker: who would do it.
        task: what would be read and written.
        speed: multiply-adds a second, to say how long it takes; None not to.
        forgiving: whether it is a remark, no failure, that the output exists already.
    """
    first = worker.upscalers[0]
    chooses = isinstance(first, RestoringUpscaler) and first.restoration.fixed is None
    work = worker.examine(task, touch=False, header=not chooses, forgiving=forgiving)
    if not work.ended:
        worker.lay_out(work)
    if not work.ended:
        networks = worker.networks(work)
        if speed is not None:
            work.note(plan=work.record.plan | {"seconds": _seconds(work, networks, speed)})
        if networks and isinstance(networks[0], RestoringUpscaler):
            fixed = networks[0].restoration.fixed
            if fixed is None:
                if work.whole or work.attempt("decode", lambda: fetch(work), reading=True):
                    worker.decode(work)
            else:
                work.note(restore=fixed.strength, restore_reason=fixed.reason)
    if not work.ended:
        work.end(Status.PLANNED, notes=work.record.notes + _standing(work))
    return work.record


def _seconds(work: Work, networks: Sequence[Upscaler], speed: float) -> float:
    """How long the networks of a picture take, about."""
    pairs = zip(work.plans or (), networks, strict=True)
    times = [network.seconds(plan, speed, work.options.ensemble) for plan, network in pairs]
    return round(sum(times) * work.inspected.frames, 3)


def _standing(work: Work) -> tuple[str, ...]:
    """A remark on an output that exists already."""
    destination, goal = work.task.destination, work.task.goal
    there = destination is not None and os.path.lexists(destination)
    if goal is not None:
        with suppress(StoreError):  # it has answered a moment ago
            there = goal.look() is not None
    if not there:
        return ()
    name = output_name(work.task)
    if work.options.overwrite:
        return (f"{name} exists already, and would be replaced",)
    return (f"{name} exists already; to replace it, add --overwrite",)


def output_bytes(work: Work) -> int:
    """Bytes of the pixels of the output, at most."""
    width, height = work.enlargement.after
    return 3 * width * height * work.output_bits(work.inspected.bits) // 8


def plan_values(
    work: Work, plans: Sequence[Plan], networks: Sequence[Upscaler]
) -> dict[str, float]:
    """What a picture takes, as `Record.plan` has it, without seconds.

    Args:
        work: the picture, behind `Worker.examine`.
        plans: how each of its networks cuts it; the record's is that of the last one.
        networks: what it goes through.
    """
    enlargement, inspected = work.enlargement, work.inspected
    width, height = enlargement.after
    last = plans[-1] if plans else None
    pairs = zip(plans, networks, strict=True)
    ensemble = work.options.ensemble
    work_per_frame = sum(plan.pixels * each.work_per_pixel(ensemble) for plan, each in pairs)
    values: dict[str, float] = {
        "panels": len(last.panels) if last else 0,
        "panel_width": last.panel_width if last else 0,
        "strips": -(-last.height // last.strip_rows) * len(last.panels) if last else 0,
        "strip_rows": last.strip_rows if last else 0,
        "transposed": last.transposed if last else False,
        "memory_bytes": max((plan.bytes for plan in plans), default=0),
        "weight_bytes": sum(network.weight_bytes(ensemble) for network in networks),
        "multiply_adds": work_per_frame * inspected.frames,
        "decoder_bytes": inspected.decoder_bytes,
        "encoder_bytes": work.task.output_format.encoder_bytes * width * height,
    }
    if last and work.resumable:
        depth = 2 if enlargement.reduces else work.output_bits(inspected.bits) // 8
        values["kept_bytes"] = bytes_at_most(last, networks[-1].scale, depth)
    kept, made = _between_bytes(work, last, networks), output_bytes(work)
    if not work.large:
        return values | {
            "picture_bytes": inspected.pixel_bytes + made + kept,
            "scratch_bytes": 0,
        }
    if not inspected.streams:
        kept += inspected.pixel_bytes
    if last and not last.rows_only and not enlargement.reduces:
        kept += made
    return values | {"picture_bytes": 0, "scratch_bytes": kept}


def _between_bytes(work: Work, last: Plan | None, networks: Sequence[Upscaler]) -> int:
    """What is kept, at most, between two networks or in front of the reduction."""
    pixels = work.enlargement.between
    if last and work.enlargement.reduces and not last.rows_only:
        pixels = max(pixels, last.height * last.width * networks[-1].scale ** 2)
    return DEEP_PIXEL_BYTES * pixels


def speed(upscaler: Upscaler) -> float | None:
    """Multiply-adds a second, kept in the cache folder; None where that cannot be found out."""
    try:
        file = speeds_file(cache_folder())
    except WeightsError:  # there is no home folder
        file = None
    try:
        return speed_of(upscaler, file)
    except (EdsrError, ImportError):  # of an engine that is not there; a plan needs none
        return None


def in_words(record: Record, output_format: str) -> str:
    """Memory and time of a planned picture, for people."""
    plan = record.plan
    parts = (
        ("pictures", plan["picture_bytes"]),
        ("decoding", plan["decoder_bytes"]),
        ("network", plan["memory_bytes"] + plan["weight_bytes"]),
        (f"writing {output_format}", plan["encoder_bytes"]),
    )
    text = "memory: " + ", ".join(f"{name} {_megabytes(count)}" for name, count in parts if count)
    if plan["scratch_bytes"]:
        text += f"; a scratch file of {_megabytes(plan['scratch_bytes'])} in {scratch_folder()}"
    if "kept_bytes" in plan:
        text += f"; up to {_megabytes(plan['kept_bytes'])} of finished rows beside the output"
    seconds = plan.get("seconds") if plan["panels"] else None
    return text if seconds is None else f"{text}; the network takes {about(seconds)}"


def in_all(seconds: float) -> str:
    """A line about the time of several pictures."""
    return f"In all, the network takes {about(seconds)}."


def _megabytes(count: float) -> str:
    return f"{max(1, round(count / 1e6)):,} MB"
