"""Time row streaming against the plain network and against tiles, in one run on the same weights.

    python benchmarks/streaming.py [--device cpu] [--scales 2 4] [--sizes 512x512 512x2048]

Four ways to run the EDSR baseline on the same random picture (HEIGHTxWIDTH in LR pixels):

    plain       the plain module on the whole picture: fp32, NCHW
    tiles       128 x 128 tiles with a halo of the exact receptive-field radius, same module
    streamed    what `edsr upscale` does, from uint8 to uint8, in fp32, and in bf16 where the device
                multiplies it natively (or with --bf16)
    plain tail  streamed, fp32, with the upsampler run as the plain modules, for comparison

GFLOP/s are the plain network's multiply-adds, times two, over the time: tiles and streaming get no
credit for computing more or less than it. Every round times every variant once, one after the
other, so that a machine that is slow for a while is slow for all; the table has medians over the
rounds, and medians of each round's ratio to plain.
"""

import argparse
import copy
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Precision, Upscaler
from edsr_cli.inference.engines.torch import devices
from edsr_cli.inference.engines.torch.assembly import stream
from edsr_cli.inference.engines.torch.engine import TorchEngine, TorchNetwork
from edsr_cli.inference.engines.torch.ensemble import fold_view
from edsr_cli.inference.engines.views import TRANSPOSE

TILE, RADIUS = 128, 36


def plain(network: torch.nn.Module, pixels: np.ndarray, device: torch.device) -> np.ndarray:
    """The network on a whole picture: (H, W, 3) uint8 to (scale * H, scale * W, 3) uint8."""
    x = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].float().contiguous()
    with torch.inference_mode(), devices.exact_convolutions():
        y = network(x).clamp(0, 255).round().to(torch.uint8)
    return y[0].permute(1, 2, 0).cpu().numpy()


def tiles(
    network: torch.nn.Module, pixels: np.ndarray, device: torch.device, scale: int
) -> np.ndarray:
    """The same by tiles whose halo, clipped at the picture's edges, makes them exact."""
    height, width, _ = pixels.shape
    output = np.empty((height * scale, width * scale, 3), np.uint8)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            bottom, right = min(height, top + TILE), min(width, left + TILE)
            y, x = max(0, top - RADIUS), max(0, left - RADIUS)
            piece = plain(network, pixels[y : bottom + RADIUS, x : right + RADIUS], device)
            rows = slice((top - y) * scale, (bottom - y) * scale)
            columns = slice((left - x) * scale, (right - x) * scale)
            output[top * scale : bottom * scale, left * scale : right * scale] = piece[
                rows, columns
            ]
    return output


def variants(
    scale: int, device: str, bf16: bool, pixels: np.ndarray
) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> a call that upscales the picture."""
    network = load_network("edsr-free", scale).network
    weights = load_network("edsr-free", scale).checkpoint
    engine = TorchEngine()
    fp32 = Upscaler(weights, scale, device, "fp32", engine=engine)
    uncollapsed = Upscaler(weights, scale, device, "fp32", engine=engine)
    target = devices.pick_device(device)
    for transposed in (False, True):
        turned = fold_view(network, TRANSPOSE) if transposed else network
        uncollapsed._forms.kept[Precision.FP32, False, transposed, False] = TorchNetwork(
            stream(turned.to(target), scale), target, scale, Precision.FP32
        )
    whole = copy.deepcopy(network).to(target)
    calls = {
        "plain": lambda: plain(whole, pixels, target),
        f"tiles of {TILE}": lambda: tiles(whole, pixels, target, scale),
        "streamed, plain tail, fp32": lambda: uncollapsed.upscale(pixels).pixels,
        "streamed, fp32": lambda: fp32.upscale(pixels).pixels,
    }
    if bf16:
        half = Upscaler(weights, scale, device, "bf16", engine=engine)
        calls["streamed, bf16"] = lambda: half.upscale(pixels).pixels
    return calls


def multiply_adds(scale: int) -> int:
    """Of the plain network, for each LR pixel."""
    return stream(load_network("edsr-free", scale).network, scale).cost.multiply_adds


def compare(scale: int, height: int, width: int, device: str, bf16: bool, rounds: int) -> None:
    """Time all variants on one picture and print their rows of the table."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    calls = variants(scale, device, bf16, pixels)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    worst: dict[str, int] = {}
    small = pixels[:64, :64]
    for call in variants(scale, device, bf16, small).values():
        call()  # warm-up, so that no variant pays for loading code
    for _ in range(rounds):
        reference = None
        for name, call in calls.items():
            begin = time.perf_counter()
            output = call()
            seconds[name].append(time.perf_counter() - begin)
            reference = output if reference is None else reference
            worst[name] = max(
                worst.get(name, 0),
                int(np.abs(np.subtract(output, reference, dtype=np.int16)).max()),
            )
    work = 2 * multiply_adds(scale) * height * width
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = statistics.median(p / t for p, t in zip(seconds["plain"], times, strict=True))
        print(
            f"| x{scale} | {height} x {width} | {name} | {median:.2f} | {work / median / 1e9:.0f} "
            f"| {ratio:.2f} | {worst[name]} |",
            flush=True,
        )


def machine(device: str) -> str:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return (
        f"{devices.describe(devices.pick_device(device))}; {name}, "
        f"{torch.backends.cpu.get_cpu_capability()}; torch {torch.__version__}"
    )


def main() -> None:
    """Run the comparison and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--sizes", nargs="+", default=["512x512", "512x2048"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="time bf16 even where it is emulated")
    options = parser.parse_args()
    device = devices.pick_device(options.device)
    bf16 = options.bf16 or devices.has_fast_bf16(device)
    print(f"{machine(options.device)}; medians of {options.rounds} rounds\n")
    print("| scale | size | variant | seconds | GFLOP/s | times plain's speed | levels off plain |")
    print("|---|---|---|---|---|---|---|")
    for scale in options.scales:
        for size in options.sizes:
            height, width = map(int, size.split("x"))
            compare(scale, height, width, options.device, bf16, options.rounds)


if __name__ == "__main__":
    main()
