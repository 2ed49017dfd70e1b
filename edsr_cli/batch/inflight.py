"""Which outputs are being made at the moment."""

import threading
from pathlib import Path

from edsr_cli.batch.flow import AbandonedError


class InFlight:
    """Keeps two tasks from making one output at the same time.

    Tasks of a scan never do, but a file that changes while it is upscaled comes a second time.
    """

    def __init__(self) -> None:
        self._outputs: set[Path] = set()
        self._closed = False
        self._changed = threading.Condition()

    def enter(self, output: Path) -> None:
        """Wait until nobody makes the output, and make it.

        Raises:
            AbandonedError: nothing new is to be begun.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or output not in self._outputs)
            if self._closed:
                raise AbandonedError
            self._outputs.add(output)

    def leave(self, output: Path) -> None:
        """The output is made, or not going to be."""
        with self._changed:
            self._outputs.discard(output)
            self._changed.notify_all()

    def close(self) -> None:
        """Begin nothing new."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
