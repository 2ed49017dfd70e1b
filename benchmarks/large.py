"""Large pictures from file to file: peak memory and processor seconds of whole processes.

    python -m benchmarks.large table                    # three sizes, PNG and TIFF, 8 and 16 bits
    python -m benchmarks.large run 31250x32000 png tif  # a gigapixel, from PNG to TIFF
    python -m benchmarks.large run 31250x32000 png tif --scale 4 --dry-run
    python -m benchmarks.large run 12500x8000 png tif --transparent

`edsr upscale`, with a network of one block and four features made for this, so that what is
measured is all the rest; `--max-memory 1G`, or 100M for the table, so that all but the smallest are
streamed.
The pictures are synthetic: smooth, with noise in every other tile of 512 pixels; they are made row
by row, in a folder that is removed in the end (a gigapixel and twice that take some 5 GB); with
--transparent they have alpha, 0 in most of it and between at the borders of that, and keep it. Peak
memory is that of the whole process, as the system counts it; "beyond" is what it takes more than
for a picture of 64 x 64.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.checkpoints.checkpoint import save_canonical
from edsr_cli.images import OutputRequest, create_picture, format_for
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import EDSR, tensors_of
from edsr_cli.pixels.depth import dtype_of
from edsr_cli.pixels.planes import PlaneRows
from edsr_cli.pixels.windows import Region

BAND = 512
SIZES = ((512, 512), (2000, 20000), (20000, 2000))


def tiny_network(path: Path, scale: int) -> None:
    """Weights of one block of four features, which repeat every pixel; `scale` is 2 or 4."""
    network = EDSR(NetworkConfig("edsr", (scale,), 1, 4))
    tensors = tensors_of(network)
    for name, tensor in tensors.items():
        if not name.startswith(("sub_mean", "add_mean")):
            tensor[...] = 0
            step = 1 if name in ("head.0.weight", "tail.1.weight") else 4
            if name == "head.0.weight" or (name.startswith("tail") and name.endswith("weight")):
                for colour in range(3):
                    tensor[step * colour : step * (colour + 1), colour, 1, 1] = 1
    about = {"name": "tiny", "licence": "CC0-1.0", "origin": "made for a measurement"}
    save_canonical(path, tensors, network.config, about)


def synthetic(
    path: Path, size: tuple[int, int], bits: int = 8, *, transparent: bool = False
) -> None:
    """Write a picture by rows, in the format that its name ends in."""
    width, height = size
    most = 2**bits - 1
    random = np.random.default_rng(5)
    noise = random.integers(-most // 16, most // 16, (BAND, width, 3))
    noise[:, np.arange(width) // BAND % 2 == 0] = 0
    across = np.linspace(0.1, 0.9, width)[None, :, None] * np.array([1.0, 0.8, 0.6])
    with (
        path.open("wb") as file,
        create_picture(
            file,
            format_for(path, None),
            OutputRequest(size, alpha=blots(size, bits) if transparent else None, bits=bits),
        ) as writer,
    ):
        for top in range(0, height, BAND):
            rows = min(BAND, height - top)
            down = (top + np.arange(rows)[:, None, None]) / height
            band: NDArray[Any] = most * (0.7 * across + 0.25 * down)
            band = np.clip(band + noise[:rows], 0, most).astype(dtype_of(bits))
            writer.write(Region(top, top + rows, 0, width), band)


def blots(size: tuple[int, int], bits: int) -> PlaneRows:
    """Alpha of round spots, each in a tile of 512 pixels."""
    width, height = size
    across = np.arange(width) % BAND - BAND // 2

    def begin() -> Iterator[NDArray[Any]]:
        for top in range(0, height, BAND):
            down = np.arange(min(BAND, height - top))[:, None] - BAND // 2
            edge = np.clip((BAND // 3 - np.hypot(down, across)) / 8, 0, 1)
            yield (edge * (2**bits - 1)).astype(dtype_of(bits))

    return PlaneRows((height, width), dtype_of(bits), begin)


_LAUNCHER = """
import json, os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)
print(json.dumps([status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
"""A process starts with the peak memory of the one that started it, so that has to be small."""


def measured(arguments: list[str], log: Path) -> tuple[float, float, float]:
    """Clock seconds, processor seconds and peak memory in MB of `edsr` with arguments."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), **os.environ}
    command = [sys.executable, "-c", _LAUNCHER, sys.executable, "-m", "edsr_cli", *arguments]
    begin = time.perf_counter()
    with log.open("wb") as output:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=output, env=environment, check=True
        )
    seconds = time.perf_counter() - begin
    status, cpu, peak = json.loads(done.stdout)
    assert status == 0, log.read_text("utf-8")
    return seconds, cpu, peak * (1 if sys.platform == "darwin" else 1024) / 1e6


class Bench:
    """A folder with the network, and runs in it.

    Args:
        folder: where files go.
        scale: how many times to enlarge.
        more: arguments for every run.
        transparent: whether pictures have alpha, which is kept.
    """

    def __init__(
        self, folder: Path, scale: int, more: list[str], *, transparent: bool = False
    ) -> None:
        self.transparent = transparent
        self.folder, self.log = folder, folder / "log"
        self.made: tuple[Any, ...] = ()  # which picture is there
        tiny_network(folder / "tiny.safetensors", scale)
        self.how = ["-m", str(folder / "tiny.safetensors"), "--overwrite", "--max-pixels", "2G"]
        self.how += [*more, *(["--alpha", "keep"] if transparent else [])]
        Image.new("RGB", (64, 64), "teal").save(folder / "small.png")
        small = str(folder / "small.png")
        *_, self.base = measured(["upscale", small, *self.how], self.log)

    def run(self, size: tuple[int, int], source: str, ending: str, bits: int) -> str:
        """Make a picture, enlarge it, and give a row of the table."""
        path, output = self.folder / f"source.{source}", self.folder / f"output.{ending}"
        if self.made != (size, source, bits):
            synthetic(path, size, bits, transparent=self.transparent)
            self.made = (size, source, bits)
        arguments = ["upscale", str(path), "-o", str(output), *self.how]
        seconds, cpu, peak = measured(arguments, self.log)
        gigabytes = [each.stat().st_size / 1e9 if each.exists() else 0 for each in (path, output)]
        output.unlink(missing_ok=True)
        return (
            f"| {size[0]:,} x {size[1]:,} | {source} | {ending} | {bits} | {peak:.0f} "
            f"| {peak - self.base:.0f} | {cpu:.1f} | {seconds:.1f} "
            f"| {gigabytes[0]:.2f} | {gigabytes[1]:.2f} |"
        )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("table")
    run = kinds.add_parser("run")
    run.add_argument("size")
    run.add_argument("source", choices=["png", "tif", "jpg", "bmp"])
    run.add_argument("output", choices=["png", "tif", "jpg", "bmp"])
    run.add_argument("--bits", type=int, default=8)
    for each in kinds.choices.values():
        each.add_argument("--scale", type=int, default=2)
        each.add_argument("--folder", type=Path)
        each.add_argument("--transparent", action="store_true")
    for kind, memory in (("table", "100M"), ("run", "1G")):
        kinds.choices[kind].add_argument("--max-memory", default=memory)
    arguments, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        how = ["--max-memory", arguments.max_memory, *more]
        bench = Bench(Path(name), arguments.scale, how, transparent=arguments.transparent)
        print(f"a picture of 64 x 64 takes {bench.base:.0f} MB\n")
        print("| pixels | from | to | bits | peak MB | beyond | CPU s | s | GB in | GB out |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        if arguments.kind == "run":
            width, height = (int(side) for side in re.split("x", arguments.size))
            print(bench.run((width, height), arguments.source, arguments.output, arguments.bits))
            print(bench.log.read_text("utf-8"), file=sys.stderr)
            return
        for kind in ("png", "tif"):
            for bits in (8, 16):
                for size in SIZES:
                    print(bench.run(size, kind, kind, bits), flush=True)


if __name__ == "__main__":
    main()
