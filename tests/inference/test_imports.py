"""torch takes seconds to import, so a plan does without it."""

import subprocess
import sys

import numpy as np
from PIL import Image

PLAN = """
import sys
from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference import Upscaler
from edsr_cli.inference.calibration import _name
from edsr_cli.inference.processors import use_threads
from edsr_cli.model.config import edsr_baseline

use_threads(1)
upscaler = Upscaler(Checkpoint(edsr_baseline(4), {}), 4, "cpu", "auto", 100_000_000)
assert upscaler.plan(1000, 2000).transposed
assert upscaler.plan(1000, 200, rows_only=True).bytes > 0
assert upscaler.work_per_pixel(True) > 0 and upscaler.weight_bytes() > 0
assert "edsr 16 x 64, x4" in _name(upscaler)
assert "torch" not in sys.modules
"""

DRY_RUN = """
import sys
from edsr_cli.cli import main
from edsr_cli.jobs import estimates

estimates.speed_of = lambda upscaler, file: 1e9  # as if it had been measured before
sys.argv = ["edsr", "upscale", "--dry-run", "--device", "cpu", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
assert "torch" not in sys.modules
"""


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_planning_imports_no_torch():
    run(PLAN)


def test_a_dry_run_imports_no_torch(tmp_path):
    """Where the device's speed is known, whatever the options are."""
    Image.fromarray(np.full((9, 7, 3), 90, np.uint8)).save(tmp_path / "a.png")
    said = run(DRY_RUN, "--precision", "auto", "--max-memory", "1G", tmp_path / "a.png")
    assert "28 x 36; edsr-free on cpu in" in said and "the network takes" in said
    run(DRY_RUN, "--ensemble", "--threads", "1", "-m", "mdsr-free", tmp_path / "a.png")
