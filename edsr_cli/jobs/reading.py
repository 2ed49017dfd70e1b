"""What is read for a task: a header, then pixels in the colours that the network is to see.

Plain functions; all may raise.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli import images
from edsr_cli.files.names import display_name
from edsr_cli.images import OutputFormat, Picture
from edsr_cli.images.alpha import DROP, KEEP, UNCOVERED, WAYS_OUT, applied, is_tinted
from edsr_cli.images.guard import OTHER_FRAMES, check_frames
from edsr_cli.images.sequences import check_holds, holds_all, opaque_beside
from edsr_cli.inference import memory
from edsr_cli.jobs.streams import read_stdin
from edsr_cli.jobs.task import Task, input_name
from edsr_cli.options.choices import Grey
from edsr_cli.options.pictures import Outputs


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


def _max_pixels(options: Outputs) -> int:
    return options.max_pixels or images.DEFAULT_MAX_PIXELS
