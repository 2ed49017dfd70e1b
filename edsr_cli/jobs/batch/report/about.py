"""What a report says about the run as a whole, besides its summary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edsr_cli import __version__


@dataclass(frozen=True)
class About:
    """What was asked for.

    Attributes:
        inputs: the input folders.
        outputs: the output folders.
        settings: names and values for people, such as "model" and "edsr-free", in their order.
        watching: whether pictures that came later were to be done too.
        version: of this program.
    """

    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    watching: bool = False
    version: str = __version__

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "version": self.version,
            "inputs": [str(path) for path in self.inputs],
            "outputs": [str(path) for path in self.outputs],
            "settings": dict(self.settings),
            "watching": self.watching,
        }
