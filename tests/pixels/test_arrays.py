"""Parts of pictures that are put together; what else is there is tested where it is used."""

import numpy as np
import pytest

from edsr_cli.pixels.arrays import joined


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("sideways", [False, True])
def test_parts_lie_in_memory_as_they_did(count, sideways):
    rows = np.random.default_rng(0).integers(0, 256, (7 * count, 5, 3), np.uint8)
    parts = [rows[7 * i : 7 * i + 7] for i in range(count)]
    if sideways:
        parts = [part.swapaxes(0, 1).copy().swapaxes(0, 1) for part in parts]
    together = joined(parts, sideways=sideways)
    assert np.array_equal(together, rows)
    stored = together.swapaxes(0, 1) if sideways else together
    assert stored.flags.c_contiguous
    assert (together is parts[0]) == (count == 1)
