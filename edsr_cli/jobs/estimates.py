"""What a picture takes on its way: work, memory, and room on the disk."""

from collections.abc import Sequence

from edsr_cli.inference import Upscaler
from edsr_cli.inference.planning import Plan
from edsr_cli.jobs import enlarging
from edsr_cli.jobs.partial import bytes_at_most
from edsr_cli.jobs.work import Work


def output_bytes(work: Work) -> int:
    """Bytes of the pixels of the output, at most."""
    width, height = work.enlargement.after
    return 3 * width * height * work.output_bits(work.inspected.bits) // 8


def plan_values(
    work: Work, plans: Sequence[Plan], networks: Sequence[Upscaler]
) -> dict[str, float]:
    """What a picture takes, for its record: multiply-adds, and bytes of memory and on the disk.

    Args:
        work: the picture, behind `Worker.examine`.
        plans: how each of its networks cuts it.
        networks: what it goes through.
    """
    options, enlargement = work.options, work.enlargement
    between = enlarging.between_bytes(plans, enlargement, networks)
    values = enlarging.plan_values(plans, enlargement, networks, options)
    values["multiply_adds"] *= work.inspected.frames
    width, height = enlargement.after
    writing = {"encoder_bytes": work.task.output_format.encoder_bytes * width * height}
    read, made = work.inspected.pixel_bytes, output_bytes(work)
    if work.resumable:
        depth = 2 if enlargement.reduces else work.output_bits(work.inspected.bits) // 8
        values["kept_bytes"] = bytes_at_most(plans[-1], networks[-1].scale, depth)
    values |= {"decoder_bytes": work.inspected.decoder_bytes}
    if not work.large:
        return values | writing | {"picture_bytes": read + made + between, "scratch_bytes": 0}
    scratch = between
    if not work.inspected.streams:
        scratch += read
    if plans and not plans[-1].rows_only and not enlargement.reduces:
        scratch += made
    return values | writing | {"picture_bytes": 0, "scratch_bytes": scratch}
