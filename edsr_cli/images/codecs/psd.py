"""Photoshop files: the merged picture that they hold beside their layers.

Pillow takes the table of row lengths for shorter than it is where there are more channels than
colours, reads bitmaps as negatives, and the white page that stands for a missing merged picture
as the picture. So only the metadata is left to it.
"""

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image, PsdImagePlugin

from edsr_cli.errors import PictureError
from edsr_cli.images.bands import Wanted, put_together
from edsr_cli.images.codecs import Codec, Opened
from edsr_cli.images.codecs.boxes import MAX_PART_BYTES
from edsr_cli.images.codecs.segments import PACKBITS, unpack_bytes
from edsr_cli.images.colour import Samples, samples_to_rgb
from edsr_cli.images.guard import check_frame, check_pixels
from edsr_cli.images.metadata import Found, iptc
from edsr_cli.images.picture import Picture, PictureInfo
from edsr_cli.images.source import kept_position
from edsr_cli.pixels.alpha import may_be_on_white

_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 8, 9
_COLOURS = {_BITMAP: 1, _GREY: 1, _INDEXED: 1, _RGB: 3, _CMYK: 4, _DUOTONE: 1, _LAB: 3}
_MODES = {_BITMAP: "1", _GREY: "L", _INDEXED: "P", _RGB: "RGB", _CMYK: "CMYK", _DUOTONE: "L",
          _LAB: "LAB"}  # fmt: skip
_VERSION_INFO = 1057  # the image resource that says whether there is a merged picture
_RESOLUTION, _EXIF, _XMP = 1005, 1058, 1060  # and these, which hold what they are called
_RAW, _RUNS = 0, 1  # kinds of compression
_MOST_CHANNELS = 56
# Of all samples, while they are put in order, as measured; and where Pillow converts them.
_COPIES, _CONVERTED_COPIES = 4, 5
_GROUP_ROWS, _GROUP_BYTES = 2**14, 2**22  # unpacked at a time


