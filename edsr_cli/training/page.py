"""The page of a run: when it is written, and that a training never ends because of it."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edsr_cli.errors import EdsrError
from edsr_cli.files.names import display_name
from edsr_cli.report.training_page import Training, write_training

logger = logging.getLogger(__name__)

_EVERY = 15.0  # seconds between two writings
_SHARE = 0.005  # of the time that writing may take


class RunPage:
    """Writes a page, which is always whole, as often as the time that it takes allows.

    Args:
        path: the file.
        bicubic: PSNR of bicubic interpolation on what is validated on, in dB, by scale.

    Attributes:
        bicubic: the same.
    """

    def __init__(self, path: Path, bicubic: Mapping[int, float]) -> None:
        self.bicubic = bicubic
        self._path = path
        self._every, self._due = _EVERY, 0.0
        self._warned = False

    @property
    def is_due(self) -> bool:
        """Whether it is time to write it again."""
        return time.monotonic() >= self._due

    def write(self, state: str, reason: str, **about: Any) -> None:
        """Write it; what goes wrong there is a warning, once.

        Args:
            state, reason, about: see `Training`.
        """
        begin = time.monotonic()
        name = display_name(Path(self._path.absolute().parent.name))
        try:
            write_training(
                self._path,
                Training(name, state, reason, bicubic=self.bicubic, every=self._every, **about),
            )
        except EdsrError as error:  # the training matters more
            if not self._warned:
                logger.warning("%s", error)
            self._warned = True
        end = time.monotonic()
        self._every = max(_EVERY, (end - begin) / _SHARE)
        self._due = end + self._every
