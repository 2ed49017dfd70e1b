"""Super-resolution with EDSR and MDSR.

    from edsr_cli import load
    upscaler = load("edsr-free", scale=4, device="cpu")
    sr = upscaler("photo.png")

Whatever goes wrong with files, weights or devices is an `EdsrError` of some kind.

Importing this package is quick: torch and Pillow are imported when `load` is first used.
"""

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
    from edsr_cli.api import PictureUpscaler, load

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
    "load",
]


def __getattr__(name: str) -> Any:
    if name in ("PictureUpscaler", "load"):
        from edsr_cli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is public, although some of it is imported only when it is first used.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
