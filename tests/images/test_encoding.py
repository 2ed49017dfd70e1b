import io
import os
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from edsr_cli.errors import PictureError
from edsr_cli.images import (
    FORMATS,
    Metadata,
    OutputOptions,
    decode,
    encode,
    outputs,
    write_picture,
)
from edsr_cli.images.codecs import jxl
from edsr_cli.images.codecs.rows import RowEncoder
from edsr_cli.images.colour import icc
from edsr_cli.images.metadata import exif as exif_data
from edsr_cli.images.picture import OutputFormat
from tests.images import builders

ROOT = Path(__file__).resolve().parents[2]
RGB = builders.gradient()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a exif:PixelXDimension="640"/></x:xmpmeta>'
FULL = Metadata(icc.srgb_profile(), exif_data.clean(builders.exif()), XMP, (300.0, 300.0))
every_format = pytest.mark.parametrize("output_format", FORMATS, ids=lambda entry: entry.name)


def encoded(
    output_format: OutputFormat,
    metadata: Metadata = FULL,
    pixels: np.ndarray = RGB,  # type: ignore[type-arg]
) -> tuple[bytes, tuple[str, ...]]:
    file = io.BytesIO()
    notes = encode(pixels, output_format, metadata, file)
    return file.getvalue(), notes


@every_format
def test_round_trip(output_format: OutputFormat) -> None:
    data, _ = encoded(output_format)
    picture = decode(data)
    if output_format.name == "TIFF":
        assert picture.notes == ("its maker notes cannot be moved to another file: dropped",)
    else:
        assert picture.notes == ()
    difference = np.abs(picture.pixels.astype(int) - RGB).max()
    assert difference <= (30 if output_format.name in ("JPEG", "AVIF") else 0)
    kept = output_format.keeps
    found = picture.metadata
    assert (found.icc_profile == FULL.icc_profile) == ("ICC profile" in kept)
    assert (found.xmp is not None) == ("XMP data" in kept)
    assert (found.exif is not None) == ("EXIF data" in kept)
    if "resolution" in kept:
        assert found.dpi == pytest.approx((300, 300), abs=0.02)
    else:
        assert found.dpi is None
    if found.exif and found.xmp:
        assert b'exif:PixelXDimension="20"' in found.xmp
        seen = Image.Exif()
        seen.load(found.exif)
        assert seen[0x10F] == "Maker"
        assert seen.get_ifd(0x8769)[0xA002] == 20 and seen.get_ifd(0x8769)[0xA003] == 12
        if output_format.name != "TIFF":
            assert seen.get_ifd(0x8769)[0x927C] == builders.MAKER_NOTE


@every_format
def test_without_metadata_nothing_is_added(output_format: OutputFormat) -> None:
    data, notes = encoded(output_format, Metadata())
    found = decode(data).metadata
    assert (found.icc_profile, found.exif, found.xmp, notes) == (None, None, None, ())


def test_colour_is_not_subsampled() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, ::2] = (255, 0, 0)
    pixels[:, 1::2] = (0, 0, 255)
    for entry in (outputs.JPEG, outputs.AVIF, outputs.WEBP):
        back = decode(encoded(entry, Metadata(), pixels)[0]).pixels
        assert np.abs(back.astype(int) - pixels).mean() < 12, entry.name


def test_16_bits_are_kept_or_rounded() -> None:
    pixels = np.array([[[0, 128, 129], [65535, 65406, 32768]]], np.uint16)
    back = decode(encoded(outputs.BMP, Metadata(), pixels)[0]).pixels
    assert back.tolist() == [[[0, 0, 1], [255, 254, 128]]]
    for entry, read in (
        (outputs.PNG, imagecodecs.png_decode),
        (outputs.TIFF, imagecodecs.tiff_decode),
    ):
        assert read(encoded(entry, Metadata(), pixels)[0]).tolist() == pixels.tolist()


def test_what_is_lost_is_remarked() -> None:
    assert encoded(outputs.BMP)[1] == (
        "BMP cannot hold the ICC profile: dropped",
        "BMP cannot hold the EXIF data: dropped",
        "BMP cannot hold the XMP data: dropped",
    )
    long_exif = builders.exif(orientation=None, thumbnail=False) + bytes(70_000)
    long_xmp = b"<x>" + b"y" * 70_000 + b"</x>"
    data, notes = encoded(outputs.JPEG, Metadata(exif=long_exif, xmp=long_xmp))
    assert notes == (
        "the XMP data is too long for JPEG: dropped",
        "the EXIF data is too long for JPEG: dropped",
    )
    assert decode(data).metadata == Metadata(size=(20, 12))
    data, notes = encoded(outputs.PNG, Metadata(exif=b"nonsense", xmp=b"<x>"))
    assert notes == ("the EXIF data is damaged: dropped", "the XMP data is damaged: dropped")


def test_metadata_of_the_largest_size_that_jpeg_takes() -> None:
    exif = builders.exif(orientation=None, thumbnail=False)
    exif += bytes(outputs.JPEG_MARKER_BYTES - 6 - len(exif))
    xmp = b"<x>".ljust(outputs.JPEG_XMP_BYTES - 4, b"y") + b"</x>"
    profile = icc.srgb_profile() + bytes(200_000)
    data, notes = encoded(outputs.JPEG, Metadata(profile, exif, xmp))
    assert notes == ()
    image = Image.open(io.BytesIO(data))
    assert len(image.info["exif"]) == len(exif) + 6
    assert image.info["xmp"] == xmp and image.info["icc_profile"] == profile


