"""What PNG costs: python benchmarks/encoding.py FOLDER [--crops 6] [--scale 4] [--threads 1 2]

Square crops of photographs in FOLDER are upscaled with the bundled model, as is a page of text,
which stands for drawings and screenshots, and each is encoded at every level. The table has CPU
time for each output megapixel and bytes for each pixel, in means over the pictures. "runs" is
zlib's strategy that looks only for runs of equal bytes. Behind it: how many megapixels a second
several threads encode as the program does by default.

Measured with 4 crops of 320 x 320, Pillow 13.0 (zlib-ng 2.3.3), on two cores of an AMD EPYC beside
another program, so that rows compare with each other and not with other machines:

| level | photographs, a megapixel | bytes a pixel | text, a megapixel | bytes a pixel |
|---|---|---|---|---|
| 0 | 50 ms | 3.002 | 56 ms | 3.002 |
| 1 | 83 ms | 0.813 | 124 ms | 1.637 |
| 2 | 91 ms | 0.781 | 126 ms | 1.612 |
| 3 | 119 ms | 0.752 | 155 ms | 1.583 |
| 4 | 126 ms | 0.690 | 155 ms | 1.464 |
| 5 | 168 ms | 0.674 | 174 ms | 1.455 |
| 6 | 285 ms | 0.659 | 302 ms | 1.448 |
| 7 | 451 ms | 0.648 | 427 ms | 1.444 |
| 8 | 1591 ms | 0.625 | 732 ms | 1.432 |
| 9 | 2784 ms | 0.614 | 1380 ms | 1.430 |
| runs, 1 | 63 ms | 0.646 | 75 ms | 1.459 |

"runs" is what the program does.
"""

import argparse
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.images import FORMATS, Metadata, decode, encode
from edsr_cli.inference import Upscaler
from edsr_cli.pixels.depth import to_uint8

RUNS = 3  # zlib's Z_RLE
Picture = NDArray[np.uint8]


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


def measure(pictures: list[Picture], save: Callable[[Picture], int]) -> str:
    """Two cells of the table."""
    pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    begin = time.process_time()
    size = sum(save(picture) for picture in pictures)
    seconds = time.process_time() - begin
    return f"{1e9 * seconds / pixels:.0f} ms | {size / pixels:.3f}"


def save(picture: Picture, **options: int) -> int:
    """Bytes of a picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", **options)
    return buffer.tell()


def speed(pictures: list[Picture], threads: int) -> float:
    """Output megapixels a second that several threads encode as the program does."""

    def work() -> None:
        for picture in pictures:
            encode(picture, FORMATS[0], Metadata(), io.BytesIO())

    crew = [threading.Thread(target=work) for _ in range(threads)]
    begin = time.perf_counter()
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    return threads * pixels / (time.perf_counter() - begin) / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", type=int, default=6)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    upscaler = Upscaler(load_network("edsr-free", options.scale).checkpoint, options.scale, "cpu")
    photos = [
        to_uint8(upscaler.upscale(crop).pixels)
        for crop in crops(options.folder, options.crops, options.side)
    ]
    drawn = [to_uint8(upscaler.upscale(page(options.side)).pixels)]
    library = f"zlib-ng {features.version('zlib_ng')}" if features.check("zlib_ng") else "zlib"
    print(f"{len(photos)} photographs and a page, x{options.scale}; {library}\n")
    print(
        "| level | photographs, a megapixel | bytes a pixel | text, a megapixel | bytes a pixel |"
    )
    print("|---|---|---|---|---|")
    choices = {f"{level}": {"compress_level": level} for level in range(10)}
    choices["runs, 1"] = {"compress_level": 1, "compress_type": RUNS}
    for name, choice in choices.items():
        cells = [measure(group, lambda p: save(p, **choice)) for group in (photos, drawn)]  # noqa: B023
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print()
    for threads in options.threads:
        print(f"{threads} thread(s): {speed(photos, threads):.1f} megapixels a second")


if __name__ == "__main__":
    main()
