"""What the engines take for a picture: processor time and peak memory, a process for each.

    python -m benchmarks.engines --size 512 --scales 2 4 --threads 1

On a machine that others use, too, processor time says more than the clock. The engines take turns,
round by round; the median counts. Starting, and a first small picture, are left out of the time,
but not of the memory. `--precisions fp32` leaves out bf16, which takes minutes on CPUs that have to
emulate it.
"""

import argparse
import json
import statistics
import subprocess
import sys

import numpy as np

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.inference import Upscaler
from edsr_cli.inference.engines import engine_for
from edsr_cli.inference.processors import use_threads

ENGINES = (("torch", "fp32"), ("torch", "bf16"), ("ncnn", "fp32"))


def once(engine: str, precision: str, scale: int, size: int, threads: int) -> dict[str, float]:
    """One picture in this process."""
    import resource
    import time

    use_threads(threads)
    weights = load_network("edsr-free", scale).checkpoint
    made = engine_for("cpu", precision, engine)
    upscaler = Upscaler(weights, scale, "cpu", precision, engine=made)
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    upscaler.upscale(pixels[:48, :48])
    begin, clock = time.process_time(), time.perf_counter()
    upscaler.upscale(pixels)
    seconds, elapsed = time.process_time() - begin, time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    return {"cpu": seconds, "clock": elapsed, "megabytes": peak / 1e6}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--once", nargs=2, metavar=("ENGINE", "PRECISION"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        [scale] = options.scales
        engine, precision = options.once
        print(json.dumps(once(engine, precision, scale, options.size, options.threads)))
        return
    print("| picture | engine | CPU s (all) | s by the clock | peak MB |")
    print("|---|---|---|---|---|")
    for scale in options.scales:
        taken: dict[tuple[str, str], list[dict[str, float]]] = {
            each: [] for each in ENGINES if each[1] in options.precisions
        }
        for _ in range(options.rounds):
            for each, found in taken.items():
                command = [sys.executable, "-m", "benchmarks.engines", "--once", *each]
                command += ["--scales", str(scale), "--size", str(options.size)]
                command += ["--threads", str(options.threads)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found.append(json.loads(done.stdout))
        for (engine, precision), found in taken.items():
            cpu = sorted(each["cpu"] for each in found)
            middle = {key: statistics.median(each[key] for each in found) for key in found[0]}
            print(
                f"| x{scale}, {options.size} x {options.size} | {engine}, {precision} "
                f"| {middle['cpu']:.2f} ({cpu[0]:.2f}-{cpu[-1]:.2f}) | {middle['clock']:.2f} "
                f"| {middle['megabytes']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
