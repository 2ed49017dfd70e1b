"""The file of a model that is known by its name; needs no torch."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from edsr_cli.checkpoints import store
from edsr_cli.checkpoints.registry import ModelRow, Source
from edsr_cli.progress import Progress, Report, Unit
from edsr_cli.text import one_line

logger = logging.getLogger(__name__)


def finder(download: bool, progress: Progress) -> Callable[[ModelRow], Path]:
    """What gives `load_network` the file of a model that is known by its name.

    Args:
        download: whether to fetch a model that is not on this machine.
        progress: told of it.
    """

    def find(row: ModelRow) -> Path:
        with Fetching(row, progress) as fetching:
            return store.resolve(row, download, begin=fetching.begin)

    return find


class Fetching:
    """Shows the downloads of one model; use it as a context manager.

    Args:
        row: the model.
        progress: told of the bytes.
    """

    def __init__(self, row: ModelRow, progress: Progress) -> None:
        self._label, self._progress = one_line(row.label), progress
        self._shown = ExitStack()

    def __enter__(self) -> "Fetching":
        return self

    def __exit__(self, *exception: object) -> None:
        self._shown.close()

    def begin(self, source: Source) -> Report:
        """A download begins; what is returned is called with the bytes done and in all."""
        self._shown.close()  # that of a source that failed
        logger.info("%s: fetching %s", self._label, source.place)
        return self._shown.enter_context(self._progress(self._label, 1, Unit.BYTES))
