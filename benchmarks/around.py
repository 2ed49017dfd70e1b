"""What `edsr upscale` takes of the processor around the network: decoding, encoding, all else.

    python -m benchmarks.around photo.jpg [--rounds 3]

The photograph becomes twice as wide and high, as JPEG, in a process with one thread, with the
network of `benchmarks.large`. Time in the network is that from the pixels of a strip to those that
come of it; placing them in the output is counted apart. A corner of 64 x 64 tells of the start.
Processor seconds, medians of rounds in which both take turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.large import tiny_network

_PROGRAM = """
import json, sys, time
from edsr_cli.cli import main
from edsr_cli.inference.engines.ncnn.engine import NcnnStream
from edsr_cli.pixels.windows import ArrayWindow

def timed(owner, name, key):
    plain = getattr(owner, name)
    def method(*arguments, **keywords):
        begin = time.thread_time()
        try:
            return plain(*arguments, **keywords)
        finally:
            taken[key] += time.thread_time() - begin
    setattr(owner, name, method)

taken = {"network": 0.0, "placing": 0.0}
timed(NcnnStream, "push", "network")
timed(ArrayWindow, "write", "placing")
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
taken["start and files"] = time.process_time() - sum(taken.values())
print(json.dumps(taken))
"""


def measured(picture: Path, network: Path) -> dict[str, float]:
    """Processor seconds by what they go to."""
    output = picture.with_name("output.jpg")
    arguments = ["upscale", str(picture), "-o", str(output), "-m", str(network), "--overwrite"]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments, "--threads", "1", "-q"],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), **os.environ},
        check=True,
    )
    taken: dict[str, float] = json.loads(done.stdout)
    return taken


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        network, whole, corner = (
            Path(name) / each for each in ("tiny.safetensors", "photo.jpg", "corner.jpg")
        )
        tiny_network(network, 2)
        whole.write_bytes(arguments.photo.read_bytes())
        with Image.open(whole) as image:
            image.crop((0, 0, 64, 64)).save(corner)
        pictures = (whole, corner)
        rounds = [[measured(each, network) for each in pictures] for _ in range(arguments.rounds)]
    for number, picture in enumerate(pictures):
        runs = [each[number] for each in rounds]
        medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            picture.stem, *(f"{key} {seconds:.2f} s" for key, seconds in medians.items()), sep=", "
        )


if __name__ == "__main__":
    main()
