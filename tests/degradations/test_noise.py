"""Numbers from a hash: their statistics, and that they depend on nothing but key and place."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.degradations.noise import gaussian

KEYS = torch.tensor([0, 1, 2, 3, 2**31, 2**32 - 1])


def test_they_are_standard_normal():
    numbers = gaussian(KEYS, (3, 64, 64)).double()
    assert numbers.dtype == torch.float64 and numbers.isfinite().all()
    count = numbers[0].numel()
    assert numbers.flatten(1).mean(1).abs().max() < 4 / count**0.5
    assert (numbers.flatten(1).std(1) - 1).abs().max() < 4 / (2 * count) ** 0.5
    sorted_ = np.sort(numbers.flatten().numpy())
    at = np.arange(1, len(sorted_) + 1) / len(sorted_)
    from math import erf

    normal = np.array([0.5 * (1 + erf(x / 2**0.5)) for x in sorted_[::50]])
    assert np.abs(normal - at[::50]).max() < 1.63 / len(sorted_) ** 0.5  # Kolmogorov, 1 %


def test_patches_places_and_channels_have_nothing_to_do_with_one_another():
    numbers = gaussian(KEYS, (3, 64, 64))
    between = torch.corrcoef(numbers.flatten(1)).fill_diagonal_(0)
    assert between.abs().max() < 5 / (3 * 64 * 64) ** 0.5
    channels = torch.corrcoef(numbers[0].flatten(1)).fill_diagonal_(0)
    assert channels.abs().max() < 5 / 64
    right = (numbers[..., :-1] * numbers[..., 1:]).mean((1, 2, 3))
    down = (numbers[..., :-1, :] * numbers[..., 1:, :]).mean((1, 2, 3))
    assert torch.cat([right, down]).abs().max() < 5 / (3 * 64 * 63) ** 0.5


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_patch_does_not_depend_on_the_others(one, other):
    both = gaussian(torch.tensor([one, other]), (3, 5, 7))
    alone = gaussian(torch.tensor([other]), (3, 5, 7))
    assert torch.equal(both[1], alone[0])
    assert (one == other) == torch.equal(both[0], both[1])


def test_an_odd_number_of_numbers():
    assert gaussian(KEYS, (1, 3, 3)).shape == (6, 1, 3, 3)
