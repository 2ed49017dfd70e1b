"""Time `edsr batch --ray local` with one worker against the plain `edsr batch` on the same machine.

    python benchmarks/cluster.py [--pictures 16] [--size 160x120] [--threads 1] [--rounds 3]

The pictures are the cat of the examples, WIDTHxHEIGHT, and nobody looks whether to restore them: so
what Ray adds shows. Each command is a process of its own, which prints a line when a picture has
ended. Seconds a picture count from the first line to the last, so without the start of the program,
or of Ray and its worker; processor time is that of the command and of all that it has started
(Ray's own processes, too), over the same time. In each round one command follows the other; the
ratios are medians over the rounds.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from PIL import Image

CAT = Path(__file__).parents[1] / "examples" / "cat.png"
WAYS = {"plain": [], "ray": ["--ray", "local", "--ray-workers", "1"]}


@dataclass(frozen=True)
class Run:
    """What a command took.

    Attributes:
        first: seconds until the first picture.
        clock: seconds for each picture after that.
        processors: processor seconds for each, of all processes.
    """

    first: float
    clock: float
    processors: float


def processor_seconds(process: psutil.Process) -> float:
    """Those of a process and all below it."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def run(source: Path, output: Path, options: list[str]) -> Run:
    """Upscale a folder."""
    command = [sys.executable, "-m", "edsr_cli", "batch", str(source), "-o", str(output)]
    begin, moments, used = time.perf_counter(), [], 0.0
    with subprocess.Popen(
        [*command, "--json", "-q", *options], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        whole = psutil.Process(process.pid)
        assert process.stdout is not None
        count = sum(1 for _ in source.iterdir())
        for _ in process.stdout:
            moments.append(time.perf_counter())
            if len(moments) in (1, count):
                used = processor_seconds(whole) - used
    assert process.returncode == 0 and len(moments) == count
    rest = count - 1
    return Run(moments[0] - begin, (moments[-1] - moments[0]) / rest, used / rest)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--size", default="160x120", help="WIDTHxHEIGHT of the inputs")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "in")
        source.mkdir()
        with Image.open(CAT) as cat:
            small = cat.convert("RGB").resize((width, height))
        for number in range(arguments.pictures):
            small.save(source / f"{number:04}.png")
        for number in range(arguments.rounds):
            for way, options in WAYS.items():
                output = Path(temporary, f"{way}{number}")
                same = ["--threads", arguments.threads, "--restore", "0"]
                runs[way].append(run(source, output, [*same, *options]))
    report(runs)


def report(runs: dict[str, list[Run]]) -> None:
    """Print medians, and the ratios of each round."""
    print("| | until the first picture | seconds a picture | CPU seconds a picture |")
    print("|---|---|---|---|")
    for way, found in runs.items():
        medians = [
            statistics.median(getattr(each, name) for each in found)
            for name in ("first", "clock", "processors")
        ]
        print(f"| {way} | {medians[0]:.1f} s | {medians[1]:.3f} | {medians[2]:.3f} |")
    for name in ("clock", "processors"):
        pairs = zip(runs["ray"], runs["plain"], strict=True)
        ratios = [getattr(ray, name) / getattr(plain, name) for ray, plain in pairs]
        shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"ray / plain, {name}: {statistics.median(ratios):.3f} (rounds: {shown})")


if __name__ == "__main__":
    main()
