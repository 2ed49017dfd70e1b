"""All frames of an animation, or pages of a document, from file to file."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from edsr_cli.images import create_sequence
from edsr_cli.inference import Progress, Upscaler
from edsr_cli.jobs.reading import Inspected, decode_frames
from edsr_cli.jobs.work import Work
from edsr_cli.pixels.arrays import empty_pixels
from edsr_cli.pixels.depth import dtype_of
from edsr_cli.pixels.windows import ArrayWindow

if TYPE_CHECKING:
    from edsr_cli.jobs.worker import Worker


def remarks_on(inspected: Inspected) -> tuple[str, ...]:
    """What to say of several frames or pages that are made larger, and of a cover that is not."""
    what = "frames" if inspected.animated else "pages"
    remark = f"all {inspected.frames} {what} are made larger"
    if not inspected.cover:
        return (remark,)
    return remark, "left out: its cover, which is shown where animations are not"


def upscale_frames(
    worker: "Worker",
    work: Work,
    upscaler: Upscaler,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Make all frames larger, one after the other, each written before the next one is decoded.

    Frames are restored as much as the first, so that they do not flicker, and have its metadata.
    Pages are pictures of their own.

    Args:
        worker: who does it.
        work: the file, behind `Worker.decode`.
        upscaler, progress, check: see `Worker.upscale`.

    Raises:
        PictureError: one cannot be read, or what comes of it not be written.
    """
    task, inspected = work.task, work.inspected
    count, animated = inspected.frames, inspected.animated
    pictures = decode_frames(inspected, work.options, task.output_format)
    with (
        worker.destination(work, check) as file,
        create_sequence(file, task.output_format, count, inspected.plays) as writer,
    ):
        for number, picture in enumerate(pictures):
            if number and animated:
                work.window, work.alpha = picture.window, picture.alpha
            else:
                if number:
                    height, width = picture.window.shape[:2]
                    work.enlargement = worker.target.enlargement(width, height, worker.scales)
                    work.plans = None
                worker.take(work, picture)
            width, height = work.enlargement.after
            pixels = empty_pixels(height, width, dtype_of(work.bits))
            report = _part(progress, number, count)
            worker.enlarge(work, upscaler, work.window, ArrayWindow(pixels), report)
            writer.add(pixels, worker.request(work), picture.milliseconds)
    work.note(notes=tuple(dict.fromkeys(work.record.notes + writer.notes)))


def _part(progress: Progress | None, number: int, count: int) -> Progress | None:
    """What one of so many frames is to call."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, count * total)
