"""Training speed in updates per second, beside the floor that this machine's convolutions allow.

    python benchmarks/training.py [--device cpu] [--seconds 20] [--patch 48] [--batch 16]

Every line is `Trainer` as `edsr train` runs it, on random pictures (the content does not matter).
The floor is 2 x 3 x MACs / peak: an update is a forward pass and a backward pass of twice its work,
a multiply-add is two operations, and the peak is the fastest that a 64 -> 64 channel convolution of
the batch's own size runs forwards here, over both memory layouts. "data" is the time that cutting
the batches takes, as a share of the updates' time; on a CPU it is part of that, on a GPU it runs
beside it.

The variants take turns, in short rounds; each figure is the median over the rounds.
"""

import argparse
import platform
import statistics
import time

import numpy as np
import torch
from torch import nn

from edsr_cli.inference import devices
from edsr_cli.networks import EDSR, MDSR, NetworkConfig, edsr_baseline, mdsr_baseline
from edsr_cli.training.choices import Autocast
from edsr_cli.training.initial import random_network
from edsr_cli.training.patches import Sampler, home
from edsr_cli.training.photos import Photo, Photos
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.trainer import Trainer

SIDE = 480  # of the pictures, in HR pixels


def noise(count: int) -> Photos:
    """Random pictures with random LR versions."""
    random = np.random.default_rng(0)
    hr = SIDE * SIDE * 3
    lr = {scale: (SIDE // scale) ** 2 * 3 for scale in (2, 3, 4)}
    photos = [
        Photo(str(i), SIDE, SIDE, i * hr, {scale: i * size for scale, size in lr.items()})
        for i in range(count)
    ]
    return Photos(
        photos,
        random.integers(0, 256, count * hr, np.uint8),
        {scale: random.integers(0, 256, count * size, np.uint8) for scale, size in lr.items()},
    )


def multiply_adds(network: EDSR | MDSR, scale: int, batch: int, patch: int) -> int:
    """Multiply-adds of a forward pass, without the two fixed mean shifts."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += module.weight[0].numel() * output.numel()

    hooks = [
        module.register_forward_hook(count)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and not name.endswith("_mean")
    ]
    x = torch.zeros(1, 3, patch, patch)
    with torch.no_grad():
        network(x, scale) if isinstance(network, MDSR) else network(x)
    for hook in hooks:
        hook.remove()
    return total * batch


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak(device: torch.device, dtype: torch.dtype, batch: int, patch: int, seconds: float) -> float:
    """Operations per second of the best convolution, 64 -> 64 channels."""
    best = 0.0
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(batch, 64, patch, patch, device=device, dtype=dtype)
        x = x.to(memory_format=layout)
        convolution = nn.Conv2d(64, 64, 3, padding=1).to(device, dtype).to(memory_format=layout)
        work = 2 * 9 * 64 * 64 * batch * patch * patch
        times = []
        with torch.inference_mode():
            end = time.perf_counter() + seconds
            while time.perf_counter() < end or len(times) < 5:
                synchronize(device)
                begin = time.perf_counter()
                for _ in range(10):
                    convolution(x)
                synchronize(device)
                times.append((time.perf_counter() - begin) / 10)
        best = max(best, work / min(times))
    return best


def variants(device: torch.device) -> list[tuple[str, NetworkConfig, int, Autocast]]:
    """Name, network, scale and number format."""
    configs = [(f"EDSR baseline x{scale}", edsr_baseline(scale), scale) for scale in (2, 3, 4)]
    configs.append(("MDSR baseline, x4 updates", mdsr_baseline(), 4))
    formats = [Autocast.FP32]
    if devices.pick_precision("auto", device) != "fp32":
        formats.append(Autocast.BF16)
    return [(name, config, s, autocast) for autocast in formats for name, config, s in configs]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=20, help="for each variant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=48)
    options = parser.parse_args()
    device = devices.pick_device(options.device)
    print(
        f"{devices.describe(device)}, {platform.machine()}, torch {torch.__version__}, batches of"
    )
    print(f"{options.batch} patches of {options.patch} x {options.patch} LR pixels")
    recipe = Recipe(batch_size=options.batch, patch_size=options.patch, updates=10**9)
    photos, runs, peaks = noise(40), [], {}
    for name, config, scale, autocast in variants(device):
        network = random_network(config, 0)
        work = 6 * multiply_adds(network, scale, options.batch, options.patch)
        sampler = Sampler(photos, (scale,), options.batch, options.patch, 0, home(photos, device))
        trainer = Trainer(
            network, Recipe(**{**vars(recipe), "autocast": autocast}), sampler, device
        )
        runs.append((name, autocast, work, sampler, trainer.steps(), [], []))
        dtype = torch.bfloat16 if autocast is Autocast.BF16 else torch.float32
        if dtype not in peaks:
            peaks[dtype] = peak(device, dtype, options.batch, options.patch, 2.0)
    for _ in range(options.rounds):
        for _, _, _, sampler, steps, speeds, shares in runs:
            next(steps)
            synchronize(device)
            begin, done = time.perf_counter(), 0
            while done < 2 or time.perf_counter() - begin < options.seconds / options.rounds:
                next(steps)
                done += 1
            synchronize(device)
            speeds.append(done / (time.perf_counter() - begin))
            begin = time.perf_counter()
            for number in range(5):
                sampler.batch(number)
            synchronize(device)
            shares.append((time.perf_counter() - begin) / 5 * speeds[-1])
    print(f"\n| {'network':26} | format | updates/s | GFLOP/s | floor, updates/s | of it | data |")
    print("|---|---|---|---|---|---|---|")
    for name, autocast, work, _, _, speeds, shares in runs:
        top = peaks[torch.bfloat16 if autocast is Autocast.BF16 else torch.float32]
        speed = statistics.median(speeds)
        print(
            f"| {name:26} | {autocast.value} | {speed:.2f} | {speed * work / 1e9:.0f} | "
            f"{top / work:.2f} | {100 * speed * work / top:.0f} % | "
            f"{100 * statistics.median(shares):.1f} % |"
        )
    for dtype, top in peaks.items():
        print(f"peak of a 64 -> 64 convolution in {dtype}: {top / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
