"""The geometric self-ensemble, folded into the weights; see `engines.views`."""

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from edsr_cli.inference.engines.torch import costs
from edsr_cli.inference.engines.torch.node import Node
from edsr_cli.inference.engines.views import View

Network = TypeVar("Network", bound=nn.Module)


def fold_view(network: Network, view: View) -> Network:
    """A copy of the network that computes `view.undo(network(view.apply(x)))`.

    Args:
        network: any composition of square convolutions with equal padding on all sides, and pixel
            shuffles that directly follow a convolution in a `Sequential`.
        view: the view to fold in.
    """
    turned = copy.deepcopy(network)
    with torch.no_grad():
        for module in turned.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(_turned_back(module.weight, view))
            if isinstance(module, nn.Sequential):
                for layer, following in pairwise(module):
                    if isinstance(following, nn.PixelShuffle):
                        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
                        _turn_subpixels(layer.weight, following.upscale_factor, view)
                        _turn_subpixels(layer.bias, following.upscale_factor, view)
    return turned


def _turned_back(x: Tensor, view: View) -> Tensor:
    """`view.undo` of a tensor, on its device."""
    x = x.flip(-1) if view.mirrored else x
    return torch.rot90(x, -view.turns, (-2, -1))


def _turn_subpixels(parameter: Tensor, factor: int, view: View) -> None:
    """Turn, in place, the factor x factor sub-pixels that output channels stand for."""
    subpixels = parameter.view(-1, factor, factor, *parameter.shape[1:])
    turned = _turned_back(subpixels.movedim((1, 2), (-2, -1)), view).movedim((-2, -1), (1, 2))
    subpixels.copy_(turned.clone())


class Average(Node):
    """The mean of several streamed networks over the same strips, in fp32.

    Args:
        networks: nodes with the same delay, whose outputs have the same shape.
    """

    def __init__(self, networks: list[Node]) -> None:
        self.networks = networks
        self.cost = costs.average([network.cost for network in networks])

    def push(self, rows: Tensor, last: bool) -> Tensor:
        total = self.networks[0].push(rows, last).clone()
        for network in self.networks[1:]:
            total += network.push(rows, last)
        return total / len(self.networks)

    def held(self) -> Iterator[Tensor]:
        for network in self.networks:
            yield from network.held()

    def step(self, window: Tensor, into: Tensor | None = None) -> Tensor:
        total = torch.zeros(())
        for network in self.networks:
            made = network.step(network.enter(window))
            total = made if network is self.networks[0] else total.add_(made)
        return torch.div(total, len(self.networks), out=into)

    def reset(self) -> None:
        for network in self.networks:
            network.reset()

    def fresh(self) -> Self:
        average = copy.copy(self)
        average.networks = [network.fresh() for network in self.networks]
        return average

    def limit_rows(self, limit: int) -> None:
        for network in self.networks:
            network.limit_rows(limit)
