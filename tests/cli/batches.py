"""What tests of `edsr batch` use: pictures to make, and ways to read what it says."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from edsr_cli.folders.shards import WHOLE
from tests.cli.conftest import PIXELS

OURS = [WHOLE.manifest, WHOLE.lock]
"""Files that a batch keeps in an output folder."""


def paint(*names: str, seed: int = 0) -> None:
    """Write random pictures."""
    for number, name in enumerate(names):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed + number)
        Image.fromarray(rng.integers(0, 256, PIXELS.shape, np.uint8)).save(path)


def rows(run):
    """The final table: the number and the remark by label."""
    found = {}
    for line in run.lines:
        match = re.match(r"(done|to do|skipped|failed|not taken|time|bottleneck) +(.*)", line)
        if match:
            found[match[1]] = match[2].strip()
    return found
