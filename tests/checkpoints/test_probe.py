"""The probe against trained weights in every convention, and against weights that tell nothing."""

import itertools
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from edsr_cli.checkpoints.convention import MEAN_SHIFTS, RESIDUAL_SCALES, VALUE_RANGES, Convention
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.probe import LIMIT, MARGIN, find_convention, try_conventions
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import RGB_MEAN, NetworkConfig
from edsr_cli.model.networks import build, tensors_of

ALL = [Convention(*each) for each in itertools.product(VALUE_RANGES, MEAN_SHIFTS, RESIDUAL_SCALES)]
FILE = Path("some.pth")


def trained(scale, convention):
    """The bundled weights as if they had been trained in a convention, without mean tensors.

    A network without mean shift that does the same is made by folding the mean into the head's
    bias and the last one. It does the same but for a few pixels at the border, where the folded
    network sees black around the picture and not the mean colour.
    """
    loaded = load_network("edsr-free", scale)
    tensors = {
        key: each.copy() for key, each in loaded.checkpoint.tensors.items() if "mean" not in key
    }
    mean = 255 * np.array(RGB_MEAN, np.float32)
    if not convention.mean_shift:
        tensors["head.0.bias"] -= tensors["head.0.weight"].sum((2, 3)) @ mean
        tensors["tail.1.bias"] += mean
    tensors["head.0.weight"] *= 255 / convention.value_range
    for key in ("tail.1.weight", "tail.1.bias"):
        tensors[key] *= convention.value_range / 255
    for key, each in tensors.items():
        if key.endswith((".body.2.weight", ".body.2.bias")):
            each /= convention.residual_scale
    return tensors, loaded.config


@pytest.mark.parametrize(
    ("scale", "convention"),
    # The tails differ by scale, what a convention changes does not: a few tell for the others.
    [(2, each) for each in ALL] + [(scale, each) for scale in (3, 4) for each in ALL[::5]],
    ids=str,
)
def test_every_convention_of_trained_weights_is_told(scale, convention, caplog):
    tensors, config = trained(scale, convention)
    assert find_convention(tensors, config, ALL, FILE) == convention
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert f"some.pth does not say what it was trained with. By trying: {convention}." in (
        caplog.records[0].message
    )


def test_the_margins_are_those_that_the_thresholds_were_chosen_for():
    """The closest call there is: the x2 weights for values in 0..255, without mean shift."""
    tensors, config = trained(2, Convention(255.0, False, 1.0))
    best, second = try_conventions(tensors, config, ALL)[:2]
    assert best.error == pytest.approx(0.14, abs=0.02) and best.error < LIMIT / 5
    assert second.error / best.error == pytest.approx(6.35, abs=0.2)
    tensors, config = trained(4, Convention(255.0, True, 1.0))
    best, second = try_conventions(tensors, config, ALL)[:2]
    assert second.error / best.error > 4 * MARGIN


def as_mdsr(tensors, config, scales):
    """An MDSR whose first branch is a trained EDSR; its pre-processing gives back what it gets."""
    multi = NetworkConfig("mdsr", scales, config.blocks, config.features)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state_dict = tensors_of(build(multi))
    for key in state_dict:
        if key.startswith("pre_process.") and ".body.2." in key:
            state_dict[key].fill(0)
    for key, tensor in tensors.items():
        own = re.sub(r"^tail\.0\.(\d+)", r"upsample.0.\1", key)
        state_dict[re.sub(r"^tail\.1", "tail.0", own)] = tensor
    return {key: each for key, each in state_dict.items() if "mean" not in key}, multi


@pytest.mark.parametrize(
    "convention", [ALL[0], ALL[3], Convention(1.0, True, 0.1), Convention(1.0, False, 1.0)], ids=str
)
def test_mdsr_is_told_by_its_first_scale(convention):
    tensors, config = as_mdsr(*trained(4, convention), (4, 2))
    assert find_convention(tensors, config, ALL, FILE) == convention


def test_what_is_stated_is_not_tried():
    tensors, config = trained(2, Convention(255.0, True, 0.1))
    open_scale = [each for each in ALL if each.value_range == 255 and each.mean_shift]
    assert find_convention(tensors, config, open_scale, FILE) == Convention(255.0, True, 0.1)
    # Told that the range is 1, it finds that nothing fits.
    wrong = [each for each in ALL if each.value_range == 1]
    with pytest.raises(WeightsError, match="does not work in any known way") as caught:
        find_convention(tensors, config, wrong, FILE)
    assert "--mean-shift" in caught.value.hint and "--value-range" not in caught.value.hint


@pytest.mark.parametrize(
    "config",
    [NetworkConfig("edsr", (3,), 2, 4), NetworkConfig("mdsr", (2, 4), 2, 4)],
    ids=str,
)
@pytest.mark.parametrize("seed", range(4))
def test_untrained_weights_are_refused(config, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tensors = tensors_of(build(config))
    with pytest.raises(WeightsError, match="does not work in any known way") as caught:
        find_convention(tensors, config, ALL, FILE)
    assert "--value-range" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_refused():
    """Weights with noise of half of their own spread upscale nothing."""
    tensors, config = trained(2, ALL[0])
    random = np.random.default_rng(0)
    for each in tensors.values():
        each += np.float32(0.5 * each.std()) * random.normal(size=each.shape).astype(np.float32)
    with pytest.raises(WeightsError, match="does not work in any known way"):
        find_convention(tensors, config, ALL, FILE)


def homogeneous(scale=2):
    """A network without biases that repeats pixels: right in every convention."""
    config = NetworkConfig("edsr", (scale,), 1, 6)
    tensors = {
        key: np.zeros(shape, np.float32) for key, shape in config.shapes() if "mean" not in key
    }
    for channel in range(3):
        # One feature for what is above zero and one for what is below would do, but there is no
        # ReLU on the way: the blocks add nothing.
        tensors["head.0.weight"][channel, channel, 1, 1] = 1
        tensors["tail.1.weight"][channel, channel, 1, 1] = 1
        for step in range(scale**2):
            tensors["tail.0.0.weight"][channel * scale**2 + step, channel, 1, 1] = 1
    return tensors, config


@pytest.mark.parametrize(
    ("different", "option"),
    [
        ({"value_range": 1.0}, "--value-range 255 or 1"),
        ({"mean_shift": False}, "--mean-shift or --no-mean-shift"),
        ({"residual_scale": 0.1}, "--residual-scale 1 or 0.1"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_names_the_option(different, option, caplog):
    tensors, config = homogeneous()
    candidates = [ALL[0], replace(ALL[0], **different)]
    with pytest.raises(WeightsError, match="trying does not tell") as caught:
        find_convention(tensors, config, candidates, FILE)
    assert caught.value.hint == f"Give {option}."
    assert all(str(each) in caught.value.message for each in candidates)
    assert not caplog.records


def test_overflow_is_only_another_way_to_be_wrong():
    tensors, config = trained(2, ALL[0])
    tensors["body.7.body.2.weight"] *= 1e38
    tensors["body.8.body.2.weight"] *= 1e38
    assert {trial.error for trial in try_conventions(tensors, config, ALL)} == {float("inf")}
