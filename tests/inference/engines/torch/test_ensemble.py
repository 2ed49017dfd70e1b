import pytest
import torch

from edsr_cli.inference.engines.torch.ensemble import Average, fold_view
from edsr_cli.inference.engines.views import VIEWS, View
from edsr_cli.model.config import NetworkConfig
from edsr_cli.model.networks import build
from tests.exact import CASES, exact_network, exact_picture, plain, plain_turned, run, streamed

# Random float64 weights: unlike the exact ones, they are not symmetric by accident.
NETWORKS = [
    *(NetworkConfig("edsr", (scale,), 2, 8, 0.1) for scale in (2, 3, 4)),
    NetworkConfig("mdsr", (2, 3, 4), 2, 8),
]


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("config", NETWORKS, ids=str)
def test_folded_view_equals_turning_the_picture(config, view):
    torch.manual_seed(0)
    network = build(config).double().eval()
    for scale in config.scales:
        # In fractions of full range.
        picture = torch.rand(1, 3, 7, 10).double()
        turned = plain_turned(network, view, picture, scale)
        folded = plain(fold_view(network, view), picture, scale)
        assert folded.shape == turned.shape
        assert (folded - turned).abs().max() < 1e-12


def test_folding_leaves_the_network_itself_alone():
    network = build(NETWORKS[0])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fold_view(network, View(1, True))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(("config", "scale"), CASES)
@pytest.mark.parametrize("strip", [1, 4, 11])
def test_ensemble_equals_the_average_of_eight_turned_pictures(config, scale, strip):
    network = exact_network(config)
    picture = exact_picture(11, 8)
    turned = [plain_turned(network, view, picture, scale) for view in VIEWS]
    expected = torch.stack(turned).sum(0) / 8
    node = streamed(network, scale, ensemble=True)
    node.limit_rows(strip)
    assert torch.equal(run(node, picture, strip), expected)


def test_ensemble_holds_eight_times_the_rows_but_works_on_one_view_at_a_time():
    network = exact_network(CASES[0][0])
    one, eight = streamed(network, 2), streamed(network, 2, ensemble=True)
    assert isinstance(eight, Average)
    assert eight.cost.held_bytes == 8 * one.cost.held_bytes
    assert eight.cost.work_bytes == one.cost.work_bytes
    assert eight.cost.multiply_adds == 8 * one.cost.multiply_adds