class Pipe(io.RawIOBase):
    """A file that can only be written to."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += bytes(data)
        return len(data)


@every_format
def test_to_a_pipe(output_format: OutputFormat) -> None:
    pipe = Pipe()
    encode(RGB, output_format, FULL, pipe)  # type: ignore[arg-type]
    assert pipe.data == encoded(output_format)[0]


def test_a_size_that_does_not_fit() -> None:
    wide = np.zeros((1, 16_384, 3), np.uint8)
    with pytest.raises(PictureError, match="16384 x 1 pixels do not fit into WebP"):
        encoded(outputs.WEBP, Metadata(), wide)
    encoded(outputs.WEBP, Metadata(), wide[:, 1:])


@pytest.mark.parametrize(("side", "entry"), [(65_500, outputs.JPEG), (32_768, outputs.AVIF)])
def test_the_largest_side_can_be_read_again(side: int, entry: OutputFormat) -> None:
    assert entry.max_side == side
    data = encoded(entry, Metadata(), np.zeros((1, side, 3), np.uint8))[0]
    assert decode(data).pixels.shape == (1, side, 3)


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("a\nb"), OSError("encoder")])
def test_an_encoder_that_fails(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(PictureError, match="it cannot be written as AVIF"):
        encoded(outputs.AVIF)


def test_memory_that_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "fromarray", fail)
    with pytest.raises(PictureError, match="not enough memory"):
        encoded(outputs.WEBP)


def test_errors_of_the_file_pass() -> None:
    class Broken(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    for entry in FORMATS:
        with pytest.raises(BrokenPipeError):
            encode(RGB, entry, FULL, Broken())


@every_format
def test_write_picture(output_format: OutputFormat, tmp_path: Path) -> None:
    path = tmp_path / "out.any"
    notes = write_picture(path, RGB, output_format, FULL)
    assert (path.read_bytes(), notes) == encoded(output_format)
    with pytest.raises(PictureError, match="exists"):
        write_picture(path, RGB, output_format, FULL)
    write_picture(path, RGB[:5], output_format, FULL, overwrite=True)
    assert decode(path).pixels.shape[0] == 5
    assert list(tmp_path.iterdir()) == [path]


def test_compression_of_png() -> None:
    """Only the size differs, and without a level it is small and quick: runs of equal bytes."""
    pixels = builders.gradient(200, 300)

    def size(level: int | None, entry: OutputFormat = outputs.PNG) -> int:
        file = io.BytesIO()
        encode(pixels, entry, Metadata(), file, OutputOptions(level))
        assert np.array_equal(np.asarray(Image.open(file)), pixels)
        return len(file.getvalue())

    sizes = {level: size(level) for level in (0, 1, 9, None)}
    assert sizes[0] > pixels.nbytes > sizes[1] > sizes[9]
    assert sizes[None] < sizes[0] // 2
    assert size(0, outputs.TIFF) == size(9, outputs.TIFF) == size(None, outputs.TIFF)


@every_format
@pytest.mark.parametrize("stop", [KeyboardInterrupt, GeneratorExit])
def test_a_check_can_end_the_writing(
    output_format: OutputFormat, stop: type[BaseException], tmp_path: Path
) -> None:
    calls = []

    def check() -> None:
        calls.append(True)
        if len(calls) == 3:
            raise stop

    try:
        write_picture(tmp_path / "out", RGB, output_format, FULL, check=check)
    except stop:
        assert list(tmp_path.iterdir()) == []
    else:  # written in less than three pieces
        assert 0 < len(calls) < 3


def test_what_is_checked_is_written_all_the_same(tmp_path: Path) -> None:
    for entry in FORMATS:
        path = tmp_path / entry.name
        write_picture(path, RGB, entry, FULL, check=lambda: None)
        assert path.read_bytes() == encoded(entry)[0]


def test_a_refused_size_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    wide = np.zeros((1, 65_501, 3), np.uint8)
    with pytest.raises(PictureError, match=r"out.jpg: 65501 x 1 pixels do not fit.*PNG"):
        write_picture(tmp_path / "out.jpg", wide, outputs.JPEG, Metadata())
    assert list(tmp_path.iterdir()) == []


@every_format
def test_ctrl_c_while_encoding(
    output_format: OutputFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def interrupt(*_: object, **__: object) -> None:
        assert len(list(tmp_path.iterdir())) == 2  # it is being written
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupt)
    monkeypatch.setattr(RowEncoder, "_pass_on", interrupt)
    monkeypatch.setattr(jxl, "_encoded", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_picture(path, RGB, output_format, Metadata(), overwrite=True)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"old"


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from edsr_cli.errors import PictureError
from edsr_cli.images import FORMATS, Metadata, write_picture
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
pixels = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
for entry in FORMATS:
    try:
        write_picture(Path(sys.argv[1]) / "out.x", pixels, entry, Metadata())
    except PictureError as error:
        print(entry.name, error)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_a_full_disk(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True, text=True, timeout=600, cwd=ROOT, check=True,
    )  # fmt: skip
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in FORMATS]
    for line in lines:
        words = "out.x: it cannot be written: the file grows larger than is allowed"
        if line.startswith("JXL"):  # which goes through a scratch file
            words = "a scratch file cannot be written"
        assert words in line
    assert run.stderr == "" and list(tmp_path.iterdir()) == []
