"""Broken and odd files given to the command: each its own fate, and none spoils the others."""

import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edsr_cli.images import decode
from edsr_cli.images.alpha import UNCOVERED, WAYS_OUT
from edsr_cli.images.guard import only_the_first
from edsr_cli.pixels.depth import to_uint8
from tests.cli.conftest import finish, listing, start
from tests.images import builders
from tests.jobs.nearest import read_back, repeated

WIDTH, HEIGHT = 20, 12
PIXELS = builders.gradient(HEIGHT, WIDTH)
NOISE = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS)
GREY = PICTURE.convert("L")
SEVERAL = f"{only_the_first(2)}, --frames all takes all"


@dataclass(frozen=True)
class Odd:
    """A file that becomes a picture.

    Attributes:
        data: its content.
        name: its name.
        pixels: what is read from it, (H, W, 3); None if only the size is known.
        size: width and height.
        notes: what is said of it.
    """

    data: bytes
    name: str = "odd.png"
    pixels: np.ndarray | None = None
    size: tuple[int, int] = (WIDTH, HEIGHT)
    notes: tuple[str, ...] = ()


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """The bytes of a file; of a copy, since Pillow leaves options of one format for the next."""
    return builders.saved(image.copy(), form, **options)


def rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def deep_grey() -> np.ndarray:
    return np.linspace(0, 65535, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH, 1)


CLEAR = PICTURE.convert("RGBA")
CLEAR.putalpha(GREY)
PALETTE = PICTURE.quantize(8)
FRAMES = [PALETTE, PALETTE.rotate(180)]
WHOLE = saved(PICTURE, "PNG")
DEEP = (PIXELS.astype(np.uint16) << 8) + 99

ODD = {
    "grey JPEG": Odd(saved(GREY, "JPEG"), "grey.jpg"),
    "grey with alpha": Odd(
        saved(CLEAR.convert("LA"), "PNG"),
        pixels=rgb(GREY),
        notes=(f"{UNCOVERED}; {WAYS_OUT}",),
    ),
    "alpha": Odd(saved(CLEAR, "PNG"), pixels=PIXELS, notes=(f"{UNCOVERED}; {WAYS_OUT}",)),
    "alpha that is opaque": Odd(saved(PICTURE.convert("RGBA"), "PNG"), pixels=PIXELS),
    "one bit": Odd(saved(GREY.convert("1"), "PNG"), pixels=rgb(GREY.convert("1"))),
    "palette": Odd(saved(PALETTE, "PNG"), pixels=rgb(PALETTE)),
    "palette with a transparent colour": Odd(
        saved(PALETTE, "PNG", transparency=0), notes=(f"{UNCOVERED}; {WAYS_OUT}",)
    ),
    "16-bit grey": Odd(
        builders.png(deep_grey(), builders.GREY),
        pixels=(deep_grey() / 257).round().astype(np.uint8).repeat(3, 2),
    ),
    "16-bit colours": Odd(builders.png(DEEP), pixels=(DEEP / 257).round().astype(np.uint8)),
    "CMYK JPEG": Odd(
        saved(PICTURE.convert("CMYK"), "JPEG"),
        "ink.jpg",
        notes=("CMYK without a usable profile: colours are approximate",),
    ),
    "CMYK with a profile": Odd(
        saved(PICTURE.convert("CMYK"), "TIFF", icc_profile=builders.cmyk_icc()),
        "ink.tif",
        notes=("CMYK converted to sRGB by its ICC profile",),
    ),
    "animated GIF": Odd(
        saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
        "film.gif",
        rgb(PALETTE),
        notes=(SEVERAL,),
    ),
    "animated WebP": Odd(
        saved(PICTURE, "WEBP", save_all=True, lossless=True, append_images=[PICTURE.rotate(180)]),
        "film.webp",
        PIXELS,
        notes=(SEVERAL,),
    ),
    "TIFF of two pages": Odd(
        saved(PICTURE, "TIFF", save_all=True, append_images=[GREY]),
        "pages.tiff",
        PIXELS,
        notes=(only_the_first(2),),
    ),
    "lying on its side": Odd(
        saved(PICTURE, "PNG", exif=builders.exif(orientation=6)),
        pixels=np.rot90(PIXELS, -1),
        size=(HEIGHT, WIDTH),
    ),
    "EXIF that is nonsense": Odd(
        saved(PICTURE, "PNG", exif=b"nonsense"),
        pixels=PIXELS,
        notes=("its EXIF data is damaged and was dropped",),
    ),
    "profile that is nonsense": Odd(
        saved(PICTURE, "PNG", icc_profile=b"nonsense"),
        pixels=PIXELS,
        notes=("its ICC profile is damaged and was dropped",),
    ),
    "progressive JPEG": Odd(saved(PICTURE, "JPEG", progressive=True), "slow.jpeg"),
    "multi-picture JPEG": Odd(
        saved(PICTURE, "MPO", save_all=True, append_images=[PICTURE]),
        "two.jpg",
        notes=(only_the_first(2),),
    ),
    "JPEG called PNG": Odd(saved(PICTURE, "JPEG"), "liar.png"),
    "PNG without an ending": Odd(WHOLE, "no ending", PIXELS),
    "PNG cut behind its pixels": Odd(WHOLE[:-12], pixels=PIXELS),
    "PNG with bytes behind": Odd(WHOLE + b"more" * 99, pixels=PIXELS),
    "large profile": Odd(
        saved(PICTURE, "PNG", icc_profile=bytes(2_000_000)),
        pixels=PIXELS,
        notes=("its ICC profile is damaged and was dropped",),
    ),
    "AVIF": Odd(saved(PICTURE, "AVIF"), "new.avif"),
    "JPEG 2000": Odd(saved(PICTURE, "JPEG2000"), "old.jp2", PIXELS),
    "TGA": Odd(saved(PICTURE, "TGA"), "game.TGA", PIXELS),
    "PCX": Odd(saved(PICTURE, "PCX"), "ancient.pcx", PIXELS),
    "PPM": Odd(saved(PICTURE, "PPM"), "plain.ppm", PIXELS),
    "QOI": Odd(saved(PICTURE, "QOI"), "quite.qoi", PIXELS),
    "SGI": Odd(saved(PICTURE, "SGI"), "workstation.sgi", PIXELS),
    "BMP with alpha": Odd(saved(PICTURE.convert("RGBA"), "BMP"), "win.bmp", PIXELS),
    "JPEG in TIFF": Odd(saved(PICTURE, "TIFF", compression="jpeg"), "scan.tif"),
    "one pixel": Odd(saved(PICTURE.crop((3, 3, 4, 4)), "PNG"), "dot.png", PIXELS[3:4, 3:4], (1, 1)),
    "one row": Odd(
        saved(PICTURE.crop((0, 3, WIDTH, 4)), "PNG"), "row.png", PIXELS[3:4], (WIDTH, 1)
    ),
    "a name of every script": Odd(WHOLE, "Grüße 写真 😀.png", PIXELS),
}


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return builders.PNG_MAGIC + builders.chunk(b"IHDR", header)


