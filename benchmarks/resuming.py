"""What it takes to find out that all is done: processor seconds and peak memory of `edsr batch`.

    python -m benchmarks.resuming [--pictures 100000] [--rounds 3] [--keep FOLDER]

One picture of 1 x 1 is upscaled by the command itself; all others, a thousand in a folder, are hard
links to it, with links to its output and copies of its line in the manifest. Then, in turns:

    upscale     one such picture, all alone: what loading the program and the model takes
    resume      `edsr batch`, which finds that all is done
    shard       one of 16 parts of it
    status      `edsr batch --status`
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.start import measured

MANIFEST = ".edsr-manifest.jsonl"
IN_A_FOLDER = 1000  # file systems allow for some ten thousand links to one file

COMMANDS = {
    "upscale": ["upscale", "one.png", "-o", "one_x4.png", "--overwrite", "-q"],
    "resume": ["batch", "in", "-q"],
    "shard": ["batch", "in", "-q", "--shard", "1/16"],
    "status": ["batch", "--status", "in_x4", "-q"],
}


def make(folder: Path, count: int) -> None:
    """Put pictures that are done into a folder."""
    source, output = folder / "in", folder / "in_x4"
    source.mkdir(parents=True)
    Image.new("RGB", (1, 1)).save(source / "one.png")
    shutil.copy2(source / "one.png", folder / "one.png")
    measured(["batch", "in", "-q"], folder)
    lines = [json.loads(line) for line in (output / MANIFEST).read_text().splitlines()]
    made = next(line for line in lines if line["event"] == "made")
    with (output / MANIFEST).open("a") as manifest:
        for number in range(count - 1):
            name = f"{number // IN_A_FOLDER:04}/{number:07}.png"
            for root in (source, output):
                path = root / name
                if number % IN_A_FOLDER == 0:
                    path.parent.mkdir()
                    shutil.copy2(root / "one.png", path)
                else:
                    first = path.with_name(f"{number // IN_A_FOLDER * IN_A_FOLDER:07}.png")
                    path.hardlink_to(first)
            line = made | {"input": name, "output": name}
            manifest.write(json.dumps(line, separators=(",", ":")) + "\n")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a folder for the files, to be used again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        if not (folder / "in").is_dir():
            make(folder, arguments.pictures)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
        for _ in range(arguments.rounds):
            for name, command in COMMANDS.items():
                taken[name].append(measured(command, folder))
    print(f"{arguments.pictures:,} pictures, {os.cpu_count()} processors\n")
    print("| | CPU s | peak MB |\n|---|---|---|")
    for name, figures in taken.items():
        seconds, megabytes = (statistics.median(each) for each in zip(*figures, strict=True))
        print(f"| {name} | {seconds:.2f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
