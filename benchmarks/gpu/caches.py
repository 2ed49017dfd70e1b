"""Read photographs ahead, for all rounds of train.sh, with a process for each cache.

Run it as: python benchmarks/gpu/caches.py PHOTOS CACHE PATCH SCALE...
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from edsr_cli.training.loading import load_photos
from edsr_cli.training.recipe import Recipe


def make(photos: Path, cache: Path, scale: int, reach: int) -> str:
    """A cache of one scale; says how long it took."""
    begin = time.monotonic()
    found = load_photos([photos], (scale,), reach * scale, cache)
    return f"{len(found.photos)} photographs for x{scale} in {time.monotonic() - begin:.0f} s"


def main() -> None:
    """Make the caches that its trainings will look for."""
    photos, cache, patch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    degraded = Recipe(patch_size=patch, degradation="photo").reach
    with ProcessPoolExecutor() as pool:
        waiting = [
            pool.submit(make, photos, cache, int(scale), reach)
            for scale in sys.argv[4:]
            for reach in (patch, degraded)
        ]
        for each in waiting:
            print(each.result(), flush=True)


if __name__ == "__main__":
    main()
