"""Time `edsr batch` on a folder against other ways to upscale the same pictures.

    python -m benchmarks.batch FOLDER [--pictures 12] [--size 384x256] [--scale 4] [--rounds 3]

The pictures are middles of photographs in FOLDER, WIDTHxHEIGHT, saved as JPEG. Four ways:

    inference   the network alone, in one process: pixels are decoded before, outputs are dropped
    pipeline    what `edsr batch` does between loading the model and its last line, in this process
    batch       the command `edsr batch`, a process of its own
    loop        a shell loop that runs `edsr upscale` on each picture (on the first --loop of them)

All write PNG, except for the first. Every round times inference and pipeline one after the other,
so that a machine that is slow for a while is slow for both; the figures are medians over the
rounds. Overhead is the median, over the rounds, of the pipeline's time over that of inference,
less one. On a GPU, take inputs of two megapixels: --size 1728x1152 --pictures 100.

One run on two threads of an AMD EPYC with AVX2, torch 2.13 (--pictures 8 --size 240x160 --rounds 5
--loop 3), while another process kept one of the two cores busy:

    inference  1.366 s a picture
    pipeline   1.477 s; device busy 99.9 % of the time; the bottleneck is upscaling
    batch      1.881 s
    loop       9.000 s

Overhead in the rounds: -7.7, 1.8, 15.7, 14.7 and 5.9 %. It is smaller than what the other process
does to the figures; in the one round that was seen without it, it was 1.8 % (7.05 and 7.18 s).
"""

import argparse
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.streaming import machine
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.folders.globs import Choice
from edsr_cli.folders.recipe import recipe_of
from edsr_cli.folders.roots import assign_folders
from edsr_cli.folders.run import Batch
from edsr_cli.folders.scanning import Scanner
from edsr_cli.folders.summary import Summary
from edsr_cli.images import decode, format_for
from edsr_cli.inference import Upscaler
from edsr_cli.jobs.threads import choose_limits
from edsr_cli.jobs.worker import Worker
from edsr_cli.pixels.depth import to_uint8

MODEL = "edsr-free"
COMMAND = [sys.executable, "-m", "edsr_cli"]


