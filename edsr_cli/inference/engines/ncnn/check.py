"""Whether ncnn computes what it should, on this machine.

It chooses its algorithms by processor, shape and version, and there are many; a wrong one would not
tell.
"""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.checkpoints.store.cache import cache_folder, notes_folder
from edsr_cli.errors import WeightsError
from edsr_cli.inference import processors
from edsr_cli.inference.engine import NotFiniteError, OutOfMemoryError
from edsr_cli.inference.engines.ncnn import library
from edsr_cli.inference.engines.ncnn.engine import NcnnNetwork
from edsr_cli.inference.engines.ncnn.graph import Graph
from edsr_cli.inference.engines.views import VIEWS
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.impulse import LinearTail, tail_layers
from edsr_cli.pixels.windows import Region

MOST = 0.01
"""Levels of 255 by which an output may differ from the exact one, before it is rounded."""

MOST_IN_HALF = 0.5
"""Where numbers are stored in fp16, which has steps of an eighth from 128 on."""

_CONFIG = NetworkConfig("edsr", (2,), blocks=1, features=32)
_HEIGHT, _WIDTH, _STRIP = 13, 9, 3  # the last strips are in the middle of the picture for all
_LEVELS = 257  # of 16 bits, for one of 8


def amiss_here() -> str:
    """What is wrong with the CPU; empty if nothing is.

    Trying it costs 50 ms of a process, a tenth of a short one. So what was right is noted, for this
    code, this very library and this processor, and is not tried again.
    """
    note = _note()
    with suppress(OSError):  # a folder that is another user's, or can have no such name
        if note is not None and note.is_file():
            return ""
    reason = amiss()
    if note is not None and not reason:
        with suppress(OSError):  # it is tried again the next time
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
    return reason


def _note() -> Path | None:
    """The file that says that all is well here; None where processors cannot be told apart."""
    processor = processors.kind()
    if processor is None:
        return None
    try:
        # What computes: the library, and the modules beside this one, which give it its graphs.
        files = [library.location(), *sorted(Path(__file__).parent.glob("*.py"))]
        states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        folder = notes_folder(cache_folder())
    except (OSError, WeightsError):
        return None
    about = repr((processor, states))
    return folder / f"ncnn-{hashlib.sha256(about.encode()).hexdigest()[:16]}"


def amiss(gpu: int | None = None, *, half: bool = False) -> str:
    """What is wrong with a GPU, or the CPU; empty if nothing is.

    A small network upscales a small picture in strips, and NumPy does the same at once.

    Args:
        gpu, half: see `library.load`.
    """
    tensors = {
        key: (_noise(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        for key, shape in _CONFIG.shapes()
    }
    tensors["tail.1.weight"] /= 4  # so that few pixels are clamped
    tensors["add_mean.bias"] += 128
    weights = Checkpoint(_CONFIG, tensors)
    pixels = (32767.5 * (1 + _noise((_HEIGHT, _WIDTH, 3)))).astype(np.uint16)
    try:
        # Small pictures and strips are computed in different ways on a CPU.
        ways = (True,) if gpu is not None else (False, True)
        made = np.stack([_streamed(weights, pixels, way, gpu, half) for way in ways])
    except (RuntimeError, OutOfMemoryError, NotFiniteError) as error:
        return str(error) or "what it computes is not finite"
    expected = _plain(weights, pixels).clip(0, 255)
    largest = float(np.abs(made / _LEVELS - expected).max()) - 0.5 / _LEVELS
    most = MOST_IN_HALF if half else MOST
    return f"a pixel is off by {largest:.2g} levels" if largest > most else ""


def _noise(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers from -1 to 1 without a pattern; `numpy.random` would have to be imported."""
    return np.sin(np.arange(1, 1 + np.prod(shape)) ** 2.0).reshape(shape)


def _streamed(
    weights: Checkpoint, pixels: NDArray[Any], in_one_piece: bool, gpu: int | None, half: bool
) -> NDArray[Any]:
    tail = LinearTail(tail_layers(_CONFIG, weights.tensors, 2), 2)
    winograd = gpu is not None or not in_one_piece

    def make() -> list[Graph]:
        return [
            Graph(
                weights, tail, VIEWS[0],
                winograd=winograd, in_one_piece=in_one_piece, gpu=gpu, half=half,
            )
        ]  # fmt: skip

    network = NcnnNetwork(make)
    wanted = Region(0, _HEIGHT, 0, _WIDTH)
    stream = network.stream(wanted, np.dtype(np.uint16), _STRIP, sideways=False)
    try:
        strips = range(0, _HEIGHT, _STRIP)
        parts = [stream.push(pixels[top : top + _STRIP], top == strips[-1]) for top in strips]
    finally:
        stream.reset()
    return np.concatenate(parts)


def _plain(weights: Checkpoint, pixels: NDArray[Any]) -> NDArray[Any]:
    """The network, layer by layer; (2 * h, 2 * w, 3)."""

    def convolved(x: NDArray[Any], key: str) -> NDArray[Any]:
        weight, height, width = weights.tensors[f"{key}.weight"], *x.shape[:2]
        margin = weight.shape[2] // 2
        x = np.pad(x, [(margin, margin), (margin, margin), (0, 0)])
        result = np.tile(weights.tensors[f"{key}.bias"], (height, width, 1))
        for dy, dx in np.ndindex(weight.shape[2:]):
            result += x[dy : dy + height, dx : dx + width] @ weight[:, :, dy, dx].T
        return result

    x = pixels.astype(np.float32) / _LEVELS
    features = convolved(x + weights.tensors["sub_mean.bias"], "head.0")
    branch = convolved(convolved(features, "body.0.body.0").clip(0), "body.0.body.2")
    features += convolved(features + branch, "body.1")
    x = convolved(features, "tail.0.0").reshape(_HEIGHT, _WIDTH, -1, 2, 2)
    x = x.transpose(0, 3, 1, 4, 2).reshape(2 * _HEIGHT, 2 * _WIDTH, -1)
    return convolved(x, "tail.1") + weights.tensors["add_mean.bias"]
