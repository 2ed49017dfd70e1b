"""What writing costs: python benchmarks/encoding.py FOLDER [--crops 5] [--side 384] [--scale 4]

Square crops of photographs in FOLDER are upscaled with the bundled model, with 8 and with 16 bits,
as is a page of text, which stands for drawings and screenshots, and each is encoded by this program
and by others. The table has, in means over the pictures, CPU time and time on the clock for each
output megapixel, with one thread and with two where an encoder can, and bytes for each pixel; of
three turns, in which all take part one after the other, the quickest counts. Encoders that are not
installed are left out: pyvips, imagecodecs (libpng, spng, libjpeg-turbo), and fpng_py, which leaves
out most of what makes files small.

docs/how-it-works.md has a table that it made.
"""

import argparse
import io
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.images import Metadata, OutputFormat, OutputOptions, decode, encode
from edsr_cli.images.outputs import JPEG, PNG, TIFF
from edsr_cli.inference import Upscaler
from edsr_cli.pixels.depth import to_uint8

_TURNS = 3
_RUNS = 3  # zlib's Z_RLE
Picture = NDArray[Any]
Encode = Callable[[Picture], int]
"""Encodes a picture, and gives the number of bytes."""


@dataclass
class Encoder:
    """An encoder, and what it has taken in its quickest turn.

    Attributes:
        name: for the table.
        encode: what it does.
        seconds, clock: CPU time and time on the clock, for all pictures.
        size: bytes of all pictures.
    """

    name: str
    encode: Encode
    seconds: float = np.inf
    clock: float = np.inf
    size: int = 0

    def run(self, pictures: list[Picture]) -> None:
        """Take part in a turn."""
        begin, clock = time.process_time(), time.perf_counter()
        self.size = sum(self.encode(picture) for picture in pictures)
        self.clock = min(self.clock, time.perf_counter() - clock)
        self.seconds = min(self.seconds, time.process_time() - begin)