class _Document(Struct, frozen=True):
    """What stands before the pixels. `place` is where they begin, at the kind of compression."""

    width: int
    height: int
    channels: int
    bits: int
    mode: int
    palette: bytes
    resources: bytes
    transparent: bool
    place: int

    @property
    def row_bytes(self) -> int:
        return -(-self.width * self.bits // 8)

    @property
    def read_channels(self) -> int:
        """Channels of colour, and one of transparency behind them."""
        return _COLOURS[self.mode] + self.transparent


class Psd(Codec):
    """See the module."""

    name = "PSD"

    def open(self, file: BinaryIO, name: str, max_pixels: int, frame: int | None = None) -> Opened:
        check_frame(1 if frame is None else frame, 1, name)
        return _Opened(file, name, _read_document(file, name, max_pixels))

    def texts(self, image: Image.Image, file: BinaryIO | None, found: Found) -> None:
        if file is None:
            super().texts(image, file, found)
            return
        parts = _resources(file)
        found.add_photoshop(parts)
        values = dict(reversed(parts))
        found.exif, found.xmp = values.get(_EXIF), values.get(_XMP)
        if len(data := values.get(_RESOLUTION, b"")) >= 16:
            across, _, _, down = struct.unpack_from(">LHHL", data)
            found.dpi = (across / 65536, down / 65536)  # always per inch; the unit is for display


CODEC = Psd()


class _Opened(Struct, frozen=True):
    file: BinaryIO
    name: str
    about: _Document

    def info(self) -> PictureInfo:
        about = self.about
        mode = "I;16" if about.mode == _GREY and about.bits == 16 else _MODES[about.mode]
        copies = _CONVERTED_COPIES if about.mode in (_CMYK, _LAB) else _COPIES
        samples = about.read_channels * about.height * about.row_bytes
        return PictureInfo(
            about.width, about.height, mode, "PSD", about.bits, 1, decoder_bytes=copies * samples
        )

    def read(self, wanted: Wanted) -> Picture:
        about, name = self.about, self.name
        size = (about.width, about.height)
        image = _for_metadata(about)
        codec = CODEC if image.format == CODEC.name else Codec()
        metadata, notes = codec.collect(image, 1, self.file, size)
        samples = _to_samples(_read_channels(self.file, about, name), about, name)
        converted = samples_to_rgb(samples, metadata.icc_profile, name, wanted.alpha, wanted.grey)
        decoded = put_together(lambda: iter([converted]), size, 1, wanted)
        if about.mode == _DUOTONE:
            decoded.notes.insert(0, "the inks of its duotone are not applied: read as greyscale")
        return decoded.picture(metadata, notes, "PSD", about.bits)

    def read_frame(self, wanted: Wanted, number: int) -> Picture:
        return self.read(wanted)


def _read_document(file: BinaryIO, name: str, max_pixels: int) -> _Document:
    file.seek(0)
    header = file.read(26)
    if len(header) < 26:
        raise _damaged(name, "the file is cut short")
    version, channels, height, width, bits, mode = struct.unpack(">4xH6xHLLHH", header)
    if version != 1:
        raise _refused(name, "it is a PSB, a large Photoshop document")
    check_pixels(name, width, height, max_pixels)
    if mode not in _COLOURS:
        raise _refused(name, "its channels are inks of any kind (multichannel)")
    if bits not in ((1,) if mode == _BITMAP else (8,) if mode in (_INDEXED, _LAB) else (8, 16)):
        numbers = "floating-point numbers" if bits == 32 else f"numbers of {bits} bits"
        raise _refused(name, f"its {_MODES[mode]} pixels are {numbers}")
    if not _COLOURS[mode] <= channels <= _MOST_CHANNELS:
        raise _damaged(name, f"it has {channels} channels where {_COLOURS[mode]} are needed")
    palette = _section(file, name)
    resources = _section(file, name)
    layers = _section(file, name, most=6)
    # A negative number of layers says that the first channel behind the colours is transparency.
    (count,) = struct.unpack_from(">4xh", layers) if len(layers) == 6 else (0,)
    # The first of a number counts.
    version_info = dict(reversed(iptc.photoshop_resources(resources))).get(_VERSION_INFO, b"")
    if version_info[4:5] == b"\0":
        raise PictureError(
            "it holds layers, but no merged picture.",
            "Save it in Photoshop with 'Maximize Compatibility', or as PNG.",
            about=name,
        )
    return _Document(
        width=width,
        height=height,
        channels=channels,
        bits=bits,
        mode=mode,
        palette=palette,
        resources=resources,
        transparent=channels > _COLOURS[mode] and (count < 0 or channels == _COLOURS[mode] + 1),
        place=file.tell(),
    )


def _section(file: BinaryIO, name: str, most: int | None = None) -> bytes:
    """A section with its length in front; of a long one, the first bytes. The next one follows."""
    length = file.read(4)
    start = file.tell()
    size = int.from_bytes(length, "big")
    wanted = size if most is None else min(size, most)
    data = file.read(wanted)
    if len(length) < 4 or len(data) < wanted:
        raise _damaged(name, "the file is cut short")
    file.seek(start + size)
    return data


def _resources(file: BinaryIO) -> list[tuple[int, bytes]]:
    """Number and content of the image resources of a PSD file."""
    with kept_position(file):
        file.seek(26)
        colours = file.read(4)
        if len(colours) < 4:
            return []
        file.seek(struct.unpack(">L", colours)[0], 1)
        size = file.read(4)
        if len(size) < 4:
            return []
        return iptc.photoshop_resources(
            file.read(min(struct.unpack(">L", size)[0], MAX_PART_BYTES))
        )


def _for_metadata(about: _Document) -> Image.Image:
    """A document of one pixel, with the same image resources, as Pillow opens it."""
    header = struct.pack(">4sH6xHLLHH", b"8BPS", 1, 3, 1, 1, 8, _RGB)
    resources = struct.pack(">L", len(about.resources)) + about.resources
    file = io.BytesIO(header + bytes(4) + resources + bytes(4) + bytes(2) + bytes(3))
    try:
        return PsdImagePlugin.PsdImageFile(file)
    except Exception:  # any: damaged resources, which the pixels do not need
        return Image.new("RGB", (1, 1))


def _read_channels(file: BinaryIO, about: _Document, name: str) -> NDArray[np.uint8]:
    """The channels of colour, and transparency behind them: (H, n, bytes of a row)."""
    file.seek(about.place)
    (method,) = struct.unpack(">H", file.read(2))
    count = about.read_channels
    rows = about.height * count
    if method == _RAW:
        data = file.read(rows * about.row_bytes)
        if len(data) < rows * about.row_bytes:
            raise EOFError("the pixels are cut short")
        raw = np.frombuffer(data, np.uint8).reshape(count, about.height, -1)
        return raw.transpose(1, 0, 2)
    if method != _RUNS:
        raise _refused(name, f"it is compressed in a rare way (number {method})")
    # The table has the rows of all channels, also of those that are not read.
    table = file.read(2 * about.height * about.channels)
    if len(table) < 2 * about.height * about.channels:
        raise EOFError("the table of rows is cut short")
    sizes = np.frombuffer(table, ">u2")[:rows].tolist()
    pixels = np.empty((rows, about.row_bytes), np.uint8)
    step = max(1, min(_GROUP_ROWS, _GROUP_BYTES // about.row_bytes))
    for top in range(0, rows, step):
        group = [file.read(size) for size in sizes[top : top + step]]
        pixels[top : top + step] = unpack_bytes(group, PACKBITS, about.row_bytes, [1] * len(group))
    return pixels.reshape(count, about.height, -1).transpose(1, 0, 2)


def _to_samples(raw: NDArray[np.uint8], about: _Document, name: str) -> Samples:
    channels: NDArray[Any] = raw.transpose(0, 2, 1)  # (H, bytes, n)
    if about.bits == 16:
        values = np.ascontiguousarray(raw).view(">u2").astype(np.uint16)
        channels = values.transpose(0, 2, 1)
    elif about.bits == 1:
        bits = np.unpackbits(raw, axis=2)[:, :, : about.width]
        channels = ((1 - bits) * np.uint8(255)).transpose(0, 2, 1)  # 1 is black
    count = _COLOURS[about.mode]
    colours = np.ascontiguousarray(channels[..., :count])
    alpha = channels[..., count] if about.transparent else None
    if about.mode == _INDEXED:
        if len(about.palette) < 768:
            raise _damaged(name, "its palette is cut short")
        palette = np.frombuffer(about.palette, np.uint8, 768).reshape(3, 256).T
        return Samples("RGB", palette[colours[..., 0]], alpha, 8)
    if about.mode == _CMYK:  # 0 is all ink
        colours = np.iinfo(colours.dtype).max - colours
        return Samples("CMYK", colours, alpha, about.bits)
    if about.mode == _RGB:
        # Photoshop lays the merged picture on white, but not all programs do.
        white = alpha is not None and may_be_on_white(colours, alpha)
        return Samples("RGB", colours, alpha, about.bits, on_white=white)
    if about.mode == _LAB:
        return Samples("LAB", colours, alpha, about.bits)
    return Samples("GRAY", colours, alpha, about.bits)


def _refused(name: str, why: str) -> PictureError:
    return PictureError(
        f"{why}, which cannot be read.", "Save it as PNG or TIFF with an image editor.", about=name
    )


def _damaged(name: str, what: str) -> PictureError:
    return PictureError(f"{what}.", "Copy or download it again.", about=name)
