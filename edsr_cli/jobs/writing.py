"""What is written for a task: whether it can be, what is asked of the file, and the file itself.

Plain functions; all may raise.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from edsr_cli import images
from edsr_cli.errors import FileError, Kind, PictureError
from edsr_cli.files.atomic import check_writable
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.images import FORMATS, Metadata, OutputFormat, OutputOptions, OutputRequest
from edsr_cli.images.alpha import resized
from edsr_cli.images.metadata.stripping import stripped, with_resolution
from edsr_cli.inference import processors
from edsr_cli.jobs.streams import stdout
from edsr_cli.jobs.target import PRINT_DPI
from edsr_cli.jobs.task import Task, output_name
from edsr_cli.options.choices import Depth, Strip, TiffKind
from edsr_cli.options.pictures import Outputs
from edsr_cli.pixels.depth import dtype_of
from edsr_cli.pixels.planes import Plane


class OutputExistsError(PictureError):
    """There is a file where the output would go."""

    of_class = Kind.EXISTS


def check_promises(options: Outputs, output_format: OutputFormat) -> None:
    """Refuse a format that cannot hold what every output is to have: no loss, or a depth.

    What else a format cannot do may, where each output has that of its input, be said for others.

    Raises:
        PictureError: it cannot.
    """
    name = output_format.name
    if options.lossless and output_format.lossy:
        able = [each.name for each in FORMATS if not each.lossy]
        raise PictureError(
            f"--lossless: {name} is written with loss: {output_format.lossy}.",
            f"Choose one of {', '.join(able)}.",
        )
    if options.depth is not Depth.AUTO and int(options.depth) > output_format.depths[-1]:
        able = [each.name for each in FORMATS if int(options.depth) <= each.depths[-1]]
        raise PictureError(
            f"{name} cannot hold the {options.depth} bits a channel that --depth asks for.",
            f"Write {' or '.join(able)}, or leave it out.",
        )


def check_output(task: Task, options: Outputs, *, touch: bool = True, free: bool = False) -> None:
    """Find out, before the work is done, whether the output can be written.

    Args:
        task: what to write.
        options: whether it may replace a file.
        touch: whether to try to write where the output goes; see `check_writable`.
        free: whether a ledger that is kept in the store knows that the object is not there. So the
            store can be written to, and what has come since is met when the output is put there.

    Raises:
        OutputExistsError: there is a file that may not be replaced.
        PictureError, StoreError: the output cannot be written for another reason.
    """
    destination = task.destination
    if destination is None:
        return
    name = output_name(task)
    if task.goal is not None and not free:
        if not options.overwrite and task.goal.look() is not None:
            raise OutputExistsError(
                "the object exists already.", "To replace it, add --overwrite.", about=name
            )
        if touch:
            task.goal.check_writable()
    with _explained(name):
        try:
            mode = destination.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            folder = _existing(destination.parent)
        else:
            if os.path.isdir(destination):
                raise PictureError("this is a folder.", "Give a file with -o.", about=name)
            if not options.overwrite:
                raise OutputExistsError(
                    "the file exists already.", "To replace it, add --overwrite.", about=name
                )
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                raise PictureError(
                    "this is a device or a pipe, not a file.", "Choose another name.", about=name
                )
            folder = Path(os.path.realpath(destination)).parent
    try:
        check_writable(folder, touch=touch)
    except FileError as error:
        raise PictureError(error.what, error.hint, about=name, kind=error.kind) from error


def metadata(
    found: Metadata, software: str, options: Outputs, output_format: OutputFormat
) -> Metadata:
    """What to write beside the pixels of a picture.

    Args:
        found: what the input says.
        software: what made the output.
        options: what is to be left out, and the resolution.
        output_format: where they go.
    """
    kept = stripped(found, options.strip)
    if options.strip is not Strip.ALL:
        kept = replace(kept, software=software)
    dpi = options.dpi or (PRINT_DPI if options.print else None)
    if dpi is None:
        return kept
    places = output_format.keeps
    return with_resolution(kept, dpi, in_exif="EXIF data" in places and "resolution" not in places)


def request(
    options: Outputs,
    size: tuple[int, int],
    metadata: Metadata,
    *,
    alpha: Plane | None = None,
    grey: bool = False,
    bits: int = 8,
    threads: int | None = None,
) -> OutputRequest:
    """What is asked of the file for an upscaled picture.

    Args:
        options: how.
        size: width and height in pixels.
        metadata: what to put beside them.
        alpha: that of the input, where it is kept.
        grey: whether to write it as greyscale.
        bits: bits a channel, 8 or 16.
        threads: how many compress; None for as many as compute.
    """
    large = None if alpha is None else resized(alpha, *size, dtype_of(bits))
    return OutputRequest(size, metadata, _output_options(options, threads), large, bits, grey)


@contextmanager
def destination(
    task: Task,
    options: Outputs,
    *,
    mtime_ns: int | None = None,
    commit: Callable[[os.stat_result], None] | None = None,
    check: Callable[[], None] | None = None,
) -> Iterator[BinaryIO]:
    """Give a file to write the output to, which is there when the block ends well.

    Args:
        task: where to.
        options: whether it may replace a file.
        mtime_ns: the time of change that the file is to have; None for now.
        commit, check: see `edsr_cli.images.picture_file`; they are for files.

    Raises:
        PictureError: it cannot be written.
    """
    if task.destination is None:
        with stdout() as file:
            yield file
        return
    with _explained(output_name(task)):
        task.destination.parent.mkdir(parents=True, exist_ok=True)
    with images.written(
        task.destination,
        overwrite=options.overwrite,
        commit=commit,
        check=check,
        mtime_ns=mtime_ns,
    ) as file:
        yield file


def _output_options(options: Outputs, threads: int | None) -> OutputOptions:
    """How pictures are written."""
    return OutputOptions(
        compression=options.compression,
        quality=options.quality,
        chroma=options.chroma,
        tiff=options.tiff or TiffKind.STRIPS,
        threads=threads or processors.asked() or processors.available(),
    )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn failures of the file system into a `PictureError` about the file to be written."""
    try:
        yield
    except OSError as error:
        raise PictureError(
            f"it cannot be written ({error.strerror}).",
            "Write it somewhere else.",
            about=name,
            kind=kind_of_system_error(error, reading=False),
        ) from error


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder
