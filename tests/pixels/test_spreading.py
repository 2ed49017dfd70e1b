from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edsr_cli.pixels.spreading import Spread, spread


def plainly(pixels: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """What the module says, pixel by pixel."""
    result = pixels.astype(np.float64)
    known = alpha > np.iinfo(alpha.dtype).max // 510
    height, width = known.shape
    if not known.any():
        return pixels
    for _ in range(8):
        before, colours = known.copy(), result.copy()
        for y, x in np.argwhere(~before):
            around = slice(max(0, y - 1), y + 2), slice(max(0, x - 1), x + 2)
            if before[around].any():
                result[y, x] = np.rint(colours[around][before[around]].mean(axis=0))
                known[y, x] = True
    colours = result.copy()
    for y, x in np.argwhere(~known):
        side = 2
        while True:
            top, left = y // side * side, x // side * side
            square = slice(top, min(top + side, height)), slice(left, min(left + side, width))
            if known[square].any():
                result[y, x] = np.rint(colours[square][known[square]].mean(axis=0))
                break
            side *= 2
    return result.astype(pixels.dtype)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 200),
    width=st.integers(1, 60),
    spots=st.integers(0, 3),
    deep=st.booleans(),
    band=st.integers(1, 90),
    seed=st.integers(0, 2**30),
)
def test_it_is_what_it_says_in_memory_and_by_rows(
    height: int, width: int, spots: int, deep: bool, band: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    dtype = np.uint16 if deep else np.uint8
    pixels = rng.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype)
    alpha = np.zeros((height, width), dtype)
    for _ in range(spots):
        y, x = rng.integers(0, height), rng.integers(0, width)
        alpha[y : y + 9, x : x + 3] = np.iinfo(dtype).max
    expected, both = plainly(pixels, alpha), np.dstack((pixels, alpha))

    def begin() -> Any:
        return (both[top : top + band] for top in range(0, height, band))

    by_rows = Spread(pixels.shape, pixels.dtype, begin)
    rows = list(by_rows.rows()) or [pixels]
    found = pixels.copy()
    spread(found, alpha)
    assert (np.concatenate(rows) == found).all()
    # Means are of 32 bits, and halves may be rounded either way.
    assert np.abs(found.astype(int) - expected).max() <= 1 + 2 * deep
    assert by_rows.changes == bool(alpha.any() and not alpha.all())


def test_far_from_everything_the_nearest_square_counts_across_too() -> None:
    """Where squares of 64 x 64 are empty, larger ones decide, from left to right as well."""
    pixels, alpha = np.zeros((70, 512, 3), np.uint8), np.zeros((70, 512), np.uint8)
    pixels[:, :10], pixels[:, -10:] = (255, 0, 0), (0, 0, 255)
    alpha[:, :10] = alpha[:, -10:] = 255
    spread(pixels, alpha)
    assert (pixels[:, :256] == (255, 0, 0)).all()
    assert (pixels[:, 256:] == (0, 0, 255)).all()


@pytest.mark.parametrize("value", [0, 255])
def test_nothing_changes_where_all_or_nothing_is_visible(value: int) -> None:
    both = np.full((70, 9, 4), value, np.uint8)
    by_rows = Spread((70, 9, 3), both.dtype, lambda: iter([both]))
    assert not by_rows.changes and list(by_rows.rows()) == []
