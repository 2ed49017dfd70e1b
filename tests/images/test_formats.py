import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.images import FORMATS, OutputFormat, decode, format_for
from edsr_cli.images.formats import (
    READABLE,
    Format,
    begins_like_a_picture,
    codec_for,
    codec_named,
)
from edsr_cli.images.outputs import AVIF, BMP, JPEG, JXL, PNG, TIFF, WEBP
from edsr_cli.options.definition import Options, options_of
from edsr_cli.options.folders import BatchOptions
from edsr_cli.options.pictures import UpscaleOptions
from tests.conftest import REPOSITORY

NAMES = [each.name.lower() for each in dict.fromkeys((*FORMATS, JXL))]  # installed or not


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.png", PNG), ("a.JPG", JPEG), ("b/a.jpeg", JPEG), ("a.webp", WEBP), ("a.tif", TIFF),
     ("a.b.tiff", TIFF), ("a.avif", AVIF), ("a.bmp", BMP)],
)  # fmt: skip
def test_by_the_ending(path: str, expected: OutputFormat) -> None:
    assert format_for(Path(path)) == expected


@pytest.mark.parametrize("name", ["png", "PNG", ".png"])
def test_by_name(name: str) -> None:
    assert format_for(None, name) == PNG
    assert format_for(Path("no_ending"), name) == PNG
    assert format_for(Path("a.version2"), name) == PNG
    assert format_for(Path("a.png"), name) == PNG


@pytest.mark.parametrize("group", [UpscaleOptions, BatchOptions])
def test_the_help_names_every_format(group: type[Options]) -> None:
    text = options_of(group)["format"].text
    assert text.startswith(f"{', '.join(NAMES[:-1])} or {NAMES[-1]}")


def test_every_format_has_its_name_and_suffixes() -> None:
    for entry in FORMATS:
        for name in (entry.name, *entry.suffixes):
            assert format_for(None, name) == entry


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [(None, None, "needs a format"), ("a", None, "name without ending"), ("a.pcx", None, ".pcx"),
     ("a.png", "pcx", "no output format 'pcx'"), ("a.jpg", "png", "does not fit the format PNG"),
     ("a.", None, "a.: no picture format")],
)  # fmt: skip
def test_what_is_no_format(path: str | None, name: str | None, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        format_for(None if path is None else Path(path), name)
    assert words in str(caught.value)
    if "fit" not in words:
        assert ".jpg" in caught.value.hint and ".avif" in caught.value.hint


@pytest.mark.parametrize(
    ("entry", "fits", "too_large"),
    [(JPEG, (65_500, 65_500), (1, 65_501)), (WEBP, (16_383, 16_383), (16_384, 1)),
     (AVIF, (32_768, 8192), (32_769, 1)), (AVIF, (16_384, 16_384), (16_384, 16_385)),
     (BMP, (37_000, 37_000), (38_000, 38_000)),
     (BMP, (1, 2**29 - 2), (1, 2**30)), (PNG, (2**29 - 2, 1), (2**29 - 1, 1)),
     (TIFF, (2**32 - 1, 1), (2**32, 1)), (TIFF, (100_000, 100_000), (1, 2**32))],
)  # fmt: skip
def test_limits(entry: OutputFormat, fits: tuple[int, int], too_large: tuple[int, int]) -> None:
    entry.check_size(*fits)
    assert not entry.can_hold(*too_large)
    with pytest.raises(PictureError, match=entry.name):
        entry.check_size(*too_large)


def test_the_hint_names_formats_that_can() -> None:
    with pytest.raises(PictureError) as caught:
        WEBP.check_size(20_000, 10)
    assert caught.value.message == (
        "20000 x 10 pixels do not fit into WebP, which holds at most 16383 pixels a side."
    )
    able = [each.name for each in FORMATS if each != WEBP]
    assert able[:6] == ["PNG", "JPEG", "TIFF", "AVIF", "BMP", "GIF"]
    assert caught.value.hint == f"Write it as {' or '.join(able)} instead."
    with pytest.raises(PictureError, match=r"268,435,456 pixels.*or TIFF or BMP or GIF"):
        AVIF.check_size(20_000, 20_000)
    with pytest.raises(PictureError, match=r"BMP, which holds at most 4,294,967,241 bytes"):
        BMP.check_size(40_000, 40_000)
    with pytest.raises(PictureError, match="smaller"):
        TIFF.check_size(2**32, 2**32)


@given(st.integers(1, 2**18), st.integers(-2, 2))
def test_a_bmp_holds_what_pillow_can_write(width: int, near: int) -> None:
    stride = (width * 24 + 7) // 8 + 3 & ~3
    height = (2**32 - 55) // stride + near
    fits = 54 + stride * height <= 2**32 - 1 and height <= BMP.max_side
    assert BMP.can_hold(width, height) == fits


def test_the_table_says_what_codecs_and_pillow_say() -> None:
    for entry in READABLE:
        assert codec_named(entry.codec).name == entry.name
        assert entry.name in Image.OPEN or entry.opens
        own = {suffix for suffix, name in Image.EXTENSION.items() if name == entry.name}
        if entry.only_by_name:
            assert set(entry.suffixes) <= own
        else:
            assert set(entry.suffixes) - own <= {".mpo", ".jxl"} and own <= set(entry.suffixes)
        if entry.output is not None:
            assert codec_for(entry.output) is codec_named(entry.codec)
            assert set(entry.output.suffixes) <= set(entry.suffixes)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_no_other_codec_is_loaded(suffix: str, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(path := tmp_path / f"a{suffix}")
    code = (
        "import sys; from pathlib import Path; from edsr_cli.images import decode, format_for\n"
        "from edsr_cli.images import write_picture\n"
        "path = Path(sys.argv[1]); picture = decode(path)\n"
        "write_picture(path, picture.pixels, format_for(path), picture.metadata, overwrite=True)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=REPOSITORY, check=True, capture_output=True
    )
    loaded = set(done.stdout.decode().split())
    codecs = {each.codec.partition(":")[0] for each in READABLE}
    own = {".png": "png", ".jpg": "jpeg"}[suffix]
    assert {name for name in codecs if f"edsr_cli.images.codecs.{name}" in loaded} == {own}
    assert not {"pillow_heif", "OpenImageIO", "PIL.TiffImagePlugin"} & loaded


@pytest.mark.parametrize("entry", [each for each in READABLE if each.begins], ids=lambda e: e.name)
def test_what_only_begins_like_a_picture(entry: Format) -> None:
    for start in entry.begins:
        with pytest.raises(PictureError):
            decode(start + bytes(12), name="a.png")
        assert begins_like_a_picture(start + bytes(12)) == (entry.name != "WEBP")  # RIFF has others
