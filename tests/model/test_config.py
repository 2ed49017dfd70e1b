import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_cli.model.config import SCALES, NetworkConfig, mdsr


@given(
    st.lists(st.sampled_from(SCALES), min_size=1, max_size=3, unique=True),
    st.integers(1, 100),
    st.integers(1, 300),
    st.floats(0.01, 1),
    st.sampled_from([3, 5]),
)
def test_configurations_survive_a_round_trip(scales, blocks, features, residual_scale, kernel):
    config = NetworkConfig("mdsr", tuple(scales), blocks, features, residual_scale, kernel)
    assert NetworkConfig.from_dict(config.to_dict()) == config


def test_the_papers_configurations_read_as_before_there_were_other_kernels():
    values = {"architecture": "mdsr", "scales": [2], "blocks": 1, "features": 4}
    assert NetworkConfig.from_dict(values).pre_process_kernel == 5
    assert set(mdsr().to_dict()) == {*values, "residual_scale"}


@pytest.mark.parametrize(
    "values",
    [
        ("rcan", (2,), 16, 64),
        ("edsr", (), 16, 64),
        ("edsr", (2, 3), 16, 64),
        ("edsr", (5,), 16, 64),
        ("mdsr", (2, 2), 16, 64),
        ("edsr", (2,), 0, 64),
        ("edsr", (2,), 16, 0),
        ("mdsr", (2,), 16, 64, 1.0, 4),
        ("edsr", (2,), 16, 64, 1.0, 3),
    ],
)
def test_impossible_configurations_are_refused(values):
    with pytest.raises(ValueError):
        NetworkConfig(*values)
