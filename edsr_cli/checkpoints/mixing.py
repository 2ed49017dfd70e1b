"""Networks between two others, whose weights are interpolated."""

import numpy as np
from numpy.typing import NDArray

from edsr_cli.checkpoints.checkpoint import Checkpoint, Weights
from edsr_cli.model.config import RGB_MEAN, RGB_RANGE, NetworkConfig

Colours = NDArray[np.float64]
"""(N, 3), RGB in 0..255."""

_MEAN = RGB_RANGE * np.asarray(RGB_MEAN)
_GREYS = [(level,) * 3 for level in (16, 64, 128, 192, 240)]
_TINTS = [(r, g, b) for r in (96, 160) for g in (96, 160) for b in (96, 160)]
_FLAT: Colours = np.asarray(_GREYS + _TINTS, np.float64)
"""Colours to compare networks by, mostly pale ones, as most of a photograph has."""

_DIGITS = 6  # of corrections, behind the point: what machines round otherwise is far behind them
_MOST = 0.25  # of a correction; with more of it, two networks are none that can be mixed


def mixed(plain: Checkpoint, restoring: Checkpoint, strength: float) -> Checkpoint:
    """The network at a place between two: its weights interpolated, its colours corrected.

    Networks that were trained on from one another stay close enough for that: every network on the
    line between them works, and is of the same cost (Wang et al. 2018, arXiv 1809.00219, section
    3.4). But signals get weaker in it, the more so the farther apart the two are (Jordan et al.
    2022, arXiv 2211.08403): half-way between `edsr-free` and `edsr-photo` black comes out brighter
    and white darker by two levels. So the last convolution of an EDSR network is corrected by an
    affine map of colours, such that flat pictures come out as a mean of the two would have them.

    Args:
        plain, restoring: networks of the same hyper-parameters, the latter trained on from the
            former.
        strength: 0 for `plain`, 1 for `restoring`, in between a network of its own.

    Returns:
        A network without metadata; `plain` or `restoring` itself at the ends.

    Raises:
        ValueError: the networks differ in more than their weights, or the strength is not in 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"the strength must be from 0 to 1, not {strength}")
    if plain.config != restoring.config:
        raise ValueError(f"{plain.config} and {restoring.config} cannot be mixed")
    if strength in (0, 1):
        return restoring if strength else plain
    config = plain.config
    tensors = {
        key: interpolated(each, restoring.tensors[key], strength)
        for key, each in plain.tensors.items()
    }
    if config.architecture == "edsr":
        ends = (flat_response(each.tensors, config, _FLAT) for each in (plain, restoring))
        wanted = next(ends) * (1 - strength) + next(ends) * strength
        _correct(tensors, flat_response(tensors, config, _FLAT), wanted)
    return Checkpoint(config, tensors)


def interpolated(
    start: NDArray[np.float32], end: NDArray[np.float32], strength: float
) -> NDArray[np.float32]:
    """Weights between two, counted from the nearer end.

    Rounded as a fused multiply-add rounds, like `torch.lerp`.
    """
    step = np.float32(strength)
    if step >= 0.5:
        start, end, step = end, start, np.float32(1) - step
    way = (end - start).astype(np.float64)
    return (start + way * float(step)).astype(np.float32)


def flat_response(tensors: Weights, config: NetworkConfig, colours: Colours) -> Colours:
    """What an EDSR network makes of flat pictures, in their middle.

    There each layer's output is flat, too, and a convolution is a product with the sum of its
    kernel; only behind a pixel shuffle is there a pattern, of which the mean is taken: all that
    comes then is linear.

    Args:
        tensors, config: the network.
        colours: of the pictures.

    Returns:
        The mean colours of the outputs.
    """

    def convolved(key: str, x: Colours) -> Colours:
        kernel = tensors[f"{key}.weight"].sum((2, 3), dtype=np.float64)
        return x @ kernel.T + tensors[f"{key}.bias"]

    head = x = convolved("head.0", colours - _MEAN)
    for block in range(config.blocks):
        branch = np.maximum(convolved(f"body.{block}.body.0", x), 0)
        x = x + config.residual_scale * convolved(f"body.{block}.body.2", branch)
    x = head + convolved(f"body.{config.blocks}", x)
    upsampler = sorted(key for key in tensors if key.startswith("tail.0.") and "weight" in key)
    for key in upsampler:
        x = convolved(key.removesuffix(".weight"), x)
        x = x.reshape(len(x), config.features, -1).mean(2)  # the places of a shuffled pixel
    return convolved("tail.1", x) + _MEAN


def _correct(tensors: dict[str, NDArray[np.float32]], found: Colours, wanted: Colours) -> None:
    """Put the affine map that brings found colours nearest to wanted ones into the last layer."""
    ones = np.ones((len(found), 1))
    error = np.linalg.lstsq(np.hstack([found - _MEAN, ones]), wanted - found, rcond=None)[0]
    error = error.round(_DIGITS)
    if not np.abs(error[:3]).max() <= _MOST:  # NaN, too
        return
    factors, offset = np.eye(3) + error[:3].T, error[3]
    weight = tensors["tail.1.weight"].astype(np.float64)
    bias = tensors["tail.1.bias"].astype(np.float64)
    # Sums of three, one after the other, which every machine rounds alike.
    rows = [sum(row[c] * weight[c] for c in range(3)) for row in factors]
    tensors["tail.1.weight"] = np.stack(rows).astype(np.float32)
    biases = [sum(row[c] * bias[c] for c in range(3)) for row in factors]
    tensors["tail.1.bias"] = (np.array(biases) + offset).astype(np.float32)
