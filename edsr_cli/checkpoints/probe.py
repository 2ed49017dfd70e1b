"""What weights were trained with, found by trying: the behavioural probe.

A network that upscales pictures gives a smooth gradient back as it was, only larger; fed in the
wrong way it does not. Two gradients are tried, one just above black and one just below white,
because a wrong convention is often good at one end of the range. Networks of convolutions and
ReLUs have small biases, so they are nearly homogeneous: a network for values in 0..1 hardly minds
0..255, and one for shifted values hardly minds black. At the other end it does mind; so what counts
is the worse of the two. The picture's border is left out.

Measured, in levels of 0..255. The bundled weights, written out in every convention: 0.09 to 0.14
in the right one, 0.67 to 3.5 in the best wrong one, which is 6.3 times as much at the least (x2;
7.1 times at x3, 7.7 at x4). Earlier ones: 0.08 to 0.37, and 2.9 times as much; less trained ones:
0.17 to 0.45, and 1.6 times as much. Small networks trained from nothing for 1,000 to
4,000 updates: 0.27 to 0.54, and 1.45 to 13 times as much in the best wrong way, but for one
(0..255, mean shift) that could not be told. Untrained networks: 100 and more in every way.
"""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from msgspec import Struct
from torch import Tensor
from torch.nn import functional as F

from edsr_cli.checkpoints.checkpoint import Weights
from edsr_cli.checkpoints.convention import Convention, to_canonical
from edsr_cli.errors import WeightsError
from edsr_cli.files.names import display_name
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import network_of

logger = logging.getLogger(__name__)

LIMIT = 3.0
"""Levels of 0..255 that the right convention may be off."""

MARGIN = 1.25
"""How many times as far off the second best must be."""

_SIZE, _DEPTH, _BORDER = 24, 60.0, 8  # LR pixels, levels, LR pixels


class Trial(Struct, frozen=True):
    """How a network does when its weights are taken for those of one convention.

    Attributes:
        convention: what they are taken for.
        error: root of the mean squared error of the worse gradient, in levels of 0..255; infinite
            if the output is not finite.
    """

    convention: Convention
    error: float


def try_conventions(
    tensors: Weights, config: NetworkConfig, candidates: Sequence[Convention]
) -> list[Trial]:
    """Every candidate's trial, the best first.

    Args:
        tensors: fp32 tensors under the official keys; mean tensors are not looked at.
        config: their hyper-parameters; its residual scale is not looked at.
        candidates: the conventions to try.
    """
    trials = [Trial(each, _error(tensors, config, each)) for each in candidates]
    return sorted(trials, key=lambda trial: trial.error)


def find_convention(
    tensors: Weights,
    config: NetworkConfig,
    candidates: Sequence[Convention],
    path: Path,
) -> Convention:
    """The one convention in which a network works; logged as a warning, since it is a guess.

    Args:
        tensors, config, candidates: as for `try_conventions`; at least two candidates.
        path: the file that the weights come from, for messages.

    Raises:
        WeightsError: none works, or it cannot be told which. The message says how the best do, and
            the hint which options decide.
    """
    best, second = try_conventions(tensors, config, candidates)[:2]
    if best.error > LIMIT:
        raise WeightsError(
            "it does not say what it was trained with, and does not work in any known way: a"
            f" smooth gradient is off by {_levels(best)} at best, with {best.convention}.",
            f"If the network is a working one, give {_options(candidates[0], *candidates[1:])}.",
            about=path,
        )
    if second.error < MARGIN * best.error:
        raise WeightsError(
            "it does not say what it was trained with, and trying does not tell: a smooth"
            f" gradient is off by {_levels(best)} with {best.convention}, and by"
            f" {_levels(second)} with {second.convention}.",
            f"Give {_options(best.convention, second.convention)}.",
            about=path,
        )
    logger.warning(
        "%s does not say what it was trained with. By trying: %s. A smooth gradient is off by %s"
        " so, and by %s or more in other ways.",
        display_name(path),
        best.convention,
        _levels(best),
        _levels(second),
    )
    return best.convention


def _error(tensors: Weights, config: NetworkConfig, convention: Convention) -> float:
    """The error of a trial."""
    canonical, config = to_canonical(tensors, config, convention)
    network = network_of(config, canonical)
    scale = config.scales[0]
    border = slice(_BORDER * scale, -_BORDER * scale)
    worst = 0.0
    for lr in _gradients():
        hr = F.interpolate(lr, scale_factor=scale, mode="bicubic", align_corners=False)
        with torch.inference_mode():
            sr = network(lr, scale)
        error = float((sr - hr)[..., border, border].double().square().mean().sqrt())
        # Wrong already: the second gradient would only take time, seconds for the largest networks.
        if not error <= LIMIT:
            return error if math.isfinite(error) else math.inf
        worst = max(worst, error)
    return worst


def _gradients() -> tuple[Tensor, Tensor]:
    """A smooth gradient above black and one below white, (1, 3, size, size), in 0..255."""
    ramp = torch.linspace(0, _DEPTH, _SIZE)
    across = ramp.expand(_SIZE, _SIZE)
    # Each colour has another direction, so that no channel can stand for another.
    dark = torch.stack([across, across.T, _DEPTH - (across + across.T) / 2]).unsqueeze(0)
    return dark, 255.0 - dark


def _options(first: Convention, *others: Convention) -> str:
    """The options that decide between conventions."""
    every = (first, *others)
    decisive = {
        "--value-range 255 or 1": len({each.value_range for each in every}),
        "--mean-shift or --no-mean-shift": len({each.mean_shift for each in every}),
        "--residual-scale 1 or 0.1": len({each.residual_scale for each in every}),
    }
    return ", and ".join(name for name, choices in decisive.items() if choices > 1)


def _levels(trial: Trial) -> str:
    """An error for messages."""
    if trial.error < 10:
        return f"{trial.error:.2f} levels"
    return f"{trial.error:.0f} levels" if trial.error < 1000 else "thousands of levels"
