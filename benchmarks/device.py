"""How fast pictures are upscaled on a GPU, beside what its convolutions reach by themselves.

    python benchmarks/device.py                         # a minute or two on an NVIDIA GPU
    python benchmarks/device.py --profile               # where the time goes, by kernels
    python benchmarks/device.py --device cpu --small    # only whether it runs

First, what it computes is compared with a CPU. Then come the device's own peaks, and pictures, the
most telling ones first: each network and size with strips as graphs and pushed (see `STRIPS` in the
torch engine), their heights, number formats, TF32. What does not fit in --seconds is left out.
TFLOP/s count the network with its collapsed tail, and times include the way from and to the host's
memory; the last column is the share of what a convolution of as many channels reaches in that
format.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from msgspec import Struct
from msgspec.structs import replace
from torch.nn import functional as F

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Device, Precision, Upscaler
from edsr_cli.inference.engines.torch import devices
from edsr_cli.inference.engines.torch.assembly import DTYPES
from edsr_cli.inference.engines.torch.engine import STRIP_PIXELS, STRIPS, TorchEngine
from edsr_cli.model.config import NetworkConfig, edsr
from edsr_cli.model.networks import build, tensors_of

WAYS = ("graphs", "eager")  # the default, and strips that are all pushed
FULL_HD, PHOTO = (1080, 1920), (4000, 6000)


class Sized(TorchEngine):
    """The engine, with strips of a given size.

    Args:
        strips: how they are computed.
        pixels: how many there are in one.
    """

    def __init__(self, strips: str, pixels: int) -> None:
        super().__init__(strips)
        self._pixels = pixels

    def strip_pixels(self, device: Device) -> int:
        return self._pixels


class Case(Struct, frozen=True):
    """A line of the table.

    Attributes:
        size: of the picture.
        network: "baseline" or "full".
        scale, precision, ensemble: as for `Upscaler`.
        strips: how they are computed.
        share: their size, as a part of the engine's own.
        pictures: how many, one after the other.
        tries: whether cuDNN tries all its kernels out.
        tf32: whether it may round the fp32 convolutions of a network in bf16 or fp16 to TF32.
    """

    size: tuple[int, int]
    strips: str
    scale: int = 2
    precision: str = "bf16"
    network: str = "baseline"
    ensemble: bool = False
    share: float = 1.0
    pictures: int = 1
    tries: bool = False
    tf32: bool = True


def cases() -> Iterator[Case]:
    """All of them, the most telling first."""
    for size in (FULL_HD, PHOTO):
        for scale in (2, 4):
            for strips in WAYS:
                yield Case(size, strips, scale)
    for strips in WAYS:
        yield Case(FULL_HD, strips, network="full")
        yield Case(FULL_HD, strips, ensemble=True)
        yield Case((256, 256), strips, 4, pictures=64)
    for share in (4, 1 / 4):  # of Full HD four is all
        for scale in (2, 4):
            for strips in WAYS:
                yield Case(FULL_HD, strips, scale, share=share)
    for precision in ("fp16", "fp32"):
        for strips in WAYS:
            yield Case(PHOTO, strips, precision=precision)
    for scale in (2, 4):
        yield Case(FULL_HD, "graphs", scale, tf32=False)
    yield Case(FULL_HD, "steps")
    yield Case(FULL_HD, "graphs", tries=True)
    yield Case(PHOTO, "graphs", network="full")


def small(case: Case) -> Case:
    """The same for a machine that is only to show that it works."""
    height, width = case.size
    size = (height // 64, width // 64)
    few = min(case.pictures, 2)
    return replace(case, size=size, precision="fp32", pictures=few, share=1.0, tries=False)


class Bench:
    """A device, and what is measured on it.

    Args:
        device: its name.
        tiny: whether all is small.

    Attributes:
        peaks: operations a second that a convolution of so many channels reaches in a format.
    """

    def __init__(self, device: str, tiny: bool) -> None:
        self.device, self._tiny = devices.pick_device(device), tiny
        self.peaks: dict[tuple[int, str], float] = {}
        self._networks: dict[tuple[str, int], Checkpoint] = {}

    def weights(self, name: str, scale: int) -> Checkpoint:
        """Bundled ones, or for the full EDSR random ones: its own are not to be had."""
        if (name, scale) not in self._networks:
            if name == "baseline":
                made = load_network("edsr-free", scale).checkpoint
            else:
                torch.manual_seed(0)
                config = NetworkConfig("edsr", (scale,), 2, 16, 0.1) if self._tiny else edsr(scale)
                made = Checkpoint(config, tensors_of(build(config)))
            self._networks[name, scale] = made
        return self._networks[name, scale]

    def seconds(self, work: Callable[[], object], least: float, warm: int = 1) -> float:
        """The median time of some work, done up to three times, after `warm` times for nothing."""
        for _ in range(0 if self._tiny else warm):
            work()
        self._wait()
        times: list[float] = []
        while not times or (len(times) < 3 and sum(times) < least and not self._tiny):
            begin = time.perf_counter()
            work()
            self._wait()
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    def measure_peaks(self) -> None:
        """Convolutions by themselves: those of the body, and the tail's, which are in fp32."""
        formats = ("fp32",) if self.device.type == "cpu" else ("bf16", "fp16", "fp32")
        for channels in (64, 256):
            for precision in formats:
                self.peaks[channels, precision] = self._peak(channels, channels, 3, precision)
        for outputs in (12, 48):
            self._peak(64, outputs, 5, "fp32")

    def _peak(self, channels: int, outputs: int, kernel: int, precision: str) -> float:
        """Operations a second of a convolution alone; what is added to it is printed, too."""
        side = 16 if self._tiny else 65536 // channels
        dtype, pad = DTYPES[Precision(precision)], (kernel // 2, kernel // 2)
        x, weight = (
            torch.randn(shape, device=self.device).to(dtype, memory_format=torch.channels_last)
            for shape in ((1, channels, side, side), (outputs, channels, kernel, kernel))
        )
        bias = torch.zeros(outputs, device=self.device, dtype=dtype)
        ways: dict[str, Callable[[], object]] = {
            "alone": lambda: F.conv2d(x, weight, padding=pad),
            "with bias and ReLU": lambda: F.conv2d(x, weight, bias, padding=pad).relu_(),
        }
        if self.device.type == "cuda" and precision != "fp32":
            ways["fused with both"] = lambda: torch.cudnn_convolution_relu(
                x, weight, bias, (1, 1), pad, (1, 1), 1
            )
        work = 2 * weight.numel() * side**2
        speeds, parts = {}, []
        with torch.inference_mode(), devices.exact_convolutions():
            for name, way in ways.items():
                try:
                    speeds[name] = work / self.seconds(way, 0.1)
                    parts.append(f"{name} {speeds[name] / 1e12:.3g}")
                except RuntimeError as error:
                    parts.append(f"{name}: {str(error).splitlines()[0]}")
        shape = f"{channels} -> {outputs}, {kernel} x {kernel}, {precision}, {side} x {side}"
        print(f"TFLOP/s of a convolution {shape}: {'; '.join(parts)}", flush=True)
        return speeds["alone"]

    def compare(self) -> None:
        """Outputs beside those of a CPU in fp32, in strips that are low enough to have a middle."""
        pixels = _coarse(192, 16 if self._tiny else 48)
        for network, scale in (("baseline", 2), ("baseline", 4), ("full", 2)):
            weights, eager = self.weights(network, scale), TorchEngine("eager")
            exact = Upscaler(weights, scale, "cpu", "fp32", engine=eager)
            reference = self._low(exact, pixels)
            for precision in ("fp32", "bf16", "fp16"):
                if self.device.type == "cpu" and precision != "fp32":
                    continue
                tried = [(strips, True) for strips in STRIPS]
                for strips, tf32 in tried if precision == "fp32" else [*tried, ("eager", False)]:
                    upscaler = self._upscaler(Case((0, 0), strips, scale, precision, network))
                    with _cudnn(tries=False, tf32=tf32):
                        apart = np.abs(self._low(upscaler, pixels) - reference)
                    print(
                        f"{network} x{scale} {precision} {strips}{'' if tf32 else ', no TF32'}: "
                        f"{apart.max()} levels at most, {(apart > 0).mean():.2%} of samples",
                        flush=True,
                    )

    def run(self, case: Case) -> str:
        """A line of the table."""
        upscaler = self._upscaler(case)
        height, width = case.size
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        large = height * width > 10**7

        def work() -> None:
            for _ in range(case.pictures):
                upscaler.upscale(pixels, case.ensemble)

        with _cudnn(tries=case.tries, tf32=case.tf32):
            # A way is prepared when four strips of a shape have been seen.
            each = self.seconds(work, 1.0, 1 if large or case.pictures > 1 else 3)
        count = case.pictures * height * width
        speed = 2 * upscaler.work_per_pixel(case.ensemble) * count / each
        features = upscaler.weights.config.features
        peak = self.peaks.get((features, case.precision))
        rows = upscaler.plan(height, width, case.ensemble).strip_rows
        what = f"{case.network} x{case.scale}{', ensemble' if case.ensemble else ''}"
        size = f"{width} x {height}" + (f", {case.pictures} times" if case.pictures > 1 else "")
        told = (", kernels tried" if case.tries else "") + ("" if case.tf32 else ", no TF32")
        strips = f"{case.strips}{told}, {rows} rows"
        share = f"{speed / peak:.0%}" if peak else ""
        return (
            f"| {what} | {size} | {case.precision} | {strips} | {each * 1e3:.0f} ms "
            f"| {count / each / 1e6:.3g} | {speed / 1e12:.3g} | {share} |"
        )

    def profile(self, case: Case) -> str:
        """Where the time of a picture goes, by kernels."""
        upscaler = self._upscaler(case)
        pixels = np.random.default_rng(0).integers(0, 256, (*case.size, 3), np.uint8)
        for _ in range(3):
            upscaler.upscale(pixels, case.ensemble)
        with torch.profiler.profile() as found:
            upscaler.upscale(pixels, case.ensemble)
            self._wait()
        order = f"self_{self.device.type}_time_total"
        return found.key_averages().table(order, row_limit=12, max_name_column_width=60)

    def _low(self, upscaler: Upscaler, pixels: np.ndarray) -> np.ndarray:
        plan = replace(upscaler.plan(*pixels.shape[:2]), strip_rows=8)
        return upscaler.upscale(pixels, plan=plan).pixels.astype(int)

    def _upscaler(self, case: Case) -> Upscaler:
        pixels = int(STRIP_PIXELS[self.device.type] * case.share)
        weights = self.weights(case.network, case.scale)
        engine = Sized(case.strips, pixels)
        return Upscaler(weights, case.scale, str(self.device), case.precision, None, engine)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@contextmanager
def _cudnn(*, tries: bool, tf32: bool) -> Iterator[None]:
    """Let cuDNN try kernels out or not, and round to TF32 or not; afterwards all is as before."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    cudnn.benchmark, cudnn.allow_tf32 = tries, tf32
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before


def _coarse(height: int, width: int) -> np.ndarray:
    """A picture of edges."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def main() -> None:
    """Print what was found, the table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=150, help="for all of it, about")
    parser.add_argument("--small", action="store_true", help="only try whether it runs")
    parser.add_argument("--profile", action="store_true", help="only where the time goes")
    options = parser.parse_args()
    begin = time.perf_counter()
    logging.basicConfig(format="%(levelname)s: %(message)s")  # when a way is left, and why
    bench = Bench(options.device, options.small)
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    print(f"{devices.describe(bench.device)}; torch {torch.__version__}, cuDNN {cudnn}")
    if options.profile:
        for strips in WAYS:
            case = Case(FULL_HD, strips)
            case = small(case) if options.small else case
            print(f"{case}\n{bench.profile(case)}", flush=True)
        return
    bench.compare()
    bench.measure_peaks()
    print("\n| network | picture | format | strips | time | megapixels/s | TFLOP/s | of the peak |")
    print("|---|---|---|---|---|---|---|---|")
    left = 0
    # Many of the small ones are the same.
    for case in dict.fromkeys(map(small, cases()) if options.small else cases()):
        if time.perf_counter() - begin > options.seconds:
            left += 1
            continue
        print(bench.run(case), flush=True)
    print(f"\n{time.perf_counter() - begin:.0f} s; left out for want of time: {left}")


if __name__ == "__main__":
    main()
