"""Training speed in updates per second, beside the floor that this machine's convolutions allow.

    python benchmarks/training.py [--device cpu] [--seconds 20] [--patch 48] [--batch 16]

Every line is `Trainer` as `edsr train` runs it, on random pictures (the content does not matter).
The floor is 2 x 3 x MACs / peak: an update is a forward pass and a backward pass of twice its work,
a multiply-add is two operations, and the peak is the fastest that a 64 -> 64 channel convolution of
the batch's own size runs forwards here, over both memory layouts. MACs are those of the plain
network; with the tail as one convolution (which `edsr train` has on a CPU, and in bf16 at x3 and x4
on an NVIDIA GPU) there are fewer, by 25 % at x4, 14 % at x3 and 7 % at x2, so that the floor is not
one for it.

"batch" is the share of an update's time that the device takes to make its batch: cutting the
patches, and in the lines "photo" degrading them as `edsr train --degrade photo` does. "drawing" is
what the host takes to draw what is random about it, as a share of the same time; on a CPU it is
part of it, on a GPU it runs beside it.

On a CPU the two forms of a network's tail take turns, on an NVIDIA GPU updates as one CUDA graph
and kernel by kernel, and clean and degraded patches, in short rounds; each figure is the median
over the rounds. A network's lines come as soon as it is done.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from msgspec.structs import replace
from torch import nn

from edsr_cli.inference.engines.torch import devices
from edsr_cli.inference.engines.torch.graphs import Recorder, settings
from edsr_cli.model.config import NetworkConfig, edsr_baseline, mdsr_baseline
from edsr_cli.model.networks import EDSR, MDSR
from edsr_cli.options.choices import Autocast
from edsr_cli.training.initial import random_network
from edsr_cli.training.patches import Sampler, home
from edsr_cli.training.photos import Photo, Photos
from edsr_cli.training.recipe import Recipe
from edsr_cli.training.trainer import Trainer

SIDE = 480  # of the pictures, in HR pixels
NETWORKS = ["x2", "x3", "x4", "mdsr"]


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
        network(x, scale)
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
        convolution = nn.Conv2d(64, 64, 3, padding=1, device=device, dtype=dtype)
        convolution.weight.data = convolution.weight.data.contiguous(memory_format=layout)
        work = 2 * 9 * 64 * 64 * batch * patch * patch
        times: list[float] = []
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


class Variant:
    """A training, and what was measured of it.

    Args:
        name: what the table calls it.
        config: the network.
        scale: of its updates.
        special: with the tail as one convolution on a CPU, as a graph on an NVIDIA GPU.
        autocast: the number format.
        photos: what batches are cut from.
        recipe: size of the batches, and what LR patches suffer.
        device: where.
    """

    def __init__(
        self,
        name: str,
        config: NetworkConfig,
        scale: int,
        special: bool,
        autocast: Autocast,
        photos: Photos,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.name, self.autocast, self.device = name, autocast, device
        cuda = device.type == "cuda"
        if cuda:
            self.way = "graph" if special else "kernel by kernel"
        else:
            self.way = "tail: one convolution" if special else "tail: plain"
        network = random_network(config, 0)
        size, patch = recipe.batch_size, recipe.patch_size
        self.work = 6 * multiply_adds(network, scale, size, patch)
        self.patches = "clean" if recipe.patch_degradation is None else "photo"
        self.sampler = Sampler(
            photos, (scale,), size, patch, 0, home(photos, device), recipe.patch_degradation
        )
        recipe = replace(recipe, autocast=autocast)
        trainer = Trainer(network, recipe, self.sampler, device, graph=special)
        if not (special or cuda):
            trainer.updater.collapsed = ()
        self.steps = trainer.steps()
        self.make = self._making(recorded=special and self.sampler.device.type == "cuda")
        self.speeds: list[float] = []
        self.shares: list[tuple[float, float]] = []

    def measure(self, seconds: float) -> None:
        """Time at least two updates, and the making of batches."""
        speed = 1 / self._time(lambda: next(self.steps), 2, seconds)
        self.speeds.append(speed)
        making = self._time(self.make, 5, seconds / 10)
        drawing = self._time(lambda: self.sampler.draw(0), 20, seconds / 10)
        self.shares.append((making * speed, drawing * speed))

    def row(self, peak: float) -> str:
        """A line of the table."""
        speed = statistics.median(self.speeds)
        making, drawing = (statistics.median(share) for share in zip(*self.shares, strict=True))
        return (
            f"| {self.name:25} | {self.way:21} | {self.patches} | {self.autocast.value} | "
            f"{speed:.2f} | "
            f"{speed * self.work / 1e9:.0f} | {peak / self.work:.2f} | "
            f"{100 * speed * self.work / peak:.0f} % | {100 * making:.1f} % | "
            f"{100 * drawing:.2f} % |"
        )

    def _making(self, recorded: bool) -> Callable[[], object]:
        """Work that makes a batch on the device."""
        draw = self.sampler.draw(0)
        # A graph does not keep what it reads.
        self._tables = tables = {n: t.to(self.sampler.device) for n, t in draw.tables.items()}

        def make() -> None:
            self.sampler.make(draw.scale, tables)

        with settings(self.device):
            return Recorder(self.device, "batches")(make, []) if recorded else make

    def _time(self, work: Callable[[], object], least: int, seconds: float) -> float:
        """Seconds that some work takes on average, after once for nothing."""
        work()
        synchronize(self.device)
        begin, done = time.perf_counter(), 0
        while done < least or time.perf_counter() - begin < seconds:
            work()
            done += 1
        synchronize(self.device)
        return (time.perf_counter() - begin) / done


def variants(
    recipe: Recipe, device: torch.device, formats: Sequence[Autocast], networks: Sequence[str]
) -> Iterator[list[Variant]]:
    """Everything that is timed, by what is compared; made when asked for."""
    configs = [
        (f"EDSR baseline x{scale}", edsr_baseline(scale), scale)
        for scale in (2, 3, 4)
        if f"x{scale}" in networks
    ]
    if "mdsr" in networks:
        configs.append(("MDSR baseline, x4 updates", mdsr_baseline(), 4))
    photos = noise(40)
    for autocast in formats:
        for name, config, scale in configs:
            yield [
                Variant(
                    name,
                    config,
                    scale,
                    special,
                    autocast,
                    photos,
                    replace(recipe, degradation=patches),
                    device,
                )
                for special, patches in ((False, "clean"), (True, "clean"), (True, "photo"))
            ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=20, help="for each variant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--formats", nargs="+", choices=list(Autocast), help="default: all it has")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    options = parser.parse_args()
    device = devices.pick_device(options.device)
    print(
        f"{devices.describe(device)}, {platform.machine()}, torch {torch.__version__}, batches of"
    )
    print(f"{options.batch} patches of {options.patch} x {options.patch} LR pixels")
    recipe = Recipe(batch_size=options.batch, patch_size=options.patch, updates=10**9)
    dtypes = {Autocast.FP32: torch.float32, Autocast.BF16: torch.bfloat16}
    peaks: dict[Autocast, float] = {}
    print(
        "\n| network | way | patches | format | updates/s | GFLOP/s | floor, updates/s | of it | "
        "batch | drawing |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    formats = [Autocast(each) for each in options.formats or [Autocast.FP32]]
    if not options.formats and devices.has_fast_bf16(device):
        formats.append(Autocast.BF16)
    for runs in variants(recipe, device, formats, options.networks):
        form = runs[0].autocast
        if form not in peaks:
            peaks[form] = peak(device, dtypes[form], options.batch, options.patch, 2.0)
        for _ in range(options.rounds):
            for run in runs:
                run.measure(options.seconds / options.rounds)
        for run in runs:
            print(run.row(peaks[form]), flush=True)
    for form, top in peaks.items():
        print(f"peak of a 64 -> 64 convolution in {form.value}: {top / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
