"""The command line: parse, call, print. One module per command, no logic.

Modules here import torch and Pillow only inside the commands that need them, so that `--help` and
`--version` answer at once.
"""

from edsr_cli.cli.app import main

__all__ = ["main"]
