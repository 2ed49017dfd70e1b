"""The same GPU by way of Vulkan: equality with the CPU, and how fast for some heights of strips.

Run it as: python benchmarks/gpu/vulkan.py [--device vulkan] [--side 1080]
"""

import argparse
import time

import numpy as np

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Device, Upscaler
from edsr_cli.inference.engines.ncnn.vulkan import VulkanEngine
from edsr_cli.inference.engines.torch.engine import TorchEngine


class Sized(VulkanEngine):
    """The engine, with strips of a given size.

    Args:
        share: of the engine's own.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def strip_pixels(self, device: Device) -> int:
        return int(super().strip_pixels(device) * self._share)


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="vulkan")
    parser.add_argument("--side", type=int, default=1080, help="of the picture that is timed")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    coarse = np.kron(random.integers(0, 256, (24, 20, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    pixels = random.integers(0, 256, (options.side, options.side * 16 // 9, 3), np.uint8)
    for scale in (2, 4):
        weights = load_network("edsr-free", scale).checkpoint
        exact = Upscaler(weights, scale, "cpu", "fp32", engine=TorchEngine()).upscale(coarse).pixels
        for precision in ("fp32", "fp16"):
            for share in (1.0, 0.25, 4.0) if scale == 2 else (1.0,):
                upscaler = Upscaler(weights, scale, options.device, precision, engine=Sized(share))
                apart = np.abs(upscaler.upscale(coarse).pixels.astype(int) - exact.astype(int))
                times = []
                for _ in range(3):
                    begin = time.perf_counter()
                    upscaler.upscale(pixels)
                    times.append(time.perf_counter() - begin)
                speed = 2 * upscaler.work_per_pixel(False) * pixels[..., 0].size / min(times)
                rows = upscaler.plan(pixels.shape[0], pixels.shape[1]).strip_rows
                print(
                    f"{upscaler.device} x{scale} {precision}, {rows} rows: {apart.max()} levels at "
                    f"most from the CPU; {pixels.shape[1]} x {pixels.shape[0]} in "
                    f"{min(times) * 1e3:.0f} ms, {speed / 1e12:.3g} TFLOP/s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
