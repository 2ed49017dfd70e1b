"""Upscaling pictures with networks: exact, a strip of rows at a time, in bounded memory.

    upscaler     pictures through a network
    planning     how a picture is cut
    execution    a plan carried out; what is tried when something fails
    engine       who computes: the seam
    engines      those that there are
    calibration  how fast a device is
    processors, memory, cgroups   what of the machine may be used

Knows nothing of files or picture formats: pictures are NumPy arrays of shape (H, W, 3), or windows
on them. torch is not imported before it computes.
"""

from edsr_cli.inference.engine import Device, Precision
from edsr_cli.inference.execution import Progress
from edsr_cli.inference.planning import Plan
from edsr_cli.inference.upscaler import Tile, Upscaled, Upscaler

__all__ = ["Device", "Plan", "Precision", "Progress", "Tile", "Upscaled", "Upscaler"]
