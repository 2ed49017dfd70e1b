"""Running networks on pictures: exact row streaming, the self-ensemble, memory planning.

Knows nothing of files or picture formats; pictures are NumPy arrays of shape (H, W, 3).
"""

from edsr_cli.inference.assembly import Precision
from edsr_cli.inference.ensemble import VIEWS, View
from edsr_cli.inference.planning import Plan
from edsr_cli.inference.upscaler import Progress, Tile, Upscaled, Upscaler

__all__ = [
    "VIEWS",
    "Plan",
    "Precision",
    "Progress",
    "Tile",
    "Upscaled",
    "Upscaler",
    "View",
]
