"""How exact sizes come about best: python benchmarks/sizes.py FOLDER [--crops 8]

Square crops of photographs in FOLDER are reduced by MATLAB's bicubic rule, enlarged with the
bundled model, and compared with what they were: PSNR in dB of luma, and of the three colours, means
over the pictures.

The first table: reduced by 2.5, enlarged three times, and then reduced by 1.2. Pillow takes what
the network gives as 8 bits, rounds in between and at the end; ours takes 16 bits and rounds once.
"linear" makes the samples linear in light, as sRGB says, and encodes them again.

The second table: networks in a row, reduced by their product, with the multiply-adds that they take
for each LR pixel.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.evaluation.metrics import Channels, psnr
from edsr_cli.images import decode
from edsr_cli.inference import Upscaler
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.pixels.resample import reduced
from edsr_cli.pixels.resize import downscale

SIDE = 480  # pixels of a crop: a multiple of 5, 8, 9 and 12 times what makes one
Picture = NDArray[np.uint8]
LANCZOS, BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC


def crops(folder: Path, count: int) -> list[Picture]:
    """The middles of `count` photographs, spread over the folder."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    middles = []
    for path in paths[:: max(1, len(paths) // count)][:count]:
        pixels = to_uint8(decode(path).pixels)
        top, left = ((length - SIDE) // 2 for length in pixels.shape[:2])
        if min(top, left) >= 0:
            middles.append(np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE]))
    return middles


def by_pillow(pixels: Picture, side: int, kernel: Image.Resampling) -> Picture:
    """Resized by Pillow, 8 bits in and out."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), kernel))


def in_floats(pixels: Pixels, kernel: Image.Resampling, *, linear: bool) -> Picture:
    """Reduced to `SIDE` by Pillow in floating point, rounded once."""
    values = pixels.astype(np.float64) / 65535
    if linear:
        values = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    planes = [Image.fromarray(values[..., c].astype(np.float32)) for c in range(3)]
    small = np.stack([np.asarray(p.resize((SIDE, SIDE), kernel)) for p in planes], axis=2)
    small = np.clip(small.astype(np.float64), 0, 1)
    if linear:
        small = np.where(small <= 0.0031308, small * 12.92, 1.055 * small ** (1 / 2.4) - 0.055)
    return np.floor(small * 255 + 0.5).astype(np.uint8)


def table(title: str, rows: dict[str, list[tuple[float, float]]]) -> None:
    """Print means."""
    print(f"\n| {title} | Y | RGB |\n|---|---|---|")
    for name, figures in rows.items():
        y, rgb = np.mean(figures, axis=0)
        print(f"| {name} | {y:.3f} | {rgb:.3f} |", flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", type=int, default=8)
    arguments = parser.parse_args()
    pictures = crops(arguments.folder, arguments.crops)
    networks = {
        scale: Upscaler(load_network("edsr-free", scale).checkpoint, scale) for scale in (2, 3, 4)
    }

    def enlarge(pixels: Pixels, *scales: int) -> Pixels:
        for scale in scales:
            pixels = networks[scale].upscale(pixels, dtype="uint16").pixels
        return pixels

    ways: dict[str, Callable[[Picture, Pixels], Picture]] = {
        "bicubic, no network": lambda lr, sr: by_pillow(lr, SIDE, BICUBIC),
        "x3, Pillow's Lanczos": lambda lr, sr: by_pillow(to_uint8(sr), SIDE, LANCZOS),
        "x3, Pillow's bicubic": lambda lr, sr: by_pillow(to_uint8(sr), SIDE, BICUBIC),
        "x3, ours (bicubic)": lambda lr, sr: to_uint8(reduced(sr, SIDE, SIDE, np.uint8)),
        "x3, Lanczos in floats": lambda lr, sr: in_floats(sr, LANCZOS, linear=False),
        "x3, Lanczos, linear": lambda lr, sr: in_floats(sr, LANCZOS, linear=True),
        "x3, bicubic, linear": lambda lr, sr: in_floats(sr, BICUBIC, linear=True),
    }
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for hr in pictures:
        lr = by_pillow(hr, SIDE * 2 // 5, BICUBIC)  # which antialiases as MATLAB does
        sr = enlarge(lr, 3)
        for name, way in ways.items():
            rows[name].append(figures(way(lr, sr), hr, 4))
    table("2.5 times", rows)

    for product, orders in {
        6: ((2, 3), (3, 2)), 8: ((2, 4), (4, 2)), 12: ((3, 4), (4, 3)),
    }.items():  # fmt: skip
        rows = {"bicubic": [], "x4, then bicubic": []}
        for hr in pictures:
            lr = downscale(hr, product)
            rows["bicubic"].append(figures(by_pillow(lr, SIDE, BICUBIC), hr, product))
            four = by_pillow(to_uint8(enlarge(lr, 4)), SIDE, BICUBIC)
            rows["x4, then bicubic"].append(figures(four, hr, product))
            for order in orders:
                work = networks[order[0]].work_per_pixel()
                work += order[0] ** 2 * networks[order[1]].work_per_pixel()
                name = f"x{order[0]}, then x{order[1]}: {work / 1e6:.1f} M"
                made = to_uint8(enlarge(lr, *order))
                rows.setdefault(name, []).append(figures(made, hr, product))
        table(f"{product} times", rows)


def figures(made: Picture, hr: Picture, border: int) -> tuple[float, float]:
    """PSNR of luma and of colours."""
    y, rgb = (psnr(made, hr, border=border, channels=each) for each in (Channels.Y, Channels.RGB))
    return y, rgb


if __name__ == "__main__":
    main()
