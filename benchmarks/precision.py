"""What a faster number format does to the picture: python benchmarks/precision.py FOLDER

FOLDER holds a data set, such as Set5, in a layout that `edsr evaluate` knows. For each scale and
format: PSNR between its 8-bit output and fp32's, the share of samples that differ, the largest
difference in levels, and the Y-PSNR of both against HR, without the data set's border. Means over
the pictures, except for the largest difference.
"""

import argparse

import numpy as np

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.datasets.benchmark import Benchmark, find_benchmark, load_pair
from edsr_cli.evaluation.metrics import Channels, psnr
from edsr_cli.inference import Precision, Upscaler
from edsr_cli.inference.engines.torch.engine import TorchEngine
from edsr_cli.pixels.depth import to_uint8


def compare(benchmark: Benchmark, scale: int, precision: Precision, device: str) -> None:
    """Print one line of the table."""
    weights = load_network("edsr-free", scale).checkpoint
    exact, fast = (Upscaler(weights, scale, device, "fp32", engine=TorchEngine()) for _ in range(2))
    fast.precision = precision
    border = benchmark.border(scale)
    rows = []
    for pair in benchmark.pairs(scale):
        loaded = load_pair(pair)
        a, b = (to_uint8(each.upscale(loaded.lr).pixels) for each in (exact, fast))
        difference = np.abs(a.astype(float) - b)
        rows.append(
            (
                psnr(b, a, border=0, channels=Channels.RGB),
                100 * float(np.mean(difference > 0)),
                float(difference.max()),
                psnr(a, loaded.hr, border=border, channels=Channels.Y),
                psnr(b, loaded.hr, border=border, channels=Channels.Y),
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
    parser.add_argument("folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--formats", nargs="+", default=["bf16", "fp16"])
    options = parser.parse_args()
    benchmark = find_benchmark(options.folder)
    print(
        "| scale | format | PSNR to fp32, dB | differing | at most, levels | Y-PSNR fp32 | Y-PSNR |"
    )
    print("|---|---|---|---|---|---|---|")
    for scale in options.scales:
        for name in options.formats:
            compare(benchmark, scale, Precision(name), options.device)


if __name__ == "__main__":
    main()
