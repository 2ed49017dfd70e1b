"""Several trainings side by side in one process, each on a CUDA stream of its own.

    python benchmarks/gpu/together.py PHOTOS SET5 RUNS SECONDS RUN... [--patch 64] [--cache FOLDER]

RUN is free:2, free:3 and so on for `edsr-free`, photo:2 for `edsr-photo`, or mdsr; derived:4 is
`edsr-free` x4 as `mdsr-free` has it, without its pre-processing, and takes one update that changes
nothing. Each gets a folder in RUNS. Processes would take turns on the card, of which small kernels
leave most idle; on streams they run beside one another: on an H200 three trainings made 127
TFLOP/s, one alone 100.
"""

import argparse
import threading
import time
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

import edsr_cli

ORIGIN = "Trained by the edsr contributors on freely licensed photographs"


def options_of(run: str) -> dict[str, Any]:
    """What tells a training from the others."""
    part, _, scale = run.partition(":")
    if part == "mdsr":
        return {"name": "mdsr-free", "preset": "mdsr-baseline", "init": "mdsr-free"}
    options: dict[str, Any] = {"scale": int(scale), "init": "edsr-free"}
    if part == "photo":  # gently, as there is something to forget
        return options | {
            "name": "edsr-photo", "degrade": "photo", "learning_rate": 2e-4, "warmup": 300
        }  # fmt: skip
    options["name"] = "edsr-free"
    if part == "derived":
        options |= {"init": "mdsr-free", "max_time": None, "updates": 1, "learning_rate": 1e-12}
    return options


def folder_of(run: str) -> str:
    """The name of its folder."""
    part, _, scale = run.partition(":")
    if part == "mdsr":
        return "mdsr-free"
    return f"edsr-{'photo' if part == 'photo' else 'free'}-x{scale}"


class Training(threading.Thread):
    """One of them.

    Args:
        run: its name.
        options: of `edsr_cli.train`.
    """

    def __init__(self, run: str, options: dict[str, Any]) -> None:
        super().__init__(name=run)
        self.options, self.updates, self.said = options, 0, "it has not begun"

    def run(self) -> None:
        """Train; what came of it is in `said`."""
        stream = torch.cuda.Stream() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]
        try:
            with torch.cuda.stream(stream) if stream else nullcontext():
                done = edsr_cli.train(**self.options, progress=self._report)
            psnr = ", ".join(f"x{scale} {value:.3f} dB" for scale, value in done.psnr.items())
            self.said = f"{done.updates:,} updates in {done.seconds:.0f} s, {psnr}"
        except BaseException:
            self.said = traceback.format_exc()

    def _report(self, what: str, done: int, _all: int) -> None:
        if what == "updates":
            self.updates = done


def main() -> None:
    """Train, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--peep", type=float, default=30, help="seconds between two looks")
    options = parser.parse_args()
    # Each training turns it on for its updates and back; so none turns it off for the others.
    torch.backends.cudnn.benchmark = True
    shared = {
        "data": options.photos,
        "licence": "CC0-1.0",
        "origin": ORIGIN,
        "max_time": f"{options.seconds}s",
        "patch": options.patch,
        "batch": options.batch,
        "learning_rate": 4e-4,
        "betas": (0.9, 0.99),
        "warmup": 500,
        "schedule": "cosine",
        "ema": 0.999,
        "autocast": "bf16",
        "validate": options.benchmark,
        "validate_every": 100_000,
        "overwrite": True,
        "cache": options.cache,
    }
    threads = [
        Training(run, shared | {"output": options.runs / folder_of(run)} | options_of(run))
        for run in options.run
    ]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        before = {thread: thread.updates for thread in threads}
        for thread in threads:
            thread.join(options.peep / len(threads))
        speeds = (f"{t.name} {(t.updates - n) / options.peep:.0f}" for t, n in before.items())
        print(
            f"{time.monotonic() - begin:.0f} s, updates a second: {', '.join(speeds)}", flush=True
        )
    for thread in threads:
        print(f"{thread.name}: {thread.said}", flush=True)


if __name__ == "__main__":
    main()
