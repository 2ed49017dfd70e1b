import numpy as np

from edsr_cli.inference.engines.views import TRANSPOSE, VIEWS, View

MARKED = np.arange(6).reshape(1, 1, 2, 3)


def test_the_views_are_the_eight_different_ones():
    turned = {(view.apply(MARKED).shape, view.apply(MARKED).tobytes()) for view in VIEWS}
    assert len(VIEWS) == len(turned) == 8
    assert VIEWS[0] == View(0, False)
    for view in VIEWS:
        assert np.array_equal(view.undo(view.apply(MARKED)), MARKED)


def test_the_transposing_view_swaps_rows_and_columns():
    assert np.array_equal(TRANSPOSE.apply(MARKED), MARKED.swapaxes(-1, -2))
    assert np.array_equal(TRANSPOSE.undo(MARKED), MARKED.swapaxes(-1, -2))
