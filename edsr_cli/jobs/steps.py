"""The steps of a file's life: inspect, decode, upscale, write. Plain functions; all may raise."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli import images
from edsr_cli.errors import FileError, Kind, PictureError
from edsr_cli.files.atomic import check_writable
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of_system_error
from edsr_cli.images import (
    FORMATS,
    Metadata,
    OutputFormat,
    OutputOptions,
    OutputRequest,
    Picture,
)
from edsr_cli.images.alpha import (
    DROP,
    KEEP,
    UNCOVERED,
    WAYS_OUT,
    applied,
    is_tinted,
    resized,
)
from edsr_cli.images.guard import OTHER_FRAMES, check_frames
from edsr_cli.images.metadata.stripping import stripped, with_resolution
from edsr_cli.images.sequences import check_holds, holds_all, opaque_beside
from edsr_cli.inference import memory, processors
from edsr_cli.jobs.streams import read_stdin, stdout
from edsr_cli.jobs.target import PRINT_DPI
from edsr_cli.jobs.task import Task
from edsr_cli.options.choices import Depth, Grey, Strip, TiffKind
from edsr_cli.options.pictures import Outputs
from edsr_cli.pixels.depth import dtype_of
from edsr_cli.pixels.planes import Plane
from edsr_cli.text import one_line


class OutputExistsError(PictureError):
    """There is a file where the output would go."""

    of_class = Kind.EXISTS


class Inspected(Struct, frozen=True):
    """What is known of an input before it is decoded.

    Attributes:
        source: the file, or what came from standard input.
        input_size: (width, height) in pixels.
        pixel_bytes: bytes that the decoded pixels take at most.
        bits: bits a channel of them, 8 or 16.
        streams: whether they can be decoded as they are asked for.
        decoder_bytes: memory that decoding takes beside them, for a moment, where they cannot.
        frames: the number of those that are made larger, or of pages.
        animated, plays, cover: see `PictureInfo`.
    """

    source: Path | bytes
    input_size: tuple[int, int]
    pixel_bytes: int
    bits: int = 8
    streams: bool = False
    decoder_bytes: int = 0
    frames: int = 1
    animated: bool = False
    plays: int = 1
    cover: bool = False


def inspect(task: Task, options: Outputs, file: BinaryIO | None = None) -> Inspected:
    """Read the header of the input, or all of standard input.

    Args:
        task: what to read and write.
        options: how.
        file: what has the header; None for the input itself.

    Raises:
        PictureError: it is no picture that can be read, or too large.
    """
    most = _max_pixels(options)
    source = read_stdin(most) if task.source is None else task.source
    name = display_name(source) if isinstance(source, Path) else None
    info = images.probe(file or source, most, name=name, frame=_frame(options))
    frames = len(info.all_frames) if options.frames else 1
    if frames > 1:
        check_holds(info, task.output_format)
        pixels = info.width * info.height * (frames if info.animated else 1)
        check_frames(input_name(task), frames, pixels, most)
    channels = 4 if options.alpha == KEEP else 3
    bits = 16 if info.bits > 8 else 8
    pixel_bytes = info.width * info.height * channels * bits // 8
    size = (info.width, info.height)
    return Inspected(
        source,
        size,
        pixel_bytes,
        bits,
        info.streams,
        info.decoder_bytes,
        frames,
        info.animated,
        info.plays,
        info.cover,
    )


def is_large(inspected: Inspected, made_bytes: int, options: Outputs) -> bool:
    """Whether a picture is to go from file to file by rows, and not to be kept in memory.

    It is where the input and what is made of it, the output and what is between two networks, take
    more together than the network may, if that was said, or else than half of what would be for it.
    """
    limit = memory.budget() // 2 if options.max_memory is None else int(options.max_memory)
    return inspected.pixel_bytes + made_bytes > limit


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


def decode(
    inspected: Inspected,
    options: Outputs,
    output_format: OutputFormat,
    opened: ExitStack | None = None,
) -> Picture:
    """Read the picture, with the colours that the network is to see.

    It is grey where it is to be written as greyscale.

    Args:
        inspected: what its header says.
        options: how.
        output_format: what it will be written in.
        opened: where to leave the file open for a picture that is large, whose pixels are decoded
            when they are asked for; None to decode them now.

    Raises:
        PictureError: it cannot be read.
    """
    grey = _writes_grey(options, output_format)
    with ExitStack() as stack:
        file = images.open_picture(inspected.source, _max_pixels(options), frame=_frame(options))
        picture = stack.enter_context(file).read(
            keep_alpha=options.alpha != DROP,
            keep_grey=grey and _keeps_values(options, output_format),
            streamed=opened is not None,
        )
        if opened is not None:
            opened.push(stack.pop_all())
    return _seen(picture, options, grey, holds_all(inspected.animated, output_format))


def decode_frames(
    inspected: Inspected, options: Outputs, output_format: OutputFormat
) -> Iterator[Picture]:
    """Read all frames or pages, one after the other; see `decode`.

    Frames are never grey, and all have alpha where one may.

    Raises:
        PictureError: one cannot be read.
    """
    grey = not inspected.animated and _writes_grey(options, output_format)
    keep_grey = grey and _keeps_values(options, output_format)
    clear = False
    with images.open_picture(inspected.source, _max_pixels(options)) as opened:
        for picture in opened.frames(keep_alpha=options.alpha != DROP, keep_grey=keep_grey):
            picture = _seen(picture, options, grey)
            if inspected.animated and options.alpha == KEEP:
                # Only of a GIF the first frame does not tell.
                clear = clear or picture.alpha is not None or picture.source_format == "GIF"
                picture = opaque_beside(picture) if clear else picture
            yield picture


def _frame(options: Outputs) -> int | None:
    """The frame that stands for the picture; None for the first, with a remark on others."""
    return 1 if options.frames else options.frame


def _writes_grey(options: Outputs, output_format: OutputFormat) -> bool:
    """Whether greyscale is written as such, unless it is laid on a colour that is none."""
    return options.grey is Grey.AUTO and output_format.grey


def _keeps_values(options: Outputs, output_format: OutputFormat) -> bool:
    """Whether greyscale can keep its own values, since the format says what they are.

    Not where it may become RGB, which is known only when it has been read.
    """
    return "ICC profile" in output_format.keeps and not is_tinted(options.alpha)


def _seen(picture: Picture, options: Outputs, grey: bool, several: bool = False) -> Picture:
    """A picture with the colours that the network is to see.

    Args:
        picture: as it was read.
        options: how.
        grey: whether greyscale is written as such.
        several: whether its other frames or pages could be written, too.
    """
    notes = tuple(_with_ways_out(note, several) for note in picture.notes)
    tinted = picture.alpha is not None and is_tinted(options.alpha)
    grey = picture.grey and grey and not tinted
    return replace(applied(picture, options.alpha), notes=notes, grey=grey)


def _with_ways_out(note: str, several: bool) -> str:
    if note == UNCOVERED:
        return f"{note}; {WAYS_OUT}"
    if several and note.endswith(OTHER_FRAMES):
        return f"{note}, --frames all takes all"
    return note


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


def input_name(task: Task) -> str:
    """What to call the input in messages."""
    if task.source is None and task.origin is None:
        return "standard input"
    return one_line(task.source_name)


def output_name(task: Task) -> str:
    """What to call the output in messages."""
    return "standard output" if task.destination is None else one_line(task.destination_name)


def names(task: Task) -> dict[str, str]:
    """What its files may be called in messages, and what to call them instead.

    An object of a store has another name while it is a file here.
    """
    found = {name: name for name in (input_name(task), output_name(task))}
    if task.source is not None:
        found[display_name(task.source)] = input_name(task)
    if task.destination is not None:
        found[display_name(task.destination)] = output_name(task)
    return found


def _max_pixels(options: Outputs) -> int:
    return options.max_pixels or images.DEFAULT_MAX_PIXELS


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
