"""Super-resolution with EDSR and MDSR.

    from edsr_cli import load
    upscaler = load("edsr-free", scale=4, device="cpu")
    sr = upscaler("photo.png")

Importing this package is quick: torch and Pillow are imported when `load` is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edsr_cli.api import PictureUpscaler, load

__version__ = "0.1.0"

__all__ = ["PictureUpscaler", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("PictureUpscaler", "load"):
        from edsr_cli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
