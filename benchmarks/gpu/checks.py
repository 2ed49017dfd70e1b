"""On a GPU: does upscaling give the CPU's pictures, and how fast, beside the card's own peak?"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from edsr_cli import load


def seconds(work: Callable[[], object], least: float = 0.3) -> float:
    """The median time of some work, after once for nothing."""
    work()
    torch.cuda.synchronize()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < least:
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def peaks() -> None:
    """Print what a convolution by itself makes of the card."""
    for channels, side in ((64, 1024), (256, 512)):
        x = torch.randn(1, channels, side, side, device="cuda", dtype=torch.bfloat16)
        x = x.contiguous(memory_format=torch.channels_last)
        layer = nn.Conv2d(channels, channels, 3, padding=1, device="cuda", dtype=torch.bfloat16)
        weight = layer.weight.data
        layer.weight.data = weight.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            each = seconds(lambda layer=layer, x=x: layer(x))  # type: ignore[misc]
        work = 2 * layer.weight.numel() * side**2
        what = f"convolution {channels} -> {channels}, bf16, {side} x {side}"
        print(f"peak: {what}: {work / each / 1e12:.0f} TFLOP/s")


def upscaling() -> None:
    """Print differences from the CPU, and times."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (24, 32, 3))
    small = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
    for scale in (2, 4):
        reference = load("edsr-free", scale, "cpu", "fp32")(small).astype(int)
        for precision in ("fp32", "bf16", "fp16"):
            upscaler = load("edsr-free", scale, "cuda", precision)
            difference = np.abs(upscaler(small).astype(int) - reference)
            parts = [
                f"x{scale} {precision}: differs by {difference.max()} levels at most, "
                f"{(difference > 0).mean():.2%} of samples"
            ]
            for height, width in ((512, 512), (1080, 1920), (2160, 3840)):
                if height > 1080 and (scale == 4 or precision == "fp32"):
                    continue
                picture = random.integers(0, 256, (height, width, 3), np.uint8)
                work = 2 * upscaler.upscaler.work_per_pixel() * height * width
                each = seconds(lambda u=upscaler, p=picture: u(p))  # type: ignore[misc]
                speed = f"{work / each / 1e12:.0f} TFLOP/s"
                parts.append(f"{width} x {height}: {each * 1e3:.0f} ms, {speed}")
            print(" | ".join(parts), flush=True)
    picture = random.integers(0, 256, (1080, 1920, 3), np.uint8)
    upscaler = load("edsr-free", 2, "cuda", "bf16")
    each = seconds(lambda: upscaler(picture, ensemble=True))
    print(f"x2 bf16 ensemble 1920 x 1080: {each * 1e3:.0f} ms")


if __name__ == "__main__":
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device.")
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    print(torch.__version__, torch.cuda.get_device_name(), "cuDNN", cudnn)
    peaks()
    upscaling()
