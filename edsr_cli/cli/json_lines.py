"""Results as lines of JSON on standard output, which may fail before the work is done."""

import sys
from collections.abc import Mapping
from typing import Any

from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import EdsrError


class JsonLines:
    """Writes results; that they cannot be written is told once, and does not end the work.

    Args:
        terminal: where to say so.

    Attributes:
        failed: whether some are lost.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.failed = False

    def write(self, values: Mapping[str, Any]) -> None:
        """Write a result, if those before could be written."""
        if self.failed:
            return
        try:
            self._terminal.json(dict(values))
            return
        except BrokenPipeError:
            sys.stdout = None  # or the interpreter would try again at the end, and complain
            reason = "Standard output: whoever reads it has stopped before the end."
        except EdsrError as error:
            reason = str(error)
        self.failed = True
        self._terminal.error(f"{reason} The pictures are done all the same.")
