"""The command `edsr` with another registry and little patience: `python -m ... REGISTRY ARGS...`.

Waits are short, and Ctrl-C works as at a terminal even where a test runner ignores it.
"""

import signal
import sys
from pathlib import Path

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.store import https
from edsr_cli.cli import main

PATIENCE = (1.0, 3, 0.05, 5.0)  # stall, attempts, pause, longest_pause

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    https.USUAL = https.Patience(*PATIENCE)
    table = registry.read_registry(Path(sys.argv.pop(1)))
    registry.rows = lambda: table
    main()