def crops(folder: Path, count: int, side: int) -> list[Picture]:
    """The middles of `count` photographs, spread over the folder."""
    paths = sorted(folder.glob("*.jpg"))
    middles = []
    for path in paths[:: max(1, len(paths) // count)][:count]:
        pixels = to_uint8(decode(path).pixels)
        top, left = ((length - side) // 2 for length in pixels.shape[:2])
        middles.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return middles


def page(side: int) -> Picture:
    """Black words on white."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(11)
    words = (__doc__ or "").split()
    for line in range(side // 16):
        text = " ".join(words[(line * 7 + i) % len(words)] for i in range(14))
        draw.text((8, 16 * line), text, "black", font)
    return np.asarray(image)


def ours(picture: Picture, output: OutputFormat, **options: Any) -> int:
    """Bytes that the program writes."""
    buffer = io.BytesIO()
    encode(picture, output, Metadata(), buffer, OutputOptions(**options))
    return buffer.tell()


def pillow(picture: Picture, output: OutputFormat, **options: Any) -> int:
    """Bytes that Pillow writes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, output.name, **options)
    return buffer.tell()


def encoders(output: OutputFormat, bits: int, levels: bool) -> list[Encoder]:
    """All that can write such pictures; with `levels`, PNG with all of its levels, too."""
    settings: dict[str, dict[str, Any]] = {
        "PNG": {"compress_level": 1, "compress_type": _RUNS},
        "JPEG": {"quality": 95, "subsampling": "4:4:4"},
        "TIFF": {"compression": "tiff_adobe_deflate"},
    }
    found = [
        Encoder("edsr, 1 thread", partial(ours, output=output)),
        Encoder("edsr, 2 threads", partial(ours, output=output, threads=2)),
    ]
    if levels and output is PNG:
        found += [
            Encoder(f"edsr, level {level}", partial(ours, output=PNG, compression=level))
            for level in range(10)
        ]
    if bits == 8:
        found.append(
            Encoder(
                "Pillow, the same settings", partial(pillow, output=output, **settings[output.name])
            )
        )
        if output is PNG:
            found.append(Encoder("Pillow, as it comes (6)", partial(pillow, output=PNG)))
    with suppress(ImportError):
        found += _of_vips(output)
    with suppress(ImportError):
        found += _of_imagecodecs(output)
    if output is PNG and bits == 8:
        with suppress(ImportError):
            found.append(_of_fpng())
    return found


def _of_vips(output: OutputFormat) -> list[Encoder]:
    import pyvips  # type: ignore[import-not-found, import-untyped, unused-ignore]

    def save(picture: Picture, **options: Any) -> int:
        image = pyvips.Image.new_from_array(picture)
        return len(image.write_to_buffer(output.suffixes[0], **options))

    if output is PNG:
        choices = ((1, "Up", 0x20), (6, "Up", 0x20), (6, "all filters", 0xF8))
        return [
            Encoder(
                f"libvips, level {level}, {name}", partial(save, compression=level, filter=bits)
            )
            for level, name, bits in choices
        ]
    if output is JPEG:
        return [Encoder("libvips", partial(save, Q=95, subsample_mode="off"))]
    return [Encoder("libvips", partial(save, compression="deflate", predictor="horizontal"))]


def _of_imagecodecs(output: OutputFormat) -> list[Encoder]:
    import imagecodecs

    def save(picture: Picture, write: Any, **options: Any) -> int:
        return len(write(picture, **options))

    if output is PNG:
        libraries = (("libpng", imagecodecs.png_encode), ("spng", imagecodecs.spng_encode))
        return [
            Encoder(f"{name}, level {level}", partial(save, write=write, level=level))
            for name, write in libraries
            for level in (1, 6)
        ]
    if output is JPEG:
        write = imagecodecs.jpeg8_encode
        return [Encoder("libjpeg-turbo", partial(save, write=write, level=95, subsampling="444"))]
    return []


def _of_fpng() -> Encoder:
    import fpng_py  # type: ignore[import-not-found, import-untyped, unused-ignore]

    def save(picture: Picture) -> int:
        height, width = picture.shape[:2]
        return len(fpng_py.fpng_encode_image_to_memory(picture.tobytes(), width, height, 3))

    return Encoder("fpng", save)


def table(title: str, found: list[Encoder], pictures: list[Picture]) -> None:
    """Measure, and print a table."""
    pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    for _ in range(_TURNS):
        for encoder in found:
            encoder.run(pictures)
    print(f"\n| {title} | CPU, a megapixel | clock | bytes a pixel |\n|---|---|---|---|")
    for each in found:
        cells = f"{1e9 * each.seconds / pixels:.0f} ms | {1e9 * each.clock / pixels:.0f} ms"
        print(f"| {each.name} | {cells} | {each.size / pixels:.3f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", type=int, default=5)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--levels", action="store_true", help="every level of PNG, too")
    options = parser.parse_args()
    upscaler = Upscaler(load_network("edsr-free", options.scale).checkpoint, options.scale, "cpu")
    small = crops(options.folder, options.crops, options.side)
    deep: list[Picture] = [upscaler.upscale(crop, dtype="uint16").pixels for crop in small]
    photos: list[Picture] = [to_uint8(picture) for picture in deep]
    drawn: list[Picture] = [to_uint8(upscaler.upscale(page(options.side)).pixels)]
    zlib = f"zlib-ng {features.version('zlib_ng')}" if features.check("zlib_ng") else "zlib"
    print(f"{len(photos)} photographs, x{options.scale}; Pillow with {zlib}")
    for output, bits, pictures, kind in (
        (PNG, 8, photos, "photographs"),
        (PNG, 8, drawn, "a page of text"),
        (PNG, 16, deep, "photographs"),
        (TIFF, 8, photos, "photographs"),
        (TIFF, 16, deep, "photographs"),
        (JPEG, 8, photos, "photographs"),
    ):
        found = encoders(output, bits, options.levels and bits == 8)
        table(f"{output.name}, {bits} bits, {kind}", found, pictures)


if __name__ == "__main__":
    main()
