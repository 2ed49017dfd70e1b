"""Super-resolution with EDSR and MDSR.

    from edsr_cli import load
    upscaler = load("edsr-free", scale=4, device="cpu")
    sr = upscaler("photo.png")

`load` is for pictures in memory. `upscale`, `batch`, `compare`, `evaluate` and `train` do what the
commands of these names do, with files and folders, and take the same options by name:

    from edsr_cli import batch
    summary = batch("photos", scale=2, include=["*.jpg"])

Whatever goes wrong with files, weights or devices is an `EdsrError` of some kind.

How things are going is logged, with Python's `logging`, as "edsr_cli": INFO is what the commands
say, DEBUG what they say with --verbose.

Importing this package is quick: torch and Pillow are imported when something is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edsr_cli.errors import (
    DeviceMemoryError,
    EdsrError,
    FileError,
    PictureError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from edsr_cli.api.batch import batch
    from edsr_cli.api.compare import compare
    from edsr_cli.api.devices import devices
    from edsr_cli.api.evaluate import evaluate
    from edsr_cli.api.pictures import PictureUpscaler, load
    from edsr_cli.api.train import train
    from edsr_cli.api.upscale import upscale

__version__ = "0.2.0"

__all__ = [
    "DeviceMemoryError",
    "EdsrError",
    "FileError",
    "PictureError",
    "PictureUpscaler",
    "UsageError",
    "WeightsError",
    "__version__",
    "batch",
    "compare",
    "devices",
    "evaluate",
    "load",
    "train",
    "upscale",
]

_PLACES = {
    "PictureUpscaler": "pictures",
    "batch": "batch",
    "compare": "compare",
    "devices": "devices",
    "evaluate": "evaluate",
    "load": "pictures",
    "train": "train",
    "upscale": "upscale",
}
"""Modules of `edsr_cli.api`."""


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"edsr_cli.api.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is public, although some of it is imported only when it is first used.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