def make_inputs(photographs: Path, folder: Path, count: int, width: int, height: int) -> None:
    """Save middles of photographs, spread over their folder, as JPEG."""
    folder.mkdir()
    paths = sorted(p for p in photographs.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    if not paths:
        raise SystemExit(f"There is no .jpg or .png in {photographs}.")
    for number in range(count):
        pixels = to_uint8(decode(paths[number * len(paths) // count]).pixels)
        high, wide = pixels.shape[:2]
        if high < height or wide < width:  # mirrored as often as needed
            pixels = np.pad(pixels, ((0, max(0, height - high)), (0, max(0, width - wide)), (0, 0)),
                            "symmetric")  # fmt: skip
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        crop = pixels[top : top + height, left : left + width]
        Image.fromarray(crop).save(folder / f"{number:04}.jpg", quality=92)


def inference(upscaler: Upscaler, folder: Path) -> float:
    """Seconds for the network alone, in a thread of its own, as in the pipeline.

    OpenMP's threads belong to the thread that called them. In one that is used beside the main
    thread's they wait in another way, which takes up to 40 % longer on two cores.
    """
    pictures = [decode(path).pixels for path in sorted(folder.iterdir())]

    def work() -> None:
        for pixels in pictures:
            upscaler.upscale(pixels)

    thread = threading.Thread(target=work)
    begin = time.perf_counter()
    thread.start()
    thread.join()
    return time.perf_counter() - begin


def pipeline(upscaler: Upscaler, folder: Path, output: Path) -> Summary:
    """A whole run over a folder in this process."""
    roots = assign_folders([str(folder)], str(output), f"x{upscaler.scale}")
    form = format_for(None, "png")
    worker = Worker(model=MODEL, upscalers=[upscaler])
    batch = Batch(
        worker=worker,
        folders=[output],
        recipe=recipe_of(worker, form),
        limits=choose_limits([upscaler]),
    )
    scanner = Scanner(roots, Choice(), form)
    return batch.run(scanner.walk(), (), scanner.count())


def command(folder: Path, output: Path, options: list[str]) -> float:
    """Seconds for `edsr batch` as a process."""
    return timed([*COMMAND, "batch", str(folder), "-o", str(output), "-q", *options])


def loop(folder: Path, output: Path, count: int, options: list[str]) -> float:
    """Seconds for a shell loop of `edsr upscale` over the first pictures."""
    names = [str(path) for path in sorted(folder.iterdir())[:count]]
    body = shlex.join([*COMMAND, "upscale"]) + ' "$name" ' + shlex.join(options)
    script = f"for name in {shlex.join(names)}; do {body} -q -o {shlex.quote(str(output))}/; done"
    return timed(["sh", "-ec", script])


def timed(arguments: list[str]) -> float:
    """Seconds for a process that ends well."""
    begin = time.perf_counter()
    subprocess.run(arguments, check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Time all ways and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--size", default="384x256", help="WIDTHxHEIGHT of the inputs")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", type=int, default=4, help="pictures in the shell loop; 0: none")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    options = ["-s", str(arguments.scale), "-d", arguments.device]
    upscaler = Upscaler(
        load_network(MODEL, arguments.scale).checkpoint, arguments.scale, arguments.device
    )
    with tempfile.TemporaryDirectory() as temporary:
        inputs = Path(temporary, "in")
        make_inputs(arguments.folder, inputs, arguments.pictures, width, height)
        inference(upscaler, inputs)  # warm-up
        alone, runs = [], []
        for number in range(arguments.rounds):
            alone.append(inference(upscaler, inputs))
            runs.append(pipeline(upscaler, inputs, Path(temporary, f"run{number}")))
        whole = command(inputs, Path(temporary, "command"), options)
        looped = 0.0
        if arguments.loop:
            looped = loop(inputs, Path(temporary, "loop"), arguments.loop, options)
    print(
        f"{machine(arguments.device)}; {arguments.pictures} pictures of {arguments.size}, ", end=""
    )
    print(f"x{arguments.scale}, medians of {arguments.rounds} rounds\n")
    report(arguments.pictures, alone, runs, whole, looped / (arguments.loop or 1))


def report(
    count: int, alone: list[float], runs: list[Summary], whole: float, looped: float
) -> None:
    """Print the table, and what the pipeline was waiting for."""
    assert all(run.done == count for run in runs)
    rows = {
        "inference alone": statistics.median(alone) / count,
        "pipeline of `edsr batch`": statistics.median(run.seconds for run in runs) / count,
        "`edsr batch`, with its start": whole / count,
        "loop of `edsr upscale`": looped,
    }
    print(
        "| | seconds a picture | pictures a second | speed of inference alone |\n|---|---|---|---|"
    )
    for name, seconds in rows.items():
        if seconds:
            ratio = rows["inference alone"] / seconds
            print(f"| {name} | {seconds:.3f} | {1 / seconds:.3f} | {ratio:.1%} |")
    ratios = [run.seconds / seconds - 1 for run, seconds in zip(runs, alone, strict=True)]
    print(f"\nOverhead of the pipeline: {statistics.median(ratios):.1%}", end=" ")
    print(f"(rounds: {', '.join(f'{ratio:.1%}' for ratio in ratios)})")
    last = runs[-1]
    stages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in last.stages.items())
    print(f"Device busy: {statistics.median(r.load.busy_share for r in runs):.1%} of the time")
    print(f"Bottleneck: {last.load.bottleneck}; waited {last.load.starved:.2f} s for decoding and "
          f"{last.load.blocked:.2f} s for encoding; in all threads: {stages}")  # fmt: skip


if __name__ == "__main__":
    main()
