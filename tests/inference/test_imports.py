"""torch takes seconds to import, so a plan does without it."""

import subprocess
import sys

PLAN = """
import sys
import edsr_cli.inference
from edsr_cli.inference import Upscaler
from edsr_cli.inference.calibration import _name
from edsr_cli.inference.processors import use_threads

class Weights:
    config = None

use_threads(1)
try:
    from edsr_cli.model.config import edsr_baseline
except ImportError:
    pass
else:
    Weights.config = edsr_baseline(4)
    upscaler = Upscaler(Weights(), 4, "cpu", "auto", 100_000_000)
    assert upscaler.plan(1000, 2000).transposed
    assert upscaler.plan(1000, 200, rows_only=True).bytes > 0
    assert upscaler.work_per_pixel(True) > 0
    assert "edsr 16 x 64, x4" in _name(upscaler)
assert "torch" not in sys.modules
"""


def test_planning_imports_no_torch():
    done = subprocess.run([sys.executable, "-c", PLAN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
