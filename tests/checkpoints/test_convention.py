import itertools

import numpy as np
import pytest
import torch

from edsr_cli.checkpoints.convention import (
    MEAN_SHIFTS,
    VALUE_RANGES,
    Convention,
    mean_tensors,
    to_canonical,
)
from edsr_cli.model.config import RGB_MEAN, NetworkConfig
from edsr_cli.model.networks import build, tensors_of

ALL = [Convention(*each) for each in itertools.product(VALUE_RANGES, MEAN_SHIFTS, (1.0, 0.1, 0.3))]
MEAN = torch.tensor(RGB_MEAN).view(1, 3, 1, 1)


def as_torch(tensors):
    return {key: torch.from_numpy(each) for key, each in tensors.items()}


@pytest.mark.parametrize("convention", ALL, ids=str)
def test_the_canonical_network_does_what_the_trained_one_does(tiny_network, convention):
    """In double precision: the trained network with its arithmetic written out around it."""
    config = tiny_network.config
    trained = build(
        NetworkConfig(
            config.architecture,
            config.scales,
            config.blocks,
            config.features,
            convention.residual_scale,
        )
    ).double()
    tensors = {key: tensor.astype(np.float64) for key, tensor in tensors_of(tiny_network).items()}
    before = {key: tensor.copy() for key, tensor in tensors.items()}
    trained.load_state_dict(as_torch(tensors | mean_tensors(1, False)))

    found, folded = to_canonical(tensors, config, convention)
    assert folded.residual_scale == 1.0
    canonical = build(folded).double()
    canonical.load_state_dict(as_torch(found))
    assert all(np.array_equal(tensors[key], before[key]) for key in before)

    picture = torch.rand(1, 3, 7, 6, dtype=torch.float64) * 255
    mean = MEAN.double() * convention.value_range * convention.mean_shift
    for scale in config.scales:
        own = picture * convention.value_range / 255
        expected = (trained(own - mean, scale) + mean) * 255 / convention.value_range
        # The mean tensors themselves are fp32.
        torch.testing.assert_close(canonical(picture, scale), expected, rtol=0, atol=1e-4)


def test_conventions_say_what_they_are():
    assert str(Convention(255.0, True, 1.0)) == "values in 0..255, mean shift, residual scale 1"
    assert str(Convention(1.0, False, 0.1)) == "values in 0..1, no mean shift, residual scale 0.1"
