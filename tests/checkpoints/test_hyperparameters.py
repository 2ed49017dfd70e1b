from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edsr_cli.checkpoints import layouts
from edsr_cli.checkpoints.layouts import infer_config
from edsr_cli.errors import WeightsError
from edsr_cli.model.config import (
    SCALES,
    NetworkConfig,
    edsr,
    edsr_baseline,
    mdsr,
    mdsr_baseline,
)

FILE = Path("some.pt")
OFFICIAL = layouts.find("official")

PAPER = [
    *(edsr_baseline(scale) for scale in SCALES),
    *(edsr(scale) for scale in SCALES),
    mdsr_baseline(),
    mdsr(),
]


def promised(config, layout=OFFICIAL, prefix=""):
    """Tensors of a network without the memory: the full EDSR has 172 MB of weights."""
    return {
        prefix + layout.key(key, config.scales): np.broadcast_to(np.float32(0), shape)
        for key, shape in config.shapes()
    }


@pytest.mark.parametrize("config", PAPER, ids=str)
def test_the_papers_networks_are_inferred_from_keys_and_shapes(config):
    assert infer_config(promised(config), OFFICIAL, "", FILE) == replace(config, residual_scale=1)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_and_prefix_gives_the_same(layout, scale):
    config = NetworkConfig("edsr", (scale,), 5, 8)
    if layout.branches_by_scale:
        config = NetworkConfig("mdsr", (scale,), 5, 8, pre_process_kernel=3)
    assert infer_config(promised(config, layout, "module."), layout, "module.", FILE) == config


def test_branches_may_come_in_any_order():
    config = NetworkConfig("mdsr", (4, 2, 3), 2, 4)
    assert infer_config(promised(config), OFFICIAL, "", FILE) == config


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"head.0.weight": np.zeros((4, 1, 3, 3))}, "pictures of 1 channels"),
        ({"head.0.weight": np.zeros(4)}, r"'head\.0\.weight' has 1 dimensions"),
        ({"tail.0.0.weight": np.zeros((20, 4, 3, 3))}, "20 outputs, which is no upsampler"),
        ({"tail.0.0.weight": np.zeros((40, 4, 3, 3))}, "40 outputs, which is no upsampler"),
        (
            {f"tail.0.{index}.weight": np.zeros((16, 4, 3, 3)) for index in (2, 4)},
            r"scales must be among \(2, 3, 4\), not \(8,\)",
        ),
        (
            {"pre_process.0.0.body.0.weight": np.zeros((4, 4, 7, 7))}
            | {"upsample.0.0.weight": np.zeros((16, 4, 3, 3))},
            "pre_process_kernel must be 3 or 5, not 7",
        ),
        (
            {"pre_process.0.0.body.0.weight": np.zeros((4, 4, 5, 5))}
            | {f"upsample.{branch}.0.weight": np.zeros((36, 4, 3, 3)) for branch in (0, 1)},
            "each scale may be given once",
        ),
        ({"pre_process.0.0.body.0.bias": np.zeros(4)}, r"'upsample\.0\.0\.weight' is missing"),
    ],
)
def test_another_network_is_refused(tensors, message):
    state_dict = promised(NetworkConfig("edsr", (2,), 2, 4))
    with pytest.raises(WeightsError, match=message) as caught:
        infer_config(state_dict | tensors, OFFICIAL, "", FILE)
    assert str(FILE) in caught.value.message
