"""The command line: parse, call, print. One module per command, no logic.

Modules here import torch and Pillow only inside the commands that need them, so that `--help` and
`--version` answer at once.
"""

import gc
import os
import sys
from typing import NoReturn

_IMPORTED, _GARBAGE = 400_000, 20_000  # objects; torch and what comes with it are 300,000


def main() -> NoReturn:
    """Run the command line; see `edsr_cli.cli.app.main`."""
    # What is imported stays, so looking for garbage in it every 700 objects is for nothing, and so
    # is looking through all of it at the end; both together took a quarter of a short run.
    gc.set_threshold(_IMPORTED)
    gc.callbacks.append(_more_often)
    from edsr_cli.cli import interruption

    # Loading the rest takes a while, and only what is loaded can say that it was interrupted.
    interruption.watch()
    # NumPy's matrix products are small here; threads for them would wait for each other by
    # spinning: half of a short run on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edsr_cli.cli import app

    try:
        app.main()
    finally:
        # OpenImageIO, which is for JPEG XL, complains of all of its own that is not collected.
        if "OpenImageIO" not in sys.modules:
            gc.freeze()


def _more_often(phase: str, info: dict[str, int]) -> None:
    """Look for garbage more often from now on: a long run has begun."""
    gc.callbacks.remove(_more_often)
    gc.set_threshold(_GARBAGE)
