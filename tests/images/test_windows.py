"""Pictures opened and created: windows on their pixels, instead of arrays."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import (
    FORMATS,
    Metadata,
    OutputFormat,
    OutputOptions,
    OutputRequest,
    create_picture,
    decode,
    encode,
    open_picture,
    probe,
)
from edsr_cli.images.outputs import BMP, JPEG, PNG, TIFF, WEBP
from edsr_cli.pixels.windows import Region
from tests.images import builders

RGB = builders.gradient(30, 41)
SIZE = (41, 30)
ALPHA = (np.arange(30 * 41) % 256).astype(np.uint8).reshape(30, 41)
METADATA = Metadata(dpi=(300.0, 300.0), xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
every_format = pytest.mark.parametrize("output", FORMATS, ids=lambda output: output.name)


def whole(output: OutputFormat, alpha: np.ndarray | None = None) -> bytes:  # type: ignore[type-arg]
    file = io.BytesIO()
    encode(RGB, output, METADATA, file, alpha=alpha)
    return file.getvalue()


def regions(rows: int, columns: int) -> list[Region]:
    height, width = RGB.shape[:2]
    return [
        Region(top, min(top + rows, height), left, min(left + columns, width))
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]


@every_format
@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["opaque", "alpha"])
def test_pieces_in_any_order_make_the_same_file(
    output: OutputFormat,
    alpha: np.ndarray | None,  # type: ignore[type-arg]
) -> None:
    if alpha is not None and not output.alpha:
        return
    file = io.BytesIO()
    with create_picture(file, output, OutputRequest(SIZE, METADATA, alpha=alpha)) as writer:
        assert (writer.shape, writer.dtype) == ((30, 41, 3), np.uint8)
        pieces = regions(7, 10)
        for piece in pieces[::-1] if writer.order == "any" else regions(7, 41):
            writer.write(piece, RGB[piece.top : piece.bottom, piece.left : piece.right])
    assert file.getvalue() == whole(output, alpha)


def test_nobody_elses_pixels_are_written_to() -> None:
    given = RGB.copy()
    file = io.BytesIO()
    with create_picture(file, WEBP, OutputRequest(SIZE)) as writer:
        writer.write(Region(0, 30, 0, 41), given)
        writer.write(Region(0, 2, 0, 41), np.zeros((2, 41, 3), np.uint8))
    assert (given == RGB).all()
    assert (decode(file.getvalue()).pixels == [*np.zeros((2, 41, 3)), *RGB[2:]]).all()


def test_remarks_are_complete_when_it_is_closed() -> None:
    file = io.BytesIO()
    with create_picture(file, BMP, OutputRequest(SIZE, METADATA)) as writer:
        assert writer.notes == ("BMP cannot hold the XMP data: dropped",)
        assert not file.getvalue()
        writer.write(Region(0, 30, 0, 41), RGB)
    assert writer.notes == ("BMP cannot hold the XMP data: dropped",)


def test_what_a_block_raises_ends_the_writing() -> None:
    file = io.BytesIO()
    with pytest.raises(KeyError), create_picture(file, TIFF, OutputRequest(SIZE)) as writer:
        writer.write(Region(0, 30, 0, 41), RGB)
        raise KeyError
    with pytest.raises(PictureError):
        decode(file.getvalue())


def test_sizes_and_alpha_are_refused_at_once() -> None:
    with pytest.raises(PictureError, match="do not fit into WebP"):
        create_picture(io.BytesIO(), WEBP, OutputRequest((16_384, 1)))
    with pytest.raises(PictureError, match="JPEG cannot hold an alpha channel"):
        create_picture(io.BytesIO(), JPEG, OutputRequest(SIZE, alpha=ALPHA))


def test_options() -> None:
    sizes = []
    for level in (0, 9):
        file = io.BytesIO()
        options = OutputOptions(compression=level)
        with create_picture(file, PNG, OutputRequest(SIZE, options=options)) as writer:
            writer.write(Region(0, 30, 0, 41), RGB)
        sizes.append(len(file.getvalue()))
    assert sizes[0] > sizes[1]


@every_format
def test_the_depth_is_the_formats(output: OutputFormat) -> None:
    deep = output.name in ("PNG", "TIFF", "JXL")
    for stored in (1, 8, 10, 16):
        bits = 16 if deep and stored > 8 else 8
        assert output.bits(stored) == bits
        assert output.bits(stored, "8") == 8 and output.bits(stored, "16") == (16 if deep else 8)
        writer = create_picture(io.BytesIO(), output, OutputRequest(SIZE, bits=stored))
        assert writer.dtype == (np.uint16 if bits == 16 else np.uint8)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_is_opened_and_then_read(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.jpg"
    exif = b"Exif\0\0" + builders.exif(orientation=orientation)
    path.write_bytes(builders.saved(Image.fromarray(RGB), "JPEG", exif=exif))
    with open_picture(path) as picture:
        assert picture.info == probe(path)
        read = picture.read()
    size = (30, 41) if orientation == 1 else (41, 30)
    assert (picture.info.height, picture.info.width) == size == read.window.shape[:2]
    assert read.window.dtype == np.uint8
    top = read.window.read(Region(2, 9, 5, 11))
    assert (top == read.pixels[2:9, 5:11]).all() and (read.pixels == decode(path).pixels).all()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG"])
def test_asking_for_its_facts_does_not_spoil_an_animation(form: str) -> None:
    frames = [Image.fromarray(RGB // step) for step in (1, 2, 3)]
    data = builders.saved(frames[0], form, save_all=True, append_images=frames[1:])
    with open_picture(data) as picture:
        assert picture.info.frames == 3
        read = picture.read()
    expected = decode(data)
    assert (read.pixels == expected.pixels).all() and read.notes == expected.notes
    with open_picture(data) as picture:
        for _ in range(2):
            assert (picture.read().pixels == expected.pixels).all()


def test_what_a_block_raises_is_not_the_pictures_fault() -> None:
    data = builders.saved(Image.fromarray(RGB), "PNG")
    with pytest.raises(ValueError, match="mine"), open_picture(data) as picture:
        assert picture.info.width == 41
        raise ValueError("mine")


def test_damage_is_told_when_it_is_met() -> None:
    data = builders.saved(Image.fromarray(RGB), "PNG")
    with open_picture(data[: len(data) // 2], name="a.png") as picture:
        assert (picture.info.width, picture.info.height) == (41, 30)
        with pytest.raises(PictureError, match=r"a\.png: the file is cut short"):
            picture.read()
