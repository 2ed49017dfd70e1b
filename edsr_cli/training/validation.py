"""PSNR on pictures that the network does not learn from."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.datasets.benchmark import LoadedPair, find_benchmark, load_pair
from edsr_cli.degradations.patches import Degradation, degrade_picture
from edsr_cli.degradations.pictures import CLEAN, PictureDegradation
from edsr_cli.evaluation.metrics import Channels, psnr
from edsr_cli.inference import Upscaler
from edsr_cli.model.networks import EDSR, MDSR, tensors_of
from edsr_cli.pixels import resize
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.training.photos import Photos

_HELD_OUT = 8  # pictures, unless the user says how many
_LARGEST = 480  # HR pixels; of larger held-out pictures the middle is taken


Pairs = Mapping[int, Sequence[LoadedPair]]
"""Pictures with their LR versions, by scale."""

Seen = Callable[[int, int, NDArray[np.uint8]], None]
"""Takes a scale, the number of a picture of it, and what was made of it: (H, W, 3), 0..255."""


def hold_out(photos: Photos, count: int | None = None) -> tuple[Photos, Photos]:
    """Keep some pictures from training, evenly spread.

    Args:
        photos: all pictures.
        count: how many; None for 8, but at most a quarter of them, so none of three.

    Returns:
        The pictures to learn from and those held out. At least one is left to learn from.
    """
    total = len(photos.photos)
    count = min(_HELD_OUT, total // 4) if count is None else min(count, total - 1)
    kept = {(2 * i + 1) * total // (2 * count) for i in range(count)}
    learn = [photo for i, photo in enumerate(photos.photos) if i not in kept]
    held = [photo for i, photo in enumerate(photos.photos) if i in kept]
    return replace(photos, photos=learn), replace(photos, photos=held)


def pairs_of(photos: Photos, scale: int) -> list[LoadedPair]:
    """Held-out pictures with their LR versions; of large ones the middle."""
    pairs = []
    for index in range(len(photos.photos)):
        hr, lr = photos.picture(index), photos.small_picture(index, scale)
        size = [min(side, _LARGEST // scale) for side in lr.shape[:2]]
        top, left = ((lr.shape[axis] - size[axis]) // 2 for axis in (0, 1))
        lr = lr[top : top + size[0], left : left + size[1]]
        hr = hr[top * scale :, left * scale :][: size[0] * scale, : size[1] * scale]
        pairs.append(LoadedPair(np.ascontiguousarray(hr), np.ascontiguousarray(lr)))
    return pairs


def pairs_in(folder: Path, scale: int, degrade: PictureDegradation = CLEAN) -> list[LoadedPair]:
    """The pictures of a data set, of any layout that `edsr_cli.datasets.benchmark` knows.

    Args:
        folder: the data set.
        scale: the scale.
        degrade: what its LR pictures suffer.

    Raises:
        UsageError: there is no such set.
        PictureError: a picture cannot be read, or has no partner.
    """
    pairs = find_benchmark(str(folder), degrade.lr).pairs(scale)
    return [degrade(pair, load_pair(pair)) for pair in pairs]


def degraded_pairs(pairs: Pairs, degradation: Degradation | None) -> Pairs:
    """Pairs whose LR versions suffer what those of the training do, the same each time."""
    if degradation is None:
        return pairs
    return {
        scale: [
            replace(pair, lr=degrade_picture(degradation, pair.hr, pair.lr, seed=number)[0])
            for number, pair in enumerate(pictures)
        ]
        for scale, pictures in pairs.items()
    }


def validate(
    network: EDSR | MDSR, pairs: Pairs, device: str, seen: Seen | None = None
) -> dict[int, float]:
    """Mean PSNR in dB of the Y channel for each scale, a border of `scale` pixels shaved.

    Args:
        network: on the CPU, in eval mode.
        pairs: the pictures.
        device: where to upscale them.
        seen: called with every picture that the network makes.
    """
    means = {}
    weights = Checkpoint(network.config, tensors_of(network))
    for scale, pictures in pairs.items():
        if not pictures:
            continue
        upscaler = Upscaler(weights, scale, device, "fp32")
        values = []
        for number, pair in enumerate(pictures):
            sr = to_uint8(upscaler.upscale(pair.lr, dtype="uint8").pixels)
            values.append(_psnr(sr, pair, scale))
            if seen is not None:
                seen(scale, number, sr)
        means[scale] = float(np.mean(values))
    return means


def bicubic_psnr(pairs: Pairs) -> dict[int, float]:
    """What bicubic interpolation has on the same pictures, measured as `validate` does."""
    return {
        scale: float(np.mean([_psnr(resize.upscale(pair.lr, scale), pair, scale) for pair in some]))
        for scale, some in pairs.items()
        if some
    }


def _psnr(sr: NDArray[np.uint8], pair: LoadedPair, scale: int) -> float:
    return psnr(sr, pair.hr, border=scale, channels=Channels.Y)
