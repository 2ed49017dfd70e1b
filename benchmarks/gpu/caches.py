"""Read photographs ahead, while a GPU is busy, for the second round of train.sh.

Run it as: python benchmarks/gpu/caches.py PHOTOS CACHE PATCH
"""

import sys
from pathlib import Path

from edsr_cli.model.config import SCALES
from edsr_cli.training.loading import load_photos
from edsr_cli.training.recipe import Recipe


def main() -> None:
    """Make the caches that its trainings will look for."""
    photos, cache, patch = [Path(sys.argv[1])], Path(sys.argv[2]), int(sys.argv[3])
    degraded = Recipe(patch_size=patch, degradation="photo").reach
    for scales, reach in [*(((scale,), degraded) for scale in SCALES), (SCALES, patch)]:
        load_photos(photos, scales, reach * max(scales), cache)


if __name__ == "__main__":
    main()
