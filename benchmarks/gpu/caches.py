"""Read photographs ahead, for all rounds of train.sh, with a process for each cache.

Run it as: python benchmarks/gpu/caches.py PHOTOS CACHE PATCH PLAN
"""

import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from edsr_cli.training.loading import load_photos
from edsr_cli.training.recipe import Recipe


def make(photos: Path, cache: Path, scales: tuple[int, ...], reach: int) -> str:
    """A cache for a network; says how long it took."""
    begin = time.monotonic()
    found = load_photos([photos], scales, reach * max(scales), cache)
    seconds = time.monotonic() - begin
    return f"{len(found.photos)} photographs for x{', x'.join(map(str, scales))} in {seconds:.0f} s"


def main() -> None:
    """Make the caches that its trainings will look for."""
    photos, cache, patch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    degraded = Recipe(patch_size=patch, degradation="photo").reach
    wanted: dict[tuple[tuple[int, ...], int], None] = {}
    for run in re.findall(r"[a-z]+(?::[2-4])?", sys.argv[4]):
        part, _, scale = run.partition(":")
        scales = (int(scale),) if scale else (2, 3, 4)
        wanted[scales, degraded if part == "photo" else patch] = None
    with ProcessPoolExecutor() as pool:
        for each in [pool.submit(make, photos, cache, *what) for what in wanted]:
            print(each.result(), flush=True)


if __name__ == "__main__":
    main()