def flipped(data: bytes, places: range) -> bytes:
    return bytes(byte ^ 0x55 if place in places else byte for place, byte in enumerate(data))


FORMS = {form: saved(Image.fromarray(NOISE), form)
         for form in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")}  # fmt: skip
BOMB = builders.chunk(b"zTXt", b"Comment\0\0" + builders.BOMB)

Make = Callable[[Path], object]
"""Puts something that is no good picture at a path."""


def holding(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(path.parent)  # names of sockets must be short
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


BROKEN: dict[str, tuple[Make, str]] = {
    **{f"cut {form}": (holding(data[: len(data) * 2 // 3]), "") for form, data in FORMS.items()},
    **{f"start of {form}": (holding(data[:20]), "") for form, data in FORMS.items()},
    "empty": (holding(b""), "the file is empty"),
    "one byte": (holding(b"\x89"), "not a picture"),
    "zeros": (holding(bytes(500)), "not a picture"),
    "words": (holding(b"These are words, not a picture."), "not a picture"),
    "damaged pixels": (holding(flipped(FORMS["PNG"], range(100, 130))), "damaged"),
    "damaged TIFF": (
        holding(flipped(saved(Image.fromarray(NOISE), "TIFF", compression="tiff_lzw"),
                        range(300, 400))), "",
    ),
    "no pixels": (holding(png_header(0, 3) + WHOLE[33:]), ""),
    "no image data": (holding(png_header(3, 3) + builders.chunk(b"IEND", b"")), ""),
    "bomb": (holding(png_header(60_000, 60_000) + WHOLE[33:]), "--max-pixels"),
    "text bomb": (holding(builders.png(NOISE, before=BOMB)), "unpacks"),
    "floating point": (holding(builders.tiff(np.zeros((4, 4), np.float32))), "floating-point"),
    "32-bit grey": (holding(builders.tiff(np.full((4, 4), 70_000, np.uint32))), "70000"),
    "HEIC": (holding(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "HEIC"),
    "JPEG XL": (holding(b"\xff\x0a\xfa\x7f\x90\x05"), "JPEG XL"),  # installed or not
    "PDF": (holding(b"%PDF-1.7\n"), "PDF files cannot be read"),
    "SVG": (holding(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "SVG files cannot be read"),
    "PostScript": (holding(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "PostScript files cannot be read"),
    "video": (holding(b"\0\0\0\x20ftypisom\0\0\2\0"), "video files cannot be read"),
    "missing": (lambda path: None, "there is no such file"),
    "folder": (lambda path: path.mkdir(), "this is a folder"),
}  # fmt: skip
if os.name != "nt":
    BROKEN |= {
        "link to nowhere": (lambda path: path.symlink_to("nowhere"), "there is no such file"),
        "link to itself": (lambda path: path.symlink_to(path.name), "cannot be opened"),
        "pipe": (os.mkfifo, "a device or a pipe"),
        "device": (lambda path: path.symlink_to("/dev/zero"), "a device or a pipe"),
        "socket": (a_socket, "not a file"),
    }
    if os.geteuid() != 0:
        BROKEN["forbidden"] = (lambda path: path.touch(0o000), "no permission")


def check_picture(odd: Odd, output: Path) -> None:
    image = read_back(output)
    assert image.format == "PNG" and image.mode in ("RGB", "L", "I;16")
    assert image.size == (4 * odd.size[0], 4 * odd.size[1])
    if odd.pixels is not None:
        found = to_uint8(decode(output).pixels)
        assert np.array_equal(found, repeated(odd.pixels))


@pytest.mark.parametrize("name", ODD)
def test_odd_files_become_pictures(edsr, model, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    odd = ODD[name]
    Path(odd.name).write_bytes(odd.data)
    run = edsr("upscale", odd.name, "-m", model, "-o", "out.png")
    assert run.code == 0 and run.out == b"", run.err
    *notes, last = run.lines
    assert notes == [f"{odd.name}: {note}" for note in odd.notes]
    width, height = odd.size
    assert last.startswith(
        f"{odd.name} -> out.png: {width} x {height} -> {4 * width} x {4 * height} in "
    )
    assert listing(tmp_path) == sorted([odd.name, "out.png"])
    assert Path(odd.name).read_bytes() == odd.data
    check_picture(odd, tmp_path / "out.png")


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_with_one_line(edsr, model, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make, words = BROKEN[name]
    make(tmp_path / "bad file.png")
    before = listing(tmp_path)
    run = edsr("upscale", "bad file.png", "-m", model)
    # A folder is no bad picture, but a wrong command, and nothing is started.
    assert run.code == (2 if name == "folder" else 1) and run.out == b""
    [line] = run.lines
    assert line.startswith("error: bad file.png: ") and words in line and line.endswith(".")
    assert listing(tmp_path) == before


def test_all_of_them_in_one_call(model, tmp_path):
    """The good ones are done, and every line says which file it is about."""
    odd = {f"odd {number} {each.name}": each for number, each in enumerate(ODD.values())}
    for name, each in odd.items():
        (tmp_path / name).write_bytes(each.data)
    broken = {}
    for number, (make, words) in enumerate(BROKEN.values()):
        name = f"broken {number}.png"
        make(tmp_path / name)
        broken[name] = words
    assert len(odd) + len(broken) > 60
    before = listing(tmp_path)
    names = [name for pair in zip(odd, broken, strict=False) for name in pair]
    names += [name for name in (*odd, *broken) if name not in names]

    process = start("upscale", *names, "-m", model, "-o", "out", "--json", cwd=tmp_path)
    run = finish(process)

    assert run.code == 1
    assert [path for path in listing(tmp_path) if not path.startswith("out")] == before
    records = {record["input"]: record for record in map(json.loads, run.out.splitlines())}
    # What cannot be a picture at all, the folder, is told before the work begins.
    names.sort(key=lambda name: not (tmp_path / name).is_dir())
    assert list(records) == names
    lines = run.lines
    assert lines.pop() == f"error: {len(broken)} of {len(names)} pictures failed."
    for name in names:
        record, said = records[name], []
        while lines and lines[0].removeprefix("error: ").startswith((f"{name}: ", f"{name} -> ")):
            said.append(lines.pop(0))
        if name in odd:
            assert record["status"] == "done" and record["error"] is None
            assert record["notes"] == list(odd[name].notes)
            assert record["output_size"] == [4 * side for side in odd[name].size]
            assert said[:-1] == [f"{name}: {note}" for note in odd[name].notes]
            assert said[-1].startswith(f"{name} -> {record['output']}: ")
            check_picture(odd[name], tmp_path / record["output"])
        else:
            assert record["status"] == "failed" and broken[name] in record["error"]
            assert said == [f"error: {record['error']}"]
    assert lines == []  # no warnings of libraries, no tracebacks
    outputs = sorted(str(Path(records[name]["output"]).name) for name in odd)
    assert listing(tmp_path / "out") == outputs
