"""A network that repeats every pixel: small, quick, and what it must give is known exactly.

All its weights are 0 or 1. The body gives nothing, so the long skip passes the colours on, the
upsampler repeats them, and the last convolution puts them out.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.checkpoints.checkpoint import Checkpoint, save_canonical
from edsr_cli.jobs.naming import Namer
from edsr_cli.jobs.target import target_of
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import EDSR, tensors_of
from edsr_cli.options.pictures import Outputs

NAME = "nearest"


def nearest_network(scale: int = 4) -> EDSR:
    """The network, in fp32."""
    network = EDSR(NetworkConfig("edsr", (scale,), 2, 4)).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if not name.startswith(("sub_mean", "add_mean")):
            parameter.zero_()
    step = 3 if scale == 3 else 2
    for colour in range(3):
        network.head[0].weight[colour, colour, 1, 1] = 1
        network.tail[1].weight[colour, colour, 1, 1] = 1
        for layer in list(network.tail[0])[::2]:
            layer.weight[colour * step**2 : (colour + 1) * step**2, colour, 1, 1] = 1
    return network


def nearest_weights(scale: int = 4) -> Checkpoint:
    """The same as weights."""
    network = nearest_network(scale)
    return Checkpoint(network.config, tensors_of(network))


def save_nearest(path: Path, scale: int = 4) -> Path:
    """Write the network as a weight file."""
    network = nearest_network(scale)
    metadata = {"name": NAME, "licence": "CC0-1.0", "origin": "made for tests"}
    save_canonical(path, tensors_of(network), network.config, metadata)
    return path


def repeated(pixels: NDArray[np.uint8], scale: int = 4) -> NDArray[np.uint8]:
    """What the network makes of pixels of shape (H, W, 3)."""
    return pixels.repeat(scale, 0).repeat(scale, 1)


def by_factor(scale: float = 4) -> Namer:
    """Names of outputs that are so many times larger."""
    return Namer(target_of(Outputs(scale=scale), 4))


def read_back(source: Path | BinaryIO) -> Image.Image:
    """A picture as Pillow reads it, loaded, its file closed."""
    with Image.open(source) as image:
        image.load()
        return image
