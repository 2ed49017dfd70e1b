import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edsr_cli.model.impulse import Borders, LinearTail, tail_layers
from edsr_cli.model.networks import linear_tail, tensors_of
from tests.exact import CASES, exact_network


@pytest.mark.parametrize(("config", "scale"), CASES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 1), (2, 2), (2, 3), (6, 5)])
def test_every_pixel_is_that_of_the_plain_tail(config, scale, shape):
    """With the borders that it has, also where a picture is so small that it has many."""
    network = exact_network(config)
    tail = LinearTail(tail_layers(config, tensors_of(network), scale), scale)
    height, width = shape
    generator = torch.Generator().manual_seed(1)
    size = (1, config.features, height, width)
    x = torch.randint(-9, 10, size, generator=generator).double()
    wanted = F.pixel_unshuffle(linear_tail(network, scale)(x), scale)[0].numpy()
    windows = np.pad(x[0].numpy(), [(0, 0), (2, 2), (2, 2)])
    for top, left in np.ndindex(shape):
        borders = Borders(top == 0, top == height - 1, left == 0, left == width - 1)
        kernel, bias = tail.kernel(borders)
        found = (kernel * windows[:, top : top + 5, left : left + 5]).sum((1, 2, 3)) + bias
        assert np.array_equal(found, wanted[:, top, left])
