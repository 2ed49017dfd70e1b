import itertools

import pytest
import torch

from edsr_cli.checkpoints.convention import (
    MEAN_SHIFTS,
    VALUE_RANGES,
    Convention,
    mean_tensors,
    to_canonical,
)
from edsr_cli.model.networks import MDSR, RGB_MEAN, NetworkConfig, build

ALL = [Convention(*each) for each in itertools.product(VALUE_RANGES, MEAN_SHIFTS, (1.0, 0.1, 0.3))]
MEAN = torch.tensor(RGB_MEAN).view(1, 3, 1, 1)


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
    tensors = {key: tensor.double() for key, tensor in tiny_network.state_dict().items()}
    before = {key: tensor.clone() for key, tensor in tensors.items()}
    trained.load_state_dict({**tensors, **mean_tensors(1, False)})

    state_dict, folded = to_canonical(tensors, config, convention)
    assert folded.residual_scale == 1.0
    canonical = build(folded).double()
    canonical.load_state_dict(state_dict)
    assert all(torch.equal(tensors[key], before[key]) for key in before)

    picture = torch.rand(1, 3, 7, 6, dtype=torch.float64) * 255
    mean = MEAN.double() * convention.value_range * convention.mean_shift
    for scale in config.scales:
        arguments = (scale,) if isinstance(trained, MDSR) else ()
        own = picture * convention.value_range / 255
        expected = (trained(own - mean, *arguments) + mean) * 255 / convention.value_range
        # The mean tensors themselves are fp32.
        torch.testing.assert_close(canonical(picture, *arguments), expected, rtol=0, atol=1e-4)


def test_conventions_say_what_they_are():
    assert str(Convention(255.0, True, 1.0)) == "values in 0..255, mean shift, residual scale 1"
    assert str(Convention(1.0, False, 0.1)) == "values in 0..1, no mean shift, residual scale 0.1"
