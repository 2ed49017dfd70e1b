"""How soon the program is there: processor seconds and peak memory of whole processes.

    python -m benchmarks.start

Processor time, not the clock's: a busy machine hardly changes it. Every command runs some times in
turn with the others, and the median counts; the first run, which fills caches, does not.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "upscale --help": ["upscale", "--help"],
    "models": ["models"],
    "upscale --dry-run, 16 x 16": ["upscale", "small.png", "--dry-run"],
    "upscale, 16 x 16": ["upscale", "small.png", "--overwrite"],
    "upscale -s 2, 16 x 16": ["upscale", "small.png", "--overwrite", "-s", "2"],
}

# In a process of its own: the peak of a process begins with that of the one which starts it, so
# this one stays small.
PICTURE = """
import numpy as np
from PIL import Image
pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
Image.fromarray(pixels).save("small.png")
"""


def measured(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Processor seconds and peak memory in MB of one command."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), **os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
    process = subprocess.Popen(
        [sys.executable, "-m", "edsr_cli", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, arguments
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-c", PICTURE], cwd=folder, check=True)
        for _ in range(rounds + 1):
            for command, arguments in COMMANDS.items():
                taken[command].append(measured(arguments, folder))
    print("| command | CPU s | peak MB |")
    print("|---|---|---|")
    for command, figures in taken.items():
        seconds, megabytes = (statistics.median(each) for each in zip(*figures[1:], strict=True))
        print(f"| `edsr {command}` | {seconds:.2f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
