"""What a faster number format does to the picture: python benchmarks/precision.py FOLDER

FOLDER holds a data set as HR/NAME.png and LR_bicubic/X{scale}/NAMEx{scale}.png, such as Set5. For
each scale and format: PSNR between its 8-bit output and fp32's, the share of samples that differ,
the largest difference in levels, and the Y-PSNR of both against HR (border of `scale` pixels
shaved), in means over the pictures.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Precision, Upscaler

Y = np.array([65.738, 129.057, 25.064]) / 256  # the offset cancels in differences


def psnr(difference: NDArray[np.float64]) -> float:
    """PSNR in dB of a difference in levels of 255."""
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


def read(path: Path) -> NDArray[np.uint8]:
    """A picture as (H, W, 3)."""
    return np.asarray(Image.open(path).convert("RGB"))


def y_psnr(sr: NDArray[np.uint8], hr: NDArray[np.uint8], scale: int) -> float:
    """PSNR of the Y channel, as in the papers."""
    hr = hr[: sr.shape[0], : sr.shape[1]]
    inner = (slice(scale, -scale), slice(scale, -scale))
    return psnr((sr[inner].astype(float) - hr[inner]) @ Y)


def compare(folder: Path, scale: int, precision: Precision, device: str) -> None:
    """Print one line of the table."""
    network = load_network("edsr-free", scale).network
    exact, fast = (Upscaler(network, scale, device, "fp32") for _ in range(2))
    fast.precision = precision
    rows = []
    for path in sorted((folder / "HR").glob("*.png")):
        lr = read(folder / f"LR_bicubic/X{scale}/{path.stem}x{scale}.png")
        hr, a, b = read(path), exact.upscale(lr).pixels, fast.upscale(lr).pixels
        difference = np.abs(a.astype(float) - b)
        rows.append(
            (
                psnr(difference),
                100 * np.mean(difference > 0),
                difference.max(),
                y_psnr(a, hr, scale),
                y_psnr(b, hr, scale),
            )
        )
    close, share, _, before, after = np.mean(rows, axis=0)
    worst = max(row[2] for row in rows)
    print(
        f"| x{scale} | {precision.value} | {close:.1f} | {share:.1f} % | {worst:.0f} "
        f"| {before:.4f} | {after:.4f} |",
        flush=True,
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--formats", nargs="+", default=["bf16", "fp16"])
    options = parser.parse_args()
    print(
        "| scale | format | PSNR to fp32, dB | differing | at most, levels | Y-PSNR fp32 | Y-PSNR |"
    )
    print("|---|---|---|---|---|---|---|")
    for scale in options.scales:
        for name in options.formats:
            compare(options.folder, scale, Precision(name), options.device)


if __name__ == "__main__":
    main()
